"""Commands: what they import, their formats, times and durations."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from notifier.cli import COMMANDS, app
from notifier.cli.lazy import LazyCommand, leaves_of
from notifier.cli.output import print_json
from notifier.cli.times import moment, period
from notifier.config import assets
from notifier.events.json import exact_json
from notifier.telemetry.clock import duration

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


NOW = datetime(2026, 11, 24, 10, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", "2026-11-24T08:15:30"),
        ("90s", "2026-11-24T10:14:00"),
        ("30m", "2026-11-24T09:45:30"),
        ("3d", "2026-11-21T10:15:30"),
        ("1w", "2026-11-17T10:15:30"),
        ("now", "2026-11-24T10:15:30"),
        ("today", "2026-11-24T00:00:00"),
        ("yesterday", "2026-11-23T00:00:00"),
        ("2026-11-24", "2026-11-24T00:00:00"),
        ("2026-11-24 10:00", "2026-11-24T10:00:00"),
        ("2026-11-24T10:00", "2026-11-24T10:00:00"),
        ("2026-11-24T10:00:05.250", "2026-11-24T10:00:05.250000"),
        ("2026-11-24T10:00Z", "2026-11-24T10:00:00"),
        ("2026-11-24T13:00:00+03:00", "2026-11-24T10:00:00"),
        ("2026-11-24T13:00+0300", "2026-11-24T10:00:00"),
        (" 2h ", "2026-11-24T08:15:30"),
    ],
)
def test_a_time_is_read(text: str, expected: str):
    assert moment(text, NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2x", "h", "-2h", "24.11.2026", "2026-13-01", "999999999w", "0001-01-01T00:00+23:00", "1.5h"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_what_to_give(text: str):
    with pytest.raises(typer.BadParameter, match=r"2h.*2026-11-24T13:00\+03:00"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("since", "until"),
    [("1h", "2h"), ("1h", "1h"), ("60m", "1h"), ("now", "now"), ("today", "2026-11-24"), ("2026-11-25", "today")],
)  # fmt: skip
def test_a_period_in_which_no_time_lies_is_refused_by_both_its_names(since: str, until: str):
    with pytest.raises(typer.BadParameter) as refused:
        period(since, until, NOW)

    assert refused.value.param_hint == "--since"
    assert f"{since} (2026-11-2" in refused.value.message
    assert f"must be before --until {until} (2026-11-2" in refused.value.message


def test_both_ends_of_a_period_are_counted_from_one_now():
    # Read one after the other, an hour ago would be before an hour ago.
    with pytest.raises(typer.BadParameter, match="before --until"):
        period("1h", "1h")


def test_a_period_may_be_open_at_either_end():
    earlier = moment("2h", NOW)

    assert period("2h", "now", NOW) == (earlier, NOW)
    assert period("2h", None, NOW) == (earlier, None)
    assert period(None, "now", NOW) == (None, NOW)
    assert period(None, None, NOW) == (None, None)


@pytest.mark.parametrize(
    ("since", "until", "option"), [("soon", None, "--since"), ("2h", "soon", "--until")]
)
def test_the_end_that_is_no_time_is_named(since: str, until: str | None, option: str):
    with pytest.raises(typer.BadParameter, match="how long ago") as refused:
        period(since, until, NOW)

    assert refused.value.param_hint == option


HEAVY = {"aiohttp", "jinja2", "jsonschema", "notifier.config", "psycopg", "redis"}


def imported_by(script: str) -> set[str]:
    """Return the modules of a new process after this script, which may end it."""
    watch = "import atexit, json, sys; atexit.register(lambda: print(json.dumps(sorted(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", f"{watch}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_of_every_command_starts_without_what_only_its_work_needs():
    script = "from notifier.cli import COMMANDS\nfor each in COMMANDS: each.load()"

    assert imported_by(script).isdisjoint(HEAVY)


def test_the_version_needs_no_command():
    script = "import sys; from notifier.cli import main; sys.argv[1:] = ['--version']; main()"

    assert {"notifier.cli.output", *HEAVY}.isdisjoint(imported_by(script))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_list_of_commands_says_what_the_command_says_of_itself(command: LazyCommand):
    [first, *_] = command.load().help.split("\n\n")

    assert command.help == " ".join(first.split())


def test_the_terminal_alone_wraps_the_help_of_a_command():
    texts = [leaf.help for each in COMMANDS for _, leaf in leaves_of(each.load(), each.name)]

    assert all("\n" not in text.replace("\n\n", "") for text in texts)


def test_both_ways_to_ask_for_the_version_say_the_same():
    said = [CliRunner().invoke(app, [word]).stdout for word in ("version", "--version")]

    assert said[0] == said[1] != ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-4, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (300, "5 min"), (3725, "1 h 2 min"), (90_061, "1 d 1 h")],
)  # fmt: skip
def test_duration_has_its_two_largest_units(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.83, "830 ms"), (0.9996, "1 s"), (1.456, "1.46 s"), (59.999, "1 min"), (250, "4 min 10 s")],
)  # fmt: skip
def test_precise_duration_has_fractions_below_a_minute(seconds: float, text: str):
    assert duration(seconds, precise=True) == text
