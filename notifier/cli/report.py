"""notifier report: the success metrics of a period against their targets."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from notifier.cli.files import write_text
from notifier.cli.options import TIME, ConfigOption, database, hint_at, settings
from notifier.cli.output import json_text, plain
from notifier.cli.times import period
from notifier.ops.report.figures import Figures, Period
from notifier.ops.report.success import success_metrics
from notifier.ops.report.tables import Table, sections_of, trend_of
from notifier.telemetry.clock import utc_now

_LONGEST = timedelta(days=5 * 366)
_WIDEST_NAME = 30
_STYLES = {True: "green", False: "bold red", None: "dim"}


class ReportFormat(StrEnum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


def report(
    config: ConfigOption = None,
    since: Annotated[
        str,
        typer.Option(
            metavar=TIME,
            help="Start: 24h (ago), 7d, today, 2026-11-24T10:00 (UTC), …+03:00.",
        ),
    ] = "24h",
    until: Annotated[
        str, typer.Option(metavar=TIME, help="End, written in the same way.")
    ] = "now",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="[table|json|html]",
            help="table for the terminal, the default; json for programs; html for a browser.",
        ),
    ] = None,
    form: Annotated[ReportFormat | None, typer.Option("--format", hidden=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --output json.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="File to write instead of standard output."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when a target is missed.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that one query may take.")
    ] = 120.0,
) -> None:
    """Report the success metrics against their targets, and all counts.

    Read from the audit trail in Postgres, by when notifications ended; changes nothing. Counts only: no event's content is in it.
    """
    from notifier.ops.report.repository import read_figures

    chosen, file = _target(output or [], form, as_json=as_json, file=file)
    now = utc_now()
    loaded = settings(config)
    start, end = period(since, until, now)
    assert start is not None  # noqa: S101 - both were given
    assert end is not None  # noqa: S101
    if end - start > _LONGEST:
        raise typer.BadParameter(
            "must be before --until, by 5 years at most", param_hint="--since"
        )
    figures = read_figures(
        database(loaded, "report", timeout),
        Period(start, end, loaded.business_hours.time_zone),
        known_types=loaded.routes,
        made_at=now,
    )
    _write(figures, chosen, file)
    missed = [metric for metric in success_metrics(figures) if metric.met is False]
    if check and missed:
        for metric in missed:
            typer.echo(
                f"notifier: target missed: {metric.name} is {metric.shown}, not {metric.target}",
                err=True,
            )
        raise typer.Exit(1)


def _target(
    output: list[str], form: ReportFormat | None, *, as_json: bool, file: Path | None
) -> tuple[ReportFormat, Path | None]:
    """Return format and file; raises typer.BadParameter for two formats.

    In the last version --output named the file, and --format the format.
    """
    formats = [ReportFormat(each) for each in output if each in list(ReportFormat)]
    for each in output:
        if each in list(ReportFormat):
            continue
        if not {".", "/"} & {*each}:
            raise typer.BadParameter(
                f"{each} is not a format: {', '.join(ReportFormat)}; to write a file give --file",
                param_hint="--output",
            )
        hint_at(f"--output {each}", f"--file {each}")
        file = Path(each)
    if form is not None:
        hint_at("--format", "--output (-o)")
        formats.append(form)
    formats += [ReportFormat.JSON] if as_json else []
    if len(set(formats)) > 1:
        raise typer.BadParameter(
            f"give only one of --json and --output {formats[0]}", param_hint="--json"
        )
    return formats[0] if formats else ReportFormat.TABLE, file


def _write(figures: Figures, form: ReportFormat, file: Path | None) -> None:
    if file is None and form is ReportFormat.TABLE:
        _print_tables(figures, Console())
        return
    text = _text(figures, form)
    if file is None:
        sys.stdout.write(text)
    else:
        write_text(file, text)


def _text(figures: Figures, form: ReportFormat) -> str:
    if form is ReportFormat.TABLE:
        console = Console(record=True, file=open(os.devnull, "w"), width=120)  # noqa: SIM115
        _print_tables(figures, console)
        return console.export_text()
    if form is ReportFormat.JSON:
        from notifier.ops.report.as_json import report_record

        return json_text(report_record(figures)) + "\n"
    from notifier.ops.report.page import report_page

    return report_page(figures)


def _print_tables(figures: Figures, console: Console) -> None:
    """Print the success metrics, the sections and the trend."""
    period = figures.period
    console.print(f"[bold]notifier report[/] {period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M} UTC")  # fmt: skip
    metrics = success_metrics(figures)
    table = RichTable("success metric", "target", "value", "")
    for metric in metrics:
        style = _STYLES[metric.met]
        table.add_row(metric.name, metric.target, metric.shown, f"[{style}]{metric.judgement}[/]")  # fmt: skip
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
