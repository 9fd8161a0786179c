"""Sign the links that lead from a card to the public listener, and say which keys verify them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import overload

from notifier.cards import ActionLink
from notifier.config import Config
from notifier.secrets import Secrets
from notifier.signing import KeySet, action_token


def action_link(config: Config, secrets: Secrets) -> ActionLink | None:
    """Return what signs a card's action links with the current key; None without a key or a public URL."""
    keys = secrets.keys
    base = config.public.url
    if keys is None or not base:
        return None
    signing = keys.current

    def link(notification_id: str, action: str) -> str:
        expires_at = int(time.time() + config.public.link_ttl_seconds)
        token = action_token(
            signing.get_secret_value(),
            notification_id=notification_id,
            action=action,
            expires_at=expires_at,
        )
        return f"{base}/a/{token}"

    return link


class CurrentKeys(Sequence[str]):
    """The keys in force at each look, the signing one first: whoever holds this sees a rotation at once."""

    def __init__(self, keys: Callable[[], KeySet | None]) -> None:
        self._keys = keys

    def __len__(self) -> int:  # type: ignore[explicit-override] # Python 3.12
        return len(self._texts())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:  # type: ignore[explicit-override] # Python 3.12
        return self._texts()[index]

    def _texts(self) -> tuple[str, ...]:
        keys = self._keys()
        return keys.texts if keys else ()
