"""Render a notification's card as the body that is posted."""

from __future__ import annotations

import structlog

from notifier.broker.entries import Entry
from notifier.cards.fit import fitted_body
from notifier.cards.renderer import CardRenderer
from notifier.dead_letters.model import Reason, poison_detail
from notifier.errors import CardError, CardTooLargeError, TemplateError
from notifier.events.notification import Notification
from notifier.pipeline.delivery.result import DeliveryResult, identity
from notifier.telemetry import metrics

log = structlog.get_logger(__name__)


def render_body(
    renderer: CardRenderer,
    entry: Entry,
    notification: Notification,
    *,
    max_card_bytes: int,
    max_deliveries: int,
) -> DeliveryResult:
    """Return the body to post, or why there is none.

    Raises:
        Exception: Rendering failed unforeseen.
    """
    if entry.is_poison(max_deliveries):
        return DeliveryResult(reason=Reason.POISON, detail=poison_detail(entry.deliveries))
    try:
        rendered = renderer.render(notification)
    except (CardError, TemplateError) as exc:
        return DeliveryResult(reason=Reason.CARD_ERROR, detail=str(exc))
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
        card, body = fitted_body(
            rendered.card, max_card_bytes=max_card_bytes, more_link=rendered.more_link
        )
    except CardTooLargeError as exc:
        metrics.CARDS_SHORTENED.labels(rendered.template).inc()
        return DeliveryResult(reason=Reason.CARD_TOO_LARGE, detail=str(exc))
    if card is not rendered.card:
        metrics.CARDS_SHORTENED.labels(rendered.template).inc()
    return DeliveryResult(rendered.template, body)
