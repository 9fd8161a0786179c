from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from notifier import assets
from notifier.config import load_config
from notifier.contract import asyncapi, json_schema

DOCS = Path(__file__).parents[2] / "docs"
SAMPLES = sorted((assets.cards_dir() / "samples").glob("*.json"))


def test_committed_files_are_what_the_model_says():
    assert json.loads((DOCS / "event.schema.json").read_text()) == json_schema()
    assert json.loads((DOCS / "asyncapi.json").read_text()) == asyncapi(
        load_config(None, {}).streams
    )


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
