"""Commands are imported when called, and their list agrees with them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from notifier.cli import COMMANDS, app
from notifier.cli.lazy import LazyCommand

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


def test_both_ways_to_ask_for_the_version_say_the_same():
    said = [CliRunner().invoke(app, [word]).stdout for word in ("version", "--version")]

    assert said[0] == said[1] != ""
