"""A card as Teams shows it, in a page that can do nothing: no links, no network, no way to its surroundings."""

from __future__ import annotations

import json
from html import escape

from aiohttp import web
from pydantic import JsonValue

from notifier.cards.html import script_texts
from notifier.cards.redact_links import without_links
from notifier.web.console.pages import read_static, source_hash


class CardFrame:
    """Reads the renderer once."""

    def __init__(self) -> None:
        self._scripts = [*script_texts(), read_static("card.js")]
        self._style = read_static("card.css")
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; script-src {' '.join(map(source_hash, self._scripts))}; "
                # The renderer sets style attributes.
                "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "SAMEORIGIN",
            "X-Robots-Tag": "noindex, nofollow",
        }

    def render(self, card: JsonValue, lang: str) -> web.Response:
        """Return the page of a card; its links are taken out before it leaves the server."""
        harmless = without_links(card)
        # `<` never stands in the JSON as it is: no `</script>` of an event can end the script that holds it.
        embedded = json.dumps(harmless, ensure_ascii=False).replace("<", "\\u003c")
        words = harmless.get("fallbackText") if isinstance(harmless, dict) else None
        # What a browser without scripts shows; the rendered card takes its place.
        instead = escape(str(words or "The card is rendered with JavaScript."))
        body = (
            f'<main id="card" lang="{escape(lang)}"><p dir="auto">{instead}</p></main>'
            f'<script type="application/json" id="source">{embedded}</script>'
            + "".join(f"<script>{script}</script>" for script in self._scripts)
        )
        return self._page(body, 200)

    def note(self, text: str, *, status: int) -> web.Response:
        """Return a page that says why there is no card."""
        return self._page(f"<p>{escape(text)}</p>", status)

    def _page(self, body: str, status: int) -> web.Response:
        html = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>Card</title><style>{self._style}</style></head><body>{body}</body></html>"
        )
        return web.Response(
            text=html,
            content_type="text/html",
            charset="utf-8",
            status=status,
            headers=self._headers,
        )
