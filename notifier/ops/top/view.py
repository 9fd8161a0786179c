"""Show the rows of notifier top within 80 columns, once or live."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from notifier.broker.errors import stream_error
from notifier.broker.streams import open_streams
from notifier.config import Config, mask_url
from notifier.errors import StreamError
from notifier.ops.top.rows import (
    Flow,
    Snapshot,
    SnapshotReader,
    StreamRows,
    actions_flow,
    rows_of,
)
from notifier.telemetry.clock import duration, sleep_unless_stopped, utc_now

_NONE = "·"
_READ_SECONDS = 5.0
_BETWEEN_SNAPSHOTS_SECONDS = 1.0


async def read_twice(config: Config) -> tuple[Snapshot, Snapshot]:
    """Return the present snapshot and an earlier one; raises StreamError."""
    async with open_streams(config.redis) as streams:
        reader = SnapshotReader(streams, config, clock=time.monotonic)
        before = await read_in_time(reader, config)
        await asyncio.sleep(_BETWEEN_SNAPSHOTS_SECONDS)
        return await read_in_time(reader, config), before


async def show_live(config: Config, console: Console, interval: float) -> None:
    """Show the rows again every `interval` seconds, until q or Ctrl-C."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    now: Snapshot | None = None
    before: Snapshot | None = None
    async with open_streams(config.redis) as streams:
        reader = SnapshotReader(streams, config, clock=time.monotonic)
        with quit_key(stop), Live(console=console, screen=True, auto_refresh=False) as live:
            while not stop.is_set():
                problem = ""
                try:
                    before, now = now, await _read_unless(stop, reader, config)
                except StreamError as exc:
                    # The last rows stay visible; rates begin with the next snapshot.
                    problem, before = str(exc), None
                rows, actions = ((), None) if now is None else (rows_of(now, before), actions_flow(now, before))  # fmt: skip
                title = f"{heading(config)}  every {interval:g} s, q ends"
                live.update(render(rows, actions, heading=title, problem=problem), refresh=True)
                await sleep_unless_stopped(stop, interval)


async def _read_unless(
    stop: asyncio.Event, reader: SnapshotReader, config: Config
) -> Snapshot | None:
    """Read a snapshot; return None at once if `stop` is set meanwhile."""
    reading = asyncio.create_task(read_in_time(reader, config))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await reading if reading.done() else None
    finally:
        for task in (reading, stopping):
            task.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)


async def read_in_time(reader: SnapshotReader, config: Config) -> Snapshot:
    """Read a snapshot; raises StreamError, also after five seconds."""
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await reader.read()
    except TimeoutError as exc:
        raise stream_error(config.redis.url, exc) from None


def heading(config: Config) -> str:
    """Return the first line of the view."""
    return f"notifier top  {utc_now():%H:%M:%S} UTC  {mask_url(config.redis.url)}"


def render(
    streams: Sequence[StreamRows], actions: Flow | None, *, heading: str, problem: str = ""
) -> RenderableType:
    """Return the whole view; `problem` says why it is out of date."""
    parts: list[RenderableType] = [
        Text(heading, style="bold", no_wrap=True, overflow="ellipsis")
    ]
    if problem:
        parts.append(Text(problem, style="bold red"))
    for rows in streams:
        parts += ["", _stages(rows, actions), "", _channels(rows)]
    flows = [flow for rows in streams for flow in (rows.intake, rows.delivery, rows.recorder)]
    if flows and all(flow.in_rate is None for flow in flows):
        parts.append(Text("rates need a second reading, and Redis 7.0 or newer", style="dim"))
    return Group(*parts)


def _stages(rows: StreamRows, actions: Flow | None) -> Table:
    table = _table(rows.stream, "waiting", "oldest", "flight", "in/s", "out/s", "readers")
    flows = {"intake": rows.intake, "delivery": rows.delivery, "recorder": rows.recorder}
    if actions is not None:
        flows["actions"] = actions
    for name, flow in flows.items():
        readers = str(flow.consumers) if flow.consumers else _NONE
        rates = (_rate(flow.in_rate), _rate(flow.out_rate))
        table.add_row(name, *_amount(flow), _count(flow.in_flight), *rates, readers)
    dead = Text(_count(rows.dead_letters), style="yellow" if rows.dead_letters else "")
    age = duration(rows.oldest_dead_seconds) if rows.dead_letters else _NONE
    table.add_row("dead letters", dead, age)
    return table


def _channels(rows: StreamRows) -> Table:
    table = _table("channel", "urgent", "oldest", "normal", "oldest", "flight", "out/s", "")
    table.columns[-1].justify = "left"
    table.columns[-1].min_width = 14
    for row in rows.channels:
        table.add_row(
            Text(row.channel, overflow="ellipsis", no_wrap=True),
            *_amount(row.urgent, alarm=True),
            *_amount(row.normal),
            _count(row.both.in_flight),
            _rate(row.both.out_rate),
            Text(row.state, style="yellow"),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(first, min_width=18, max_width=20, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, min_width=6)
    return table


def _amount(flow: Flow, *, alarm: bool = False) -> tuple[Text, str]:
    style = "" if not flow.waiting else "bold red" if alarm else "bold"
    return Text(_count(flow.waiting), style=style), (
        duration(flow.oldest_seconds) if flow.waiting else _NONE
    )


def _count(number: int) -> str:
    if not number:
        return _NONE
    if number < 100_000:
        return f"{number:,}"
    return f"{number / 1e3:.0f}k" if number < 1_000_000 else f"{number / 1e6:.1f}M"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "–"
    return f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"


@contextmanager
def quit_key(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` when q is typed; keys are not echoed. Needs a running loop."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def typed() -> None:
        keys = os.read(descriptor, 1024)
        if not keys or b"q" in keys.lower():
            stop.set()

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, typed)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
