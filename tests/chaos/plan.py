"""The plan of a run, from its seed alone: events, answers, kills. Pure."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import StrEnum

from notifier.events.notification import notification_id

CHANNELS = (
    "security_eng", "cloudops", "runtime_eng", "devops", "sre", "compliance", "nphies_integration", "pmo",
)  # fmt: skip
NO_CHANNEL = "nobody"
"""A stakeholder that is not a channel."""


@dataclass(frozen=True)
class Settings:
    """The whole input of a run; a run with the same settings does the same."""

    seed: int = 1
    events: int = 2000
    kills: int = 20
    daemons: int = 3
    producers: int = 4
    rate: float = 60.0
    """Events a second that the producers offer together."""
    appendfsync: str = "always"


class Target(StrEnum):
    """What is hit."""

    DAEMON = "daemon"
    REDIS = "redis"
    POSTGRES = "postgres"
    CHANNEL = "channel"
    """Not a kill: the channel answers 503 for a while."""
    NETWORK = "network"
    """Not a kill: the way to a server is slow, cut or worse for a while."""


class Way(StrEnum):
    """Where connections of the daemons lead."""

    REDIS = "redis"
    POSTGRES = "postgres"
    RECEIVER = "receiver"


class Fault(StrEnum):
    """What is wrong with a way."""

    DELAY = "delay"
    HALVE = "halve"
    BREAK = "break"
    """Connections end after half of what comes through next."""
    CUT = "cut"
    HANG = "hang"


FAULTS = tuple((way, fault) for fault in Fault for way in Way)


@dataclass(frozen=True)
class Action:
    """Hit `target` after `after` events, and restore it `seconds` later."""

    number: int
    after: int
    target: Target
    which: int
    seconds: float


class Kind(StrEnum):
    """What an event is made to become."""

    ROUTED = "routed"
    HALF_ROUTED = "half routed"
    """One of its stakeholders is not a channel: a dead letter beside the cards."""
    INVALID = "invalid"
    """Has no type: a dead letter and nothing else."""


@dataclass(frozen=True)
class Event:
    """What a producer publishes."""

    id: str
    kind: Kind
    channels: tuple[str, ...]
    fields: dict[str, str]
    twice: bool
    """The producer behaves as if the first answer had been lost: it publishes it again."""


class Answer(StrEnum):
    """What the receiver does with one post."""

    ACCEPT = "202"
    ACCEPT_SLOWLY = "202 slowly"
    PAUSE = "429"
    FAIL = "500"
    UNAVAILABLE = "503"
    REFUSE = "400"
    RESET = "reset"
    HANG = "time-out"


ACCEPTED = frozenset({Answer.ACCEPT, Answer.ACCEPT_SLOWLY})

_ANSWERS = {
    Answer.ACCEPT: 880, Answer.ACCEPT_SLOWLY: 30, Answer.PAUSE: 8, Answer.FAIL: 30, Answer.UNAVAILABLE: 15,
    Answer.REFUSE: 5, Answer.RESET: 28, Answer.HANG: 4,
}  # fmt: skip


def event(settings: Settings, number: int) -> Event:
    """Return the event of this number."""
    dice = random.Random(f"{settings.seed}/event/{number}")
    event_id = f"chaos-{settings.seed}-{number}"
    count = dice.choices((1, 2, 3, 8), weights=(80, 13, 6, 1))[0]
    channels = tuple(dice.sample(CHANNELS, count))
    kind = dice.choices((Kind.ROUTED, Kind.HALF_ROUTED, Kind.INVALID), weights=(97, 1, 2))[0]
    named = (*channels, NO_CHANNEL) if kind is Kind.HALF_ROUTED else channels
    fields = {
        "id": event_id,
        "correlation_id": event_id,
        "stakeholders": ",".join(named),
        "priority": dice.choice(("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")),
        "data": json.dumps(
            {"claim_id": f"CLM-{number}", "note": "n" * dice.choice((10, 100, 2000))}
        ),
    }
    twice = dice.random() < 0.02
    if kind is Kind.INVALID:
        return Event(event_id, kind, (), fields, twice)
    return Event(event_id, kind, channels, {"type": "chaos.event", **fields}, twice)


def answer(settings: Settings, channel: str, event_id: str, time: int) -> Answer:
    """Return how the receiver answers post number `time` (from 0) of a card."""
    dice = random.Random(f"{settings.seed}/answer/{channel}/{event_id}/{time}")
    return dice.choices(list(_ANSWERS), weights=list(_ANSWERS.values()))[0]


STREAM = "teams:events"
CHAINS: dict[str, tuple[str, ...]] = {
    "CRITICAL": ("nphies_integration", "devops"),
    "HIGH": ("pmo",),
}
ESCALATION = """
[escalation]
poll_seconds = 0.5
CRITICAL = { after_seconds = 2, chain = ["nphies_integration", "devops"] }
HIGH = { after_seconds = 3, chain = ["pmo"] }
"""
"""Nobody answers in a run: what is not CRITICAL or HIGH escalates after hours, as shipped."""


def escalations(planned: Event) -> list[tuple[str, str]]:
    """Return id and channel of each escalation that must follow."""
    chain = CHAINS.get(planned.fields["priority"], ())
    if not planned.channels:
        return []
    while len(chain) > 1 and chain[0] in planned.channels:
        chain = chain[1:]
    lead = notification_id(STREAM, planned.id, planned.channels[0])
    return [(f"escalation:{lead}:{step}", channel) for step, channel in enumerate(chain, 1)]


def notifications(planned: Event) -> dict[str, str]:
    """Return the event id of every card that must come, by notification id."""
    pairs = [*((planned.id, channel) for channel in planned.channels), *escalations(planned)]
    return {notification_id(STREAM, event_id, channel): event_id for event_id, channel in pairs}


def actions(settings: Settings) -> list[Action]:
    """Return what is hit, in order.

    A tenth of the kills falls on Redis, a tenth on Postgres, at least one on each; the network is disturbed half as often.
    """
    dice = random.Random(f"{settings.seed}/actions")
    servers = max(1, settings.kills // 10)
    targets = [Target.REDIS] * servers + [Target.POSTGRES] * servers
    targets += [Target.DAEMON] * max(1, settings.kills - len(targets))
    targets += [Target.CHANNEL] * max(1, settings.kills // 20)
    targets += [Target.NETWORK] * max(1, settings.kills // 2)
    dice.shuffle(targets)
    first, last = settings.events * 2 // 100, settings.events * 98 // 100
    moments = sorted(dice.randint(first, last) for _ in targets)
    return [
        Action(number, after, target, *_details(dice, settings, target))
        for number, (after, target) in enumerate(zip(moments, targets, strict=True))
    ]


def _details(dice: random.Random, settings: Settings, target: Target) -> tuple[int, float]:
    match target:
        case Target.DAEMON:
            return dice.randrange(settings.daemons), dice.uniform(0, 2)
        case Target.REDIS:
            # Now and then for longer than a lease.
            return 0, dice.choice((dice.uniform(0, 1), dice.uniform(0, 2), dice.uniform(5, 8)))
        case Target.POSTGRES:
            return 0, dice.uniform(0, 5)
        case Target.CHANNEL:
            return dice.randrange(len(CHANNELS)), dice.uniform(1, 5)
        case Target.NETWORK:
            # Now and then for longer than a lease, and than readiness may need to say so.
            return dice.randrange(len(FAULTS)), dice.choice(
                (dice.uniform(0.2, 1), dice.uniform(1, 3), dice.uniform(7, 8))
            )
