"""The report on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from notifier.cli.options import plain
from notifier.ops.report import Count, Figures, success_metrics
from notifier.ops.report.wording import percent, seconds

_WIDEST_NAME = 30
_STYLES = {True: "green", False: "bold red", None: "dim"}


def print_tables(figures: Figures, console: Console) -> None:
    """Print the report: the success metrics, then counts, failures, latency and answers."""
    period = figures.period
    console.print(f"[bold]notifier report[/] {period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M} UTC")  # fmt: skip
    table = Table("success metric", "target", "value", "")
    for metric in success_metrics(figures):
        style = _STYLES[metric.met]
        table.add_row(metric.name, metric.target, metric.shown, f"[{style}]{metric.verdict}[/]")  # fmt: skip
    console.print(table)
    for metric in success_metrics(figures):
        console.print(f"  {metric.name}: {metric.measured}", style="dim", highlight=False)
    for title, counts in (
        ("channel", figures.by_channel),
        ("priority", figures.by_priority),
        ("event type", figures.by_event_type),
    ):
        _print_counts(title, counts, console)
    _print_latency(figures, console)
    _print_answers(figures, console)
    _print_numbers(figures, console)
    _print_trend(figures, console)


def _print_counts(title: str, counts: tuple[Count, ...], console: Console) -> None:
    if not counts:
        return
    longest = max(len(plain(count.name)) for count in counts)
    table = _numeric(title, "total", "delivered", "dead", "retried", "rate", least=longest)
    for count in counts:
        table.add_row(
            plain(count.name), f"{count.total:,}", f"{count.delivered:,}", f"{count.dead_lettered:,}", f"{count.retried:,}",
            percent(count.delivery_rate, floor=True),
        )  # fmt: skip
    console.print(table)


def _print_latency(figures: Figures, console: Console) -> None:
    if figures.latency is None:
        return
    table = _numeric("latency of posts", "posts", "P50", "P95", "P99")
    for each in (*figures.latency_by_channel, figures.latency):
        table.add_row(
            plain(each.name or "all"), f"{each.posts:,}", seconds(each.p50), seconds(each.p95), seconds(each.p99)
        )  # fmt: skip
    console.print(table)


def _print_answers(figures: Figures, console: Console) -> None:
    if not figures.acknowledged:
        return
    table = _numeric("acknowledgement", "taken", "average", "median", "P90", "within 5 min")
    for each in figures.acknowledged:
        table.add_row(
            each.priority, f"{each.taken:,}", seconds(each.average), seconds(each.median), seconds(each.p90),
            percent(each.within[1] / each.taken),
        )  # fmt: skip
    console.print(table)


def _print_numbers(figures: Figures, console: Console) -> None:
    for title, numbers in (
        ("dead letters by reason", figures.dead_letters),
        ("what people did", figures.actions),
        ("escalations", figures.escalations),
        ("dead letters handled", figures.dead_letter_actions),
    ):
        if numbers:
            table = _numeric(title, "number")
            for name, number in numbers:
                table.add_row(plain(name), f"{number:,}")
            console.print(table)


def _print_trend(figures: Figures, console: Console) -> None:
    table = _numeric(f"{figures.period.slot} (UTC)", "total", "delivered", "P95", "critical taken after")  # fmt: skip
    for slot in figures.trend:
        table.add_row(
            f"{slot.start:%Y-%m-%d %H:%M}", f"{slot.total:,}", f"{slot.delivered:,}", seconds(slot.latency_p95),
            seconds(slot.critical_average),
        )  # fmt: skip
    console.print(table)


def _numeric(first: str, *others: str, least: int = 0) -> Table:
    """Return a table that is narrow enough for names of `least` signs on a terminal of 80 columns, as far as they can be."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first, overflow="fold", min_width=min(least, _WIDEST_NAME))
    for name in others:
        table.add_column(name, justify="right")
    return table
