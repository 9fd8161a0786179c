"""Keep the actions of people in Redis, until Postgres has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from notifier.broker.keys import accepted_stream, action_key, callback_key
from notifier.broker.scripts import Script
from notifier.broker.streams import Streams
from notifier.events.action import ACKNOWLEDGE, ESCALATE, REQUESTS, Action, Matter, read_action

_ACCEPT = Script.read(__package__, "acknowledge")
_KEPT_REQUESTS = 100_000
_CALLBACK_SECONDS = 900
"""Longer than a callback's timestamp may differ from now, to both sides."""


class Actions:
    """The first action on each event, and requests to the claims workers.

    Redis decides which action is first, since deliveries need it anyway.
    """

    def __init__(self, streams: Streams, *, remember_seconds: float) -> None:
        """Remember who acted for `remember_seconds`, which must outlast the links."""
        self._streams = streams
        self._accepted = accepted_stream(streams.group_name)
        self._remember_seconds = int(remember_seconds)

    def use(self, *, remember_seconds: float) -> None:
        """Change how long actions are remembered."""
        self._remember_seconds = int(remember_seconds)

    async def accept(
        self, action: Action, request: Mapping[str, str] | None, matter: Matter | None = None
    ) -> Action | None:
        """Settle an event by an action on one of its notifications.

        A `request` to the claims workers is added in the same step.

        Earlier versions know no events, so the notifications are checked too.

        Returns:
            None when it is settled now, else the action that was first.

        Raises:
            StreamError: Redis is away or refuses; nothing has happened, or all of it: asking again is safe.
        """
        matter = matter or Matter(action.notification_id)
        known = 1 if matter.event_key is None else 2
        if action.action == ESCALATE:
            once, marked = (1, 1) if matter.is_escalation else (len(matter.keys), known)
        else:
            once, marked = 0, len(matter.keys)
        flat = [part for pair in action.fields().items() for part in pair]
        asked = [part for pair in (request or {}).items() for part in pair]
        counts = [self._remember_seconds, once, marked, len(flat)]
        argv = [*map(str, counts), *flat, str(_KEPT_REQUESTS), *asked]
        keys = [self._accepted, REQUESTS, *map(action_key, matter.keys)]
        reply = await self._streams.run(_ACCEPT, keys, argv)
        return _action(dict(zip(reply[::2], reply[1::2], strict=True)))

    async def actions_on(self, keys: Sequence[str]) -> dict[str, Action]:
        """Return the first action by notification id or event key.

        Raises:
            StreamError: Redis is away.
        """
        pipeline = self._streams.client.pipeline(transaction=False)
        for key in keys:
            pipeline.hgetall(action_key(key))
        async with self._streams.errors():
            found: Any = await pipeline.execute()
        actions = zip(keys, map(_action, found), strict=True)
        return {key: action for key, action in actions if action is not None}

    async def callback_seen(self, digest: str) -> bool:
        """Tell whether a callback with this digest was done. Raises StreamError."""
        async with self._streams.errors():
            return bool(await self._streams.client.exists(callback_key(digest)))

    async def remember_callback(self, digest: str) -> None:
        """Note a callback for longer than its timestamp is valid.

        Raises:
            StreamError: Redis is away.
        """
        async with self._streams.errors():
            await self._streams.client.set(callback_key(digest), "1", ex=_CALLBACK_SECONDS)


def _action(fields: Mapping[bytes, bytes]) -> Action | None:
    if not fields:
        return None
    try:
        return read_action(fields)
    except (ValueError, KeyError):
        # However a later version may write it: somebody acted.
        text = {key.decode(): value.decode(errors="replace") for key, value in fields.items()}
        return Action(
            text.get("notification_id", ""),
            text.get("action", ACKNOWLEDGE),
            text.get("who", "—"),
            "",
            text.get("via", ""),
            datetime.fromtimestamp(0, UTC),
        )
