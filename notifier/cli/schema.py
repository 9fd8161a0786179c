"""notifier schema: the contract with producers, for programs."""

from __future__ import annotations

import json
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from notifier.cards.event_types import type_schema, types_page
from notifier.cards.fields import Fields, read_fields
from notifier.cli.card_folder import existing_folders
from notifier.cli.files import write_text
from notifier.cli.formats import AlwaysJsonOption, JsonOnly, JsonOnlyOption
from notifier.cli.options import ConfigOption, print_json, settings
from notifier.config import Config
from notifier.errors import ConfigError
from notifier.events.schema import asyncapi, json_schema


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
            "--type",
            help="JSON Schema of one event type, with the data that its card shows.",
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            help="Write both, and the page of event types, into this folder instead.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    _form: JsonOnlyOption = JsonOnly.JSON,
    _as_json: AlwaysJsonOption = False,
) -> None:
    """Print the contract with producers, generated from the model the daemon validates with."""
    loaded = settings(config)
    if event_type is not None:
        print_json(_of_type(event_type, loaded))
        return
    documents = {Form.JSON_SCHEMA: json_schema(), Form.ASYNCAPI: asyncapi(loaded.streams)}
    if write is None:
        print_json(documents[form])
        return
    for name, document in documents.items():
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        write_text(write / FILES[name], text)
        typer.echo(f"wrote {write / FILES[name]}")
    write_text(write / PAGE, types_page(loaded, _fields(loaded)))
    typer.echo(f"wrote {write / PAGE}")


def _of_type(event_type: str, config: Config) -> JsonValue:
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
    try:
        return read_fields(*existing_folders(config))
    except ValueError as exc:
        raise ConfigError(f"fields.toml: cannot be used: {exc}") from None
