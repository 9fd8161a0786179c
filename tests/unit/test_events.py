from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import isinf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from notifier.errors import EventError
from notifier.events.entry import Event, EventEntry, Priority, parse_entry
from notifier.events.times import ahead_of

ENTRY_ID = "1769854500000-3"


def parse(fields: dict[str, Any]) -> Event:
    encoded = {
        key.encode(): (value if isinstance(value, bytes) else str(value).encode())
        for key, value in fields.items()
    }
    return parse_entry("teams:events", ENTRY_ID, encoded, max_bytes=10_000)


def test_type_alone_is_a_complete_event():
    event = parse({"type": "vault.seal.detected"})

    assert (event.id, event.correlation_id, event.lang, event.data) == (
        ENTRY_ID,
        ENTRY_ID,
        "en",
        {},
    )
    assert event.time == datetime.fromtimestamp(1769854500, UTC)


@pytest.mark.parametrize(
    "fields",
    [
        {"data": json.dumps({"list": [1] * 30_000})},
        {"data": json.dumps({"list": [[{}]] * 15_000})},
        {"event": json.dumps({"type": "a.b", "data": {"list": [[]] * 30_000}})},
        {str(number): "" for number in range(30_000)},
        {"data": json.dumps({"list": [1] * 20_000}), **{str(number): "" for number in range(15_000)}},
    ],
)  # fmt: skip
def test_an_event_of_too_many_values_is_refused(fields: dict[str, str]):
    sent = {key.encode(): value.encode() for key, value in {"type": "a.b", **fields}.items()}

    with pytest.raises(EventError, match="30000"):
        parse_entry("teams:events", ENTRY_ID, sent, max_bytes=262_144)


def test_an_event_of_many_values_is_none_too_many():
    data = {"list": [1] * 29_000, "text": "[{,:" * 20_000}
    sent = {b"type": b"a.b", b"data": json.dumps(data).encode()}

    assert parse_entry("teams:events", ENTRY_ID, sent, max_bytes=262_144).data == data


def test_unknown_fields_become_data_and_known_ones_do_not():
    event = parse(
        {
            "type": "a.b", "id": "e1", "correlation_id": "c1", "time": "2026-01-31T13:15:00+03:00", "priority": "high",
            "stakeholders": "sre, devops", "lang": "ar-SA", "source": "worker", "claim_id": "CLM-1", "data": '{"amount": 12.5}',
        }
    )  # fmt: skip

    assert event.data == {"claim_id": "CLM-1", "amount": 12.5}
    assert event.time == datetime(2026, 1, 31, 10, 15, tzinfo=UTC)
    assert event.priority is Priority.HIGH
    assert event.stakeholders == ("sre", "devops")
    assert (event.lang, event.source, event.id, event.correlation_id) == (
        "ar",
        "worker",
        "e1",
        "c1",
    )


def test_data_wins_over_a_flat_field_of_the_same_name():
    assert parse({"type": "a.b", "x": "flat", "data": '{"x": "json"}'}).data == {"x": "json"}


def test_empty_optional_fields_count_as_absent():
    event = parse({"type": "a.b", "priority": "", "stakeholders": "", "data": "", "time": ""})

    assert (event.priority, event.stakeholders, event.data) == (None, None, {})


def test_cloudevent_is_read_with_its_extensions():
    event = parse(
        {
            "event": json.dumps(
                {
                    "specversion": "1.0", "id": "ce-1", "source": "/claims", "type": "nphies.claim.approved",
                    "time": "2026-01-31T10:15:00Z", "datacontenttype": "application/json", "subject": "CLM-1",
                    "correlationid": "corr-1", "priority": "LOW", "stakeholders": "pmo", "otherextension": "x",
                    "data": {"claim_id": "CLM-1"},
                }
            )
        }
    )  # fmt: skip

    assert (event.id, event.source, event.correlation_id) == ("ce-1", "/claims", "corr-1")
    assert event.priority is Priority.LOW
    assert event.stakeholders == ("pmo",)
    assert event.data == {"claim_id": "CLM-1"}


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"claim_id": "CLM-1"}, "type", "is missing"),
        ({"type": "no spaces please"}, "type", "must be letters"),
        (
            {"type": "a.b", "priority": "URGENT"},
            "priority",
            "CRITICAL, HIGH, MEDIUM, LOW, INFO",
        ),
        ({"type": "a.b", "time": "yesterday"}, "time", "RFC 3339"),
        ({"type": "a.b", "time": "2026-01-31T10:15:00"}, "time", "with an offset"),
        (
            {"type": "a.b", "stakeholders": "sre devops"},
            "stakeholders.0",
            "list of channel names",
        ),
        ({"type": "a.b", "data": "[1]"}, "data", "not an object"),
        ({"type": "a.b", "data": '{"a": '}, "data", "not valid JSON at character"),
        (
            {"type": "a.b", "data": '{"a": NaN}'},
            "data",
            "not valid JSON: it knows no NaN and no",
        ),
        (
            {"event": '{"type": "a.b", "data": {"a": -Infinity}}'},
            "event",
            "no NaN and no Infinity",
        ),
        ({"type": "a.b", "data": f'{{"a": {"9" * 5000}}}'}, "data", "not valid JSON; send"),
        ({"type": "a.b", "data": '{"a":' * 600 + "1" + "}" * 600}, "data", "nested too deeply"),
        ({"type": "a.b", "data": '{"a":' * 40 + "1" + "}" * 40}, "data", "nested too deeply"),
        ({"type": "a.b", "data": '{"a": "\\ud800"}'}, "data", "surrogate"),
        ({"type": "a.b", "id": "x" * 201}, "id", "1 to 200 characters"),
        (
            {"type": "a.b", "correlation_id": "a\r\nX-Evil: 1"},
            "correlation_id",
            "without control characters",
        ),
        ({"type": "a.b", "note": b"\xff"}, "note", "not UTF-8"),
        ({"event": '{"type": "a.b", "claim": 1}'}, "event.claim", "put it into data"),
        (
            {"event": '{"type": "a.b"}', "claim_id": "1"},
            "claim_id",
            "beside the field event",
        ),
        (
            {"event": '{"specversion": "0.3", "type": "a.b"}'},
            "event.specversion",
            'use CloudEvents "1.0"',
        ),
        (
            {"event": '{"specversion": "1.0", "type": "a.b", "data_base64": "eA=="}'},
            "event.data_base64",
            "JSON object",
        ),
        (
            {"type": "a.b", "data": json.dumps({"x": "y" * 20_000})},
            "entry",
            "the limit is 10000",
        ),
    ],
)
def test_fault_names_the_field_and_the_fix(fields: dict[str, Any], field: str, words: str):
    with pytest.raises(EventError) as caught:
        parse(fields)

    assert caught.value.field == field
    assert words in caught.value.fault


