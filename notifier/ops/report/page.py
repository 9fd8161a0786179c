"""The report as one HTML file: no script, nothing from elsewhere, light and dark, and every value is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from zoneinfo import ZoneInfo

from notifier.ops.report import charts, success
from notifier.ops.report.charts import Axis, Mark, bar, nice_most
from notifier.ops.report.figures import TAKEN_WITHIN_SECONDS, Acknowledged, Count, Figures, Slot
from notifier.ops.report.success import SuccessMetric, success_metrics
from notifier.ops.report.wording import percent, seconds

_STYLE = files(__package__).joinpath("static/report.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"  # fmt: skip
_VERDICT = {True: ("met", "✓"), False: ("missed", "✕"), None: ("unmeasured", "–")}

Cells = Sequence[str]


def report_page(figures: Figures) -> str:
    """Return the page."""
    zone = ZoneInfo(figures.period.time_zone)
    body = "".join(
        (
            _header(figures, zone),
            _success(success_metrics(figures)),
            _trend(figures, zone),
            _sent(figures),
            _failed(figures),
            _latency(figures),
            _answers(figures),
            _notes(figures),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><meta name="color-scheme" content="light dark">'
        f"<title>Notifier report, {_time(figures.period.since, zone)} to {_time(figures.period.until, zone)}</title>"
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _header(figures: Figures, zone: ZoneInfo) -> str:
    period = figures.period
    return (
        "<header><h1>Notifier report</h1>"
        f"<p><b>{_time(period.since, zone)}</b> to <b>{_time(period.until, zone)}</b> ({escape(zone.key)}), "
        f"made {_time(figures.made_at, zone)}.</p></header>"
    )


def _success(metrics: Sequence[SuccessMetric]) -> str:
    judged = [metric for metric in metrics if metric.met is not None]
    met = sum(metric.met is True for metric in judged)
    cards = "".join(_card(metric) for metric in metrics)
    said = "All" if met == len(judged) else f"{met} of"
    return (
        '<section><h2>Success metrics</h2><p class="lead">'
        f"{said} {len(judged)} measured targets are met.</p>"
        f'<ul class="cards">{cards}</ul></section>'
    )


def _card(metric: SuccessMetric) -> str:
    kind, sign = _VERDICT[metric.met]
    return (
        f'<li class="card {kind}"><h3>{escape(metric.name)}</h3><p class="value">{escape(metric.shown)}</p>'
        f'<p class="target"><span class="verdict"><span aria-hidden="true">{sign}</span> {escape(metric.verdict)}</span> <span class="wanted">target {escape(metric.target)}</span></p>'
        f'<p class="hint">{escape(metric.measured)}</p></li>'
    )


def _trend(figures: Figures, zone: ZoneInfo) -> str:
    slots, step = figures.trend, figures.period.slot
    if not figures.all.total:
        return "<section><h2>Trend</h2><p>No notification ended in this period.</p></section>"
    drawn = "".join((_ended(slots, step, zone), _p95(slots, step, zone), _taken(slots, step, zone)))  # fmt: skip
    rows = [
        (
            _label(slot.start, step, zone), f"{slot.total:,}", f"{slot.delivered:,}", f"{slot.total - slot.delivered:,}",
            seconds(slot.latency_p95), seconds(slot.critical_average),
        )
        for slot in slots
    ]  # fmt: skip
    head = (step.capitalize(), "Ended", "Delivered", "Dead letters", "P95 latency", "Critical taken after")  # fmt: skip
    table = _table(f"Trend per {step}", head, rows)
    return (
        f'<section><h2>Trend per {step}</h2><div class="charts">{drawn}</div>'
        f"<details><summary>The figures of these charts</summary>{table}</details></section>"
    )


def _ended(slots: Sequence[Slot], step: str, zone: ZoneInfo) -> str:
    marks = [
        Mark(
            label := _label(slot.start, step, zone),
            float(slot.total),
            float(slot.total - slot.delivered),
            f"{label}: {slot.delivered:,} delivered, {slot.total - slot.delivered:,} dead letters",
        )
        for slot in slots
    ]
    most = nice_most([slot.total for slot in slots])
    key = '<p class="key"><span class="swatch good"></span>delivered <span class="swatch bad"></span>dead letters</p>'
    chart = charts.columns(f"Notifications per {step}", marks, Axis(most, f"{most:,.0f}"))
    return chart.replace("</figure>", f"{key}</figure>")


def _p95(slots: Sequence[Slot], step: str, zone: ZoneInfo) -> str:
    known = [slot.latency_p95 for slot in slots if slot.latency_p95 is not None]
    most = nice_most([*known, success.LATENCY_P95_SECONDS])
    marks = [
        Mark(label := _label(slot.start, step, zone), slot.latency_p95, told=f"{label}: {seconds(slot.latency_p95)}")
        for slot in slots
    ]  # fmt: skip
    axis = Axis(most, seconds(most), success.LATENCY_P95_SECONDS, "target: below 2 s")
    return charts.steps(f"P95 webhook latency per {step}", marks, axis)


def _taken(slots: Sequence[Slot], step: str, zone: ZoneInfo) -> str:
    known = [slot.critical_average for slot in slots if slot.critical_average is not None]
    minutes = nice_most([value / 60 for value in (*known, success.ACKNOWLEDGEMENT_SECONDS)])
    marks = [
        Mark(label := _label(slot.start, step, zone), slot.critical_average, told=f"{label}: {seconds(slot.critical_average)}")
        for slot in slots
    ]  # fmt: skip
    axis = Axis(minutes * 60, seconds(minutes * 60), success.ACKNOWLEDGEMENT_SECONDS, "target: below 5 min")  # fmt: skip
    return charts.steps(f"Average acknowledgement of critical per {step}", marks, axis)


def _sent(figures: Figures) -> str:
    tables = "".join(
        _counts(title, counts)
        for title, counts in (
            ("By channel", figures.by_channel),
            ("By priority", figures.by_priority),
            ("By event type", figures.by_event_type),
        )
        if counts
    )
    every = figures.all
    lead = (
        f"{every.total:,} notifications ended: {every.delivered:,} delivered, {every.dead_lettered:,} dead letters. "
        f"{every.retried:,} took more than one post."
    )
    return f'<section><h2>What was sent</h2><p class="lead">{lead}</p><div class="tables">{tables}</div></section>'


def _counts(title: str, counts: Sequence[Count]) -> str:
    most = max(count.total for count in counts)
    rows = [
        (
            escape(count.name), f"{count.total:,}{bar(count.total / most)}", f"{count.dead_lettered:,}", f"{count.retried:,}",
            percent(count.delivery_rate, floor=True),
        )
        for count in counts
    ]  # fmt: skip
    return _table(title, (title.removeprefix("By ").capitalize(), "Ended", "Dead letters", "Retried", "Delivery rate"), rows)  # fmt: skip


def _failed(figures: Figures) -> str:
    if not figures.dead_letters and not figures.dead_letter_actions:
        return "<section><h2>Dead letters</h2><p>None in this period.</p></section>"
    total = max(1, sum(number for _, number in figures.dead_letters))
    reasons = [
        (escape(reason), f"{number:,}{bar(number / total, bad=True)}")
        for reason, number in figures.dead_letters
    ]
    handled = [(f"{escape(action)}ed", f"{number:,}") for action, number in figures.dead_letter_actions]  # fmt: skip
    return (
        '<section><h2>Dead letters</h2><div class="tables">'
        + (_table("Dead letters by reason", ("Reason", "Notifications"), reasons) if reasons else "")
        + (_table("Handled by people", ("What was done", "Dead letters"), handled) if handled else "")
        + "</div></section>"
    )  # fmt: skip


def _latency(figures: Figures) -> str:
    if figures.latency is None:
        return ""
    target = success.LATENCY_P95_SECONDS
    rows = [
        (
            escape(each.name or "All channels"), f"{each.posts:,}", seconds(each.p50),
            f"{seconds(each.p95)}{bar(each.p95 / (2 * target), bad=each.p95 >= target)}", seconds(each.p99),
        )
        for each in (*figures.latency_by_channel, figures.latency)
    ]  # fmt: skip
    table = _table("Latency by channel; half a bar is the target of 2 s", ("Channel", "Posts", "P50", "P95", "P99"), rows)  # fmt: skip
    return f"<section><h2>Webhook latency</h2>{table}</section>"


def _answers(figures: Figures) -> str:
    parts = []
    if figures.acknowledged:
        rows = [
            (each.priority, f"{each.taken:,}", seconds(each.average), seconds(each.median), seconds(each.p90))
            for each in figures.acknowledged
        ]  # fmt: skip
        parts.append(_table("Taken by priority", ("Priority", "Taken", "Average", "Median", "P90"), rows))  # fmt: skip
    parts += [
        _distribution(each)
        for each in figures.acknowledged
        if each.priority in ("CRITICAL", "HIGH")
    ]
    numbers = [
        (escape(name.replace("_", " ")), f"{number:,}")
        for name, number in (
            *figures.actions,
            *((f"escalation: {cause}", number) for cause, number in figures.escalations),
        )
    ]
    if numbers:
        parts.append(_table("Actions and escalations", ("What", "Number"), numbers))
    said = "" if figures.acknowledged else "<p>Nobody acknowledged anything in this period.</p>"
    return f'<section><h2>Acknowledgement</h2>{said}<div class="tables">{"".join(parts)}</div></section>'


def _distribution(each: Acknowledged) -> str:
    names = [f"up to {seconds(bound)}" for bound in TAKEN_WITHIN_SECONDS]
    names.append(f"more than {seconds(TAKEN_WITHIN_SECONDS[-1])}")
    sums = [0, *each.within, each.taken]
    rows = [
        (name, f"{after - before:,}{bar((after - before) / each.taken)}", percent(after / each.taken))
        for name, before, after in zip(names, sums, sums[1:], strict=False)
    ]  # fmt: skip
    return _table(f"How soon {each.priority} notifications were taken", ("Time", "Taken", "Taken by then"), rows)  # fmt: skip


def _notes(figures: Figures) -> str:
    return (
        "<section><h2>What is measured</h2><ul>"
        "<li>From the audit trail in Postgres. A notification belongs to the period in which it ended; one that was replayed counts once, as it ended last.</li>"
        "<li>Delivered means that the workflow accepted it (2xx); Teams does not tell what the flow does afterwards.</li>"
        "<li>Latency is that of every recorded attempt; the notifications of a digest share one.</li>"
        "<li>Entries that never became an event have no row: notifier dlq list shows them. Rows from before reasons were recorded are \u201cnot recorded\u201d.</li>"
        "<li>Test coverage is a figure of the code; make cov measures it.</li>"
        "</ul></section>"
    )


def _table(caption: str, head: Sequence[str], rows: Sequence[Cells]) -> str:
    """Return a table that scrolls by itself where it is too wide; cells are HTML already."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    name = escape(caption)
    return (
        f'<div class="scroll" role="region" aria-label="{name}" tabindex="0"><table><caption>{name}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _label(start: datetime, step: str, zone: ZoneInfo) -> str:
    local = start.astimezone(zone)
    return f"{local:%d %b %H:%M}" if step == "hour" else f"{local:%d %b}"


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%d %b %Y %H:%M}"
