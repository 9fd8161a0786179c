"""Check card templates before they are used: what Teams takes from a workflow, and how they come out with samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from notifier.cards import CardPainter, Cards
from notifier.config import Config
from notifier.errors import NotifierError, TemplateError
from notifier.events import to_event
from notifier.masking import Masking, mask_event_data
from notifier.routing import Catalogue
from notifier.teams.envelope import build_body
from notifier.templating import Template

ELEMENTS = frozenset({
    "AdaptiveCard", "TextBlock", "RichTextBlock", "TextRun", "Image", "ImageSet", "Container", "ColumnSet", "Column", "FactSet",
    "ActionSet", "Action.OpenUrl", "Action.ShowCard", "Action.ToggleVisibility",
})  # fmt: skip
"""What a card posted by a workflow may hold (Microsoft: Adaptive Cards for Teams); inputs and other actions need a bot."""


def check_folder(folder: Path, config: Config) -> list[str]:
    """Return every fault as `file: JSON path: what is wrong and the fix`."""
    faults: list[str] = []
    templates: dict[str, Template] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            templates[path.stem] = Template(card)
        except (ValueError, OSError) as exc:
            faults.append(f"{path}: is not readable JSON: {exc}")
            continue
        except TemplateError as exc:
            faults.append(f"{path}: {exc}")
            continue
        faults += [f"{path}: {fault}" for fault in _check_card(card)]
    faults += _check_samples(folder, config, Cards(templates))
    return faults


def _check_card(card: JsonValue) -> Iterator[str]:
    if not isinstance(card, dict) or card.get("type") != "AdaptiveCard":
        yield '$.type: must be "AdaptiveCard"'
        return
    if card.get("version") not in ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5"):
        yield "$.version: Teams shows Adaptive Cards up to 1.5; set it to 1.5"
    yield from _check_elements(card, "$")


def _check_elements(node: JsonValue, path: str) -> Iterator[str]:
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from _check_elements(item, f"{path}[{number}]")
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if isinstance(kind, str) and "${" not in kind and kind not in ELEMENTS:
        yield f"{path}.type: {kind} does not work in a card posted by a workflow; use one of {', '.join(sorted(ELEMENTS))}"
    for key, value in node.items():
        if key not in ("$data", "msteams"):
            yield from _check_elements(value, f"{path}.{key}")


def _check_samples(folder: Path, config: Config, cards: Cards) -> Iterator[str]:
    painter = CardPainter(
        cards,
        config,
        lambda notification_id, action: f"https://notify.invalid/a/{action}/{notification_id}",
    )
    catalogue = Catalogue(config.routes, config.channels)
    masking = Masking.of(config.masking.fields, config.masking.exempt)
    for path in sorted((folder / "samples").glob("*.json")):
        try:
            event = to_event(
                config.streams[0], "0-0", json.loads(path.read_text(encoding="utf-8"))
            )
            for notification in catalogue.route(
                event, mask_event_data(event.data, masking)
            ).notifications[:1]:
                name, card = painter.draw(notification)
                build_body(card, max_card_bytes=config.delivery.max_card_bytes)
                for place in _unresolved(card, "$"):
                    yield f"{folder / name}.json: {place}: shows ${{…}} with {path.name}; guard it with exists() or if()"
        except (ValueError, OSError) as exc:
            yield f"{path}: is not readable JSON: {exc}"
        except NotifierError as exc:
            yield f"{path}: {exc}"


def _unresolved(node: JsonValue, path: str) -> Iterator[str]:
    if isinstance(node, str) and "${" in node:
        yield path
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _unresolved(item, f"{path}[{number}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _unresolved(value, f"{path}.{key}")
