"""notifier replay: deliver the undelivered events of a period."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.options import (
    TIME,
    ByOption,
    ChannelOption,
    ConfigOption,
    DryRunOption,
    JsonOption,
    QuietOption,
    RateOption,
    TypeOption,
    WhyOption,
    found_secrets,
    require_channel,
    settings,
    with_redis,
)
from notifier.cli.output import print_result, printable
from notifier.cli.times import period

if TYPE_CHECKING:
    from notifier.broker.streams import Streams


def replay_events(
    since: Annotated[
        str,
        typer.Option(
            metavar=TIME,
            help="Events added at this time or later: 2h, today, 2026-11-24T10:00 (UTC), …+03:00.",
        ),
    ],
    until: Annotated[
        str | None, typer.Option(metavar=TIME, help="Events added before this time.")
    ] = None,
    config: ConfigOption = None,
    event_type: TypeOption = None,
    channel: ChannelOption = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replay also notifications that were delivered or discarded; a delivered one is posted once more.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    rate: RateOption = 10.0,
    by: ByOption = None,
    why: WhyOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Route the events of a period again, and deliver those that were not.

    It leaves alone notifications that wait to be read, delivered or recorded, discarded ones, and dead letters (see
    notifier dlq replay). Events are kept in their stream for intake.retention_seconds, however they ended.
    """
    from notifier.config.secrets import signers
    from notifier.dead_letters.audit import DeadLetterAudit
    from notifier.dead_letters.range_replay import EventRange, RangeReplay

    loaded = settings(config)
    start, end = period(since, until)
    # Events go to the channels of today only; for removed ones there are notifier lanes and notifier dlq.
    require_channel(loaded, channel, "--channel")
    wanted = EventRange(start, end, event_type, channel)

    replayed: list[dict[str, str]] = []
    count = left_alone = 0

    async def run(streams: Streams) -> None:
        nonlocal count, left_alone
        audit = DeadLetterAudit(
            loaded.database.url, connect_timeout_seconds=loaded.database.connect_timeout_seconds
        )
        range_replay = RangeReplay(
            streams, audit, loaded, lambda: signers(loaded, found_secrets(loaded)), force=force
        )
        try:
            async for batch in range_replay.batches(wanted):
                left_alone += batch.left_alone
                for each in batch.undelivered:
                    count += 1
                    if as_json:
                        names = ("event_id", "event_type", "channel")
                        replayed.append({name: getattr(each, name) for name in names})
                    elif not quiet:
                        typer.echo(
                            printable(f"{each.event_id} {each.event_type} → {each.channel}")
                        )
                    if dry_run:
                        continue
                    await range_replay.replay(each, who=by or getpass.getuser(), why=why)
                    if rate:
                        await asyncio.sleep(1 / rate)
        finally:
            await audit.close()

    with_redis(loaded, run)
    verb = "would be replayed" if dry_run else "replayed"
    print_result(
        {"dry_run": dry_run, "replayed": replayed, "left_alone": left_alone},
        f"{count} {verb}, {left_alone} left alone: delivered, on their way, dead letters or discarded",
        as_json=as_json,
        quiet=quiet,
    )
