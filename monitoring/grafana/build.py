"""Write notifier.json, the Grafana dashboard.

Run python monitoring/grafana/build.py. A panel has one line here and twenty in Grafana's form.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from panel import BAD, GOOD, SOURCE, WATCH, Json, Panel

TARGET = Path(__file__).with_name("notifier.json")

_UP_IS_GOOD = ((None, BAD), (1.0, GOOD))
_STREAM = 'stream=~"$stream"'
_CHANNEL = 'channel=~"$channel"'
_BUCKET = "teams_notification_send_duration_seconds_bucket"


def _quantile(quantile: str, by: str, metric: str, matchers: str) -> str:
    return f"histogram_quantile({quantile}, sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval])))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Success metrics and their targets",
        (
            Panel("Delivery rate, 24 h", "Target: above 99 %. Delivered of all notifications that ended.",
                  (("notifier:delivery_rate:ratio24h", ""),), "percentunit", "stat", 5, 5,
                  ((None, BAD), (0.99, GOOD)), decimals=2, missing="nothing ended"),
            Panel("Acknowledgement of critical, 24 h", "Target: below 5 minutes on average, from delivery until somebody acknowledged it.",
                  (("notifier:acknowledgement_critical_seconds:avg24h", ""),), "s", "stat", 5, 5,
                  ((None, GOOD), (300, BAD)), decimals=0, missing="none acknowledged"),
            Panel("Webhook latency P95, 24 h", "Target: below 2 s, over all channels.",
                  (("notifier:webhook_latency_seconds:p95_24h", ""),), "s", "stat", 5, 5,
                  ((None, GOOD), (2, BAD)), decimals=2, missing="no posts"),
            Panel("Unacknowledged critical", "Target: below 10. Critical notifications that nobody has acknowledged, now.",
                  (("notifier:unacknowledged_critical:sum", ""),), "short", "stat", 5, 5,
                  ((None, GOOD), (10, BAD)), missing="Postgres does not say"),
            Panel("Test coverage", "Target: above 85 %. A figure of the code, not of the service: `make cov` measures it, and it is here only if CI "
                  "hands coverage.prom to Prometheus.",
                  (("notifier:test_coverage:ratio", ""),), "percentunit", "stat", 4, 5,
                  ((None, BAD), (0.85, GOOD)), decimals=1, missing="not reported"),
            Panel("Delivery rate", "Over 1 h and over 24 h; the line is the target.",
                  (("notifier:delivery_rate:ratio1h", "1 h"), ("notifier:delivery_rate:ratio24h", "24 h")),
                  "percentunit", width=6, steps=((None, BAD), (0.99, GOOD)), line=True, least=None, most=1),
            Panel("Acknowledgement of critical", "Average over 24 h; the line is the target.",
                  (("notifier:acknowledgement_critical_seconds:avg24h", "average"),),
                  "s", width=6, steps=((None, GOOD), (300, BAD)), line=True),
            Panel("Webhook latency P95", "Over 30 minutes by channel; the line is the target.",
                  ((f"notifier:webhook_latency_seconds:p95_30m{{{_CHANNEL}}}", "{{channel}}"),),
                  "s", width=6, steps=((None, GOOD), (2, BAD)), line=True),
            Panel("Unacknowledged critical", "By channel; the line is the target for their sum.",
                  ((f"max by (channel) (teams_unacknowledged_critical_notifications{{{_CHANNEL}}})", "{{channel}}"),),
                  width=6, steps=((None, GOOD), (10, BAD)), line=True, stacked=True),
        ),
    ),
    (
        "At a glance",
        (
            Panel("Processes that answer", "Targets of the job notifier that Prometheus reaches.",
                  (('sum(up{job="notifier"})', ""),), kind="stat", width=4, height=6, steps=_UP_IS_GOOD, missing="none"),
            Panel("Alerts that fire", "Without the watchdog, which always fires.",
                  (('count(ALERTS{alertname=~"Notifier.+", alertname!="NotifierWatchdog", alertstate="firing"}) or vector(0)', ""),),
                  kind="stat", width=4, height=6, steps=((None, GOOD), (1, BAD))),
            Panel("Dead letters waiting", "For somebody to replay or discard them.",
                  ((f"sum(max by (stream) (teams_dead_letters_kept{{{_STREAM}}}))", ""),),
                  kind="stat", width=4, height=6, steps=((None, GOOD), (1, WATCH))),
            Panel("Parts", "Each part of each process: a stage, a channel's lanes, a webhook that is misconfigured.",
                  (('min by (part) (teams_part_up)', "{{part}}"),), kind="state-timeline", width=12, height=12, steps=_UP_IS_GOOD,
                  names=(("0", "does not work", BAD), ("1", "works", GOOD))),
            Panel("Versions", "Processes by version.",
                  (("count by (version) (teams_notifier_build_info)", "{{version}}"),), kind="stat", width=6, height=6),
            Panel("Warnings", "A refused reload, Vault or the collector of traces away: work continues, but a person should look.",
                  (("sum(teams_part_warning) or vector(0)", ""),), kind="stat", width=6, height=6, steps=((None, GOOD), (1, WATCH))),
        ),
    ),
    (
        "Streams and lanes",
        (
            Panel("Oldest entry by stage", "How long the oldest entry waits. Intake and recorder: seconds. A lane: as long as its channel is held back.",
                  ((f"max by (stage) (notifier:stream_oldest_entry_age_seconds:max{{{_STREAM}}})", "{{stage}}"),), "s"),
            Panel("Oldest urgent notification", "CRITICAL and HIGH, by channel; the alert is at 5 minutes.",
                  ((f'max by (channel) (notifier:stream_oldest_entry_age_seconds:max{{stage="delivery", urgency="urgent", {_STREAM}, {_CHANNEL}}})',
                    "{{channel}}"),), "s", steps=((None, GOOD), (300, BAD)), line=True),
            Panel("Oldest normal notification", "MEDIUM, LOW and INFO, by channel; the alert is at 1 hour.",
                  ((f'max by (channel) (notifier:stream_oldest_entry_age_seconds:max{{stage="delivery", urgency="normal", {_STREAM}, {_CHANNEL}}})',
                    "{{channel}}"),), "s", steps=((None, GOOD), (3600, BAD)), line=True),
            Panel("Entries waiting by stage", "In Redis: not read yet, or in flight.",
                  ((f"sum by (stage) (notifier:stream_backlog_entries:max{{{_STREAM}}})", "{{stage}}"),)),
            Panel("Notifications waiting by channel", "Urgent and normal lane together.",
                  ((f'sum by (channel) (notifier:stream_backlog_entries:max{{stage="delivery", {_STREAM}, {_CHANNEL}}})', "{{channel}}"),), stacked=True),
            Panel("Events read", "By what became of them.",
                  ((f"sum by (result) (rate(teams_events_total{{{_STREAM}}}[$__rate_interval]))", "{{result}}"),), "ops"),
        ),
    ),
    (
        "Delivery",
        (
            Panel("Notifications ended", "Delivered and dead-lettered, a second.",
                  (("sum by (status) (rate(teams_notifications_sent_total[$__rate_interval]))", "{{status}}"),), "ops"),
            Panel("Notifications ended by priority", "A second.",
                  (("sum by (priority) (rate(teams_notifications_sent_total[$__rate_interval]))", "{{priority}}"),), "ops", stacked=True),
            Panel("Notifications ended by event type", "The ten most frequent, a second.",
                  (("topk(10, sum by (event_type) (rate(teams_notifications_sent_total[$__rate_interval])) > 0)", "{{event_type}}"),), "ops"),
            Panel("Latency of posts", "All channels.",
                  tuple((_quantile(f"0.{share}", "le", _BUCKET, _CHANNEL), f"P{share}") for share in (50, 95, 99)),
                  "s", steps=((None, GOOD), (2, BAD)), line=True),
            Panel("Posts by duration", "How many posts took how long.",
                  ((f"sum by (le) (increase({_BUCKET}{{{_CHANNEL}}}[$__rate_interval]))", "{{le}}"),), kind="heatmap"),
            Panel("Posts", "By channel, a second.",
                  ((f"sum by (channel) (rate(teams_notification_send_duration_seconds_count{{{_CHANNEL}}}[$__rate_interval]))", "{{channel}}"),),
                  "ops", stacked=True),
            Panel("Repeated posts", "Share of all posts, by channel.",
                  ((f"sum by (channel) (rate(teams_notification_retries_total{{{_CHANNEL}}}[$__rate_interval]))"
                    f" / (sum by (channel) (rate(teams_notification_send_duration_seconds_count{{{_CHANNEL}}}[$__rate_interval])) > 0)", "{{channel}}"),),
                  "percentunit", steps=((None, GOOD), (0.2, BAD)), line=True),
            Panel("Waiting for the rate limit", "Notifications that wait for it at any time, by channel; at 1 the channel is saturated.",
                  ((f"sum by (channel) (rate(teams_rate_limit_wait_seconds_total{{{_CHANNEL}}}[$__rate_interval]))", "{{channel}}"),),
                  steps=((None, GOOD), (1, WATCH)), line=True),
            Panel("In flight", "Notifications in the hands of processes, by channel.",
                  ((f"sum by (channel) (teams_notifications_in_flight{{{_CHANNEL}}})", "{{channel}}"),), stacked=True),
            Panel("Breaker", "Open: the channel has failed several times in a row and is probed.",
                  ((f"max by (channel) (teams_channel_breaker_open{{{_CHANNEL}}})", "{{channel}}"),), kind="state-timeline", width=12,
                  steps=((None, GOOD), (1, BAD)), names=(("0", "closed", GOOD), ("1", "open", BAD))),
            Panel("Paused", "For how long Teams still refuses posts (Retry-After).",
                  ((f"max by (channel) (teams_channel_paused_seconds{{{_CHANNEL}}})", "{{channel}}"),), "s", width=12),
        ),
    ),
    (
        "Dead letters",
        (
            Panel("New dead letters", "By reason, in 15 minutes.", (("notifier:dead_letters:increase15m > 0", "{{reason}}"),), width=9),
            Panel("Dead letters of 24 hours", "By reason.",
                  (("sort_desc(sum by (reason) (increase(teams_dead_letters_total[24h])) > 0)", "{{reason}}"),), kind="bargauge", width=6,
                  steps=((None, WATCH),), decimals=0, missing="none"),
            Panel("Dead letters waiting", "For somebody to replay or discard them.",
                  ((f"max by (stream) (teams_dead_letters_kept{{{_STREAM}}})", "{{stream}}"),
                   (f"max by (stream) (teams_lanes_abandoned_entries{{{_STREAM}}})", "{{stream}}, for channels that were removed")), width=9),
        ),
    ),
    (
        "Recorder",
        (
            Panel("Delay until recorded", "From an outcome in Redis until its commit in Postgres.",
                  tuple((_quantile(f"0.{share}", "le", "teams_recorder_delay_seconds_bucket", _STREAM), f"P{share}") for share in (50, 95)), "s",
                  steps=((None, GOOD), (30, BAD)), line=True),
            Panel("Outcomes recorded", "A second.",
                  ((f"sum by (stream) (rate(teams_outcomes_recorded_total{{{_STREAM}}}[$__rate_interval]))", "{{stream}}"),), "ops"),
            Panel("Outcomes waiting", "In Redis, for Postgres.",
                  ((f'sum by (stream) (notifier:stream_backlog_entries:max{{stage="recorder", {_STREAM}}})', "{{stream}}"),)),
        ),
    ),
    (
        "People: acknowledgement and escalation",
        (
            Panel("Oldest unacknowledged critical", "By channel; after 15 minutes its chain of escalation has come to its end, the alert is at 30.",
                  ((f"notifier:unacknowledged_critical_oldest_age_seconds:max{{{_CHANNEL}}}", "{{channel}}"),), "s",
                  steps=((None, GOOD), (1800, BAD)), line=True),
            Panel("What people did", "In an hour, by action; escalate passes on to the next channel.",
                  (("sum by (action) (increase(teams_acknowledgments_total[1h]))", "{{action}}"),), stacked=True),
            Panel("Escalations posted", "Cards for the next channel of a chain, in an hour.",
                  (('sum by (priority) (increase(teams_notifications_sent_total{event_type="notifier.escalation"}[1h]))', "{{priority}}"),), stacked=True),
            Panel("Time until acknowledged", "Average over an hour, by priority.",
                  (("sum by (priority) (increase(teams_acknowledgment_duration_seconds_sum[1h]))"
                    " / (sum by (priority) (increase(teams_acknowledgment_duration_seconds_count[1h])) > 0)", "{{priority}}"),), "s", width=12),
            Panel("Taken within", "Share of 24 hours that was taken within the time.",
                  tuple((f'sum(increase(teams_acknowledgment_duration_seconds_bucket{{le="{le}"}}[24h]))'
                         " / (sum(increase(teams_acknowledgment_duration_seconds_count[24h])) > 0)", name)
                        for le, name in (("60.0", "1 min"), ("300.0", "5 min"), ("1800.0", "30 min"), ("3600.0", "1 h"))),
                  "percentunit", "bargauge", 12, most=1, missing="none taken"),
        ),
    ),
    (
        "Cards and processes",
        (
            Panel("Gaps in cards", "Expressions without value, shown as a dash, in an hour.",
                  (("sum by (template) (increase(teams_card_gaps_total[1h]))", "{{template}}"),), width=6),
            Panel("Fields not shown", "Members of events' data that no card shows, in an hour; the name is what was perhaps meant.",
                  (("sum by (template, meant) (increase(teams_event_fields_unused_total[1h]))", "{{template}} {{meant}}"),), width=6),
            Panel("Cards shortened", "Too large for Teams, in an hour.",
                  (("sum by (template) (increase(teams_cards_shortened_total[1h]))", "{{template}}"),), width=6),
            Panel("Memory", "Resident.", (('process_resident_memory_bytes{job="notifier"}', "{{instance}}"),), "bytes", width=6),
            Panel("CPU", "Cores in use.", (('rate(process_cpu_seconds_total{job="notifier"}[$__rate_interval])', "{{instance}}"),), width=6),
            Panel("Spans", "Only where traces are switched on; lost: the collector takes none.",
                  (("sum by (result) (rate(teams_trace_spans_total[$__rate_interval]))", "{{result}}"),), "ops", width=9, height=6),
            Panel("Log lines dropped", "In an hour: the disk of the log is full, or nobody reads it.",
                  (("sum by (instance) (increase(teams_log_lines_dropped_total[1h]))", "{{instance}}"),), width=9, height=6),
        ),
    ),
)  # fmt: skip


def dashboard() -> Json:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "notifier",
        "title": "Notifier",
        "description": "Events to Microsoft Teams: the success metrics first, then what waits, what fails and who answers.",
        "tags": ["notifier", "teams"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [],
        "annotations": {
            "list": [
                {
                    "name": "Alerts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": BAD,
                    "expr": 'ALERTS{alertname=~"Notifier.+", alertname!="NotifierWatchdog", alertstate="firing"}',
                    "titleFormat": "{{alertname}}",
                    "textFormat": "{{channel}} {{reason}} {{stage}}",
                }
            ]
        },
        "templating": {"list": _variables()},
        "panels": _panels(),
    }


def _variables() -> list[Json]:
    source: Json = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }
    choices: list[Json] = [
        {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": f"label_values({metric}, {name})", "refId": name},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }
        for name, metric in (
            ("stream", "teams_dead_letters_kept"),
            ("channel", "teams_notifications_in_flight"),
        )
    ]
    return [source, *choices]


def _panels() -> list[Json]:
    placed: list[Json] = []
    y = 0
    for title, panels in ROWS:
        placed.append(
            {
                "id": len(placed) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            }
        )  # fmt: skip
        y += 1
        heights = [0] * 24
        for panel in panels:
            x = min(
                range(25 - panel.width),
                key=lambda at: (max(heights[at : at + panel.width]), at),
            )
            top = max(heights[x : x + panel.width])
            placed.append(panel.json(len(placed) + 1, x, y + top))
            heights[x : x + panel.width] = [top + panel.height] * panel.width
        y += max(heights)
    return placed


def text() -> str:
    """Return the file's content."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
