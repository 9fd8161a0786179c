"""notifier top: what waits, live."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from notifier.broker.client import close, connect
from notifier.broker.errors import stream_error
from notifier.cli.options import ConfigOption, JsonOption, settings
from notifier.cli.output import print_json
from notifier.config import Config, mask_url
from notifier.errors import StreamError
from notifier.ops.top.drawing import draw
from notifier.ops.top.rows import actions_flow, rows_of
from notifier.ops.top.snapshot import Snapshot, Watcher
from notifier.ops.top.terminal import quit_key
from notifier.pipeline.stage import sleep_unless_stopped

_LOOK_SECONDS = 5.0
_BETWEEN_TWO_LOOKS_SECONDS = 1.0


def top(
    config: ConfigOption = None,
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Seconds between two readings.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what waits in streams and lanes, its age, the rates, and the channels that are paused.

    Reads Redis only. q or Ctrl-C ends it. Without a terminal, and as JSON, it prints once, after two readings a second apart.
    """
    loaded = settings(config)
    console = Console()
    if as_json:
        now, before = asyncio.run(_twice(loaded))
        print_json(_as_json(now, before))
    elif once or not console.is_terminal:
        now, before = asyncio.run(_twice(loaded))
        console.print(
            draw(rows_of(now, before), actions_flow(now, before), heading=_heading(loaded))
        )
    else:
        asyncio.run(_live(loaded, console, interval))


async def _twice(config: Config) -> tuple[Snapshot, Snapshot]:
    client = connect(config.redis)
    try:
        watcher = Watcher(client, config, clock=time.monotonic)
        before = await _looked(watcher, config)
        await asyncio.sleep(_BETWEEN_TWO_LOOKS_SECONDS)
        return await _looked(watcher, config), before
    finally:
        await close(client)


async def _live(config: Config, console: Console, interval: float) -> None:
    client = connect(config.redis)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    watcher = Watcher(client, config, clock=time.monotonic)
    now: Snapshot | None = None
    before: Snapshot | None = None
    try:
        with (
            quit_key(stop),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while not stop.is_set():
                problem = ""
                try:
                    before, now = now, await _looked_unless(stop, watcher, config)
                except StreamError as exc:
                    # What was seen last stays in sight; rates begin anew.
                    problem, before = str(exc), None
                heading = f"{_heading(config)}  every {interval:g} s, q ends"
                rows, actions = ((), None) if now is None else (rows_of(now, before), actions_flow(now, before))  # fmt: skip
                live.update(draw(rows, actions, heading=heading, problem=problem), refresh=True)
                await sleep_unless_stopped(stop, interval)
    finally:
        await close(client)


async def _looked_unless(
    stop: asyncio.Event, watcher: Watcher, config: Config
) -> Snapshot | None:
    """Look, but let the key that ends the view end it at once; None then."""
    looking = asyncio.create_task(_looked(watcher, config))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await looking if looking.done() else None
    finally:
        for task in (looking, stopping):
            task.cancel()
        await asyncio.gather(looking, stopping, return_exceptions=True)


async def _looked(watcher: Watcher, config: Config) -> Snapshot:
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await watcher.look()
    except TimeoutError as exc:
        raise stream_error(config.redis.url, exc) from None


def _heading(config: Config) -> str:
    return f"notifier top  {datetime.now(UTC):%H:%M:%S} UTC  {mask_url(config.redis.url)}"


def _as_json(now: Snapshot, before: Snapshot) -> dict[str, object]:
    return {
        "streams": [dataclasses.asdict(rows) for rows in rows_of(now, before)],
        "actions": dataclasses.asdict(actions_flow(now, before)),
        "paused_seconds": dict(now.paused_seconds),
    }
