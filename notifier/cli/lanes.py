"""notifier lanes: lanes of channels, and of removed channels."""

from __future__ import annotations

import getpass
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.options import (
    ByOption,
    CommandError,
    ConfigOption,
    DryRunOption,
    JsonOption,
    QuietOption,
    RequiredWhyOption,
    YesOption,
    require_why,
    settings,
    with_redis,
)
from notifier.cli.output import confirm, print_json, print_result, print_table
from notifier.errors import ExitCode

if TYPE_CHECKING:
    from notifier.broker.hop import MoveResult
    from notifier.broker.streams import Streams

app = typer.Typer()


@app.command("list")
def list_lanes(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the channels and what waits in their lanes; with --json an array."""
    from notifier.dead_letters.abandoned_lanes import lanes_waiting

    loaded = settings(config)

    async def run(streams: Streams) -> list[dict[str, str | int | bool]]:
        found: list[dict[str, str | int | bool]] = []
        for stream in loaded.streams:
            waiting = await lanes_waiting(streams, stream)
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
    if as_json:
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


@app.command("drain")
def drain_channel(
    channel: Annotated[str, typer.Argument()],
    why: RequiredWhyOption,
    config: ConfigOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    by: ByOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make dead letters of all that waits for a removed channel.

    Their reason is unknown_channel. Each is moved in one step, with its row saying who did it and why, and can be replayed to another channel.
    Notifications that are in flight are left to their process.
    """
    from notifier.broker.hop import MoveResult
    from notifier.broker.keys import Keys
    from notifier.dead_letters.abandoned_lanes import drain, removed_channels

    loaded = settings(config)
    if channel in loaded.channels:
        raise CommandError(
            f"{channel} is a configured channel, so its lanes are delivered; remove it from [channels] and reload first"
        )
    require_why(why)
    if not dry_run:
        confirm(f"Make dead letters of all that waits for {channel}?", yes=yes)
    detail = f"channel {channel} is not in the configuration; taken out of its lane by {by or getpass.getuser()}: {why}"

    async def run(streams: Streams) -> Counter[MoveResult]:
        counts: Counter[MoveResult] = Counter()
        lanes = [
            Keys(stream).lane(channel, urgent=urgent)
            for stream in loaded.streams
            for urgent in (True, False)
        ]
        waiting = sum([await streams.length(lane) for lane in lanes])
        if not waiting:
            removed = await removed_channels(streams, loaded.streams, loaded.channels)
            if channel not in removed:
                raise typer.BadParameter(
                    f"unknown channel {channel}; removed channels that still have lanes: {', '.join(sorted(removed)) or 'none'}",
                    param_hint="CHANNEL",
                )
        if dry_run:
            return Counter({MoveResult.MOVED: waiting})
        for stream in loaded.streams:
            counts += await drain(streams, stream, channel, detail)
        return counts

    counts = with_redis(loaded, run)
    done, in_flight = counts[MoveResult.MOVED], counts[MoveResult.IN_FLIGHT]
    print_result(
        {"channel": channel, "dry_run": dry_run, "dead_letters": done, "in_flight": in_flight},
        f"{done} would become dead letters" if dry_run else f"{done} are dead letters now",
        as_json=as_json,
        quiet=quiet,
    )
    if in_flight:
        typer.echo(
            f"{in_flight} stay: a process has them in flight; repeat this when it is done or has been reloaded",
            err=True,
        )
        raise typer.Exit(ExitCode.FAILED)
