"""Idle times go by Redis' clock, which may be set back or ahead."""

from __future__ import annotations

import pytest

from notifier.broker.consumer import RedisClock

STREAM = "teams:events"


@pytest.fixture
def clock() -> RedisClock:
    return RedisClock(most_ahead_seconds=5)


def test_the_first_time_is_no_leap(clock: RedisClock):
    assert clock.latest_ms(STREAM, 100.0) == 0
    assert not clock.leapt(STREAM, 10**12, 100.0)


@pytest.mark.parametrize(
    ("told_ms", "leapt"),
    [(20_000, False), (24_999, False), (26_000, True), (-3_600_000, False)],
)
def test_only_more_time_than_has_passed_is_a_leap(clock: RedisClock, told_ms: int, leapt: bool):
    clock.leapt(STREAM, 10_000, 100.0)

    assert clock.leapt(STREAM, told_ms, 110.0) is leapt


def test_after_a_leap_time_goes_on_from_there(clock: RedisClock):
    clock.leapt(STREAM, 10_000, 100.0)
    clock.leapt(STREAM, 4_000_000, 110.0)

    assert not clock.leapt(STREAM, 4_010_000, 120.0)


def test_each_stream_has_its_own_clock(clock: RedisClock):
    clock.leapt(STREAM, 10_000, 100.0)

    assert not clock.leapt("another", 9_000_000, 101.0)


def test_entry_is_free_when_it_was_seen_ahead_all_the_time(clock: RedisClock):
    for now in (100.0, 105.0, 110.0):
        clock.note_ahead(STREAM, ["1-0"], now)
        assert clock.free(STREAM, 15, now) == []
    clock.note_ahead(STREAM, ["1-0", "2-0"], 115.0)

    assert clock.free(STREAM, 15, 115.0) == ["1-0"]


def test_entry_that_was_renewed_meanwhile_is_not_free(clock: RedisClock):
    clock.note_ahead(STREAM, ["1-0"], 100.0)
    clock.note_ahead(STREAM, [], 105.0)
    clock.note_ahead(STREAM, ["1-0"], 110.0)

    assert clock.free(STREAM, 15, 115.0) == []
