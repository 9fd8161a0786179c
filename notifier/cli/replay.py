"""notifier replay: events of a time range again, where they were not delivered."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated

import typer

from notifier.broker.consumer import Consumer
from notifier.cli.dlq import ByOption, ChannelOption, DryOption, RateOption, TypeOption
from notifier.cli.filters import require_channel
from notifier.cli.options import ConfigOption, found_secrets, plain, settings, with_redis
from notifier.cli.times import METAVAR, period
from notifier.config.secrets import signers
from notifier.dead_letters.audit import DeadLetterAudit
from notifier.dead_letters.range_replay import EventRange, RangeReplay


def replay_events(
    since: Annotated[
        str,
        typer.Option(
            metavar=METAVAR,
            help="Events added at this time or later: 2h, today, 2026-11-24T10:00 (UTC), …+03:00.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(
            metavar=METAVAR,
            help="Events added before this time.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    event_type: TypeOption = None,
    channel: ChannelOption = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also what was delivered, which is posted once more, or discarded."
        ),
    ] = False,
    dry_run: DryOption = False,
    rate: RateOption = 10.0,
    by: ByOption = None,
    why: Annotated[
        str | None, typer.Option(help="Why, for the record.", show_default=False)
    ] = None,
) -> None:
    """Route the events of a time range again and deliver what was not delivered.

    What waits to be read, in a lane or to be recorded, is a dead letter (notifier dlq replay) or was discarded is left alone. Events are kept in
    their stream for intake.retention_seconds, however they ended.
    """
    loaded = settings(config)
    start, end = period(since, until)
    # Events go to the channels of today only; what waits for one that is no more is for: notifier lanes, notifier dlq.
    require_channel(loaded, channel, "--channel")
    wanted = EventRange(start, end, event_type, channel)

    async def run(group: Consumer) -> tuple[int, int]:
        log = DeadLetterAudit(
            loaded.database.url, connect_timeout_seconds=loaded.database.connect_timeout_seconds
        )
        again = kept = 0
        range_replay = RangeReplay(
            group, log, loaded, lambda: signers(loaded, found_secrets(loaded)), force=force
        )
        try:
            async for batch in range_replay.batches(wanted):
                kept += batch.left_alone
                again += len(batch.undelivered)
                for notification in batch.undelivered:
                    way = f"{notification.event_type} → {notification.channel}"
                    typer.echo(plain(f"{notification.event_id} {way}").plain)
                    if dry_run:
                        continue
                    await range_replay.replay(
                        notification, who=by or getpass.getuser(), why=why
                    )
                    if rate:
                        await asyncio.sleep(1 / rate)
        finally:
            await log.close()
        return again, kept

    again, kept = with_redis(loaded, run)
    verb = "would be replayed" if dry_run else "replayed"
    typer.echo(
        f"{again} {verb}, {kept} left alone: delivered, on their way, dead letters or discarded"
    )
