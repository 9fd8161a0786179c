"""Read and write the files of commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from notifier.cli.options import CommandError

if TYPE_CHECKING:
    from pydantic import JsonValue


def read_text(path: Path) -> str:
    """Read a text file, `-` for standard input.

    Raises:
        CommandError: It cannot be read, or is not text.
    """
    try:
        if str(path) == "-":
            return (
                typer.get_text_stream("stdin", encoding="utf-8").read().removeprefix("\ufeff")
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise CommandError(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path}: is not UTF-8 text") from None


def read_json(path: Path) -> JsonValue:
    """Read a JSON file as the daemon reads events, `-` for standard input.

    Raises:
        CommandError: It cannot be read, or is not JSON; names the place.
    """
    from notifier.events.json import exact_json

    try:
        return exact_json(read_text(path))
    except RecursionError:
        raise CommandError(f"{path}: is nested too deeply") from None
    except ValueError as exc:
        raise CommandError(f"{path}: is not JSON: {exc}") from None


def read_event(path: Path) -> dict[str, JsonValue]:
    """Read a JSON file with one event, or `-` for standard input.

    Raises:
        CommandError: The file cannot be read.
    """
    event = read_json(path)
    if not isinstance(event, dict):
        raise CommandError(f"{path}: is not an event; give one JSON object")
    return event


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise CommandError if the file cannot be written in this context."""
    try:
        yield
    except OSError as exc:
        raise CommandError(f"{path}: cannot be written: {exc.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    A pipe, a device or a link is written to as it is.

    Raises:
        CommandError: It cannot be written.
    """
    with writing(path):
        if path.exists() and (path.is_symlink() or not path.is_file()):
            path.write_text(text, encoding="utf-8")
            return
        partly = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partly.write_text(text, encoding="utf-8")
            partly.replace(path)
        finally:
            with suppress(OSError):
                partly.unlink()
