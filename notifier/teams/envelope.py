"""The message a Workflows webhook takes, and its size as Teams counts it."""

from __future__ import annotations

from pydantic import JsonValue

from notifier.errors import CardTooLargeError
from notifier.events.json import to_json_bytes

_HEAD = b'{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":'
_TAIL = b"}]}"


def build_body(card: JsonValue, *, max_card_bytes: int) -> bytes:
    """Return the exact bytes to post and to sign.

    Teams counts the card escaped once more as a JSON string and refuses large ones after its 202, so it is checked here.

    Raises:
        CardTooLargeError: The card is over `max_card_bytes` as Teams counts it.
    """
    content = to_json_bytes(card)
    # Escaped, it is at most twice as long: most cards need no counting.
    if (
        2 * len(content) + 2 > max_card_bytes
        and (size := counted_size(content)) > max_card_bytes
    ):
        raise CardTooLargeError(
            f"the card has {size} bytes as Teams counts it, the limit is {max_card_bytes}; send shorter lists and texts"
        )
    return _HEAD + content + _TAIL


def counted_size(card_json: str | bytes) -> int:
    """Return the size in bytes of a card's JSON, escaped once more."""
    if isinstance(card_json, str):
        card_json = card_json.encode()
    return len(card_json) + card_json.count(b'"') + card_json.count(b"\\") + 2


def card_json(body: bytes) -> bytes:
    """Return the card within a body that build_body made."""
    return body[len(_HEAD) : -len(_TAIL)]
