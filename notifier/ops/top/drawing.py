"""Draw the rows with rich, within 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from notifier.ops.top.rows import ChannelRow, Flow, StreamRows
from notifier.telemetry.durations import duration

_NONE = "·"


def draw(
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
    if streams and all(flow.in_rate is None for flow in _flows(streams)):
        parts.append(Text("rates need a second look, and Redis 7.0 or newer", style="dim"))
    return Group(*parts)


def _stages(rows: StreamRows, actions: Flow | None) -> Table:
    table = _table(rows.stream, "waiting", "oldest", "hand", "in/s", "out/s", "readers")
    flows = {"intake": rows.intake, "delivery": rows.delivery, "recorder": rows.recorder}
    if actions is not None:
        flows["actions"] = actions
    for name, flow in flows.items():
        readers = str(flow.consumers) if flow.consumers else _NONE
        table.add_row(name, *_amount(flow), _count(flow.in_hand), *_rates(flow), readers)
    dead = Text(_count(rows.dead_letters), style="yellow" if rows.dead_letters else "")
    age = duration(rows.oldest_dead_seconds) if rows.dead_letters else _NONE
    table.add_row("dead letters", dead, age)
    return table


def _channels(rows: StreamRows) -> Table:
    table = _table("channel", "urgent", "oldest", "normal", "oldest", "hand", "out/s", "")
    table.columns[-1].justify = "left"
    table.columns[-1].min_width = 14
    for row in rows.channels:
        table.add_row(
            Text(row.channel, overflow="ellipsis", no_wrap=True),
            *_amount(row.urgent, alarm=True),
            *_amount(row.normal),
            _count(row.both.in_hand),
            _rates(row.both)[1],
            _state(row),
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


def _rates(flow: Flow) -> tuple[str, str]:
    return _rate(flow.in_rate), _rate(flow.out_rate)


def _rate(rate: float | None) -> str:
    if rate is None:
        return "–"
    return f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"


def _state(row: ChannelRow) -> Text:
    return Text(row.state, style="yellow")


def _flows(streams: Sequence[StreamRows]) -> list[Flow]:
    return [flow for rows in streams for flow in (rows.intake, rows.delivery, rows.recorder)]
