"""--format json and --json mean the same on every command."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from notifier.cli import app
from notifier.cli.options import print_json
from notifier.config import assets
from notifier.events.json_out import from_marked_json

SAMPLE = str(assets.cards_dir() / "samples" / "nphies.claim.rejected.json")


def said(*arguments: str, code: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": "160"}).invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done.output


def shown(*arguments: str) -> Any:
    return json.loads(said(*arguments))


@pytest.mark.parametrize(
    "command",
    [("cards", "list"), ("config", "show"), ("keys", "list"), ("schema",), ("cards", "render", "claim_rejected", "--event", SAMPLE)],
)  # fmt: skip
def test_both_spellings_print_the_same_json(command: tuple[str, ...]):
    assert shown(*command, "--format", "json") == shown(*command, "--json")
    assert shown(*command, "--format", "json", "--json") == shown(*command, "--json")


def test_without_either_people_are_meant():
    for given in ((), ("--format", "table")):
        assert said("keys", "list", *given).startswith("no key is set")


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("keys list", "table"),
        ("trace CLM-1", "table"),
        ("doctor", "table"),
        ("top", "table"),
        ("report", "html"),
        ("sandbox", "table"),
    ],
)
def test_two_formats_at_once_are_refused_before_anything_is_done(command: str, form: str):
    refused = said(*command.split(), "--json", "--format", form, code=2)

    assert f"give only one of --json and --format {form}" in refused


def test_a_command_that_prints_json_in_any_case_has_no_other_format():
    assert "--format" in said("schema", "--format", "table", code=2)


def test_json_moves_no_cursor_and_turns_no_text_round(capsys: pytest.CaptureFixture[str]):
    value = {"id": "a\x9b31m\x85\x7f\u202eb", "name": "سارة"}

    print_json(value)

    text = capsys.readouterr().out
    assert not any(sign in text for sign in "\x9b\x85\x7f\u202e")
    assert "سارة" in text
    assert json.loads(text) == value


def test_json_shows_numbers_as_they_were_sent(capsys: pytest.CaptureFixture[str]):
    sent = '{"a": 1250.50, "b": 90071992547409931.0, "c": 1E3, "d": 123456789012345678901234567890, "e": [1.5, true, null]}'

    print_json(from_marked_json(sent.encode()))

    assert "".join(capsys.readouterr().out.split()) == "".join(sent.split())


def test_json_writes_what_it_does_not_know_as_text(capsys: pytest.CaptureFixture[str]):
    value = {
        "at": datetime(2026, 11, 24, 9, tzinfo=UTC),
        "path": Path("/etc"),
        "none": [],
        1: {},
    }

    print_json(value)

    assert capsys.readouterr().out == json.dumps(value, indent=2, default=str) + "\n"
