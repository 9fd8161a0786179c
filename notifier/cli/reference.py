"""Write the reference of all commands to docs/reference/commands.md.

Run python -m notifier.cli.reference [FILE].
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from notifier.cli import COMMANDS, EXIT_CODES, app
from notifier.cli.lazy import leaves_of

FILE = Path("docs/reference/commands.md")

_VALUES = {
    "str": "TEXT",
    "list[str]": "TEXT",
    "int range": "NUMBER",
    "float range": "NUMBER",
    "path": "FILE",
}
"""Names of types as help shows them, for people."""

_HEAD = """# Commands

Generated from the commands: `python -m notifier.cli.reference`.

The commands below do not repeat these options of most commands; every command except `run` takes `--json`.

| option | effect |
|---|---|
| `-h`, `--help` | shows the command's help |
| `-c FILE`, `--config FILE` | reads this TOML file over the shipped settings (environment: `NOTIFIER_CONFIG`); it may also come before the command |
| `--json`, `-o json`, `--output json` | prints one JSON document on standard output; warnings and progress go to standard error |
| `-q`, `--quiet` | prints errors only |

Commands that destroy something ask first if there is a terminal; `-y` answers yes.
"""

_SHARED = 3
"""An option of at least this many commands is described once."""

_COMMON = {"--config", "--json", "--quiet", "--help"}
"""Options of most commands, described once."""


def reference() -> str:
    """Return the reference as Markdown."""
    commands = [
        (name, leaf)
        for command in COMMANDS
        for name, leaf in leaves_of(command.load(), command.name)
    ]
    items = Counter(_option(leaf, each) for _, leaf in commands for each in _options(leaf))
    shared = {item for item, count in items.items() if count >= _SHARED}
    codes = [f"| {code.value} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    parts = [_HEAD, "## Exit codes\n", "| code | meaning |", "|---|---|", *codes]
    parts += ["\n## Shared options\n", *sorted(shared)]
    for name, leaf in commands:
        parts += _command(name, leaf, shared)
    return "\n".join(parts) + "\n"


def _command(name: str, command: Any, shared: set[str]) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    items = {_option(command, each): each for each in _options(command)}
    known = [f"`{each.opts[0]}`" for item, each in items.items() if item in shared]
    yield f"\n## notifier {name}\n"
    yield _paragraphs(command.help)
    if arguments or items:
        yield ""
    for each in arguments:
        yield _item(f"`{_argument(each)}`", each)
    yield from (item for item in items if item not in shared)
    if known:
        yield f"- [Shared](#shared-options): {', '.join(known)}."


def _options(command: Any) -> list[Any]:
    return [
        each
        for each in command.params
        if each.param_type_name == "option" and not each.hidden and not _common(command, each)
    ]


def _option(command: Any, option: Any) -> str:
    spellings = ", ".join(f"`{word}`" for word in sorted(option.opts, key=len, reverse=True))
    return _item(f"{spellings} {_value(command, option)}".strip(), option)


def _common(command: Any, option: Any) -> bool:
    if "--output" in option.opts:
        return _value(command, option) == "`table|json`"
    return any(word in _COMMON for word in option.opts)


def _argument(argument: Any) -> str:
    shown = (argument.metavar or argument.name.upper()).strip("[].").replace("]", "")
    many = "..." if argument.nargs == -1 else ""
    return f"{shown}{many}" if argument.required else f"[{shown}{many}]"


def _value(command: Any, option: Any) -> str:
    if option.is_flag:
        return ""
    shown = option.metavar or option.display_type(command.context_class(command)).strip("<>")
    return f"`{_VALUES.get(shown, shown)}`"


def _item(name: str, param: Any) -> str:
    """Return an argument or option as an item of a list."""
    words = [" ".join((param.help or "").split())]
    if param.required:
        words.append("Required.")
    if getattr(param, "show_default", False) and param.default not in (None, False, "", [], ()):
        default = getattr(param.default, "value", param.default)
        words.append(f"Default: {default}.")
    if getattr(param, "envvar", None):
        words.append(f"Environment: `{param.envvar}`.")
    about = " ".join(word for word in words if word)
    return textwrap.fill(
        f"- {name}: {about}" if about else f"- {name}",
        160,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paragraphs(text: str | None) -> str:
    """Return a command's help with one sentence in each line."""
    joined = (" ".join(each.split()) for each in (text or "").split("\n\n"))
    return "\n\n".join(re.sub(r"\. (?=[A-Z])", ".\n", each) for each in joined)


def main() -> None:
    """Write the file named on the command line."""
    typer.main.get_group(app)
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
