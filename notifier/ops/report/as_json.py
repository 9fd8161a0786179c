"""The report as JSON, for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from pydantic import JsonValue

from notifier.ops.report.figures import WITHIN_SECONDS, Count, Figures
from notifier.ops.report.success import success_metrics


def report_record(figures: Figures) -> dict[str, JsonValue]:
    """Return the report as JSON.

    Times are in UTC, durations in seconds, and rates from 0 to 1.
    """
    period = figures.period
    metrics = [asdict(each) for each in success_metrics(figures)]
    return {
        "period": {
            "since": _utc(period.since),
            "until": _utc(period.until),
            "time_zone": period.time_zone,
            "step": period.slot,
        },
        "made_at": _utc(figures.made_at),
        "success_metrics": [_without("shown", each) for each in metrics],
        "notifications": _count(figures.all),
        "by_event_type": [_count(each) for each in figures.by_event_type],
        "by_channel": [_count(each) for each in figures.by_channel],
        "by_priority": [_count(each) for each in figures.by_priority],
        "dead_letters": dict(figures.dead_letters),
        "latency": _without("name", asdict(figures.latency)) if figures.latency else None,
        "latency_by_channel": [asdict(each) for each in figures.latency_by_channel],
        "acknowledged": [
            _without("within", asdict(each))
            | {
                "taken_within_seconds": dict(
                    zip(map(str, WITHIN_SECONDS), each.within, strict=True)
                )
            }
            for each in figures.acknowledged
        ],
        "unacknowledged_critical": asdict(figures.unacknowledged),
        "actions": dict(figures.actions),
        "escalations": dict(figures.escalations),
        "dead_letter_actions": dict(figures.dead_letter_actions),
        "trend": [asdict(each) | {"start": _utc(each.start)} for each in figures.trend],
    }


def _count(count: Count) -> dict[str, JsonValue]:
    found = asdict(count)
    named = found if count.name else _without("name", found)
    rates = {"dead_lettered": count.dead_lettered, "delivery_rate": count.delivery_rate}
    return {**named, **rates}


def _without(name: str, members: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in members.items() if key != name}


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
