"""The gallery: one HTML file with every card as Teams shows it, that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from pydantic import JsonValue

from notifier.cards.check.schema import worded_faults
from notifier.cards.fit import posted_card
from notifier.cards.html import script_texts
from notifier.cards.renderer import CardRenderer, Cards, layered
from notifier.config import Config
from notifier.errors import CardError, NotifierError
from notifier.events.digest import digest_of
from notifier.events.entry import to_event
from notifier.events.json_in import json_object
from notifier.events.json_out import to_json_bytes
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import Notification
from notifier.events.routing import Catalogue
from notifier.teams.envelope import counted_size

_STATIC = Path(__file__).with_name("static")
_DIGESTED = 12


@dataclass(frozen=True, slots=True)
class GalleryCard:
    """One card of the gallery."""

    template: str
    event_type: str
    lang: str
    priority: str
    size: int
    """Bytes as Teams counts them."""
    card: JsonValue
    faults: tuple[str, ...] = ()
    """What Teams would not show of it."""


def render_samples(
    folder: Path, config: Config, cards: Cards, *, base: Path | None = None
) -> Iterator[GalleryCard]:
    """Render each sample event of a folder, and of one that it lies over, in each language its card has, and one digest.

    Raises:
        CardError: A sample is no event, or its card cannot be rendered; names its file.
    """
    renderer = CardRenderer(
        cards, config, lambda number, action, _: f"https://notify.invalid/a/{action}/{number}"
    )
    catalogue = Catalogue(config.routes, config.channels)
    masking = Masking.of(config.masking.fields, config.masking.exempt)
    first: Notification | None = None
    for path in layered([base or folder, folder], "samples/*.json").values():
        with _naming(path):
            members = json_object("event", path.read_text(encoding="utf-8-sig"))
            event = to_event(config.streams[0], "1764000000000-0", members)
            routed = catalogue.route(event, mask_event_data(event.data, masking))
            shown: list[GalleryCard] = []
            for notification in routed.notifications[:1]:
                first = first or notification
                shown += [
                    _gallery_card(renderer, notification._replace(lang=lang), config)
                    for lang in _languages(cards, notification)
                ]
        yield from shown
    if first is not None:
        many = [first._replace(id=f"{first.id}{number}") for number in range(_DIGESTED)]
        yield _gallery_card(renderer, digest_of(many, renderer.acknowledge_link), config)


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Raise CardError with this file before what is wrong."""
    try:
        yield
    except (UnicodeDecodeError, OSError) as exc:
        raise CardError(f"{file}: cannot be read: {exc}") from None
    except NotifierError as exc:
        raise CardError(f"{file}: {exc}") from None


def _languages(cards: Cards, notification: Notification) -> list[str]:
    prefix = f"{notification.card}."
    others = {name.removeprefix(prefix) for name in cards.templates if name.startswith(prefix)}
    return sorted({"en", *others}, key=lambda lang: (lang != "en", lang))


def _gallery_card(
    renderer: CardRenderer, notification: Notification, config: Config
) -> GalleryCard:
    rendered = renderer.render(notification)
    card = posted_card(
        rendered.card,
        max_card_bytes=config.delivery.max_card_bytes,
        more_link=rendered.more_link,
    )
    return GalleryCard(
        rendered.template,
        notification.event_type,
        notification.lang,
        str(notification.priority),
        counted_size(to_json_bytes(card)),
        card,
        worded_faults(card),
    )


def gallery_page(shown: Sequence[GalleryCard]) -> str:
    """Return the HTML of the gallery; its policy lets in nothing but its own scripts and https images."""
    scripts = [*script_texts(), (_STATIC / "gallery.js").read_text(encoding="utf-8")]
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; form-action 'none'"
    styles = (_STATIC / "gallery.css").read_text(encoding="utf-8")
    data = json.dumps([asdict(each) for each in shown], ensure_ascii=False)
    names = sorted({each.template.partition(".")[0] for each in shown})
    languages = sorted({each.lang for each in shown})
    # `<` never stands in the JSON as it is: no `</script>` of an event can end the script that holds it.
    embedded = data.replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}"><title>Cards</title>'
        f"<style>{styles}</style><body><h1>Cards</h1>"
        '<form id="filters">'
        f"{_select('card', 'Card', names)}{_select('lang', 'Language', languages)}"
        f"{_select('theme', 'Theme', ['light', 'dark'])}{_select('width', 'Width', ['narrow', 'wide'])}"
        '<output id="count"></output></form><main id="list"></main>'
        f'<script type="application/json" id="cards">{embedded}</script>'
        + "".join(f"<script>{script}</script>" for script in scripts)
        + "</body></html>\n"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _select(name: str, label: str, choices: Sequence[str]) -> str:
    options = "".join(f"<option>{escape(choice)}</option>" for choice in ["all", *choices])
    return f'<label>{escape(label)} <select name="{name}">{options}</select></label>'
