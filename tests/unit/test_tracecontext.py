"""W3C Trace Context: the examples and rules of the specification."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from notifier.events.digest import digest_of
from notifier.events.entry import Event, EventEntry, Priority, parse_entry
from notifier.events.notification import Notification, decode, encode
from notifier.events.trace_context import (
    TRACEPARENT_PATTERN,
    clean_tracestate,
    new_span_id,
    parse_traceparent,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"
ONE = Notification(
    "n1", "sre", ("sre",), Priority.INFO, "generic", "s", "1-1", "e1", "a.b", "c1", "2026-11-24T10:00:00Z", "en", None, VALID, {},
    tracestate="a=1",
)  # fmt: skip


def event(**fields: str) -> Event:
    encoded = {name.encode(): value.encode() for name, value in fields.items()}
    return parse_entry("s", "1-1", {b"type": b"a.b", **encoded}, max_bytes=10_000)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (VALID, VALID),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-03", f"00-{TRACE}-{SPAN}-03"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-03"),
        (f"cc-{TRACE}-{SPAN}-01", VALID),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", VALID),
    ],
)
def test_what_is_valid_goes_on_as_this_version_writes_it(text: str, written: str):
    context = parse_traceparent(text)

    assert context is not None
    assert context.traceparent == written


@pytest.mark.parametrize(
    "text",
    [
        "", "00", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-x", f"00-{TRACE}-{SPAN}-01-", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", VALID.upper(), f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}-{SPAN}-1", f"0-{TRACE}-{SPAN}-01",
        f" {VALID}", f"{VALID}\n", f"{VALID}.", f"cc-{TRACE}-{SPAN}-01.x", f"00-{TRACE}-{SPAN}-0x", VALID.replace("4", "٤"),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_ignored_and_costs_nothing(text: str):
    assert parse_traceparent(text) is None
    found = event(traceparent=text, tracestate="a=1")
    assert (found.traceparent, found.tracestate) == (None, None)
    assert found.trace_ignored is (text != "")


@pytest.mark.parametrize(
    ("text", "passed_on"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("a=1 \t, b=2,,", "a=1,b=2"),
        ("fw529a3039@dt=FfAA;x:y/z", "fw529a3039@dt=FfAA;x:y/z"),
        ("1abc=ok", "1abc=ok"),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"k{n}=v" for n in range(33)), None),
        ("", None), (",", None), ("a", None), ("a=", None), ("=1", None), ("A=1", None), ("a=1,a=2", None),
        ("a=1=2", None), ("a=é", None), ("a=1\r\nX-Priority: LOW", None), ("a=" + "v" * 257, None), ("a b=1", None),
    ],
)  # fmt: skip
def test_tracestate_is_passed_on_only_when_it_is_valid(text: str, passed_on: str | None):
    assert clean_tracestate(text) == passed_on
    assert event(traceparent=VALID, tracestate=text).tracestate == passed_on


@given(st.text(max_size=70) | st.text("0123456789abcdef-\n", max_size=60))
def test_whatever_stands_there_the_event_is_taken_and_no_header_can_be_broken(text: str):
    found = parse_entry(
        "s", "1-1",
        {b"event": json.dumps({"type": "a.b", "traceparent": text, "tracestate": text}).encode()},
        max_bytes=10_000,
    )  # fmt: skip

    assert found.traceparent is None or re.fullmatch(TRACEPARENT_PATTERN, found.traceparent)
    assert found.tracestate is None or (found.tracestate.isascii() and found.tracestate.isprintable())  # fmt: skip


@pytest.mark.parametrize("value", [1, True, [VALID], {"a": 1}, None])
def test_what_is_no_text_is_ignored_too(value: object):
    entry = EventEntry.model_validate(
        {"type": "a.b", "traceparent": value, "tracestate": value}
    )

    assert (entry.traceparent, entry.tracestate) == (None, None)


def test_a_child_is_of_the_same_trace():
    context = parse_traceparent(VALID)
    assert context is not None

    child = context.child(new_span_id())

    assert (child.trace_id, child.sampled) == (TRACE, True)
    assert child.span_id != SPAN
    assert parse_traceparent(child.traceparent) == child


def test_a_notification_keeps_its_trace_and_reads_what_a_later_version_wrote():
    assert decode(encode(ONE)) == ONE
    assert decode(encode(ONE)[:-1] + b',"of_a_later_version":1}') == ONE
    assert b"tracestate" not in encode(replace(ONE, tracestate=None))


def test_a_digest_is_part_of_a_trace_only_if_all_of_it_is():
    same = replace(ONE, id="n2", traceparent=f"00-{TRACE}-{'1' * 16}-01")
    other = replace(ONE, id="n3", traceparent=f"00-{'b' * 32}-{SPAN}-01")
    none = replace(ONE, id="n4", traceparent=None)

    assert digest_of([ONE, same], lambda _: None).traceparent == VALID
    for different in (other, none):
        digest = digest_of([ONE, different], lambda _: None)
        assert (digest.traceparent, digest.tracestate) == (None, None)
