"""Find phrases that readers stumble over; .ci/words.toml lists them.

Run it with `make words`.

It reads the prose of documents, comments, docstrings and messages, never code.
Without arguments it reads everything; `make words ARGS=notifier/web` reads one folder.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess  # nosec B404
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("*.md", "config.toml", "cards/fields.toml")
CODE = (
    "notifier/*.py",
    "notifier/*.sql",
    "notifier/*.lua",
    "migrations/*.sql",
    "packaging/*",
    "systemd/*",
    "Makefile",
    "examples/*.py",
    "benchmarks/*.py",
    "monitoring/*.py",
    "monitoring/*.yml",
    "docs/*.py",
    ".ci/*.py",
    "tests/support/*.py",
    "tests/chaos/*.py",
)
NO_PROSE = (".json", ".png", ".svg", ".cjs", ".html", ".css", ".txt")
LONGEST_PROSE_LINE = 170
LONGEST_FIRST_LINE = 72
Line = tuple[int, str]


def files(patterns: tuple[str, ...]) -> list[Path]:
    """Return the committed files that match."""
    listed = subprocess.run(  # noqa: S603 # nosec B603 B607
        ["git", "-C", str(ROOT), "ls-files", "--", *patterns],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    found = [ROOT / name for name in listed.stdout.split()]
    return [path for path in found if path.exists() and path.suffix not in NO_PROSE]


def python(text: str) -> Iterator[Line]:
    """Yield comments, docstrings and every string constant with a space in it."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            yield token.start[0], token.string.lstrip("# ")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for number, line in enumerate(node.value.splitlines()):
                yield node.lineno + number, line.strip()


def markdown(text: str, *, code: bool = False) -> Iterator[Line]:
    """Yield lines outside fenced blocks; of the changelog unreleased ones."""
    fenced = False
    released = False
    for number, line in enumerate(text.splitlines(), 1):
        released = released or re.match(r"## \[?\d", line) is not None
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not released:
            yield number, line if code else re.sub(r"`[^`]*`", "``", line)


def comments(text: str) -> Iterator[Line]:
    """Yield what follows #, -- or // in a line."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(r"(?:^|\s)(?:#|--|//) ?(.*)", line):
            yield number, found[1]


def prose(path: Path) -> Iterator[Line]:
    """Yield the lines of a file that people read."""
    text = path.read_text("utf-8")
    match path.suffix:
        case ".py":
            yield from python(text)
        case ".md":
            yield from markdown(text)
        case _:
            yield from comments(text)


def phrases() -> list[tuple[re.Pattern[str], str, re.Pattern[str] | None]]:
    """Return each phrase, its replacement and the context that allows it."""
    listed = tomllib.loads((ROOT / ".ci" / "words.toml").read_text())["phrase"]
    return [
        (
            re.compile(each["not"], re.IGNORECASE),
            each["say"],
            re.compile(each["unless"]) if "unless" in each else None,
        )
        for each in listed
    ]


def spoken(path: Path) -> Iterator[str]:
    """Yield each banned phrase of a file as `file:line: phrase → say instead`."""
    for number, line in prose(path):
        for pattern, say, unless in PHRASES:
            if (found := pattern.search(line)) and not (unless and unless.search(line)):
                yield f"{path.relative_to(ROOT)}:{number}: {found[0].strip(' .;:')[:40]} → {say}"


def too_long(path: Path) -> Iterator[str]:
    """Yield prose lines and first lines of docstrings that are too long."""
    place = path.relative_to(ROOT)
    if path.suffix == ".md" and path.name != "CHANGELOG.md":
        for number, line in markdown(path.read_text("utf-8"), code=True):
            if len(line) > LONGEST_PROSE_LINE and not line.startswith("|"):
                yield f"{place}:{number}: {len(line)} characters → at most {LONGEST_PROSE_LINE}"
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                if len(first) > LONGEST_FIRST_LINE:
                    line = 1 if isinstance(node, ast.Module) else node.lineno
                    yield f"{place}:{line}: first line of the docstring has {len(first)} characters → at most {LONGEST_FIRST_LINE}"


def faults(patterns: tuple[str, ...]) -> list[str]:
    """Return all faults of the files that match."""
    return [fault for path in files(patterns) for fault in (*spoken(path), *too_long(path))]


PHRASES = phrases()

if __name__ == "__main__":
    wrong = faults(tuple(sys.argv[1:]) or (*DOCUMENTS, *CODE))
    print(*wrong, sep="\n" if wrong else "")
    print(f"words: {len(wrong)} faults")
    sys.exit(1 if wrong else 0)