def test_fault_never_shows_the_value():
    with pytest.raises(EventError) as caught:
        parse({"type": "a.b", "priority": "PAT-12345", "time": "PAT-12345"})

    assert "PAT-12345" not in str(caught.value)


@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from([b"type", b"data", b"event", b"time", b"stakeholders", b"id"]),
            st.binary(max_size=8),
        ),
        st.one_of(
            st.binary(max_size=60),
            st.text(max_size=40).map(lambda text: json.dumps({"type": text}).encode()),
        ),
        max_size=6,
    ),
    st.text(max_size=20),
)
def test_any_entry_is_an_event_or_a_clear_fault(fields: dict[bytes, bytes], entry_id: str):
    fault = None
    event = None
    try:
        event = parse_entry("teams:events", entry_id, fields, max_bytes=10_000)
    except EventError as exc:
        fault = exc

    if event is None:
        assert fault is not None
        assert fault.field
        assert fault.fault
    else:
        json.dumps(event.data, ensure_ascii=False).encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_data_arrives_as_it_was_sent(value: Any):
    sent = json.dumps({"value": value})

    assert parse({"type": "a.b", "data": sent}).data == {"value": value}


@pytest.mark.parametrize("time", ["1", "1764000000", "1764000000000", "1e9", "-5", "20261124"])
def test_a_bare_number_is_no_time(time: str):
    for entry in ({"time": time}, {"event": json.dumps({"type": "a.b", "time": float(time)})}):
        with pytest.raises(EventError, match=r"^time: "):
            parse({"type": "a.b", **entry} if "time" in entry else entry)


@pytest.mark.parametrize(
    ("minutes", "warned"), [(-600, False), (0, False), (5, False), (6, True), (300, True)]
)
def test_a_time_over_five_minutes_ahead_is_noticed(minutes: int, warned: bool):
    now = datetime(2026, 1, 31, 10, 15, tzinfo=UTC)

    assert (ahead_of(now + timedelta(minutes=minutes), now) is not None) == warned


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_time_that_is_beyond_the_calendar_in_utc_is_refused_by_name(time: str):
    with pytest.raises(EventError, match=r"^time: "):
        parse({"type": "a.b", "time": time})


_NUMBERS = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70, -(2**63), -(2**63) - 1, 1e19])
)


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            _NUMBERS | st.text(max_size=3) | st.booleans() | st.none(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)  # fmt: skip
def test_data_are_read_exactly_as_they_were_written(data: dict[str, Any]):
    fields = {b"type": b"a.b", b"data": json.dumps(data).encode()}

    event = parse_entry("s", "1-1", fields, max_bytes=10**6)

    assert repr(event.data) == repr(data)


@given(
    st.text('{}[]:,"\\\\u dD0189.eE+-aNInfty\n\té', max_size=12)
    | st.sampled_from(["NaN", "-Infinity", "1.", "01", "\ufeff{}", '"\\ud800"', '"\\u00e9"', "1e400", "-0"])
)  # fmt: skip
def test_what_is_json_is_decided_as_python_does(inner: str):
    text = f'{{"a": {inner}}}'
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_no_constant)
        # Half of a surrogate pair is not Unicode.
        json.dumps(value, ensure_ascii=False).encode()
        wanted = repr(value)
    except ValueError:
        wanted = "refused"

    assert _read(text) == wanted


def _read(text: str) -> str:
    fields = {b"type": b"a.b", b"data": text.encode()}
    try:
        return repr(parse_entry("s", "1-1", fields, max_bytes=10**6).data)
    except EventError:
        return "refused"


def _finite(text: str) -> float | str:
    return text if isinf(float(text)) else float(text)


def _no_constant(word: str) -> None:
    raise ValueError(word)


@pytest.mark.parametrize("stakeholders", ["a=b," * 60_000, ["a=b"] * 25_000])
def test_of_thousands_of_wrong_stakeholders_only_a_few_are_looked_at(stakeholders: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        EventEntry.model_validate({"type": "a.b", "stakeholders": stakeholders})
    assert raised.value.error_count() <= 51
