"""notifier report: the success metrics of a period against their targets."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from notifier.cli.files import write_text
from notifier.cli.formats import JsonOption, wants_json
from notifier.cli.options import ConfigOption, settings
from notifier.cli.report_table import print_tables
from notifier.cli.times import METAVAR, period
from notifier.ops.report.figures import Figures, Period
from notifier.ops.report.page import report_page
from notifier.ops.report.record import report_record
from notifier.ops.report.repository import read_figures
from notifier.ops.report.success import success_metrics

_LONGEST = timedelta(days=5 * 366)


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
            metavar=METAVAR,
            help="Start: 24h (ago), 7d, today, 2026-11-24T10:00 (UTC), …+03:00.",
        ),
    ] = "24h",
    until: Annotated[
        str,
        typer.Option(metavar=METAVAR, help="End, written in the same way."),
    ] = "now",
    form: Annotated[
        ReportFormat | None,
        typer.Option(
            "--format",
            help="table for the terminal, the default; json for programs; html for a browser.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write instead of standard output.", show_default=False),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when a target is missed.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that one query may take.")
    ] = 120.0,
) -> None:
    """Report the success metrics against their targets, and what was sent, failed and answered.

    Read from the audit trail in Postgres, by when notifications ended; changes nothing. Counts only: no event's content is in it.
    """
    chosen = ReportFormat.JSON if wants_json(form, as_json) else form or ReportFormat.TABLE
    now = datetime.now(UTC)
    loaded = settings(config)
    start, end = period(since, until, now)
    if end - start > _LONGEST:
        raise typer.BadParameter(
            "must be before --until, by 5 years at most", param_hint="--since"
        )
    figures = read_figures(
        loaded.database.url,
        Period(start, end, loaded.business_hours.time_zone),
        known_types=loaded.routes,
        made_at=now,
        connect_timeout_seconds=loaded.database.connect_timeout_seconds,
        statement_timeout_seconds=timeout,
    )
    _write(figures, chosen, output)
    missed = [metric for metric in success_metrics(figures) if metric.met is False]
    if check and missed:
        for metric in missed:
            typer.echo(
                f"notifier: target missed: {metric.name} is {metric.shown}, not {metric.target}",
                err=True,
            )
        raise typer.Exit(1)


def _write(figures: Figures, form: ReportFormat, output: Path | None) -> None:
    if output is None and form is ReportFormat.TABLE:
        print_tables(figures, Console())
        return
    if form is ReportFormat.TABLE:
        console = Console(record=True, file=open(os.devnull, "w"), width=120)  # noqa: SIM115
        print_tables(figures, console)
        text = console.export_text()
    elif form is ReportFormat.JSON:
        text = json.dumps(report_record(figures), ensure_ascii=False, indent=2) + "\n"
    else:
        text = report_page(figures)
    if output is None:
        sys.stdout.write(text)
        return
    write_text(output, text)
