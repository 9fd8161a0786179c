"""Which notification the links of a card act on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from redis.crc import key_slot

from notifier.broker.keys import ACCEPTED, action_key, callback_key
from notifier.cards.library import load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.events.action import REQUESTS
from notifier.events.entry import to_event
from notifier.events.notification import Notification
from notifier.events.routing import Catalogue

CONFIG = load_config(None, {})
RENDERER = CardRenderer(
    load_cards(assets.cards_dir()),
    CONFIG,
    lambda notification_id, action, event: f"https://n.example/{action}/{notification_id}",
)
ORIGINAL = "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07"


def notification(event_type: str, **data: Any) -> Notification:
    members = {"type": event_type, "stakeholders": ["sre"], "priority": "HIGH", "data": data}
    event = to_event("teams:events", "1-1", members)
    return Catalogue(CONFIG.routes, CONFIG.channels).route(event, event.data).notifications[0]


def links(of: Notification) -> dict[str, Any]:
    found: Any = RENDERER.context(of)["links"]
    return {name: url for name, url in found.items() if "n.example" in url}


@pytest.mark.parametrize("event_type", ["a.b", "notifier.escalation"])
@pytest.mark.parametrize("answer_id", [ORIGINAL, None, "", "../x", 7, ["x"]])
def test_another_event_cannot_point_its_links_elsewhere(
    event_type: str, answer_id: Any
) -> None:
    card = notification(event_type, answer_id=answer_id)

    own = f"https://n.example/acknowledge/{card.id}"
    assert links(card)["acknowledge"] == own
    assert RENDERER.acknowledge_link(card) == own
    assert all(url.endswith(card.id) for url in links(card).values())


def test_a_link_that_would_cost_the_card_is_left_out() -> None:
    config = CONFIG.model_copy(
        update={
            "links": CONFIG.links.model_copy(update={"claims_app": "https://claims.example"})
        }
    )
    renderer = CardRenderer(load_cards(assets.cards_dir()), config, None)
    long = notification(
        "nphies.claim.rejected",
        claim_id="C" * 5_000,
        runbook_url="https://x.example/" + "r" * 5_000,
    )

    found: Any = renderer.context(long)["links"]

    assert all(len(url) < 2_100 for url in found.values())
    assert "view_claim" not in found
    assert (
        "view_claim"
        in renderer.context(notification("nphies.claim.rejected", claim_id="C-1"))["links"]
    )  # type: ignore[operator]


def test_the_card_of_an_acknowledgement_offers_no_action() -> None:
    told = notification("notifier.acknowledged", taken_by="Sara")
    assert links(told) == {}
    assert RENDERER.acknowledge_link(told) is None
    assert RENDERER.render(replace(told, lang="ar")).template == "acknowledged.ar"


def test_all_keys_of_an_action_share_the_cluster_slot_of_the_requests() -> None:
    keys = (ACCEPTED, action_key(ORIGINAL), callback_key("x"))
    assert {key_slot(key.encode()) for key in keys} == {key_slot(REQUESTS.encode())}
