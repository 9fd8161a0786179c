"""The five success metrics and their targets."""

from __future__ import annotations

from dataclasses import dataclass

from notifier.ops.report.figures import Figures, percent, seconds

DELIVERY_RATE = 0.99
ACKNOWLEDGEMENT_SECONDS = 300.0
LATENCY_P95_SECONDS = 2.0
UNACKNOWLEDGED = 10


@dataclass(frozen=True, slots=True)
class SuccessMetric:
    """One metric with its target."""

    key: str
    name: str
    target: str
    value: float | None
    shown: str
    met: bool | None
    """None: there is no value."""
    measured: str
    """The source of the value, or why there is none."""

    @property
    def judgement(self) -> str:
        """Return the word for `met`."""
        return {True: "met", False: "missed", None: "not measured"}[self.met]


def success_metrics(figures: Figures) -> tuple[SuccessMetric, ...]:
    """Return the success metrics of a period."""
    rate = figures.all.delivery_rate
    critical = figures.acknowledged_of("CRITICAL")
    average = critical.average_seconds if critical else None
    p95 = figures.latency.p95_seconds if figures.latency else None
    waiting = figures.unacknowledged
    return (
        SuccessMetric(
            "delivery_rate",
            "Notification delivery rate",
            "> 99 %",
            rate,
            percent(rate, floor=True),
            None if rate is None else rate > DELIVERY_RATE,
            f"{figures.all.delivered:,} of {figures.all.total:,} notifications that ended in the period"
            if rate is not None
            else "no notification ended in the period",
        ),
        SuccessMetric(
            "critical_acknowledgement_seconds",
            "Average acknowledgement time (critical)",
            "< 5 min",
            average,
            seconds(average),
            None if average is None else average < ACKNOWLEDGEMENT_SECONDS,
            f"{critical.taken:,} acknowledged critical notifications of the period"
            if critical
            else "no critical notification of the period was acknowledged",
        ),
        SuccessMetric(
            "test_coverage",
            "Test coverage",
            "> 85 %",
            None,
            "–",
            None,
            "a figure of the code, not of a period: make cov measures it and fails below 85 %",
        ),
        SuccessMetric(
            "webhook_latency_p95_seconds",
            "P95 webhook latency",
            "< 2 s",
            p95,
            seconds(p95),
            None if p95 is None else p95 < LATENCY_P95_SECONDS,
            f"{figures.latency.posts:,} posts, as recorded with each attempt"
            if figures.latency
            else "no post in the period",
        ),
        SuccessMetric(
            "unacknowledged_critical",
            "Unacknowledged critical alerts",
            "< 10",
            float(waiting.count),
            f"{waiting.count:,}",
            waiting.count < UNACKNOWLEDGED,
            "when the report was made, not in its period"
            + (
                f"; the oldest for {seconds(waiting.oldest_seconds)}"
                if waiting.oldest_seconds is not None
                else ""
            ),
        ),
    )
