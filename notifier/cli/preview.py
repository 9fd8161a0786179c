"""Where an event would go and what its cards would look like, without sending anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import JsonValue

from notifier import assets
from notifier.cardguard import guard
from notifier.cards import CardPainter, Cards, load_cards
from notifier.cli.event_input import accepted
from notifier.cli.files import read_json
from notifier.config import Config
from notifier.errors import EventError
from notifier.events import Event
from notifier.masking import Masking, mask_event_data
from notifier.notifications import Notification
from notifier.routing import Catalogue, UnroutableError
from notifier.templating import Template


def preview_cards(
    config: Config, members: Mapping[str, JsonValue], *, template: Path | None = None
) -> list[tuple[Notification, JsonValue]]:
    """Route one event and draw its cards, all with `template` if given.

    Raises:
        EventError, UnroutableError, CardError, TemplateError: As the daemon would meet them.
    """
    event = accepted(config.streams[0], members, max_bytes=config.intake.max_event_bytes)
    data = mask_event_data(event.data, Masking.of(config.masking.fields, config.masking.exempt))
    routed = Catalogue(config.routes, config.channels).route(event, data)
    if routed.unknown_channels:
        raise EventError("stakeholders", _no_channel(routed.unknown_channels, config.channels))
    directory = Path(config.cards.directory) if config.cards.directory else assets.cards_dir()
    if template is None:
        painter = CardPainter(load_cards(directory), config, None)
        return [(item, painter.draw(item).card) for item in routed.notifications]
    painter = CardPainter(
        Cards({template.stem: Template(read_json(template), guard)}), config, None
    )
    return [
        (item, painter.draw(item._replace(card=template.stem)).card)
        for item in routed.notifications
    ]


def doubts(config: Config, events: Iterable[tuple[str, Event]]) -> list[str]:
    """Return in words, by their places, which events become dead letters by the routes of this configuration."""
    catalogue = Catalogue(config.routes, config.channels)
    places: dict[str, list[str]] = {}
    for place, event in events:
        why = _why_lost(catalogue, event)
        if why is not None:
            places.setdefault(why, []).append(place)
    return [
        f"{found[0]}{f' and {len(found) - 1} more' if found[1:] else ''}: {why}"
        for why, found in places.items()
    ]


def _why_lost(catalogue: Catalogue, event: Event) -> str | None:
    try:
        unknown = catalogue.route(event, {}).unknown_channels
    except UnroutableError as exc:
        return str(exc)
    if not unknown:
        return None
    return f"stakeholders: {_no_channel(unknown, sorted(catalogue.channels))}"


def _no_channel(unknown: Iterable[str], channels: Iterable[str]) -> str:
    return f"no channel {', '.join(unknown)}; channels are {', '.join(channels)}"
