"""Post one test card to one channel, once, as a delivery would."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import JsonValue

from notifier.cards.escaping import escape_markdown
from notifier.config import Config
from notifier.config.secrets import Secrets, State
from notifier.errors import ConfigError
from notifier.teams.envelope import build_body
from notifier.teams.response import hint
from notifier.teams.sender import WebhookSender
from notifier.telemetry.clock import utc_now
from notifier.telemetry.findings import Finding, Level, fault

NAME = "test card"


async def send_test(
    config: Config, secrets: Secrets, channel: str, *, sender_name: str
) -> Finding:
    """Post a test card; it is not counted, retried or recorded.

    Args:
        config: The settings.
        secrets: The webhooks.
        channel: Where to.
        sender_name: Name of the sender, for the card.

    Raises:
        ConfigError: There is no such channel, or it has no webhook; nothing is posted.
    """
    if channel not in config.channels:
        raise ConfigError(
            f"--send-test: unknown channel {channel}; channels are {', '.join(config.channels)}"
        )
    webhook = secrets.found[channel]
    if webhook.fault:
        raise ConfigError(f"--send-test: {webhook.fault}")
    url = secrets.webhooks.get(channel)
    if url is None or webhook.state is not State.CONFIGURED:
        raise ConfigError(
            f"--send-test: the webhook of {channel} is {'a ' if webhook.state is State.PLACEHOLDER else ''}{webhook.state}; set {webhook.where}"
        )
    sender = WebhookSender(url.get_secret_value(), config.http, keys=secrets.keys)
    card = test_card(config.channels[channel].title, sender_name, utc_now())
    body = build_body(card, max_card_bytes=config.delivery.max_card_bytes)
    try:
        answer = await sender.post(body, {}, message_id=str(uuid.uuid4()), now=utc_now)
    finally:
        await sender.close()
    took = f"after {answer.duration_seconds:.2f} s"
    if answer.error is None:
        return Finding(
            NAME, Level.OK, f"{channel} answered HTTP {answer.status_code} {took}", hint(answer.status_code)
        )  # fmt: skip
    what = (
        f"{channel} answered {answer.error} {took}"
        if answer.status_code
        else f"{channel}: {answer.error} ({took})"
    )
    return fault(NAME, what, hint(answer.status_code))


def test_card(title: str, sender_name: str, now: datetime) -> JsonValue:
    """Return a card that cannot be mistaken for an alert."""
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "lang": "en",
        "fallbackText": "notifier: this is a test",
        "body": [
            {
                "type": "TextBlock",
                "text": "This is a test",
                "size": "Large",
                "weight": "Bolder",
                "wrap": True,
            },
            {
                "type": "TextBlock",
                "text": "notifier can post to this channel. Nothing has happened, and there is nothing to do.",
                "wrap": True,
            },
            {
                "type": "FactSet",
                "facts": [
                    {"title": "Channel", "value": escape_markdown(title)},
                    {"title": "Sent by", "value": escape_markdown(sender_name)},
                    {"title": "Sent at", "value": f"{now:%Y-%m-%d %H:%M:%S} UTC"},
                ],
            },
        ],
    }
