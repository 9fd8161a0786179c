"""The decisions behind the pages of the console, without I/O."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifier.broker.stats import Backlog
from notifier.config import load_config
from notifier.dead_letters.model import DeadLetter, Reason
from notifier.escalation.policy import Matrix
from notifier.telemetry.health import (
    ChannelState,
    Readiness,
    SecretsState,
    Server,
    ServerState,
)
from notifier.web.console.critical import critical_views
from notifier.web.console.dead_letters import attempts_of, died_at, history_of
from notifier.web.console.labels import REASONS
from notifier.web.console.overview import StreamsNow, chosen_refresh, health_summary, lane_rows
from notifier.web.console.queries import (
    DEAD_LETTER_FIELDS,
    DeadLetterQuery,
    NotificationQuery,
    QueryError,
    dead_letter_ref,
    shown_of,
)
from notifier.web.console.repository import UnacknowledgedEvent

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CONFIG = load_config(None, {})
NONE = Backlog(0, 0.0)
QUIET = StreamsNow(NONE, NONE, {}, {}, {}, 0)


def row(state: ChannelState, streams: StreamsNow = QUIET, **sent: int):
    rows = lane_rows(CONFIG, streams, channels={"sre": state}, sent=sent or None)
    return next(each for each in rows if each.channel == "sre")


@pytest.mark.parametrize(
    ("state", "streams", "word"),
    [
        (ChannelState("configured", breaker="closed"), QUIET, "Ready"),
        (ChannelState("placeholder"), QUIET, "No webhook"),
        (ChannelState("configured", detail="HTTP 404"), QUIET, "Misconfigured"),
        (ChannelState("configured", breaker="open"), QUIET, "Failing"),
        (ChannelState("configured"), replace(QUIET, pauses={"sre": 12.0}), "Paused"),
        (ChannelState("configured"), replace(QUIET, spent={"sre": 10.0}), "At its limit"),
        (ChannelState("configured"), replace(QUIET, spent={"sre": 9.0}), "Ready"),
    ],
)
def test_state_of_a_channel_says_why_it_waits(
    state: ChannelState, streams: StreamsNow, word: str
):
    assert row(state, streams).state.word == word


def test_rate_limit_shows_how_much_of_the_burst_is_free():
    # 60 in 60 s with a burst of 10: three posts just now take three seconds to be free again.
    found = row(ChannelState("configured"), replace(QUIET, spent={"sre": 3.0}), sre=7)
    assert (found.free, found.sent_lately) == (7, 7)
    assert row(ChannelState("configured")).sent_lately is None


def test_lanes_show_both_urgencies_of_every_channel_in_order():
    lanes = {("sre", True): Backlog(3, 5.0), ("sre", False): Backlog(40, 61.0)}
    rows = lane_rows(CONFIG, replace(QUIET, lanes=lanes), channels={}, sent=None)
    assert [each.channel for each in rows] == list(CONFIG.channels)
    sre = next(each for each in rows if each.channel == "sre")
    assert (sre.urgent, sre.normal) == (Backlog(3, 5.0), Backlog(40, 61.0))


def readiness(**parts: str) -> Readiness:
    return Readiness("a", not parts, {"intake": "ok", **parts}, {}, Server(ServerState.OK), Server(ServerState.OK), SecretsState("off", "configured", "missing"), {})  # fmt: skip


def test_health_names_a_failed_component_once():
    faulty = replace(
        readiness(recorder="Postgres is away", escalation="starting"),
        warnings={"recorder": "Postgres is away"},
        redis=Server(ServerState.FAULT, "Redis is away"),
    )
    found = health_summary(faulty)
    assert dict(found.failed) == {
        "escalation": "has not worked yet",
        "redis": "Redis is away",
    }
    assert dict(found.warnings) == {"recorder": "Postgres is away"}
    assert found.healthy == ("intake",)


def test_a_dead_letter_with_broken_fields_can_be_shown():
    fields = {"attempts": "many", "history": "{not json", "reason": "new_reason"}
    broken = DeadLetter("99999999999999999999-0", "teams:events", fields)
    assert (attempts_of(broken), history_of(broken), died_at(broken).year) == (0, [], 9999)
    assert history_of(replace(broken, fields={"history": "[" * 100_000})) == []
    fields = {"attempts": "3", "attempts_before": "4", "history": '[{"reason": "rejected", "detail": "400"}, 7]'}  # fmt: skip
    whole = DeadLetter("1769854500000-0", "teams:events", fields)
    assert attempts_of(whole) == 7
    assert [(each.reason, each.detail) for each in history_of(whole)] == [("rejected", "400")]
    assert died_at(whole) == datetime(2026, 1, 31, 10, 15, tzinfo=UTC)


def unacknowledged(*steps: tuple[int, str, datetime], **changes: object) -> UnacknowledgedEvent:
    numbers, channels, times = map(list, zip(*steps, strict=True)) if steps else ([], [], [])
    event = UnacknowledgedEvent(
        "teams:events", "e1", ["nphies_integration"], False, "id", "nphies.api.error", "corr", ["nphies_integration"],
        NOW, None, None, None, None, numbers, channels, times,
    )  # fmt: skip
    return replace(event, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "minutes", "channel", "due"),
    [
        # nphies_integration → devops → sre, five minutes each; who had it from the beginning is passed over.
        ([], 2, "devops", 5),
        ([], 6, "devops", None),
        ([(1, "devops", NOW + timedelta(minutes=5))], 6, "sre", 10),
    ],
)
def test_critical_event_names_the_next_channel(
    steps: list[tuple[int, str, datetime]], minutes: int, channel: str, due: int | None
):
    matrix = Matrix.of(CONFIG.escalation, CONFIG.business_hours)
    [view], _ = critical_views(
        [unacknowledged(*steps)], matrix, NOW + timedelta(minutes=minutes)
    )
    assert view.next is not None
    assert view.next.channel == channel
    assert view.next.at == (None if due is None else NOW + timedelta(minutes=due))


def test_critical_event_at_the_end_of_its_chain_or_answered_has_no_next():
    matrix = Matrix.of(CONFIG.escalation, CONFIG.business_hours)
    steps = ((1, "devops", NOW), (2, "sre", NOW))
    waiting, taken = critical_views(
        [unacknowledged(*steps), unacknowledged(acknowledged_by="Sara")], matrix, NOW
    )
    assert [view.next for view in waiting] == [None]
    assert waiting[0].escalated_to == ("devops", "sre")
    assert [view.event.acknowledged_by for view in taken] == ["Sara"]
    disabled = replace(matrix, enabled=False)
    [view], _ = critical_views([unacknowledged()], disabled, NOW)
    assert view.next is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"reason": "bored"}, "Reason"),
        ({"since": "yesterday"}, "From"),
        ({"since": "2026-11-24T10:00+03:00"}, "From"),
        ({"until": "0001-01-01T00:00"}, "Until"),
        ({"since": "2026-11-24T10:00", "until": "2026-11-24T10:00"}, "Until"),
        ({"after": "1-1 another:stream"}, "Dead letter"),
        ({"after": "x teams:events"}, "Dead letter"),
    ],
)
def test_filter_of_dead_letters_names_the_wrong_field(query: dict[str, str], field: str):
    with pytest.raises(QueryError, match=field):
        DeadLetterQuery.read(query, ["teams:events"])


def test_filter_of_dead_letters_takes_times_as_utc():
    given = {"since": "2026-11-24T10:00", "channel": " sre ", "type": ""}
    asked = DeadLetterQuery.read(given, ["s"])
    assert asked.filter.since == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert (asked.filter.channel, asked.filter.event_type) == ("sre", None)
    assert shown_of(given, DEAD_LETTER_FIELDS) == {
        "since": "2026-11-24T10:00",
        "channel": "sre",
    }


@pytest.mark.parametrize("query", [{"priority": "x"}, {"status": "x"}, {"period": "x"}, {"before": "x y"}, {"before": "2026-11-24T10:00 1"}])  # fmt: skip
def test_filter_of_notifications_names_the_wrong_field(query: dict[str, str]):
    with pytest.raises(QueryError):
        NotificationQuery.read(query, NOW)


def test_notifications_are_those_of_the_last_day_unless_more_is_asked_for():
    assert NotificationQuery.read({}, NOW).wanted.since == NOW - timedelta(days=1)
    assert NotificationQuery.read({"period": "all"}, NOW).wanted.since is None


def test_address_of_a_dead_letter_is_read_back():
    ref = dead_letter_ref("1-2 teams:events", ["teams:events"])
    assert dead_letter_ref(ref.text, ["teams:events"]) == ref


def test_every_reason_has_words():
    assert set(REASONS) == {reason.value for reason in Reason}
    assert all(words.happened and words.fix for words in REASONS.values())


@pytest.mark.parametrize(
    ("asked", "seconds"), [("10", 10), ("1", None), ("", None), ("-5", None)]
)
def test_only_offered_refreshes_are_done(asked: str, seconds: int | None):
    assert chosen_refresh(asked) == seconds
