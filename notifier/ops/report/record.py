"""The report for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from pydantic import JsonValue

from notifier.ops.report.figures import (
    TAKEN_WITHIN_SECONDS,
    Acknowledged,
    Count,
    Figures,
    Latency,
    Slot,
)
from notifier.ops.report.success import success_metrics


def report_record(figures: Figures) -> dict[str, JsonValue]:
    """Return the report as JSON: times in UTC, lengths of time in seconds, rates from 0 to 1."""
    period = figures.period
    return {
        "period": {
            "since": _utc(period.since),
            "until": _utc(period.until),
            "time_zone": period.time_zone,
            "step": period.slot,
        },
        "made_at": _utc(figures.made_at),
        "success_metrics": [
            {
                "key": each.key,
                "name": each.name,
                "target": each.target,
                "value": each.value,
                "met": each.met,
                "measured": each.measured,
            }
            for each in success_metrics(figures)
        ],
        "notifications": _count(figures.all),
        "by_event_type": [_count(each) for each in figures.by_event_type],
        "by_channel": [_count(each) for each in figures.by_channel],
        "by_priority": [_count(each) for each in figures.by_priority],
        "dead_letters": dict(figures.dead_letters),
        "latency": None if figures.latency is None else _latency(figures.latency),
        "latency_by_channel": [_latency(each) for each in figures.latency_by_channel],
        "acknowledged": [_acknowledged(each) for each in figures.acknowledged],
        "unacknowledged_critical": asdict(figures.unacknowledged),
        "actions": dict(figures.actions),
        "escalations": dict(figures.escalations),
        "dead_letter_actions": dict(figures.dead_letter_actions),
        "trend": [_slot(each) for each in figures.trend],
    }


def _count(count: Count) -> dict[str, JsonValue]:
    return {
        **({"name": count.name} if count.name else {}),
        "total": count.total,
        "delivered": count.delivered,
        "dead_lettered": count.dead_lettered,
        "retried": count.retried,
        "delivery_rate": count.delivery_rate,
    }


def _latency(latency: Latency) -> dict[str, JsonValue]:
    return {
        **({"name": latency.name} if latency.name else {}),
        "posts": latency.posts,
        "p50_seconds": latency.p50,
        "p95_seconds": latency.p95,
        "p99_seconds": latency.p99,
    }


def _acknowledged(each: Acknowledged) -> dict[str, JsonValue]:
    bounds = map(str, TAKEN_WITHIN_SECONDS)
    return {
        "priority": each.priority,
        "taken": each.taken,
        "average_seconds": each.average,
        "median_seconds": each.median,
        "p90_seconds": each.p90,
        "taken_within_seconds": dict(zip(bounds, each.within, strict=True)),
    }


def _slot(slot: Slot) -> dict[str, JsonValue]:
    return {
        "start": _utc(slot.start),
        "total": slot.total,
        "delivered": slot.delivered,
        "latency_p95_seconds": slot.latency_p95,
        "critical_acknowledgement_seconds": slot.critical_average,
    }


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
