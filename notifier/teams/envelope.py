"""The message a Workflows webhook takes, and its size as Teams counts it."""

from __future__ import annotations

import json

from pydantic import JsonValue

from notifier.errors import CardTooLargeError

_HEAD = b'{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":'
_TAIL = b"}]}"


def build_body(card: JsonValue, *, max_card_bytes: int) -> bytes:
    """Return the exact bytes to post and to sign.

    Teams counts the card escaped once more as a JSON string and refuses large ones after its 202, so it is checked here.

    Raises:
        CardTooLargeError: The card is over `max_card_bytes` as Teams counts it.
    """
    text = json.dumps(card, separators=(",", ":"), ensure_ascii=False)
    size = counted_size(text)
    if size > max_card_bytes:
        raise CardTooLargeError(
            f"the card has {size} bytes as Teams counts it, the limit is {max_card_bytes}; send shorter lists and texts"
        )
    return _HEAD + text.encode(errors="replace") + _TAIL


def counted_size(card_json: str) -> int:
    """Return the bytes of a card's JSON when it is escaped once more as a JSON string."""
    return len(card_json.encode()) + card_json.count('"') + card_json.count("\\") + 2


def card_json(body: bytes) -> bytes:
    """Return the card within a body that build_body made."""
    return body[len(_HEAD) : -len(_TAIL)]
