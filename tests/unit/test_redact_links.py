"""No signed link of a card is left where cards are only shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs
from pydantic import JsonValue

from notifier.cards.library import compile_card, load_cards
from notifier.cards.redact_links import without_links
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.events.digest import digest_of
from notifier.events.entry import to_event
from notifier.events.routing import Catalogue
from notifier.events.signing import action_token

CONFIG = load_config(None, {})
MARK = "4f1c2a5452a65c0ca1f41a4f28d41a07.c2lnbmF0dXJlb2Z0aGVldg"


def token() -> str:
    return action_token(
        "a key of at least sixteen bytes",
        notification_id="b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07",
        action="acknowledge",
        expires_at=1795000000,
    )


def rendered(*, digest: bool) -> JsonValue:
    """A card with signed links, as it would be sent."""
    renderer = CardRenderer(
        load_cards(assets.cards_dir()),
        CONFIG,
        lambda _, __, ___: f"https://n.example/a/{token()}?e={MARK}",
    )
    event = to_event(
        "teams:events",
        "1-1",
        {"type": "nphies.claim.rejected", "data": {"claim_id": "CLM-1", "rejection_code": "X"}},
    )
    [first, *_] = (
        Catalogue(CONFIG.routes, CONFIG.channels).route(event, event.data).notifications
    )
    if digest:
        many = [structs.replace(first, id=f"{first.id[:-1]}{number}") for number in range(9)]
        first = digest_of(many, renderer.acknowledge_link)
    return renderer.render(first).card


@pytest.mark.parametrize("digest", [False, True])
def test_no_signed_link_of_a_card_is_left(digest: bool):
    card = rendered(digest=digest)
    assert token() in json.dumps(card)

    shown = json.dumps(without_links(card), ensure_ascii=False)

    assert token() not in shown
    assert MARK not in shown
    assert "n.example" not in shown
    assert "CLM-1" in shown


@pytest.mark.parametrize(
    "text",
    [
        "see https://n.example/a/{} now",
        "[Acknowledge](https://n.example/a/{})",
        '[a \\] b](https://n.example/a/{} "title")',
        "/a/{}",
        "{}",
        "https://n.example:8443/base/a/{}?x=1",
        "![x](https://n.example/a/{})",
    ],
)
def test_no_signed_link_in_text_is_left(text: str):
    assert token() not in str(without_links(text.format(token())))
    assert token().rpartition(".")[2] not in str(
        without_links({text.format(token()): [text.format(token())]})
    )


@pytest.mark.parametrize("text", ["${x}", "see ${x}.", "${t}", "**${x}**", "[a](${x})"])
def test_no_signed_link_is_left_whose_underscores_are_escaped(text: str):
    uuid = "b5c9c5d452a65c0ca1f41a4f28d41a07"
    signed = f"_{'k' * 6}_.{uuid}.0.1795000000._{'s' * 41}_"
    block: JsonValue = {"type": "TextBlock", "text": text}
    card = compile_card({"type": "AdaptiveCard", "body": [block]}).expand(
        {"x": f"https://n.example/a/{signed}?e={uuid}.{'m' * 21}_", "t": signed}
    )

    shown = str(without_links(card))

    assert not [part for part in (uuid, "k" * 6, "s" * 41, "m" * 21) if part in shown]


def test_buttons_stay_to_be_seen_and_do_nothing():
    card: JsonValue = {
        "type": "AdaptiveCard",
        "selectAction": {"type": "Action.OpenUrl", "url": "https://x.example"},
        "actions": [
            {"type": "Action.OpenUrl", "title": "View", "url": "https://x.example"},
            {"type": "Action.Execute", "title": "Run", "verb": "x", "data": {"secret": 1}},
            {"type": "Action.ShowCard", "title": "More", "card": {"type": "AdaptiveCard", "actions": [{"type": "Action.OpenUrl", "title": "Deep", "url": "https://x.example"}]}},
        ],
    }  # fmt: skip

    shown = json.dumps(without_links(card))

    assert "x.example" not in shown
    assert "secret" not in shown
    assert shown.count('"isEnabled": false') == 3
    assert all(title in shown for title in ("View", "Run", "More", "Deep"))


def test_taking_links_out_of_hostile_text_takes_no_time():
    text = "[" * 20_000 + "](" * 20_000 + "/a/" * 10_000
    started = datetime.now(UTC)
    without_links(text)
    assert datetime.now(UTC) - started < timedelta(seconds=20)
