"""Search Postgres and Redis for an id; one of them may be away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import replace

from notifier.broker.errors import stream_error
from notifier.broker.streams import Streams
from notifier.config import Config
from notifier.errors import ExitCode, NotifierError, StoreError, StreamError
from notifier.escalation.actions import Actions
from notifier.ops.trace.models import Searched, TraceResult
from notifier.ops.trace.repository import Recorded, TraceRepository
from notifier.ops.trace.streams import Search, look_up, search_streams
from notifier.ops.trace.timeline import events_of_dead_letters, identities, timelines
from notifier.store.database import Connect
from notifier.telemetry.clock import duration

_LONGEST_ID = 250
_REDIS_SECONDS = 20.0
_NOTHING = Recorded()


class IdError(NotifierError):
    """The text cannot be an id."""

    exit_code = ExitCode.USAGE


class TraceSearch:
    """Finds the timelines of an id; safe to use from many tasks."""

    def __init__(self, streams: Streams, connect: Connect) -> None:
        self._streams = streams
        self._actions = Actions(streams, remember_seconds=0)
        self._store = TraceRepository(connect)

    async def find(
        self, config: Config, text: str, *, limit: int = 20, cards: bool = False
    ) -> TraceResult:
        """Return the timelines and entries of an id.

        It may be the id of an event, entry, notification, digest, dead letter or trace, or a correlation or claim id.
        If a server is away, TraceResult.searched names it; nothing is raised.

        Args:
            config: The settings in force: streams, channels, and how long things are kept.
            text: The id; ids are compared exactly.
            limit: Notifications at most, newest first.
            cards: Whether to return the cards as they were sent, patient data masked and without the links that act.

        Raises:
            IdError: The text cannot be an id.
        """
        text = text.strip()
        if not text or len(text) > _LONGEST_ID or not text.isprintable():
            raise IdError(f"an id has 1 to {_LONGEST_ID} characters, and no control characters")
        search = Search(config, text, limit, cards)
        redis_works = await self._in_redis(search, look_up(search, self._streams))
        recorded = await self._recorded(search)
        if redis_works:
            await self._in_redis(search, self._search_streams(search, recorded))
        found = timelines(recorded, search.hits, cards=cards)
        shown = {each for timeline in found[:limit] for each in timeline.dead_letter_actions}
        result = TraceResult(
            text,
            tuple(found[:limit]),
            tuple(sorted(search.published.values(), key=lambda each: each.at, reverse=True)),
            tuple(letter for letter, owner in search.hits.dead_letters if owner is None),
            tuple(each for each in recorded.dead_letter_actions if each not in shown),
            len(found) > limit or search.more,
            tuple(search.searched),
            (),
        )
        return replace(result, causes=_causes_of(result, config)) if result.nothing else result

    async def _search_streams(self, search: Search, recorded: Recorded) -> None:
        known = [(row.stream, row.entry_id) for row in recorded.rows]
        await search_streams(search, self._streams, known)
        ids = list(identities(recorded, search.hits))[: search.limit]
        for notification_id, action in (await self._actions.actions_on(ids)).items():
            # An action on another card of the event is known under this id too.
            if action.notification_id == notification_id:
                search.hits.actions[notification_id] = action

    async def _in_redis(self, search: Search, work: Coroutine[None, None, None]) -> bool:
        """Wait for a search in Redis; return whether it was possible."""
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                await work
        except StreamError as exc:
            problem = str(exc)
        except TimeoutError as exc:
            problem = str(stream_error(search.config.redis.url, exc))
        else:
            return True
        how = "event streams, lanes, outcomes and dead letters"
        search.searched.append(Searched("Redis", how, whole=False, problem=problem))
        return False

    async def _recorded(self, search: Search) -> Recorded:
        how = "by notification, event, correlation, claim, digest and trace id"
        try:
            recorded = await self._asked(search)
            search.events = events_of_dead_letters(recorded, search.text)
            if search.events:
                recorded = await self._asked(search)
        except StoreError as exc:
            search.searched.append(Searched("Postgres", how, whole=False, problem=str(exc)))
            return _NOTHING
        search.searched.append(Searched("Postgres, teams_notifications", how, whole=True))
        return recorded

    async def _asked(self, search: Search) -> Recorded:
        return await self._store.find(
            search.text,
            uuid=uuid_of(search.text),
            event_ids=sorted(search.ids),
            streams=search.config.streams,
            limit=search.limit + 1,
            cards=search.cards,
        )


def uuid_of(text: str) -> str | None:
    """Return a UUID as Postgres writes it; None if it is not one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def _causes_of(found: TraceResult, config: Config) -> tuple[str, ...]:
    """Return possible causes, the likeliest first."""
    away = [each.place.partition(",")[0] for each in found.searched if each.problem]
    partly = [each.place for each in found.searched if not each.whole and not each.problem]
    intake, audit = config.intake, config.audit
    streams = ", ".join(config.streams)
    causes = [f"{name} could not be asked: ask again when it is back" for name in away]
    if partly:
        causes.append(
            f"it is in the middle of a long stream ({'; '.join(partly)}): give its event or entry id, which is looked up directly"
        )
    causes += [
        f"it was never published to {streams}, or to another Redis: ask its producer what XADD returned",
        "another id is meant: ids are compared exactly, and patients' ids cannot be searched for, because they are masked",
        f"a second event with an id that was accepted within {duration(intake.event_ttl_seconds)} is dropped as a duplicate: look for the id that both share",
        f"it is older than what is kept: events {duration(intake.retention_seconds)} in Redis, rows {audit.retention_days} days "
        f"(CRITICAL {audit.critical_retention_days}) in Postgres",
    ]
    return tuple(causes)
