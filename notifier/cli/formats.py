"""For people or for programs: --format json, or --json for short, on every command that prints for both."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"


class JsonOnly(StrEnum):
    """What a command takes that prints JSON in any case, so that no program need know which ones do."""

    JSON = "json"


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", help="table for people, the default; json for programs.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
JsonOnlyOption = Annotated[
    JsonOnly, typer.Option("--format", help="It is always json.", show_default=False)
]
AlwaysJsonOption = Annotated[bool, typer.Option("--json", help="It always is.")]


def wants_json(form: StrEnum | None, as_json: bool) -> bool:
    """Tell whether --format, None when not given, or --json asks for JSON; raises typer.BadParameter when they differ."""
    if as_json and form not in (None, Format.JSON):
        raise typer.BadParameter(
            f"give only one of --json and --format {form}", param_hint="--json"
        )
    return as_json or form == Format.JSON
