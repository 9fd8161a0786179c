"""Check that stages work, that nothing waits long, and for old lanes."""

from __future__ import annotations

from collections.abc import Sequence

from notifier.broker.rate_limit import Failing, RateLimits
from notifier.broker.stats import EventStreamStats, StreamStats, event_stream_stats
from notifier.broker.stream_ids import judge_ids, read_ids
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.dead_letters.abandoned_lanes import lanes_waiting
from notifier.teams.response import hint
from notifier.telemetry.clock import duration
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
    return [
        *found,
        *(
            fault(NAME, f"channel {name} is {each.described()}", hint(each.status))
            for name, each in failing.items()
            if name in config.channels
        ),
    ]


async def check_lanes(streams: Streams, config: Config) -> list[Finding]:
    """Check the lanes of removed channels; raises StreamError."""
    found: list[Finding] = []
    for stream in config.streams:
        waiting = {
            channel: sum(both)
            for channel, both in (await lanes_waiting(streams, stream)).items()
            if sum(both) and channel not in config.channels
        }
        found += [
            warning(
                LANES,
                f"{_waiting(count, 'notification')} in {stream} for {channel}, a removed channel: no daemon delivers them",
                f"add it to [channels], or make dead letters of them: notifier lanes drain {channel}",
            )
            for channel, count in sorted(waiting.items())
        ] or [ok(LANES, f"none of removed channels in {stream}")]
    return found


def stage_findings(overview: EventStreamStats) -> list[Finding]:
    """Judge one event stream."""
    # A lane may rest because of a pause or a breaker: what waits there says nothing of the stage.
    found = [
        _stage("intake", overview.stream, [overview.events], may_rest=False),
        _stage("delivery", overview.stream, list(overview.lanes.values()), may_rest=True),
        _stage("recorder", overview.stream, [overview.outcomes], may_rest=False),
    ]
    for (channel, urgency), lane in overview.lanes.items():
        if lane.oldest_seconds >= _OLD_SECONDS:
            waiting = _waiting(lane.waiting, f"{urgency} notification")
            what = f"{waiting} for {channel} in {overview.stream}, the oldest for {duration(lane.oldest_seconds)}"
            fix = f"see why the channel is held back: notifier top; its webhook: notifier doctor --send-test {channel}"
            found.append(warning(NAME, what, fix))
    return [*found, _dead(overview)]


def _stage(
    stage: str, stream: str, states: Sequence[StreamStats], *, may_rest: bool
) -> Finding:
    count = sum(state.waiting for state in states)
    oldest = max((state.oldest_seconds for state in states), default=0.0)
    waiting = f", {_waiting(count, 'entry')}" if count else ""
    since = f", the oldest for {duration(oldest)}" if count else ""
    judged = fault if count else warning
    if not any(state.group for state in states):
        what = f"no process has ever run the stage {stage} of {stream}{waiting}"
        return judged(NAME, what, _START)
    silences = [state.silent_seconds for state in states]
    # Consumers are active also without work.
    if all(each is None or each >= _SILENT_SECONDS for each in silences):
        what = f"no process runs the stage {stage} of {stream}{waiting}{since}"
        return judged(NAME, what, _START)
    if oldest >= _OLD_SECONDS and not may_rest:
        what = f"{stage} of {stream} is behind{waiting}{since}"
        return warning(NAME, what, "see /readyz and the log of the daemon for the cause")
    return ok(NAME, f"{stage} of {stream}{waiting or ', nothing waits'}")


def _waiting(count: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"1 {noun} waits" if count == 1 else f"{count} {many} wait"


def _dead(overview: EventStreamStats) -> Finding:
    count = overview.dead.length
    if not count:
        return ok(DEAD, f"none in {overview.stream}")
    what = f"{count} in {overview.stream}, the oldest from {duration(overview.dead.oldest_seconds)} ago"
    return warning(DEAD, what, "notifier dlq list; then notifier dlq replay or discard")
