"""Options that every command takes in the same way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifier.cli import app
from notifier.cli.output import print_json
from notifier.config import assets
from notifier.events.json import exact_json

SAMPLE = str(assets.cards_dir() / "samples" / "nphies.claim.rejected.json")


def said(*arguments: str, code: int = 0, **env: str) -> tuple[str, str]:
    """Return what a command writes on standard output and standard error."""
    done = CliRunner(env={"COLUMNS": "160"} | env).invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [("cards", "list"), ("config", "show"), ("keys", "list"), ("schema",), ("version",), ("cards", "render", "claim_rejected", "--event", SAMPLE)],
)  # fmt: skip
def test_every_spelling_prints_the_same_json_and_the_old_one_a_hint(command: tuple[str, ...]):
    wanted, silent = said(*command, "--json")

    json.loads(wanted)
    assert silent == ""
    for given in (("-o", "json"), ("--output", "json", "--json")):
        assert said(*command, *given) == (wanted, "")
    old, hint = said(*command, "--format", "json")
    assert old == wanted
    assert "--output" in hint


def test_without_json_people_are_meant():
    for given in ((), ("-o", "table")):
        assert said("keys", "list", *given)[0].startswith("no key is set")


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("keys list", "table"),
        ("trace CLM-1", "table"),
        ("doctor", "table"),
        ("top", "table"),
        ("report", "html"),
        ("sandbox", "table"),
        ("dlq discard --all --why x", "table"),
    ],
)
def test_two_formats_at_once_are_refused_before_anything_is_done(command: str, form: str):
    _, refused = said(*command.split(), "--json", "--output", form, code=2)

    assert f"give only one of --json and --output {form}" in refused


def test_a_command_that_prints_json_in_any_case_ignores_no_other_format():
    assert json.loads(said("schema", "-o", "json")[0])


def test_the_configuration_may_be_named_before_or_after_the_command(tmp_path: Path):
    files = {name: tmp_path / f"{name}.toml" for name in ("one", "two")}
    for number, file in enumerate(files.values(), start=1):
        file.write_text(f"[retry]\nmax_retries = {number}\n")

    def retries(*arguments: str, **env: str) -> int:
        shown = json.loads(said(*arguments, **env)[0])
        return int(shown["retry"]["max_retries"])

    show = ("config", "show", "--json")
    one, two = ("-c", str(files["one"])), ("--config", str(files["two"]))
    assert [retries(*one, *show), retries(*show, *one), retries(*one, *show, *two)] == [1, 1, 2]
    assert retries(*one, *show, NOTIFIER_CONFIG=str(files["two"])) == 1
    assert retries(*show, NOTIFIER_CONFIG=str(files["two"])) == 2


@pytest.mark.parametrize(
    "wrong", ["nope", "+", "(1-1", "1", "99999999999999999999-0", "1-1-1", "١-١"]
)
def test_text_that_cannot_be_an_id_is_refused_by_name(wrong: str):
    for command in (("show",), ("replay",), ("discard", "--why", "x")):
        assert wrong in said("dlq", *command, "--", wrong, code=2)[1]


def test_json_moves_no_cursor_and_turns_no_text_round(capsys: pytest.CaptureFixture[str]):
    value = {"id": "a\x9b31m\x85\x7f\u202eb", "name": "سارة"}

    print_json(value)

    text = capsys.readouterr().out
    assert not any(sign in text for sign in "\x9b\x85\x7f\u202e")
    assert "سارة" in text
    assert json.loads(text) == value


def test_json_shows_numbers_as_they_were_sent(capsys: pytest.CaptureFixture[str]):
    sent = '{"a": 1250.50, "b": 90071992547409931.0, "c": 1E3, "d": 123456789012345678901234567890, "e": [1.5, true, null]}'

    print_json(exact_json(sent))

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
