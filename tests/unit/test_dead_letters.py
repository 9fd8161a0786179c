"""A dead letter can be shown whatever it holds, and shows no patient."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from notifier.dead_letters.display import shown_event
from notifier.dead_letters.model import legible, raw_fields
from notifier.events.masking import Masking

MASKING = Masking.of(["patient_id"], [])
NOTE = b"of pat 12345"


def shown(**fields: bytes) -> JsonValue:
    return shown_event(raw_fields({k.encode(): v for k, v in fields.items()}), MASKING)


@pytest.mark.parametrize("depth", [30, 100, 600, 900, 50_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_an_event_that_is_nested_deeply_is_shown_without_its_patient(
    depth: int, opening: str, closing: str
) -> None:
    data = f'{opening * depth}{{"patient_id":"PAT-12345"}}{closing * depth}'

    text = json.dumps(
        [shown(type=b"a.b", data=data.encode(), note=NOTE), shown_event(data, MASKING)]
    )

    assert "12345" not in text
    assert ("of ***" in text) is (depth < 60)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'{"patient_id":"PAT-12345"', "is not JSON from character 26 on"),
        (b'{"patient_id":"PAT-12345","a":NaN}', "is not JSON"),
        (b'x{"patient_id":"PAT-12345"}', "names a masked member outside of JSON"),
        (rb'x{"\u0070atient_id":"PAT-12345"}', "names a masked member outside of JSON"),
        (b"patient_id=PAT-12345&a=1", "names a masked member outside of JSON"),
        (b'{"patient_id":"PAT-12345\xff"}', "is not UTF-8"),
    ],
)
def test_fields_of_which_one_cannot_be_read_are_shown_by_size_and_fault(
    data: bytes, fault: str
) -> None:
    event = shown(type=b"a.b", data=data, note=NOTE)

    assert "12345" not in json.dumps(event)
    assert isinstance(event, dict)
    fields = event["fields"]
    assert isinstance(fields, dict)
    assert fields["note"] == {"bytes": len(NOTE)}
    assert fault in json.dumps(fields["data"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"patient_id":"PAT-12345"', "is not JSON from character 26 on"),
        ('[{"patient_id":"PAT-12345"}]', "is JSON but not an object"),
        ("PAT-12345 " * 110_000, "is longer than 1000000 characters"),
    ],
)
def test_an_event_that_is_no_object_is_shown_by_size_and_fault(text: str, fault: str) -> None:
    assert shown_event(text, MASKING) == {"bytes": len(text), "fault": fault}


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
