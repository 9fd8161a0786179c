"""notifier prune: audit retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, settings
from notifier.store.prune import Retention, count_old, prune


def prune_audit(
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
) -> None:
    """Delete audit rows older than audit.retention_days; CRITICAL ones are kept audit.critical_retention_days.

    Safe to run at any time and twice at once; run it daily.
    """
    loaded = settings(config)
    now = datetime.now(UTC)
    retention = Retention(
        now - timedelta(days=loaded.audit.retention_days),
        now - timedelta(days=loaded.audit.critical_retention_days),
    )
    if dry_run:
        ordinary, critical = count_old(loaded.database.url, retention)
        typer.echo(f"{ordinary + critical} rows are old, {critical} of them critical")
        return
    typer.echo(f"deleted {prune(loaded.database.url, retention)} rows")
