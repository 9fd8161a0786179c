"""The report: what happened in a period, judged by the success metrics, and how it is shown. Reading it is the store's."""

from notifier.ops.report.figures import (
    Acknowledged,
    Count,
    Figures,
    Latency,
    Period,
    Slot,
    Unacknowledged,
)
from notifier.ops.report.success import SuccessMetric, success_metrics

__all__ = [
    "Acknowledged",
    "Count",
    "Figures",
    "Latency",
    "Period",
    "Slot",
    "SuccessMetric",
    "Unacknowledged",
    "success_metrics",
]
