"""Matches of a search, and the steps of a timeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from notifier.dead_letters.model import raw_fields
from notifier.events.entry import Priority
from notifier.events.notification import Notification, encode
from notifier.ops.trace.entries import Query
from notifier.ops.trace.models import DeadLetterHit, Ended, Identity, State, Timeline, Waiting
from notifier.ops.trace.timeline import attempts_of, steps_of
from notifier.store.rows import AttemptRow, DeadLetterActionRow

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
IDENTITY = Identity(
    "n1", "teams:events", "1700000000000-0", "e1", "c1", "a.b", "sre", "HIGH", None
)


def notification(claim: str) -> dict[bytes, bytes]:
    found = Notification(
        "n1", "sre", ("sre",), Priority.HIGH, "generic", "teams:events", "1-1", "e1", "a.b", "c1", "2026-11-24T10:00:00Z",
        "en", None, None, {"claim_id": claim},
    )  # fmt: skip
    return {b"notification": encode(found)}


@pytest.mark.parametrize(("asked", "found"), [("CLM-7", True), ("CLM-77", False), ("c1", True), ("C1", False), ("HIGH", False)])  # fmt: skip
def test_a_waiting_notification_matches_by_a_whole_id_only(asked: str, found: bool):
    assert Query.of([asked]).is_notification(notification("CLM-7")) is found


def test_an_id_is_found_however_json_writes_it():
    event = {b"event": json.dumps({"type": "a.b", "id": "مطالبة/7"}).encode()}

    assert Query.of(["مطالبة/7"]).is_event("s", event, 10_000)


@pytest.mark.parametrize(("asked", "found"), [("CLM-7", True), ("CLM", False), ("LM-7", False), ("1", False)])  # fmt: skip
def test_an_entry_that_was_no_event_matches_what_it_mentions(asked: str, found: bool):
    raw = raw_fields({b"type": b"a b", b"data": b'{"claim_id": "CLM-7", "n": 1, '})
    letter = {b"stage": b"intake", b"reason": b"invalid_event", b"event": raw.encode()}

    assert Query.of([asked]).is_dead_letter(letter) is found


def test_waits_are_counted_from_the_end_of_the_attempt_before():
    rows = [
        AttemptRow("n1", 2, START + timedelta(seconds=5), 0.5, 202, None),
        AttemptRow("n1", 1, START, 2.0, 503, "HTTP 503"),
    ]

    assert [each.waited_seconds for each in attempts_of(rows)] == [None, 3.0]


def test_where_it_is_now_follows_from_what_is_known():
    dead = Ended("dead_lettered", 400, "refused", START, 0, "h", "t", None, None, START)
    letter = DeadLetterHit(
        "1-1", "", "rejected", "refused", "delivery", "s", "", "", "", "n1", "", ""
    )
    discard = DeadLetterActionRow("1-1", "discard", "Lina", "a test", START, "rejected", None, False, "s", None, "n1", "sre")  # fmt: skip
    waiting = Waiting("lane", START, 1, 1, None, None, 0)

    assert (
        Timeline(IDENTITY, START, ended=dead, dead_letters=(letter,)).state
        is State.DEAD_LETTERED
    )
    assert (
        Timeline(IDENTITY, START, ended=dead, dead_letter_actions=(discard,)).state
        is State.DISCARDED
    )
    assert (
        Timeline(IDENTITY, START, waiting, dead, dead_letter_actions=(discard,)).state
        is State.WAITING
    )
    steps = steps_of(Timeline(IDENTITY, START, ended=dead, dead_letter_actions=(discard,)))
    assert "by Lina: a test" in next(step.detail for step in steps if step.what == "discarded")
