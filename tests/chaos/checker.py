"""Compare published events with the receiver, the table and dead letters.

Knows the promises of docs/how-to/publish-events.md and docs/how-to/redis.md and nothing of how they are kept.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.witness import Heard

Pair = tuple[str, str]
"""An event id and a channel."""

CLOCK_SLACK_SECONDS = 1.0
"""A post that was on its way when its sender was killed may be answered a little later."""
AOF_SECONDS = 2.0
"""With appendfsync everysec Redis answers up to 2 s before it writes (it waits that long for an fsync in progress)."""
_SHOWN = 20


@dataclass(frozen=True)
class Published:
    """An event that a producer handed over: Redis has answered its XADD."""

    id: str
    channels: tuple[str, ...]
    dead: str | None
    """The reason of the dead letter that it must leave besides, if any."""
    accepted_at: float
    tries: int = 1
    escalations: tuple[Pair, ...] = ()
    """What must follow, since nobody answers."""


@dataclass(frozen=True)
class Post:
    """One request at the receiver."""

    event_id: str
    channel: str
    accepted: bool
    at: float


@dataclass(frozen=True)
class Row:
    """One row of teams_notifications."""

    event_id: str
    channel: str
    status: str


@dataclass(frozen=True)
class Letter:
    """One dead letter; its channel is empty if it never was a notification."""

    event_id: str
    channel: str
    reason: str


@dataclass(frozen=True)
class Kill:
    """A kill or cut that ended posts in flight, and their highest number.

    It hits one daemon, all daemons with the run itself, Redis, or the network.
    """

    at: float
    what: str
    in_flight: int
    until: float = 0.0
    """When it was back; while Redis is away nothing that was posted can be noted. 0 = at once."""

    def explains(self, first: float, second: float) -> bool:
        """Return whether it allows a second post of a card at these times."""
        return self.at <= second and max(self.at, self.until) >= first - CLOCK_SLACK_SECONDS


@dataclass(frozen=True)
class Evidence:
    """Everything that was seen."""

    published: Sequence[Published]
    posts: Sequence[Post]
    rows: Sequence[Row]
    letters: Sequence[Letter]
    kills: Sequence[Kill]
    left: Mapping[str, int]
    """What still waits in Redis, by key."""
    redis_may_forget: bool
    """appendfsync is not always."""
    escalated_at: Mapping[Pair, float] = field(default_factory=dict)
    """When each step was written down, by id and channel of the escalation."""
    readiness: Heard = field(default_factory=lambda: Heard([]))


@dataclass
class Verdict:
    """Figures, and what is wrong."""

    figures: dict[str, int | str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def wrong(self, what: str, found: Iterable[object]) -> int:
        """Note every finding as a violation; returns how many there are."""
        names = sorted(str(each) for each in found)
        if names:
            more = f" … {len(names)} in all" if len(names) > _SHOWN else ""
            self.violations.append(f"{what}: {', '.join(names[:_SHOWN])}{more}")
        return len(names)


def judge(evidence: Evidence) -> Verdict:
    """Compare everything with everything."""
    verdict = Verdict()
    forgotten = _forgotten(evidence)
    kept = [event for event in evidence.published if event.id not in forgotten]
    following = {pair for event in kept for pair in event.escalations}
    unexpected = evidence.escalated_at.keys() - following
    following -= _forgotten_steps(evidence, following)
    expected = {(event.id, channel) for event in kept for channel in event.channels} | following
    accepted = _accepted(evidence.posts)
    verdict.figures |= {
        "events published": len(evidence.published),
        "XADD repeated by producers": sum(event.tries - 1 for event in evidence.published),
        "notifications expected": len(expected),
        "escalations expected": len(following),
    }
    verdict.figures["answers of /readyz judged"] = evidence.readiness.judged
    verdict.figures["untrue answers of /readyz"] = verdict.wrong(
        "/readyz", evidence.readiness.lies
    )
    verdict.wrong("escalated though it must not", unexpected)
    _check_rows(verdict, evidence, expected, accepted)
    _check_dead(verdict, evidence, kept)
    _check_loss(verdict, evidence, expected, accepted, forgotten)
    _check_repeats(verdict, evidence, accepted)
    verdict.wrong("left in Redis", (f"{key}={count}" for key, count in evidence.left.items()))
    return verdict


def _accepted(posts: Sequence[Post]) -> dict[Pair, list[float]]:
    times: defaultdict[Pair, list[float]] = defaultdict(list)
    for post in posts:
        if post.accepted:
            times[post.event_id, post.channel].append(post.at)
    return {pair: sorted(found) for pair, found in times.items()}


def _forgotten(evidence: Evidence) -> set[str]:
    """Return the events without a trace that a killed Redis may have lost."""
    if not evidence.redis_may_forget:
        return set()
    known = {row.event_id for row in evidence.rows}
    known |= {letter.event_id for letter in evidence.letters}
    kills = [kill.at for kill in evidence.kills if kill.what == "redis"]
    return {
        event.id
        for event in evidence.published
        if event.id not in known
        and any(0 <= at - event.accepted_at <= AOF_SECONDS for at in kills)
    }


def _forgotten_steps(evidence: Evidence, following: set[Pair]) -> set[Pair]:
    """Return the escalations without a trace that a killed Redis may lose.

    Nobody publishes them again.
    """
    if not evidence.redis_may_forget:
        return set()
    known = {(row.event_id, row.channel) for row in evidence.rows}
    kills = [kill.at for kill in evidence.kills if kill.what == "redis"]
    return {
        pair
        for pair in following - known
        if any(
            0 <= at - evidence.escalated_at.get(pair, 0.0) <= AOF_SECONDS + CLOCK_SLACK_SECONDS
            for at in kills
        )
    }


def _check_rows(
    verdict: Verdict,
    evidence: Evidence,
    expected: set[Pair],
    accepted: Mapping[Pair, list[float]],
) -> None:
    counts = Counter((row.event_id, row.channel) for row in evidence.rows)
    status = Counter(row.status for row in evidence.rows)
    letters = {(letter.event_id, letter.channel) for letter in evidence.letters}
    delivered = {(r.event_id, r.channel) for r in evidence.rows if r.status == "delivered"}
    ended = {(r.event_id, r.channel) for r in evidence.rows if r.status == "dead_lettered"}
    verdict.figures |= {
        "rows": len(evidence.rows),
        "delivered": status["delivered"],
        "dead-lettered": status["dead_lettered"],
        "not exactly one row": verdict.wrong(
            "not exactly one row", (pair for pair in expected if counts[pair] != 1)
        ),
    }
    verdict.wrong("row of nothing published", counts.keys() - expected)
    verdict.wrong(
        "delivered, says the row; the receiver knows nothing", delivered - accepted.keys()
    )
    verdict.wrong("dead-lettered, says the row; there is no dead letter", ended - letters)


def _check_dead(verdict: Verdict, evidence: Evidence, kept: Sequence[Published]) -> None:
    """Check that every dead letter has a reason, and that none is missing."""
    counts = Counter((each.event_id, each.channel, each.reason) for each in evidence.letters)
    ended = {(r.event_id, r.channel) for r in evidence.rows if r.status == "dead_lettered"}
    must = {(event.id, "", event.dead): event for event in kept if event.dead is not None}
    verdict.figures["dead letters of events"] = sum(counts[key] for key in must)
    verdict.wrong("dead letter missing", (key[0] for key in must if not counts[key]))
    for key, count in counts.items():
        event_id, channel, reason = key
        # An entry that is not an event has no identity, so it may come once for each XADD.
        most = must[key].tries if key in must and reason == "invalid_event" else 1
        if count > most:
            verdict.wrong("dead letter repeated", [key])
        if key not in must and (event_id, channel) not in ended:
            verdict.wrong("dead letter of nothing that failed", [key])


def _check_loss(
    verdict: Verdict,
    evidence: Evidence,
    expected: set[Pair],
    accepted: Mapping[Pair, list[float]],
    forgotten: set[str],
) -> None:
    ended = {(each.event_id, each.channel) for each in evidence.letters}
    lost = expected - accepted.keys() - ended
    verdict.figures["lost"] = verdict.wrong("lost", lost)
    if evidence.redis_may_forget:
        verdict.figures["XADDs that Redis forgot"] = len(forgotten)


def _check_repeats(
    verdict: Verdict, evidence: Evidence, accepted: Mapping[Pair, list[float]]
) -> None:
    """Check each repeated card: a kill between its posts, and not too many."""
    kills = sorted(evidence.kills, key=lambda kill: kill.at)
    per_kill: Counter[int] = Counter()
    unexplained = []
    for pair, times in accepted.items():
        for first, second in itertools.pairwise(times):
            here = max(
                (n for n, kill in enumerate(kills) if kill.explains(first, second)),
                key=lambda n: kills[n].in_flight - per_kill[n],
                default=None,
            )
            if here is not None:
                per_kill[here] += 1
            else:
                unexplained.append(pair)
    most = per_kill.most_common(1)
    verdict.figures |= {
        "posts": len(evidence.posts),
        "posts accepted": sum(len(times) for times in accepted.values()),
        "cards repeated": sum(per_kill.values()) + len(unexplained),
        "kills that repeated a card": len(per_kill),
        "most cards repeated by one kill": f"{most[0][1]} of {kills[most[0][0]].in_flight}"
        if most
        else "0",
    }
    verdict.wrong("repeated without a kill", unexplained)
    for index, count in per_kill.items():
        kill = kills[index]
        if count > kill.in_flight:
            verdict.wrong(
                "more repeated than were in flight",
                [f"{count} > {kill.in_flight} ({kill.what} at {kill.at:.1f})"],
            )
