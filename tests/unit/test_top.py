"""Rows and view of `notifier top`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from notifier.broker.stats import EventStreamStats, StreamStats
from notifier.config import load_config
from notifier.ops.top.rows import Flow, Snapshot, actions_flow, rows_of
from notifier.ops.top.view import render

QUIET = StreamStats(0, 0.0, 0, True, 1, 1.0, 0, 0)
CHANNELS = tuple(load_config(None, {}).channels)


def snapshot(
    taken_at: float,
    *,
    events: StreamStats = QUIET,
    lane: StreamStats = QUIET,
    dead: StreamStats = QUIET,
    paused: float = 0.0,
) -> Snapshot:
    lanes = {(name, urgency): QUIET for name in CHANNELS for urgency in ("urgent", "normal")}
    lanes["sre", "normal"] = lane
    overview = EventStreamStats("teams:events", events, QUIET, dead, lanes)
    return Snapshot(taken_at, (overview,), QUIET, {"sre": paused})


def rendered(now: Snapshot, before: Snapshot | None = None, *, problem: str = "") -> list[str]:
    console = Console(width=80, force_terminal=False, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(
            render(
                rows_of(now, before), actions_flow(now, before), heading="top", problem=problem
            )
        )
    return console.export_text().splitlines()


def test_rates_count_what_was_added_and_what_left():
    before = snapshot(10.0, events=replace(QUIET, added=100, waiting=5))
    now = snapshot(14.0, events=replace(QUIET, added=140, waiting=25))

    [rows] = rows_of(now, before)

    assert rows.intake == Flow(25, 0.0, 0, 1, 10.0, 5.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [(None, QUIET), (replace(QUIET, added=None), replace(QUIET, added=None))],
)
def test_rates_that_nobody_knows_are_not_made_up(before: StreamStats | None, now: StreamStats):
    [rows] = rows_of(
        snapshot(14.0, events=now), snapshot(10.0, events=before) if before else None
    )

    assert (rows.intake.in_rate, rows.intake.out_rate) == (None, None)


def test_a_stream_that_was_emptied_has_no_negative_rate():
    before = snapshot(10.0, events=replace(QUIET, added=100, waiting=50))
    [rows] = rows_of(snapshot(12.0), before)

    assert (rows.intake.in_rate, rows.intake.out_rate) == (0.0, 25.0)


@pytest.mark.parametrize(
    ("lane", "paused", "state"),
    [
        (QUIET, 0.0, ""),
        (replace(QUIET, waiting=3, oldest_seconds=30), 0.0, ""),
        (replace(QUIET, waiting=3, oldest_seconds=90), 0.0, "behind"),
        (replace(QUIET, waiting=3, oldest_seconds=90), 12.3, "paused 12 s"),
    ],
)
def test_what_holds_a_channel_back_is_said(lane: StreamStats, paused: float, state: str):
    [rows] = rows_of(snapshot(1.0, lane=lane, paused=paused), None)

    [row] = [row for row in rows.channels if row.channel == "sre"]
    assert row.state == state


def test_view_fits_80_columns_and_cuts_nothing_off():
    lane = StreamStats(987_654, 3e6, 100, True, 12, 0.1, 9_000_000, 987_654)
    busy = replace(lane, waiting=12_345_678)
    now = snapshot(
        12.0, events=busy, lane=lane, dead=replace(QUIET, length=54_321), paused=3600
    )
    before = snapshot(
        10.0, events=replace(busy, added=8_000_000), lane=replace(lane, added=8_900_000)
    )

    lines = rendered(now, before)

    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    for name in CHANNELS:
        assert name in text
    for shown in ("988k", "12.3M", "54,321", "paused 1 h", "34 d 17 h"):
        assert shown in text, shown
    assert len(lines) <= 24


def test_what_was_seen_last_stays_in_sight_with_what_is_wrong():
    text = "\n".join(rendered(snapshot(1.0), problem="Redis is away"))

    assert "Redis is away" in text
    assert "nphies_integration" in text
