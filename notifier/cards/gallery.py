"""The gallery: all cards as Teams shows them, in one HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from notifier.cards.check.schema import worded_faults
from notifier.cards.html import script_texts
from notifier.cards.html.pages import (
    content_policy,
    json_data,
    own_file,
    own_text,
    page_templates,
    source_hash,
)
from notifier.cards.library import CardLibrary, layered
from notifier.cards.preview import Preview, example_link
from notifier.config import Config
from notifier.errors import CardError, NotifierError
from notifier.events.json import to_json_bytes
from notifier.events.notification import Notification
from notifier.teams.envelope import counted_size

_TEMPLATES = page_templates(__package__)
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
    """Faults for which Teams would not show it."""


def render_samples(
    folder: Path, config: Config, cards: CardLibrary, *, base: Path | None = None
) -> Iterator[GalleryCard]:
    """Render the samples in every language, and one digest.

    The folder replaces samples of `base` with the same name.

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
    """Return the HTML of the gallery; it loads nothing but https images."""
    scripts = [*map(own_text, script_texts()), own_file(__package__, "gallery.js")]
    return _TEMPLATES.get_template("gallery.html").render(
        policy=content_policy(
            script_src=" ".join(map(source_hash, scripts)),
            style_src="'unsafe-inline'",
            img_src="https: data:",
        ),
        style=own_file(__package__, "gallery.css"),
        scripts=scripts,
        names=sorted({each.template.partition(".")[0] for each in shown}),
        languages=sorted({each.lang for each in shown}),
        cards=json_data([asdict(each) for each in shown]),
    )
