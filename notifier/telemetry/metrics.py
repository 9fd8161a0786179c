"""Every metric; names follow prometheus.io/docs/practices/naming.

Labels are bounded: channels and event types come from the settings, everything else from enums. An event type without a route
counts as "other", so that a producer cannot make series.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache, partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from notifier.events.entry import Priority

OTHER = "other"
"""Label of event types without a route of their own."""

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_counter = partial(Counter, registry=REGISTRY)
_gauge = partial(Gauge, registry=REGISTRY)
_histogram = partial(Histogram, registry=REGISTRY)

SEND_SECONDS = _histogram(
    "teams_notification_send_duration_seconds",
    "Time of one POST to a channel's webhook, until its answer.",
    ["channel"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 5, 10, 30),
)
SENT = _counter(
    "teams_notifications_sent_total",
    "Finished notifications; status is delivered or dead_lettered.",
    ["event_type", "priority", "status"],
)
RETRIES = _counter(
    "teams_notification_retries_total", "Posts beyond a notification's first.", ["channel"]
)
ACKNOWLEDGMENTS = _counter(
    "teams_acknowledgments_total", "Acknowledged notifications, by action.", ["action"]
)
ACKNOWLEDGMENT_SECONDS = _histogram(
    "teams_acknowledgment_duration_seconds",
    "Time from a notification's delivery until it was acknowledged.",
    ["priority"],
    buckets=(60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600),
)
EVENTS = _counter(
    "teams_events_total",
    "Entries read from event streams; result is routed, duplicate, dead_lettered, moved_elsewhere or refused (by Redis; it waits).",
    ["stream", "result"],
)
DEAD_LETTERS = _counter(
    "teams_dead_letters_total", "Dead letters written, by reason.", ["reason"]
)
IN_FLIGHT = _gauge(
    "teams_notifications_in_flight",
    "Notifications in flight in this process: read from a channel's lanes and not finished.",
    ["channel"],
)
BREAKER_OPEN = _gauge(
    "teams_channel_breaker_open",
    "1 while the breaker of a channel is open in this process.",
    ["channel"],
)
PAUSED_SECONDS = _gauge(
    "teams_channel_paused_seconds",
    "Seconds until a paused channel is posted to again (Retry-After).",
    ["channel"],
)
RATE_LIMIT_WAIT = _counter(
    "teams_rate_limit_wait_seconds_total",
    "Time that posts waited for a channel's rate limit.",
    ["channel"],
)
CARD_GAPS = _counter(
    "teams_card_gaps_total",
    "Expressions without a value, shown as a dash on a delivered card.",
    ["template"],
)
UNUSED_FIELDS = _counter(
    "teams_event_fields_unused_total",
    "Members of data that a delivered card does not show; meant is the card's field with a similar name, if any.",
    ["template", "meant"],
)
CARDS_SHORTENED = _counter(
    "teams_cards_shortened_total",
    "Cards that were too large for Teams and lost the ends of lists or texts.",
    ["template"],
)
RECORDED = _counter(
    "teams_outcomes_recorded_total", "Outcomes committed to Postgres.", ["stream"]
)
RECORDER_DELAY = _histogram(
    "teams_recorder_delay_seconds",
    "Time from an outcome in Redis until its commit in Postgres.",
    ["stream"],
    buckets=(0.1, 0.5, 1, 5, 30, 60, 300, 3600, 6 * 3600),
)
BACKLOG = _gauge(
    "teams_stream_backlog_entries",
    "Entries that wait in a stream, unread or in flight; stage is intake, delivery or recorder.",
    ["stream", "stage", "channel", "urgency"],
)
OLDEST_SECONDS = _gauge(
    "teams_stream_oldest_entry_age_seconds",
    "Age of the oldest entry that waits in a stream; 0 if none waits.",
    ["stream", "stage", "channel", "urgency"],
)
DEAD_LETTERS_KEPT = _gauge(
    "teams_dead_letters_kept", "Dead letters that wait to be replayed or discarded.", ["stream"]
)
ABANDONED = _gauge(
    "teams_lanes_abandoned_entries",
    "Notifications for channels that are not in the settings: no process delivers them.",
    ["stream"],
)
COMPONENT_UP = _gauge(
    "teams_part_up",
    "1 if a component of this process (a stage, a channel, a loop) is healthy, 0 if it failed.",
    ["part"],
)
COMPONENT_WARNING = _gauge(
    "teams_part_warning",
    "1 while a component is degraded, such as after a refused reload (configuration, secrets) or without Vault.",
    ["part"],
)
UNACKNOWLEDGED_CRITICAL = _gauge(
    "teams_unacknowledged_critical_notifications",
    "CRITICAL notifications that are not acknowledged; at most 1,000, none older than escalation.forget_after_seconds.",
    ["channel"],
)
UNACKNOWLEDGED_OLDEST_SECONDS = _gauge(
    "teams_unacknowledged_critical_oldest_age_seconds",
    "Age of the oldest CRITICAL notification that is not acknowledged, since its delivery; 0 if there is none.",
    ["channel"],
)
OBSERVED_TIMESTAMP = _gauge(
    "teams_observed_timestamp_seconds",
    "Unix time at which the gauges from redis (streams) or postgres (unacknowledged) were last read.",
    ["source"],
)
SPANS = _counter(
    "teams_trace_spans_total",
    "Spans sent to the collector of traces; result is exported or lost.",
    ["result"],
)
LOG_LINES_DROPPED = _counter(
    "teams_log_lines_dropped_total",
    "Log lines lost because standard error was full, gone or not read.",
)
BUILD_INFO = _gauge(
    "teams_notifier_build_info",
    "Always 1; the labels have the versions.",
    ["version", "python"],
)
BUILD_INFO.labels(version("notifier"), platform.python_version()).set(1)

_known_types: frozenset[str] = frozenset()


def know_event_types(types: Iterable[str]) -> None:
    """Give these event types their own series; call it when routes are loaded."""
    global _known_types
    _known_types = frozenset(types)


def event_type_label(event_type: str) -> str:
    """Return the label of an event type: itself if it has a route, or other."""
    return event_type if event_type in _known_types else OTHER


def start_channels(channels: Collection[str]) -> None:
    """Create the series of each channel, so that no rate is empty."""
    for channel in channels:
        for metric in (
            RETRIES,
            RATE_LIMIT_WAIT,
            IN_FLIGHT,
            BREAKER_OPEN,
            PAUSED_SECONDS,
            SEND_SECONDS,
        ):
            metric.labels(channel)


def start_counts(
    *, routes: Mapping[str, str], streams: Collection[str], reasons: Collection[str]
) -> None:
    """Create counters at 0, so that Prometheus counts the first increment.

    Args:
        routes: Priority by event type.
        streams: Event streams.
        reasons: Reasons of dead letters.
    """
    for event_type, priority in routes.items():
        for status in ("delivered", "dead_lettered"):
            SENT.labels(event_type, priority, status)
    for stream in streams:
        for result in ("routed", "duplicate", "dead_lettered"):
            EVENTS.labels(stream, result)
        RECORDED.labels(stream)
        RECORDER_DELAY.labels(stream)
    for reason in reasons:
        DEAD_LETTERS.labels(reason)
    for priority in Priority:
        ACKNOWLEDGMENT_SECONDS.labels(priority.value)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format 0.0.4."""
    return generate_latest(REGISTRY)


# `labels()` takes longer than an increment; these are used for every notification.
EVENTS_BY = lru_cache(maxsize=1024)(EVENTS.labels)
SENT_BY = lru_cache(maxsize=4096)(SENT.labels)
SEND_SECONDS_BY = lru_cache(maxsize=1024)(SEND_SECONDS.labels)
