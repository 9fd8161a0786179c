"""Commands are imported when they are called, and the list of all of them says the same as they do."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from notifier.cli import COMMANDS, app
from notifier.cli.lazy import LazyCommand

HEAVY = ["aiohttp", "jinja2", "jsonschema", "notifier.config", "psycopg", "redis"]


def imported_by(*arguments: str) -> set[str]:
    script = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules))))\n"
        "from notifier.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["version"], ["--version"], ["--help"]])
def test_what_needs_no_command_imports_none(arguments: list[str]):
    assert imported_by(*arguments).isdisjoint(HEAVY)


def test_a_command_does_not_import_what_only_others_need():
    found = imported_by("trace", "--help")

    assert "notifier.cli.trace" in found
    assert found.isdisjoint(["jsonschema", "notifier.ops.doctor", "notifier.cli.cards"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_list_of_commands_says_what_the_command_says_of_itself(command: LazyCommand):
    [first, *_] = command.load().help.split("\n\n")

    assert command.help == " ".join(first.split())


def test_both_ways_to_ask_for_the_version_say_the_same():
    said = [CliRunner().invoke(app, [word]).stdout for word in ("version", "--version")]

    assert said[0] == said[1] != ""
