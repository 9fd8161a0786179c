"""The gallery: one HTML file with every card as Teams shows it, that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from pydantic import JsonValue

from notifier.cards.check.schema import worded_faults
from notifier.cards.html import script_texts
from notifier.cards.library import CardLibrary, layered
from notifier.cards.preview import Preview, example_link
from notifier.config import Config
from notifier.errors import CardError, NotifierError
from notifier.events.json_out import to_json_bytes
from notifier.events.notification import Notification
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
    folder: Path, config: Config, cards: CardLibrary, *, base: Path | None = None
) -> Iterator[GalleryCard]:
    """Render the sample events of a folder, and of `base` below it, in every language; and one digest.

    Raises:
        CardError: A sample is not an event, or its card cannot be rendered; names its file.
    """
    preview = Preview(config, cards, action_link=example_link)
    first: Notification | None = None
    for path in layered([base or folder, folder], "samples/*.json").values():
        try:
            for notification in preview.read_sample(path):
                first = first or notification
                yield _gallery_card(preview, notification)
        except NotifierError as exc:
            raise CardError(f"{path}: {exc}") from None
    if first is not None:
        yield _gallery_card(preview, preview.digest(first, _DIGESTED))


def _gallery_card(preview: Preview, notification: Notification) -> GalleryCard:
    rendered = preview.render(notification)
    return GalleryCard(
        rendered.template,
        notification.event_type,
        notification.lang,
        str(notification.priority),
        counted_size(to_json_bytes(rendered.card)),
        rendered.card,
        worded_faults(rendered.card),
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
