"""Check that stages work, that nothing waits long, and for old lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from notifier.broker.rate_limit import Failing, RateLimits
from notifier.broker.stats import EventStreamStats, StreamStats, event_stream_stats
from notifier.broker.stream_ids import judge_ids, read_ids
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.dead_letters.abandoned_lanes import lanes_waiting
from notifier.teams.hints import hint
from notifier.telemetry.durations import duration
from notifier.telemetry.findings import Finding, fault, ok, warning

NAME = "stages"
LANES = "old lanes"
DEAD = "dead letters"
_SILENT_SECONDS = 60.0
"""Longer than the longest redis.block_seconds, and than a consumer is inactive while it has no work."""
_OLD_SECONDS = 300.0
_START = "start a process with this stage: systemctl start notifier, or notifier run"


async def check_stages(streams: Streams, config: Config) -> list[Finding]:
    """Check readers and backlogs of every event stream; raises StreamError."""
    found = []
    failing: dict[str, Failing] = {}
    for stream in config.streams:
        overview = await event_stream_stats(streams, stream, tuple(config.channels))
        found += stage_findings(overview)
        ids = await read_ids(streams, stream)
        if ids is not None:
            faults = judge_ids(ids, retention_seconds=config.intake.retention_seconds)
            found += [warning(NAME, each.what, each.fix) for each in faults]
        failing |= await RateLimits(streams).failing(stream)
    return [*found, *failing_findings(failing, tuple(config.channels))]


def failing_findings(failing: Mapping[str, Failing], channels: Sequence[str]) -> list[Finding]:
    """Judge the channels that delivery reports as failing."""
    return [
        fault(NAME, f"channel {name} is {each.described()}", hint(each.status))
        for name, each in failing.items()
        if name in channels
    ]


async def check_lanes(streams: Streams, config: Config) -> list[Finding]:
    """Check the lanes of removed channels; raises StreamError."""
    found = []
    for stream in config.streams:
        waiting = {
            name: sum(both) for name, both in (await lanes_waiting(streams, stream)).items()
        }
        found += lane_findings(stream, waiting, config)
    return found


def stage_findings(overview: EventStreamStats) -> list[Finding]:
    """Judge one event stream."""
    found = [
        *_stage("intake", overview.stream, overview.events),
        *_delivery(overview),
        *_stage("recorder", overview.stream, overview.outcomes),
    ]
    for (channel, urgency), lane in overview.lanes.items():
        if lane.oldest_seconds >= _OLD_SECONDS:
            many = (
                f"1 {urgency} notification waits"
                if lane.waiting == 1
                else f"{lane.waiting} {urgency} notifications wait"
            )
            what = f"{many} for {channel} in {overview.stream}, the oldest for {duration(lane.oldest_seconds)}"
            fix = f"see what holds the channel back: notifier top; its webhook: notifier doctor --send-test {channel}"
            found.append(warning(NAME, what, fix))
    return [*found, _dead(overview)]


def lane_findings(stream: str, waiting: Mapping[str, int], config: Config) -> list[Finding]:
    """Judge the lanes of removed channels."""
    found = [
        warning(
            LANES,
            f"{'1 notification waits' if count == 1 else f'{count} notifications wait'} in {stream} for {channel}, a removed channel: no daemon delivers them",
            f"add it to [channels], or make dead letters of them: notifier lanes drain {channel}",
        )
        for channel, count in sorted(waiting.items())
        if count and channel not in config.channels
    ]
    return found or [ok(LANES, f"none of channels that were taken away in {stream}")]


def _stage(stage: str, stream: str, state: StreamStats) -> list[Finding]:
    waiting = _waiting(state.waiting)
    if not state.group:
        return [_never_run(stage, stream, state.waiting)]
    if _unseen([state]):
        since = f", the oldest for {duration(state.oldest_seconds)}" if state.waiting else ""
        judged = fault if state.waiting else warning
        return [
            judged(
                NAME, f"no process runs the stage {stage} of {stream}{waiting}{since}", _START
            )
        ]
    if state.oldest_seconds >= _OLD_SECONDS:
        what = f"{stage} of {stream} is behind{waiting}, the oldest for {duration(state.oldest_seconds)}"
        return [
            warning(NAME, what, "see /readyz and the log of the daemon for what holds it up")
        ]
    return [ok(NAME, f"{stage} of {stream}{waiting or ', nothing waits'}")]


def _delivery(overview: EventStreamStats) -> list[Finding]:
    # That a lane is not read says nothing of the stage: its channel may have asked for a pause, or its breaker may be open.
    # A process that serves lanes is still active in them.
    waiting = sum(lane.waiting for lane in overview.lanes.values())
    if not any(lane.group for lane in overview.lanes.values()):
        return [_never_run("delivery", overview.stream, waiting)]
    if _unseen(list(overview.lanes.values())):
        judged = fault if waiting else warning
        what = f"no process runs the stage delivery of {overview.stream}{_waiting(waiting)}"
        return [judged(NAME, what, _START)]
    return [ok(NAME, f"delivery of {overview.stream}{_waiting(waiting) or ', nothing waits'}")]


def _never_run(stage: str, stream: str, waiting: int) -> Finding:
    judged = fault if waiting else warning
    return judged(
        NAME,
        f"no process has ever run the stage {stage} of {stream}{_waiting(waiting)}",
        _START,
    )


def _unseen(states: Sequence[StreamStats]) -> bool:
    """Tell whether no consumer of these streams was active lately.

    Consumers show themselves with and without work.
    """
    return all(
        state.silent_seconds is None or state.silent_seconds >= _SILENT_SECONDS
        for state in states
    )


def _waiting(count: int) -> str:
    if not count:
        return ""
    return ", 1 entry waits" if count == 1 else f", {count} entries wait"


def _dead(overview: EventStreamStats) -> Finding:
    count = overview.dead.length
    if not count:
        return ok(DEAD, f"none in {overview.stream}")
    what = f"{count} in {overview.stream}, the oldest from {duration(overview.dead.oldest_seconds)} ago"
    return warning(DEAD, what, "notifier dlq list; then notifier dlq replay or discard")
