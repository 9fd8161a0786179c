"""Render a notification's card and make the body that is posted, or say why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import structlog

from notifier.broker.entries import Entry
from notifier.cards.fit import fit_card
from notifier.cards.renderer import Card, CardRenderer
from notifier.dead_letters.model import Reason, poison_detail
from notifier.errors import CardError, CardTooLargeError, TemplateError
from notifier.events.notification import Notification
from notifier.pipeline.delivery.result import Failure, identity
from notifier.teams.envelope import build_body
from notifier.telemetry import metrics

log = structlog.get_logger(__name__)


class RenderedBody(NamedTuple):
    """A body ready to be posted, and the card template it was rendered from."""

    template: str
    body: bytes


@dataclass(frozen=True, slots=True)
class BodyRenderer:
    """Renders cards within the size limit of a channel."""

    renderer: CardRenderer
    max_card_bytes: int
    max_deliveries: int

    def render(self, entry: Entry, notification: Notification) -> RenderedBody | Failure:
        """Return the body to post, or why there is none; raises nothing."""
        if entry.is_poison(self.max_deliveries):
            detail = poison_detail(entry.deliveries)
            return Failure(Reason.POISON, detail)
        try:
            rendered = self.renderer.render(notification)
        except (CardError, TemplateError) as exc:
            return Failure(Reason.CARD_ERROR, str(exc))
        if rendered.gaps:
            metrics.CARD_GAPS.labels(rendered.template).inc(len(rendered.gaps))
            log.warning(
                "card_had_gaps",
                template=rendered.template,
                expressions=sorted(set(rendered.gaps))[:10],
                **identity(notification),
            )
        for unused in rendered.unused:
            metrics.UNUSED_FIELDS.labels(rendered.template, unused.meant).inc()
        try:
            return RenderedBody(rendered.template, self._body(rendered))
        except CardTooLargeError as exc:
            return Failure(Reason.CARD_TOO_LARGE, str(exc))

    def _body(self, rendered: Card) -> bytes:
        limit = self.max_card_bytes
        try:
            return build_body(rendered.card, max_card_bytes=limit)
        except CardTooLargeError:
            metrics.CARDS_SHORTENED.labels(rendered.template).inc()
            fitted = fit_card(rendered.card, max_card_bytes=limit, more_link=rendered.more_link)
            return build_body(fitted, max_card_bytes=limit)
