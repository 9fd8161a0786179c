from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from notifier.cards.event_types import type_schema, types_page
from notifier.cards.fields import read_fields
from notifier.config import assets, load_config
from notifier.events.action import Action, Via, request_fields
from notifier.events.schema import asyncapi, json_schema

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
