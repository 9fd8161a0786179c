"""Where an event would go and what its cards would look like, without sending anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import JsonValue

from notifier.cards import CardPainter, Cards
from notifier.cli.event_input import accepted
from notifier.config import Config
from notifier.errors import EventError
from notifier.events import Event, ahead_of
from notifier.masking import Masking, mask_event_data
from notifier.notifications import Notification
from notifier.provenance import OWN_PREFIX, is_own
from notifier.routing import Catalogue, UnroutableError


def preview_cards(
    config: Config,
    members: Mapping[str, JsonValue],
    cards: Cards,
    *,
    card: str | None = None,
) -> list[tuple[Notification, JsonValue]]:
    """Route one event and draw its cards with these templates, all with the one named `card` if given.

    Raises:
        EventError, UnroutableError, CardError, TemplateError: As the daemon would meet them.
    """
    event = accepted(config.streams[0], members, max_bytes=config.intake.max_event_bytes)
    data = mask_event_data(event.data, Masking.of(config.masking.fields, config.masking.exempt))
    routed = Catalogue(config.routes, config.channels).route(event, data)
    if routed.unknown_channels:
        raise EventError("stakeholders", _no_channel(routed.unknown_channels, config.channels))
    painter = CardPainter(cards, config, None)
    return [
        (item, painter.draw(item._replace(card=card or item.card)).card)
        for item in routed.notifications
    ]


def doubts(config: Config, events: Iterable[tuple[str, Event]]) -> list[str]:
    """Return in words, by their places, which events become dead letters by the routes of this configuration."""
    catalogue = Catalogue(config.routes, config.channels)
    return _by_place((place, _why_lost(catalogue, event)) for place, event in events)


def time_doubts(events: Iterable[tuple[str, Event]], now: datetime) -> list[str]:
    """Return in words, by their places, which events have a time to come."""
    return _by_place((place, _why_early(event, now)) for place, event in events)


def _by_place(doubted: Iterable[tuple[str, str | None]]) -> list[str]:
    places: dict[str, list[str]] = {}
    for place, why in doubted:
        if why is not None:
            places.setdefault(why, []).append(place)
    return [
        f"{found[0]}{f' and {len(found) - 1} more' if found[1:] else ''}: {why}"
        for why, found in places.items()
    ]


def _why_early(event: Event, now: datetime) -> str | None:
    ahead = ahead_of(event.time, now)
    if ahead is None:
        return None
    hours = ahead.total_seconds() / 3600
    return f"time: is {hours:.1f} h ahead; write a local time with its offset, such as +03:00"


def _why_lost(catalogue: Catalogue, event: Event) -> str | None:
    if is_own(event):
        return f"it becomes a dead letter (unsigned): types {OWN_PREFIX}… and ids of escalations are notifier's own; use another type and id"
    try:
        unknown = catalogue.route(event, {}).unknown_channels
    except UnroutableError as exc:
        return str(exc)
    if not unknown:
        return None
    return f"stakeholders: {_no_channel(unknown, sorted(catalogue.channels))}"


def _no_channel(unknown: Iterable[str], channels: Iterable[str]) -> str:
    return f"no channel {', '.join(unknown)}; channels are {', '.join(channels)}"
