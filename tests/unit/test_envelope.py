from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.config.webhook_url import refuse_reason
from notifier.errors import CardError
from notifier.teams.envelope import build_body, card_json, counted_size

CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [{"type": "TextBlock", "text": 'مرحبا "x" \\ \n'}],
}


def test_body_is_the_message_a_workflow_takes():
    body = json.loads(build_body(CARD, max_card_bytes=1000))

    assert body == {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": CARD,
            }
        ],
    }


def test_card_is_found_again_in_the_body():
    assert json.loads(card_json(build_body(CARD, max_card_bytes=1000))) == CARD


@given(st.text())
def test_size_is_that_of_the_json_escaped_once_more(text: str):
    written = json.dumps({"text": text.encode("utf-8", "ignore").decode()}, ensure_ascii=False)

    assert counted_size(written) == len(json.dumps(written, ensure_ascii=False).encode())


def test_card_over_the_limit_is_refused_with_its_size():
    with pytest.raises(CardError, match="the limit is 1000"):
        build_body({"text": "x" * 1000}, max_card_bytes=1000)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://prod-1.westus.logic.azure.com/workflows/x", "not https"),
        ("https://evil.example/x", "evil.example, which is not in http.allowed_hosts"),
        ("https://logic.azure.com.evil.example/x", "not in http.allowed_hosts"),
        ("https://127.0.0.1/x", "TEAMS_ALLOW_LOOPBACK_WEBHOOKS"),
        ("http://localhost:8000/x", "TEAMS_ALLOW_LOOPBACK_WEBHOOKS"),
        ("ftp://prod-1.westus.logic.azure.com/x", "not an https URL"),
        ("nonsense", "not an https URL"),
    ],
)
def test_foreign_webhook_is_refused_without_showing_its_path(url: str, words: str):
    reason = refuse_reason(url, allowed_hosts=["*.logic.azure.com"], allow_loopback=False)

    assert reason is not None
    assert words in reason
    assert "/x" not in reason
