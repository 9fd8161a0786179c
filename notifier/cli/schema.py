"""notifier schema: the contract with producers, for programs."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.files import write_text
from notifier.cli.options import AlwaysJsonOption, ConfigOption, settings
from notifier.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from notifier.cards.fields import Fields
    from notifier.config import Config


class Form(StrEnum):
    """Which description."""

    JSON_SCHEMA = "json-schema"
    ASYNCAPI = "asyncapi"


PAGE = "event-types.md"
FILES = {Form.JSON_SCHEMA: "event.schema.json", Form.ASYNCAPI: "asyncapi.json"}


def schema(
    form: Annotated[
        Form, typer.Argument(help="Which description of the contract.")
    ] = Form.JSON_SCHEMA,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--type", help="JSON Schema of one event type, with the data that its card shows."
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Write both, and the page of event types, into this folder instead."),
    ] = None,
    config: ConfigOption = None,
    as_json: AlwaysJsonOption = False,
) -> None:
    """Print the event contract, from the model that the daemon uses."""
    from notifier.cards.event_types import types_page
    from notifier.cli.output import json_text, print_json
    from notifier.events.schema import asyncapi, json_schema

    loaded = settings(config)
    if event_type is not None:
        print_json(_of_type(event_type, loaded))
        return
    documents = {Form.JSON_SCHEMA: json_schema(), Form.ASYNCAPI: asyncapi(loaded.streams)}
    if write is None:
        print_json(documents[form])
        return
    for name, document in documents.items():
        write_text(write / FILES[name], json_text(document) + "\n")
        typer.echo(f"wrote {write / FILES[name]}")
    write_text(write / PAGE, types_page(loaded, _fields(loaded)))
    typer.echo(f"wrote {write / PAGE}")


def _of_type(event_type: str, config: Config) -> JsonValue:
    from notifier.cards.event_types import type_schema

    found = type_schema(event_type, config, _fields(config))
    if found is None:
        near = get_close_matches(event_type, config.routes, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise typer.BadParameter(
            f"{event_type} has no route, so its card, generic, shows all data{meant}",
            param_hint="--type",
        )
    return found


def _fields(config: Config) -> Fields:
    from notifier.cards.fields import read_fields
    from notifier.cards.library import existing_folders

    try:
        return read_fields(*existing_folders(config))
    except ValueError as exc:
        raise ConfigError(f"fields.toml: cannot be used: {exc}") from None
