"""The arithmetic of the report: steps, targets, numbers and charts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from notifier.ops.report.figures import (
    Acknowledged,
    Count,
    Figures,
    Latency,
    Period,
    Slot,
    Unacknowledged,
    percent,
)
from notifier.ops.report.page import charts_of, report_page, round_up
from notifier.ops.report.success import success_metrics
from tests.support.report_figures import END, figures


def met(found: Figures) -> dict[str, bool | None]:
    return {metric.key: metric.met for metric in success_metrics(found)}


def critical(average: float) -> tuple[Acknowledged, ...]:
    return (Acknowledged("CRITICAL", 4, average, average, average, (0, 0, 4, 4, 4, 4)),)


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"all": Count("", 1000, 991, 0)}, "delivery_rate", True),
        ({"all": Count("", 1000, 990, 0)}, "delivery_rate", False),
        ({"all": Count("", 0, 0, 0)}, "delivery_rate", None),
        ({"acknowledged": critical(299.9)}, "critical_acknowledgement_seconds", True),
        ({"acknowledged": critical(300.0)}, "critical_acknowledgement_seconds", False),
        ({}, "critical_acknowledgement_seconds", None),
        ({"latency": Latency("", 9, 1, 1.99, 3)}, "webhook_latency_p95_seconds", True),
        ({"latency": Latency("", 9, 1, 2.0, 3)}, "webhook_latency_p95_seconds", False),
        ({}, "webhook_latency_p95_seconds", None),
        ({"unacknowledged": Unacknowledged(9, 60.0)}, "unacknowledged_critical", True),
        ({"unacknowledged": Unacknowledged(10, 60.0)}, "unacknowledged_critical", False),
        ({"all": Count("", 1000, 1000, 0)}, "test_coverage", None),
    ],
)
def test_a_target_is_missed_at_its_bound(
    changes: dict[str, object], key: str, expected: bool | None
):
    assert met(figures(**changes))[key] is expected


def test_a_rate_that_is_not_all_is_never_shown_as_all():
    assert percent(0.99999, floor=True) == "99.99 %"
    assert percent(1.0, floor=True) == "100 %"
    assert percent(0.5) == "50 %"
    assert percent(None) == "–"


def test_steps_are_hours_then_days_then_weeks_of_the_time_zone():
    hours = Period(END - timedelta(hours=3), END, "Asia/Riyadh")
    assert [start.hour for start in hours.starts()] == [6, 7, 8, 9]
    days = Period(END - timedelta(days=3), END, "Asia/Riyadh").starts()
    assert days == [datetime(2026, 11, day, 21, tzinfo=UTC) for day in (21, 22, 23, 24)]
    weeks = Period(END - timedelta(days=100), END, "Asia/Riyadh").starts()
    assert len(weeks) == 15
    assert {(start + timedelta(hours=3)).weekday() for start in weeks} == {0}


def test_days_of_a_time_zone_that_changes_its_clock_are_23_or_25_hours():
    begin = datetime(2026, 10, 24, tzinfo=UTC)
    starts = Period(begin, begin + timedelta(days=4), "Europe/Berlin").starts()
    lengths = {after - before for before, after in pairwise(starts)}
    assert lengths == {timedelta(hours=24), timedelta(hours=25)}


@pytest.mark.parametrize(("values", "most"), [([], 1), ([0], 1), ([0.3], 0.5), ([7], 10), ([100], 100), ([101], 200), ([2100], 2500)])  # fmt: skip
def test_the_axis_ends_at_a_round_number(values: list[float], most: float):
    assert round_up(values) == pytest.approx(most)


def test_columns_are_as_high_as_their_values_and_one_failure_can_be_seen():
    totals = ((50, 25), (100, 100), (0, 0), (1000, 999))
    trend = tuple(Slot(END, total, delivered) for total, delivered in totals)
    [ended, *_] = charts_of(figures(all=Count("", 1150, 1124, 0), trend=trend))
    assert [(bar.place, bar.height, bar.failed) for bar in ended.bars] == [(0, 5, 2.5), (1, 10, 0), (3, 100, 2)]  # fmt: skip


def test_a_step_without_value_leaves_a_gap():
    trend = tuple(Slot(END, latency_p95_seconds=value) for value in (1.0, None, 4.0))
    [_, latency, _] = charts_of(figures(trend=trend))
    assert [(bar.place, bar.height) for bar in latency.bars] == [(0, 20), (2, 80)]
    assert (latency.most, latency.target_height) == ("5 s", 40)


def test_names_from_producers_are_text_in_the_page():
    hostile = '<script>alert(1)</script>" onload="x'
    page = report_page(
        figures(
            all=Count("", 2, 1, 0),
            by_event_type=(Count(hostile, 2, 1, 0),),
            by_channel=(Count(hostile, 2, 1, 0),),
            dead_letters=((hostile, 1),),
            latency=Latency("", 1, 1, 1, 1),
            latency_by_channel=(Latency(hostile, 1, 1, 1, 1),),
        )
    )
    assert "<script" not in page
    assert ' onload="' not in page
    assert page.count("&lt;script&gt;") == 4
    assert not re.search(r"(?:src|href)=|url\(|@import|https?://", page)


def test_a_period_without_anything_is_a_page_too():
    page = report_page(figures())
    assert "No notification ended in this period." in page
    assert "None in this period." in page
    assert "All 1 measured targets are met." in page
