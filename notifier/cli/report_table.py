"""The report on a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from notifier.cli.options import plain
from notifier.ops.report.figures import Figures
from notifier.ops.report.success import success_metrics
from notifier.ops.report.tables import Table, sections_of, trend_of

_WIDEST_NAME = 30
_STYLES = {True: "green", False: "bold red", None: "dim"}


def print_tables(figures: Figures, console: Console) -> None:
    """Print the success metrics, then the sections and the trend of the report."""
    period = figures.period
    console.print(f"[bold]notifier report[/] {period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M} UTC")  # fmt: skip
    metrics = success_metrics(figures)
    table = RichTable("success metric", "target", "value", "")
    for metric in metrics:
        style = _STYLES[metric.met]
        table.add_row(metric.name, metric.target, metric.shown, f"[{style}]{metric.verdict}[/]")  # fmt: skip
    console.print(table)
    for metric in metrics:
        console.print(f"  {metric.name}: {metric.measured}", style="dim", highlight=False)
    for section in sections_of(figures):
        if section.text:
            console.print(f"\n{section.text}", highlight=False)
        for each in section.tables:
            _print(each, console)
    _print(trend_of(figures), console)


def _print(table: Table, console: Console) -> None:
    """Print a table; names have room first on a terminal of 80 columns."""
    longest = max((len(plain(row.name)) for row in table.rows), default=0)
    shown = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    first, *others = table.head
    shown.add_column(first, overflow="fold", min_width=min(longest, _WIDEST_NAME))
    for name in others:
        shown.add_column(name, justify="right")
    for row in table.rows:
        shown.add_row(plain(row.name), *(cell.text for cell in row.cells))
    console.print(shown)
