"""Commands that are imported when they are called, for a quick start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from notifier.cli.options import FormatOption, OutputOption


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command, or a group of commands, as the list of all shows it."""

    name: str
    place: str
    """Module under notifier.cli and attribute: a function, or a Typer of several commands."""
    help: str
    """The help of a group; of a function the first line, shown without importing it."""

    def load(self) -> Any:
        """Import it and return it as typer runs it."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(f"notifier.cli.{module}"), attribute)
        holder = typer.Typer(add_completion=False, rich_markup_mode="rich")
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=self.name, help=self.help, no_args_is_help=True)
        else:
            holder.command(self.name)(found)
        loaded = typer.main.get_group(holder).commands[self.name]
        for _, leaf in leaves_of(loaded, self.name):
            leaf.help = _unwrapped(leaf.help or "")
            _add_output_option(leaf)
        return loaded


def leaves_of(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each command below this one, or itself, with its whole name."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, below in command.commands.items():
        yield from leaves_of(below, f"{name} {word}")


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph, so that a terminal wraps them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _add_output_option(command: Any) -> None:
    """Add --output and its old spelling --format to a command with --json."""
    own = {word for param in command.params for word in param.opts}
    if "--json" not in own or "--output" in own:
        return

    def holder(output: OutputOption = None, old_output: FormatOption = None) -> None: ...

    one = typer.Typer(add_completion=False)
    one.command()(holder)
    options = [each for each in typer.main.get_command(one).params if own.isdisjoint(each.opts)]
    for each in options:
        each.expose_value = False
    at = [param.name for param in command.params].index("as_json")
    command.params[at:at] = options


def lazy_group(commands: tuple[LazyCommand, ...]) -> type[TyperGroup]:
    """Return a group that loads a command in place of its stub."""
    by_name = {command.name: command for command in commands}

    class LazyGroup(TyperGroup):
        @override
        def resolve_command(
            self, ctx: Any, args: list[str]
        ) -> tuple[str | None, Any, list[str]]:
            name, stub, rest = super().resolve_command(ctx, args)
            wanted = by_name.get(name or "")
            return name, stub if wanted is None else wanted.load(), rest

    return LazyGroup


def stub_of(command: LazyCommand) -> Callable[[], None]:
    """Return the function that represents a command in the list of all."""

    def stub() -> None:
        raise AssertionError(f"{command.name} was not imported")

    return stub
