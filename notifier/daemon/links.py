"""Sign the links that lead from a card to the public listener."""

from __future__ import annotations

from collections.abc import Callable

from notifier.cards.renderer import ActionLink
from notifier.config import Config
from notifier.config.secrets import Secrets
from notifier.events.signing import EVENT_PARAMETER, action_token, event_mark


def action_link(
    config: Config, secrets: Secrets, now: Callable[[], float]
) -> ActionLink | None:
    """Return what signs a card's action links with the current key; None without a key or a public URL."""
    keys = secrets.keys
    base = config.public.url
    if keys is None or not base:
        return None
    signing = keys.current

    def link(notification_id: str, action: str, event_key: str) -> str:
        expires_at = int(now() + config.public.link_ttl_seconds)
        secret = signing.get_secret_value()
        token = action_token(
            secret,
            notification_id=notification_id,
            action=action,
            expires_at=expires_at,
        )
        return f"{base}/a/{token}?{EVENT_PARAMETER}={event_mark(secret, token, event_key)}"

    return link
