"""The documents, the schemas and the program say the same."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import typer.main

from notifier.cards.event_types import type_schema, types_page
from notifier.cards.fields import read_fields
from notifier.cli import COMMANDS, app
from notifier.cli.lazy import leaves_of as leaves
from notifier.cli.reference import reference
from notifier.config import assets, load_config
from notifier.config.load import SEED_NAMES
from notifier.dead_letters.model import Reason
from notifier.events.action import SUBJECT, WORK, Action, Via, request_fields
from notifier.events.schema import asyncapi, json_schema
from notifier.store.migrations import required_migrations
from notifier.telemetry.metrics import REGISTRY
from notifier.telemetry.tracing import PACKAGES
from notifier.templating.functions import FUNCTIONS
from tests.support.docblocks import PAGES, Block, blocks

ROOT = Path(__file__).parents[2]


def commands_in(block: Block) -> list[list[str]]:
    """Return the words of each notifier command of a block."""
    lines = block.text.replace("\\\n", " ").splitlines()
    found = [
        re.search(r"^\s*(?:sudo )?notifier( [a-z].*)", line.split("#")[0]) for line in lines
    ]
    return [re.split(r"\s[|>]", match[1])[0].split() for match in found if match]


def every_command() -> typer.core.TyperGroup:
    root = typer.main.get_group(app)
    root.commands |= {command.name: command.load() for command in COMMANDS}
    return root


def test_every_command_in_the_documents_exists_with_its_options():
    root = every_command()
    commands = [
        words
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for words in commands_in(block)
    ]
    commands += [
        line.split()[1:]
        for page in PAGES
        for line in re.findall(r"`(?:sudo )?(notifier [a-z][^`]*)`", page.read_text())
    ]
    assert len(commands) > 10
    for words in commands:
        command = root
        rest = list(words)
        while rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts} | {
            "--help"
        }
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_every_command_and_option_is_in_the_documents():
    written = "\n".join(page.read_text() for page in PAGES)
    missing = [
        f"{name} {option}".strip()
        for name, command in leaves(every_command(), "notifier")
        for option in (
            "",
            *(
                opt
                for each in command.params
                for opt in each.opts
                if not getattr(each, "hidden", False)
            ),
        )
        if (option.startswith("--") and not re.search(rf"{option}(?![\w-])", written))
        or (not option and f"{name}" not in written)
    ]
    assert missing == []


def test_the_reference_of_commands_is_current():
    written = (ROOT / "docs" / "reference" / "commands.md").read_text()

    assert written == reference(), "run: python -m notifier.cli.reference"


def test_every_command_but_the_daemon_prints_json_if_asked():
    without = {
        name
        for name, command in leaves(every_command(), "notifier")
        if not {"--json", "-o"} <= {opt for each in command.params for opt in each.opts}
    }

    assert without == {"notifier run"}


def test_every_block_that_is_not_run_says_who_runs_it_or_why_nobody_does():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for block in blocks(page):
            if block.elsewhere is not None:
                assert (ROOT / block.elsewhere).is_file(), block.place
            for target in block.make_targets or []:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), block.place
        marks = re.findall(r"^<!-- test:", page.read_text(), re.MULTILINE)
        marked = [block for block in blocks(page) if block.marked]
        assert len(marks) == len(marked), f"{page.name}: a mark that belongs to no block"


def test_what_taking_back_each_migration_loses_is_told():
    page = (ROOT / "docs" / "how-to" / "upgrade.md").read_text()
    assert [name for name in required_migrations() if f"| {name} |" not in page] == []


def test_every_setting_is_explained_in_the_shipped_file():
    unexplained = []
    explained = False
    for line in (ROOT / "config.toml").read_text().splitlines():
        if line.startswith(("#", "[")) or not line.strip():
            explained = line.startswith("#") or (line.startswith("[") and explained)
        elif "=" in line and not explained and " # " not in line:
            unexplained.append(line)
    assert unexplained == []


def test_nothing_tells_to_install_the_other_project_of_this_name():
    # PyPI's notifier is not this one.
    told = [
        *PAGES,
        ROOT / "config.toml",
        ROOT / "Makefile",
        *sorted((ROOT / "examples").rglob("*.md")),
    ]
    told += [*sorted((ROOT / "notifier").rglob("*.py")), *sorted((ROOT / "packaging").rglob("*.*"))]  # fmt: skip
    wrong = [
        str(path.relative_to(ROOT))
        for path in told
        if re.search(r"pip3? install[^\n`]*[ '\"]notifier(?![\w/.-])", path.read_text())
    ]
    assert wrong == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]


def test_the_packages_that_messages_name_are_those_of_the_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert tuple(each.partition(">=")[0] for each in extras["otel"]) == PACKAGES
    servers = (ROOT / "notifier" / "sandbox" / "servers.py").read_text()
    for each in extras["sandbox"]:
        assert f"-m pip install {each.partition('>=')[0]}" in servers


def test_every_environment_name_dead_letter_reason_and_function_is_explained():
    runbook = (ROOT / "docs" / "how-to" / "runbook.md").read_text()
    for reason in Reason:
        assert reason.value in runbook
    configuration = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for section, key in SEED_NAMES.values():
        assert key in configuration, (section, key)
    templating = (ROOT / "docs" / "reference" / "template-language.md").read_text()
    for name in FUNCTIONS:
        assert (
            not name.isalpha()
            or name in ("plus", "negate")
            or re.search(rf"\b{name}\b", templating)
        ), name


def test_every_field_of_a_request_to_the_workers_is_explained():
    action = Action("n", "retry_task", "Sara", "", Via.PAGE, datetime.now(UTC))
    written = request_fields(
        action,
        event_key="",
        event_id="",
        event_type="",
        correlation_id="",
        channel="",
        subject={},
    )
    section = (
        (ROOT / "docs" / "reference" / "events.md")
        .read_text()
        .partition("## Requests from people")[2]
    )
    for name in (*written, *SUBJECT, *WORK, *Via):
        assert f"`{name}`" in section, name


@pytest.mark.parametrize("page", ["security", "decisions", "reliability"])
def test_every_test_that_an_explanation_names_exists(page: str):
    text = (ROOT / "docs" / "explanation" / f"{page}.md").read_text()
    paths = list((ROOT / "tests").rglob("test_*.py"))
    written = "\n".join(path.read_text() for path in paths)
    known = {path.stem for path in paths} | set(re.findall(r"\bdef (test_\w+)\(", written))
    named = re.findall(r"`(?:tests/\w+/)?(test_\w+)(?:\.py)?(…?)`", text)
    assert named
    for name, shortened in named:
        assert name in known or (shortened and any(each.startswith(name) for each in known)), (
            name
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_are_valid_and_links_lead_somewhere(page: Path):
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)
        if block.language == "json":
            json.loads(block.text)
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", page.read_text()
    ):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_the_page_of_metrics_lists_every_metric():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    names = {
        sample.name + ("_total" if sample.type == "counter" else "")
        for sample in REGISTRY.collect()
        if sample.name.startswith("teams_")
    }
    assert set(re.findall(r"^\| `(teams_\w+)`", page, re.MULTILINE)) == names


def test_every_document_that_code_and_settings_name_exists():
    folders = (
        "notifier",
        "tests",
        "packaging",
        "systemd",
        "monitoring",
        "examples",
        "benchmarks",
    )
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in [ROOT / "config.toml", ROOT / "Makefile", *each_file(folders)]
        for name in re.findall(r"\bdocs/[\w/-]+\.(?:md|json)\b", path.read_text())
    }
    assert len(named) > 20
    assert [(path, name) for path, name in sorted(named) if not (ROOT / name).exists()] == []


def each_file(folders: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of these folders that name documents."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".sh", ".yml", ".service", ".toml"}:
                yield path


def test_every_module_that_a_document_names_exists():
    named = {
        name
        for page in PAGES
        for name in re.findall(
            r"`((?:notifier|tests|benchmarks|monitoring)/[\w/.]+)`", page.read_text()
        )
    }
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


DOCS = Path(__file__).parents[2] / "docs" / "reference"
SAMPLES = sorted((assets.cards_dir() / "samples").glob("*.json"))


def test_committed_files_are_what_the_model_says():
    assert json.loads((DOCS / "event.schema.json").read_text()) == json_schema()
    assert json.loads((DOCS / "asyncapi.json").read_text()) == asyncapi(
        load_config(None, {}).streams
    )


def test_the_page_of_event_types_is_what_routes_and_fields_say():
    page = types_page(load_config(None, {}), read_fields(assets.cards_dir()))

    assert (DOCS / "event-types.md").read_text() == page, "run: make schema"
    assert "- `payer` (string): " in page


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_fits_the_schema_of_its_type(path: Path):
    sample = json.loads(path.read_text())
    schema = type_schema(sample["type"], load_config(None, {}), read_fields(assets.cards_dir()))

    if schema is not None:
        validator = jsonschema.Draft202012Validator(schema)
        validator.validate(sample)
        other = {**sample, "data": {**sample["data"], "payer_nam": "x"}}
        assert not validator.is_valid(other)
        assert not validator.is_valid({**sample, "type": "a.b"})


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_fits_the_schema(path: Path):
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(path.read_text()))


def test_schema_refuses_what_the_daemon_refuses():
    validator = jsonschema.Draft202012Validator(json_schema())

    for wrong in (
        {},
        {"type": "a b"},
        {"type": "a.b", "claim_id": "1"},
        {"type": "a.b", "data": []},
    ):
        assert not validator.is_valid(wrong)


def test_what_a_worker_reads_fits_the_contract():
    document = asyncapi(["teams:events"])
    schema = document["components"]["schemas"]["WorkRequest"]
    validator = jsonschema.Draft202012Validator(
        {**schema, "components": document["components"], "additionalProperties": False}
    )
    request = request_fields(
        Action(
            "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07",
            "retry_task",
            "Sara",
            "",
            Via.PAGE,
            datetime(2026, 11, 24, 10, 15, tzinfo=UTC),
        ),
        event_key="4f1c2a54-52a6-5c0c-a1f4-1a4f28d41a07",
        event_id="e-1",
        event_type="celery.task.failed",
        correlation_id="",
        channel="devops",
        subject={"task_id": "t-1"},
    )

    validator.validate(request)
    assert document["channels"]["requests"]["address"] == "teams:actions"
    for field in request:
        assert not validator.is_valid({k: v for k, v in request.items() if k != field}), field
    assert not validator.is_valid({**request, "action": "acknowledge"})
