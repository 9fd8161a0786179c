"""Find everything that an id stands for, in Postgres and in Redis; either may be away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import replace

from notifier.broker.client import Client
from notifier.broker.errors import stream_error
from notifier.broker.search import StreamSearch
from notifier.config import Config
from notifier.config.models import RedisSettings
from notifier.errors import ExitCode, NotifierError, StoreError, StreamError
from notifier.escalation.actions import Actions
from notifier.ops.trace.assembly import assemble, events_revived, identities
from notifier.ops.trace.causes import causes_of
from notifier.ops.trace.models import Looked, TraceResult
from notifier.ops.trace.repository import Recorded, TraceRepository
from notifier.ops.trace.sighting import Search, look_through, look_up
from notifier.store.database import Connect

_LONGEST_ID = 250
_REDIS_SECONDS = 20.0
_NOTHING = Recorded()


class IdError(NotifierError):
    """What was given cannot be an id."""

    exit_code = ExitCode.USAGE


class TraceSearch:
    """Finds what an id stands for; safe to use from many tasks."""

    def __init__(self, client: Client, redis: RedisSettings, connect: Connect) -> None:
        self._peek = StreamSearch(client, redis)
        self._actions = Actions(client, redis, remember_seconds=0)
        self._store = TraceRepository(connect)

    async def find(
        self, config: Config, text: str, *, limit: int = 20, cards: bool = False
    ) -> TraceResult:
        """Return everything that an event, entry, notification, digest, correlation, claim, dead letter or trace id stands for.

        What is away is named in Found.looked; nothing is raised for it.

        Args:
            config: The settings in force: streams, channels, and how long things are kept.
            text: The id; ids are compared exactly.
            limit: Notifications at most, newest first.
            cards: Whether to return the cards as they were sent, patient data masked and without the links that act.

        Raises:
            IdError: It cannot be an id.
        """
        text = text.strip()
        if not text or len(text) > _LONGEST_ID or not text.isprintable():
            raise IdError(
                f"an id has 1 to {_LONGEST_ID} characters, and no control character among them"
            )
        search = Search(config, text, limit, cards)
        redis_works = await self._in_redis(search, look_up(search, self._peek))
        recorded = await self._recorded(search)
        if redis_works:
            await self._in_redis(search, self._look_through(search, recorded))
        journeys = assemble(recorded, search.sightings)
        told = {each for journey in journeys[:limit] for each in journey.revivals}
        found = TraceResult(
            text,
            tuple(journeys[:limit]),
            tuple(sorted(search.published.values(), key=lambda each: each.at, reverse=True)),
            tuple(letter for letter, owner in search.sightings.letters if owner is None),
            tuple(each for each in recorded.dead_letter_actions if each not in told),
            len(journeys) > limit or search.more,
            tuple(search.looked),
            (),
        )
        return replace(found, causes=causes_of(found, config)) if found.nothing else found

    async def _look_through(self, search: Search, recorded: Recorded) -> None:
        known = [(row.stream, row.entry_id) for row in recorded.rows]
        await look_through(search, self._peek, known)
        for notification_id in list(identities(recorded, search.sightings))[: search.limit]:
            action = await self._actions.action_on(notification_id)
            # What somebody did on another card of the event is known under this one's id too.
            if action is not None and action.notification_id == notification_id:
                search.sightings.taken[notification_id] = action

    async def _in_redis(self, search: Search, look: Coroutine[None, None, None]) -> bool:
        """Wait for a look at Redis; tells whether it could be done."""
        try:
            async with asyncio.timeout(_REDIS_SECONDS):
                await look
        except StreamError as exc:
            problem = str(exc)
        except TimeoutError as exc:
            problem = str(stream_error(search.config.redis.url, exc))
        else:
            return True
        how = "event streams, lanes, outcomes and dead letters"
        search.looked.append(Looked("Redis", how, whole=False, problem=problem))
        return False

    async def _recorded(self, search: Search) -> Recorded:
        how = "by notification, event, correlation, claim, digest and trace id"
        try:
            recorded = await self._asked(search)
            search.revived = events_revived(recorded, search.text)
            if search.revived:
                recorded = await self._asked(search)
        except StoreError as exc:
            search.looked.append(Looked("Postgres", how, whole=False, problem=str(exc)))
            return _NOTHING
        search.looked.append(Looked("Postgres, teams_notifications", how, whole=True))
        return recorded

    async def _asked(self, search: Search) -> Recorded:
        return await self._store.find(
            search.text,
            uuid=_uuid(search.text),
            event_ids=sorted(search.ids),
            streams=search.config.streams,
            limit=search.limit + 1,
            cards=search.cards,
        )


def _uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
