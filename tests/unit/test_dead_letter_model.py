"""A dead letter shows the sound fields of an entry that is not an event."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.dead_letters.model import legible

SHOWN = {
    "event_type": "a.b",
    "event_id": "e1",
    "correlation_id": "CLM-1",
    "source": "claims-api",
}
MEMBERS = {"type": "a.b", "id": "e1", "correlation_id": "CLM-1", "source": "claims-api"}


def entry(fields: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in fields.items()}


@pytest.mark.parametrize(
    "fields",
    [
        {**MEMBERS, "time": "yesterday"},
        {"event": json.dumps({**MEMBERS, "time": "yesterday"})},
        {"event": json.dumps({"specversion": "2.0", "correlationid": "CLM-1", **MEMBERS})},
        {**MEMBERS, "event": "{"},
    ],
    ids=["flat", "json", "CloudEvents", "broken json"],
)
def test_type_ids_and_source_are_read_where_they_are_sound(fields: dict[str, str]):
    assert legible(entry(fields)) == SHOWN


def test_what_is_not_sound_is_left_out():
    fields = {
        "type": "patient Sara",
        "id": "x" * 201,
        "source": "a\x1b[2J",
        "correlation_id": "",
    }

    assert legible(entry(fields)) == {}


@given(st.dictionaries(st.sampled_from([b"type", b"id", b"source", b"event"]), st.binary()))
def test_no_entry_fails(fields: dict[bytes, bytes]):
    assert set(legible(fields)) <= {*SHOWN}
