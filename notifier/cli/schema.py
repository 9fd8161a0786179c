"""notifier schema: the contract with producers, for programs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from notifier.cli.files import write_text
from notifier.cli.formats import AlwaysJsonOption, JsonOnly, JsonOnlyOption
from notifier.cli.options import print_json, settings
from notifier.contract import asyncapi, json_schema


class Form(StrEnum):
    """Which description."""

    JSON_SCHEMA = "json-schema"
    ASYNCAPI = "asyncapi"


FILES = {Form.JSON_SCHEMA: "event.schema.json", Form.ASYNCAPI: "asyncapi.json"}


def schema(
    form: Annotated[
        Form, typer.Argument(help="Which description of the contract.")
    ] = Form.JSON_SCHEMA,
    write: Annotated[
        Path | None,
        typer.Option(help="Write both into this folder instead.", show_default=False),
    ] = None,
    _form: JsonOnlyOption = JsonOnly.JSON,
    _as_json: AlwaysJsonOption = False,
) -> None:
    """Print the contract with producers, generated from the model the daemon validates with."""
    documents = {
        Form.JSON_SCHEMA: json_schema(),
        Form.ASYNCAPI: asyncapi(settings(None).streams),
    }
    if write is None:
        print_json(documents[form])
        return
    for name, document in documents.items():
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        write_text(write / FILES[name], text)
        typer.echo(f"wrote {write / FILES[name]}")
