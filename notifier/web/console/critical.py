"""The page of critical events that still need an acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from notifier.escalation.policy import Case, Escalate, Finished, Matrix, Step, Wait, chain_of
from notifier.events.entry import Priority
from notifier.web.console.pages import ConsoleDependencies, Pages, Unavailable, read_from
from notifier.web.console.repository import UnacknowledgedEvent


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next channel of an escalation; `at` None: now."""

    channel: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class CriticalView:
    """A critical event that at least one channel has not acknowledged."""

    event: UnacknowledgedEvent
    escalated_to: tuple[str, ...]
    next: NextStep | None
    """None: the escalation has ended."""


def critical_views(
    events: Sequence[UnacknowledgedEvent], matrix: Matrix, now: datetime
) -> tuple[list[CriticalView], list[CriticalView]]:
    """Return the events without acknowledgement, and those with one elsewhere."""
    views = [_view(event, matrix, now) for event in events]
    return (
        [view for view in views if view.event.acknowledged_by is None],
        [view for view in views if view.event.acknowledged_by is not None],
    )


def _view(event: UnacknowledgedEvent, matrix: Matrix, now: datetime) -> CriticalView:
    escalated_to = tuple(dict.fromkeys(channel for _, channel, _ in event.steps))
    if event.acknowledged_by is not None or not matrix.enabled:
        return CriticalView(event, escalated_to, None)
    channels = tuple(event.stakeholders) or event.channels
    case = Case(
        Priority.CRITICAL,
        event.since,
        channels,
        tuple(Step(*step) for step in event.steps),
        acknowledged=False,
    )
    following: NextStep | None
    match matrix.decide(case, now):
        case Finished():
            following = None
        case Escalate(_, channel, _):
            following = NextStep(channel, None)
        case Wait(until):
            chain = chain_of(matrix.rules[Priority.CRITICAL], channels)
            following = NextStep(chain[len(case.steps)], until)
    return CriticalView(event, escalated_to, following)


class CriticalPage:
    """GET /console/critical."""

    def __init__(self, dependencies: ConsoleDependencies, pages: Pages) -> None:
        self._dependencies = dependencies
        self._pages = pages

    async def show(self, request: web.Request) -> web.Response:
        """List the critical events that still need an acknowledgement."""
        config, now = self._dependencies.config(), self._dependencies.now()
        found = await read_from("Postgres", self._dependencies.store.unacknowledged())
        matrix = Matrix.of(config.escalation, config.business_hours)
        waiting, acknowledged = critical_views(
            () if isinstance(found, Unavailable) else found, matrix, now
        )
        return self._pages.page(
            request, "critical.html", found=found, waiting=waiting, acknowledged=acknowledged
        )
