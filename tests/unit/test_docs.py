"""The documents and the program say the same."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer.main

from notifier.actions import SUBJECT, WORK, Action, Via, request_fields
from notifier.cli import app
from notifier.config import SEED_NAMES
from notifier.deadletter import Reason
from notifier.templating.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE
    )


def test_every_command_in_the_documents_exists_with_its_options():
    root = typer.main.get_command(app)
    lines = [
        line for page in PAGES for block in blocks(page, "") for line in block.splitlines()
    ]
    lines += [
        line
        for page in PAGES
        for line in re.findall(r"`(notifier [a-z][^`]*)`", page.read_text())
    ]
    commands = [line.split("#")[0].split() for line in lines if line.startswith("notifier ")]
    assert len(commands) > 10
    for _, *words in commands:
        command = root
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, words
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts} | {
            "--help"
        }
        assert {word for word in words if word.startswith("--")} <= known, words


def test_every_environment_name_dead_letter_reason_and_function_is_explained():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    for reason in Reason:
        assert reason.value in runbook
    configuration = (ROOT / "docs" / "configuration.md").read_text()
    for section, key in SEED_NAMES.values():
        assert key in configuration, (section, key)
    templating = (ROOT / "docs" / "templating.md").read_text()
    for name in FUNCTIONS:
        assert (
            not name.isalpha()
            or name in ("plus", "negate")
            or re.search(rf"\b{name}\b", templating)
        ), name


def test_every_field_of_a_request_to_the_workers_is_explained():
    action = Action("n", "retry_task", "Sara", "", Via.PAGE, datetime.now(UTC))
    written = request_fields(
        action, event_id="", event_type="", correlation_id="", channel="", subject={}
    )
    section = (
        (ROOT / "docs" / "producers.md").read_text().partition("## Requests from people")[2]
    )
    for name in (*written, *SUBJECT, *WORK, *Via):
        assert f"`{name}`" in section, name


def test_every_test_that_the_threat_model_names_exists():
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text())
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 30
    for name in named:
        assert re.search(rf"^\s*(?:async )?def {name}\(", written, re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_valid_and_links_lead_somewhere(page: Path):
    for block in blocks(page, "python"):
        ast.parse(block)
    for block in blocks(page, "json"):
        json.loads(block)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
