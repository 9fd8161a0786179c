"""What waits, whether somebody works on it, and what lies where nobody looks."""

from __future__ import annotations

from notifier.config import Config
from notifier.doctor.findings import Finding, fault, fine, warning
from notifier.streams.connection import Client
from notifier.streams.lanes import FoundLanes, find_lanes
from notifier.streams.overview import Lookout, Overview, StreamState

NAME = "stages"
LANES = "old lanes"
DEAD = "dead letters"
_SILENT_SECONDS = 60.0
"""Longer than the longest redis.block_seconds, after which a stage asks again."""
_OLD_SECONDS = 300.0
_START = "start a process with this stage: systemctl start notifier, or notifier run"


async def look_at_stages(client: Client, config: Config) -> list[Finding]:
    """Return the findings about readers and backlogs of every event stream; raises StreamError."""
    lookout = Lookout(client, config.redis)
    found = []
    for stream in config.streams:
        overview = await lookout.overview(stream, tuple(config.channels))
        found += stage_findings(overview)
    return found


async def look_for_old_lanes(client: Client, config: Config) -> list[Finding]:
    """Return the findings about lanes of channels that are not in the settings; raises StreamError."""
    found = []
    for stream in config.streams:
        lanes = await find_lanes(client, config.redis, stream)
        found += lane_findings(stream, lanes, config)
    return found


def stage_findings(overview: Overview) -> list[Finding]:
    """Judge one event stream."""
    found = [
        *_stage("intake", overview.stream, overview.events),
        *_delivery(overview),
        *_stage("recorder", overview.stream, overview.outcomes),
    ]
    for (channel, urgency), lane in overview.lanes.items():
        if lane.oldest_seconds >= _OLD_SECONDS:
            what = f"{lane.waiting} {urgency} notifications wait for {channel} in {overview.stream}, the oldest for {_age(lane.oldest_seconds)}"
            fix = f"see what holds the channel back: notifier top; its webhook: notifier doctor --send-test {channel}"
            found.append(warning(NAME, what, fix))
    return [*found, _dead(overview)]


def lane_findings(stream: str, lanes: FoundLanes | None, config: Config) -> list[Finding]:
    """Judge what lanes were found in Redis."""
    if lanes is None:
        return [
            warning(
                LANES,
                f"not looked for in {stream}: this user may not SCAN",
                "ACL SETUSER <user> +scan",
            )
        ]
    old = {
        name: count for name, count in lanes.by_channel.items() if name not in config.channels
    }
    found = [
        warning(
            LANES,
            f"{count} notifications lie in {stream} for {channel}, which is no channel any more: nobody reads them",
            f"put {channel} back under [channels] until they are delivered",
        )
        for channel, count in sorted(old.items())
    ]
    if not lanes.complete:
        what = f"Redis holds too many keys to look for old lanes of {stream} in all of them"
        found.append(warning(LANES, what, "none is needed if no channel was ever taken away"))
    return found or [fine(LANES, f"none of channels that were taken away in {stream}")]


def _stage(stage: str, stream: str, state: StreamState) -> list[Finding]:
    waiting = _waiting(state.waiting)
    if not state.group:
        return [_nobody(stage, stream, state.waiting)]
    if state.oldest_seconds >= _SILENT_SECONDS <= (state.silent_seconds or _SILENT_SECONDS):
        what = f"nobody works as {stage} of {stream}{waiting}, the oldest for {_age(state.oldest_seconds)}"
        return [fault(NAME, what, _START)]
    if state.oldest_seconds >= _OLD_SECONDS:
        what = f"{stage} of {stream} is behind{waiting}, the oldest for {_age(state.oldest_seconds)}"
        return [
            warning(NAME, what, "see /readyz and the log of the daemon for what holds it up")
        ]
    return [fine(NAME, f"{stage} of {stream}{waiting or ', nothing waits'}")]


def _delivery(overview: Overview) -> list[Finding]:
    # That a lane is not read says nothing of the stage: its channel may have asked for a pause, or its breaker may be open.
    waiting = sum(lane.waiting for lane in overview.lanes.values())
    if not any(lane.group for lane in overview.lanes.values()):
        return [_nobody("delivery", overview.stream, waiting)]
    return [
        fine(NAME, f"delivery of {overview.stream}{_waiting(waiting) or ', nothing waits'}")
    ]


def _nobody(stage: str, stream: str, waiting: int) -> Finding:
    judged = fault if waiting else warning
    return judged(
        NAME, f"nobody has ever worked as {stage} of {stream}{_waiting(waiting)}", _START
    )


def _waiting(count: int) -> str:
    if not count:
        return ""
    return ", 1 entry waits" if count == 1 else f", {count} entries wait"


def _dead(overview: Overview) -> Finding:
    count = overview.dead.length
    if not count:
        return fine(DEAD, f"none in {overview.stream}")
    what = f"{count} in {overview.stream}, the oldest from {_age(overview.dead.oldest_seconds)} ago"
    return warning(DEAD, what, "notifier dlq list; then notifier dlq replay or discard")


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
