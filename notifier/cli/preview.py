"""Where an event would go and what its cards would look like, without sending anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from pydantic import JsonValue

from notifier.cards.fields import Fields, read_fields, shown_fields, unused_fields
from notifier.cards.library import CardFiles, CardLibrary, card_folders
from notifier.cards.preview import Preview
from notifier.cli.event_input import accepted
from notifier.config import Config
from notifier.errors import CardError, EventError, TemplateError
from notifier.events.entry import ENVELOPE, Event
from notifier.events.notification import Notification
from notifier.events.producer_signature import OWN_PREFIX, is_own
from notifier.events.routing import Catalogue, UnroutableError
from notifier.events.times import ahead_of
from notifier.telemetry.durations import duration


def preview_cards(
    config: Config,
    members: Mapping[str, JsonValue],
    cards: CardLibrary,
    *,
    card: str | None = None,
) -> list[tuple[Notification, JsonValue]]:
    """Route one event and render its cards with these templates, all with the one named `card` if given.

    Raises:
        EventError, UnroutableError, CardError, TemplateError: As the daemon would meet them.
    """
    event = accepted(config.streams[0], members, max_bytes=config.intake.max_event_bytes)
    preview = Preview(config, cards)
    routed = preview.route(event)
    if routed.unknown_channels:
        raise EventError("stakeholders", _no_channel(routed.unknown_channels, config.channels))
    return [
        (item, preview.render(item._replace(card=card or item.card)).card)
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
    return [f"{_places(found)}: {why}" for why, found in places.items()]


def _why_early(event: Event, now: datetime) -> str | None:
    ahead = ahead_of(event.time, now)
    if ahead is None:
        return None
    return f"time: is {duration(ahead.total_seconds())} ahead; write a local time with its offset, such as +03:00"


def unshown(config: Config, events: Iterable[tuple[str, Event]]) -> list[str]:
    """Return in words, by their places, which members of data no card shows; nothing where cards cannot be read."""
    catalogue = Catalogue(config.routes, config.channels)
    folders = card_folders(config)
    places: dict[str, list[str]] = {}
    try:
        fields = read_fields(*folders)
        cards = CardLibrary.on_demand(CardFiles.read(*folders).templates)
        for place, event in events:
            for text in _unshown_by(catalogue, cards, fields, event):
                places.setdefault(text, []).append(place)
    except (CardError, TemplateError, OSError, ValueError):
        # What is wrong with cards is said by the commands that render them.
        return []
    return [f"{_places(found)}: {text}" for text, found in places.items()]


def _unshown_by(
    catalogue: Catalogue, cards: CardLibrary, fields: Fields, event: Event
) -> Iterator[str]:
    try:
        [first, *_] = catalogue.route(event, {}).notifications or [None]
    except UnroutableError:
        return
    if first is None or first.card not in cards.templates:
        return
    _, template = cards.find(first.card, event.lang)
    documented = fields.get(first.card, ())
    for unused in unused_fields(event.data, shown_fields(template), documented):
        own = "the event's own " if unused.meant in ENVELOPE else ""
        meant = f"; did you mean {own}{unused.meant}?" if unused.meant else ""
        yield f"data.{unused.name} is not shown on the card {first.card}{meant}"


def _places(found: list[str]) -> str:
    return f"{found[0]}{f' and {len(found) - 1} more' if found[1:] else ''}"


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
