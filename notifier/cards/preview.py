"""Route, mask and render an event as the daemon does, and send nothing."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from pydantic import JsonValue

from notifier.cards.fit import fitted_body
from notifier.cards.library import CardLibrary
from notifier.cards.links import ActionLink
from notifier.cards.renderer import Card, CardRenderer
from notifier.config import Config
from notifier.errors import CardError, NotifierError
from notifier.events.digest import digest_of
from notifier.events.entry import Event, to_event
from notifier.events.json import json_object
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import Notification
from notifier.events.routing import Catalogue, Routed

_SAMPLE_ENTRY = "1764000000000-0"


def example_link(notification_id: str, action: str, _event: str) -> str:
    """Return an action link that leads nowhere."""
    return f"https://notify.invalid/a/{action}/{notification_id}"


class Preview:
    """Shows what the daemon would post for an event."""

    def __init__(
        self, config: Config, cards: CardLibrary, *, action_link: ActionLink | None = None
    ) -> None:
        self._cards = cards
        self._max_card_bytes = config.delivery.max_card_bytes
        self._stream = config.streams[0]
        self._channel = next(iter(config.channels))
        self._catalogue = Catalogue(config.routes, config.channels)
        self._masking = Masking.of(config.masking.fields, config.masking.exempt)
        self._renderer = CardRenderer(cards, config, action_link)

    def route(self, event: Event) -> Routed:
        """Return one notification per channel, with masked data.

        Raises:
            UnroutableError: The event has no route and names no stakeholders.
        """
        return self._catalogue.route(event, mask_event_data(event.data, self._masking))

    def read_sample(self, path: Path) -> list[Notification]:
        """Return a sample's first notification, in each language of its card.

        Raises:
            CardError: The file is not readable, not an event, or goes to no channel.
        """
        try:
            members = json_object("event", path.read_text(encoding="utf-8-sig"))
            event = to_event(self._stream, _SAMPLE_ENTRY, members)
            [first, *_] = self.route(event).notifications
        except (ValueError, OSError) as exc:
            raise CardError(f"cannot be read, or goes to no channel: {exc}") from None
        except NotifierError as exc:
            raise CardError(str(exc)) from None
        languages = self._cards.languages(first.card)
        if first.lang not in languages:
            languages.append(first.lang)
        return [replace(first, lang=lang) for lang in languages]

    def made_up(self, card: str, lang: str) -> Notification:
        """Return a notification without data for a card that has no sample."""
        members: dict[str, JsonValue] = {"type": "cards.check", "stakeholders": [self._channel]}
        [first, *_] = self.route(to_event(self._stream, "0-0", members)).notifications
        return replace(first, card=card, lang=lang)

    def digest(self, notification: Notification, count: int) -> Notification:
        """Return the digest of `count` notifications like this one."""
        many = [
            replace(notification, id=f"{notification.id}{number}") for number in range(count)
        ]
        return digest_of(many, self._renderer.acknowledge_link)

    def render(self, notification: Notification) -> Card:
        """Return the card as it would be posted, shortened if it is too large.

        Raises:
            CardError: There is no such card, or it stays too large.
            TemplateError: Expanding it takes too much work.
        """
        rendered = self._renderer.render(notification)
        posted, _ = fitted_body(
            rendered.card, max_card_bytes=self._max_card_bytes, more_link=rendered.more_link
        )
        return rendered._replace(card=posted)
