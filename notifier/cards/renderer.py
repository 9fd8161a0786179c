"""Render a notification: expand its template with its data context."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

from pydantic import JsonValue

from notifier.cards.escaping import GAP
from notifier.cards.fields import UnusedField, shown_fields, unused_fields
from notifier.cards.library import CardLibrary
from notifier.cards.links import (
    ACKNOWLEDGED_CARD,
    ESCALATION_CARD,
    ActionLink,
    CardLinks,
    more_link,
)
from notifier.config import Config
from notifier.events.digest import DIGEST_CARD
from notifier.events.entry import Priority
from notifier.events.json import to_json_bytes
from notifier.events.notification import Notification
from notifier.events.numerals import SentNumber
from notifier.templating import DataName

_PRIORITY_LOOKS: dict[Priority, tuple[str, str]] = {
    Priority.CRITICAL: ("🔴", "attention"),
    Priority.HIGH: ("🟠", "warning"),
    Priority.MEDIUM: ("🟡", "accent"),
    Priority.LOW: ("🔵", "good"),
    Priority.INFO: ("⚪", "default"),
}
"""Icon and colour."""

_OWN_CARDS = frozenset({ESCALATION_CARD, ACKNOWLEDGED_CARD, DIGEST_CARD})
"""Cards whose data notifier makes itself."""


class Card(NamedTuple):
    """A rendered card."""

    template: str
    card: JsonValue
    gaps: tuple[str, ...]
    """The expressions that had no value and show a dash."""
    more_link: str | None
    """The page with everything that a shortened card leaves out."""
    unused: tuple[UnusedField, ...] = ()
    """The members of the data that it does not show."""


class CardRenderer:
    """Renders notifications; pure, except for `action_link`."""

    def __init__(
        self, cards: CardLibrary, config: Config, action_link: ActionLink | None
    ) -> None:
        self._cards = cards
        self._titles = {name: channel.title for name, channel in config.channels.items()}
        self._links = CardLinks(config.links, action_link)
        self._shown: dict[str, frozenset[str] | None] = {}
        self.acknowledge_link = self._links.acknowledge

    def render(self, notification: Notification) -> Card:
        """Return the card, with a dash wherever its template finds no value.

        Raises:
            CardError: There is no such card.
            TemplateError: Expanding it takes too much work.
        """
        name, template = self._cards.find(notification.card, notification.lang)
        links = self._links.of(notification)
        context = self._context(notification, links, facts=template.may_read("facts"))
        gaps: list[str] = []

        def dash(expression: str) -> str:
            gaps.append(
                "a name from the data" if isinstance(expression, DataName) else expression
            )
            return GAP

        card = template.expand(context, missing=dash)
        unused: tuple[UnusedField, ...] = ()
        if notification.card not in _OWN_CARDS:
            if name not in self._shown:
                self._shown[name] = shown_fields(template)
            unused = unused_fields(notification.data, self._shown[name])
        return Card(name, card, tuple(gaps), more_link(links), unused)

    def context(self, notification: Notification) -> dict[str, JsonValue]:
        """Return all that a template may see."""
        return self._context(notification, self._links.of(notification), facts=True)

    def _context(
        self, notification: Notification, links: dict[str, JsonValue], *, facts: bool
    ) -> dict[str, JsonValue]:
        icon, color = _PRIORITY_LOOKS[notification.priority]
        titles = [self._titles.get(name, name) for name in notification.stakeholders]
        event: dict[str, JsonValue] = {
            "type": notification.event_type,
            "id": notification.event_id,
            "correlation_id": notification.correlation_id,
            "time": notification.event_time,
            "lang": notification.lang,
            "stream": notification.stream,
        }
        if notification.source:
            event["source"] = notification.source
        return {
            "event": event,
            "notification": {
                "id": notification.id,
                "channel": notification.channel,
                "channel_title": self._titles.get(notification.channel, notification.channel),
                "stakeholders": list(notification.stakeholders),
                "stakeholders_text": ", ".join(titles),
                "priority": str(notification.priority),
                "priority_icon": icon,
                "priority_color": color,
                "priority_style": color,
            },
            "data": notification.data,
            "facts": _facts(notification) if facts else [],
            "links": links,
        }


def _facts(notification: Notification) -> JsonValue:
    """Return all data as facts, without members that are null."""
    return [
        {"title": title, "value": value if type(value) is str else _as_text(value)}
        for title, value in notification.data.items()
        if value is not None
    ]


def _as_text(value: JsonValue) -> str:
    if isinstance(value, SentNumber):
        return value.text
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    return to_json_bytes(value).decode()
