"""notifier lanes: what waits for channels, also for those that are no more."""

from __future__ import annotations

import getpass
from collections import Counter
from typing import Annotated

import typer

from notifier.broker.consumer import Consumer
from notifier.broker.hop import MoveResult
from notifier.broker.keys import Keys
from notifier.cli.dlq import ByOption, DryOption
from notifier.cli.filters import removed_channels
from notifier.cli.formats import FormatOption, JsonOption, wants_json
from notifier.cli.options import (
    CommandError,
    ConfigOption,
    print_json,
    settings,
    with_redis,
)
from notifier.cli.tables import print_table
from notifier.config import Config
from notifier.dead_letters.abandoned_lanes import AbandonedLanes

app = typer.Typer(
    help="Lanes: what waits for each channel, and how to empty those of a channel that is no more.",
    no_args_is_help=True,
)


@app.command("list")
def list_lanes(
    config: ConfigOption = None, form: FormatOption = None, as_json: JsonOption = False
) -> None:
    """List the channels and what waits in their lanes; with --format json an array."""
    loaded = settings(config)

    async def run(group: Consumer) -> list[dict[str, str | int | bool]]:
        lanes = AbandonedLanes(group)
        found: list[dict[str, str | int | bool]] = []
        for stream in loaded.streams:
            waiting = await lanes.waiting(stream)
            for channel in sorted({*waiting, *loaded.channels}):
                urgent, normal = waiting.get(channel, (0, 0))
                found.append(
                    {
                        "stream": stream,
                        "channel": channel,
                        "urgent": urgent,
                        "normal": normal,
                        "delivered": channel in loaded.channels,
                    }
                )
        return found

    found = with_redis(loaded, run)
    if wants_json(form, as_json):
        print_json(found)
        return
    names = ("stream", "channel", "urgent", "normal")
    print_table(
        (*names, ""),
        [
            (
                *(str(lane[name]) for name in names),
                "" if lane["delivered"] else "removed channel: no daemon delivers these",
            )
            for lane in found
        ],
        whole=("channel",),
    )


@app.command()
def drain(
    channel: Annotated[str, typer.Argument()],
    why: Annotated[str, typer.Option(help="Why, for the record.")],
    config: ConfigOption = None,
    dry_run: DryOption = False,
    by: ByOption = None,
) -> None:
    """Make dead letters (unknown_channel) of what waits for a channel that is no more.

    Each is moved in one step, with its row saying who did it and why, and can be replayed to another channel. What a process
    has in hand is left to it.
    """
    loaded = settings(config)
    if channel in loaded.channels:
        raise CommandError(
            f"{channel} is a channel of the configuration, so it is being delivered; take it out of [channels] and reload first"
        )
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="--why")
    detail = f"channel {channel} is not in the configuration; taken out of its lane by {by or getpass.getuser()}: {why}"

    async def run(group: Consumer) -> Counter[MoveResult]:
        counts: Counter[MoveResult] = Counter()
        lanes = [
            Keys(stream).lane(channel, urgent=urgent)
            for stream in loaded.streams
            for urgent in (True, False)
        ]
        waiting = sum([await group.length(lane) for lane in lanes])
        if not waiting:
            await _require_removed(group, loaded, channel)
        if dry_run:
            return Counter({MoveResult.MOVED: waiting})
        abandoned = AbandonedLanes(group)
        for stream in loaded.streams:
            counts += await abandoned.drain(stream, channel, detail)
        return counts

    counts = with_redis(loaded, run)
    done = counts[MoveResult.MOVED]
    typer.echo(
        f"{done} would become dead letters" if dry_run else f"{done} are dead letters now"
    )
    if counts[MoveResult.IN_FLIGHT]:
        typer.echo(
            f"{counts[MoveResult.IN_FLIGHT]} stay: a process has them in flight; repeat this when it is done or has been reloaded",
            err=True,
        )
        raise typer.Exit(1)


async def _require_removed(group: Consumer, config: Config, channel: str) -> None:
    """Raise typer.BadParameter when nothing shows that there ever was such a channel."""
    removed = await removed_channels(group, config)
    if channel not in removed:
        raise typer.BadParameter(
            f"{channel} is and was no channel; no more but known are {', '.join(sorted(removed)) or 'none'}",
            param_hint="CHANNEL",
        )
