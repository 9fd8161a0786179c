"""Where an event would go and what its cards would look like, without sending anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from notifier import assets
from notifier.cardguard import guard
from notifier.cards import CardPainter, Cards, load_cards
from notifier.cli.event_input import accepted
from notifier.cli.files import read_json
from notifier.cli.options import CommandError
from notifier.config import Config
from notifier.masking import Masking, mask_event_data
from notifier.notifications import Notification
from notifier.routing import Catalogue
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
        raise CommandError(
            f"stakeholders: no channel {', '.join(routed.unknown_channels)}; channels are {', '.join(config.channels)}"
        )
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
