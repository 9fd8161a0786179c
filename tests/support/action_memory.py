"""Redis and Postgres as far as the service for actions sees them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from notifier.errors import StoreError, StreamError
from notifier.escalation.rows import NotificationFacts
from notifier.events.action import Action, Matter

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
ID = "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07"
FACTS = NotificationFacts(
    ID, "e-1", "corr-1", "celery.task.failed", "HIGH", "sre", NOW, "en", None, None, None, "A task failed.", {"task_id": "t-1"}
)  # fmt: skip


class Memory:
    """Redis and Postgres as far as the service sees them."""

    def __init__(self) -> None:
        self.first: dict[str, Action] = {}
        self.requests: list[dict[str, str]] = []
        self.seen: set[str] = set()
        self.known = {ID: FACTS}
        self.postgres_away = self.redis_away = False

    async def facts(self, notification_id: str) -> NotificationFacts | None:
        if self.postgres_away:
            raise StoreError("away")
        return self.known.get(notification_id)

    async def accept(self, action: Action, request: Any, matter: Matter) -> Action | None:
        if self.redis_away:
            raise StreamError("away")
        found = [self.first[key] for key in matter.keys if key in self.first]
        for first in found:
            if action.action == "escalate" or first.action != "escalate":
                return first
        for key in matter.keys:
            self.first[key] = action
        if request:
            self.requests.append(dict(request))
        return None

    async def actions_on(self, keys: Sequence[str]) -> dict[str, Action]:
        return {key: self.first[key] for key in keys if key in self.first}

    async def callback_seen(self, digest: str) -> bool:
        return digest in self.seen

    async def remember_callback(self, digest: str) -> None:
        self.seen.add(digest)
