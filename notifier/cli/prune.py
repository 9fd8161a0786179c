"""notifier prune: audit retention."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from notifier.cli.options import (
    ConfigOption,
    JsonOption,
    QuietOption,
    YesOption,
    database,
    settings,
)


def prune_audit(
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: YesOption = False,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds that one batch may take.")
    ] = 300.0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete audit rows older than audit.retention_days.

    CRITICAL rows are kept audit.critical_retention_days. The clock of Postgres decides; one that differs from this machine's by over a minute is refused. Safe to run at any time and twice at once; run it daily.
    """
    from notifier.cli.output import confirm, print_result
    from notifier.ops.retention import count_old, prune
    from notifier.telemetry.clock import utc_now

    loaded = settings(config)
    audit = loaded.audit
    audit_trail = database(loaded, "prune", timeout, write=not dry_run)
    if dry_run:
        old = asyncio.run(count_old(audit_trail, audit, now=utc_now))
        count = old.ordinary + old.critical
        document = {"old": count, "critical": old.critical}
        text = f"{count} rows are old, {old.critical} of them critical"
        print_result(document, text, as_json=as_json, quiet=quiet)
        return
    confirm(
        f"Delete audit rows older than {audit.retention_days:g} days, CRITICAL ones older than {audit.critical_retention_days:g}?",
        yes=yes,
    )
    deleted = asyncio.run(prune(audit_trail, audit, now=utc_now))
    print_result({"deleted": deleted}, f"deleted {deleted} rows", as_json=as_json, quiet=quiet)
