"""Shipped cards show every event type, with all data and with none."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.library import load_cards
from notifier.cards.preview import Preview, example_link
from notifier.config import assets, load_config
from notifier.config.models import LinkSettings
from notifier.events.entry import to_event

CARDS = assets.cards_dir()
SAMPLES = sorted((CARDS / "samples").glob("*.json"))
ROUTES: dict[str, Any] = tomllib.loads(assets.config_file().read_text("utf-8"))["routes"]
FIELDS: dict[str, dict[str, Any]] = tomllib.loads((CARDS / "fields.toml").read_text("utf-8"))
CARD_NAMES = sorted(FIELDS)
LEFTOVERS = re.compile(r"\$\{|\bNone\b|\bnull\b|\bNaN\b|\bundefined\b|\[object")
CONFIG = load_config(None, {})
MASKED = frozenset(CONFIG.masking.fields)
LIBRARY = load_cards(CARDS)
SITE = "https://notifier.example.sa"


def sample(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return event


def card_of(event_type: str) -> str:
    return str(ROUTES[event_type]["card"]) if event_type in ROUTES else "generic"


def preview(*, linked: bool) -> Preview:
    links = LinkSettings(**dict.fromkeys(LinkSettings.model_fields, SITE)) if linked else None
    config = CONFIG.model_copy(update={"links": links or CONFIG.links})
    return Preview(config, LIBRARY, action_link=example_link if linked else None)


LINKED, UNLINKED = preview(linked=True), preview(linked=False)


def rendered(
    event_type: str, data: dict[str, Any], shown_by: Preview = LINKED, *, lang: str = "en"
) -> Any:
    to = ["sre", "devops"]
    event = {"type": event_type, "stakeholders": to, "data": data, "lang": lang}
    [first, *_] = shown_by.route(
        to_event("teams:events", "1764000000000-0", event)
    ).notifications
    return shown_by.render(first).card


def texts(node: Any) -> Iterator[str]:
    """Yield what a reader sees or hears."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"text", "title", "value", "url", "speak", "fallbackText"}:
                yield re.sub(r"\\([*_])", r"\1", str(value)).replace("\u2060", "")
            else:
                yield from texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)


def elements(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from elements(value)
    elif isinstance(node, list):
        for item in node:
            yield from elements(item)


def assert_clean(card: Any) -> None:
    spoilt = [text for text in texts(card) if LEFTOVERS.search(text)]
    assert spoilt == []


def event_types(card: str) -> list[str]:
    return [name for name, route in ROUTES.items() if route["card"] == card] or ["some.event"]


def test_every_event_type_has_a_sample_named_after_it() -> None:
    named = {path.stem for path in SAMPLES}

    assert set(ROUTES) <= named
    assert all(sample(path)["type"] == path.stem for path in SAMPLES)


def test_every_routed_card_exists_and_has_its_fields_described() -> None:
    assert {route["card"] for route in ROUTES.values()} | {"generic"} == set(CARD_NAMES)
    assert {path.stem for path in CARDS.glob("*.json")} >= set(CARD_NAMES)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_uses_only_fields_that_are_described(path: Path) -> None:
    event = sample(path)
    fields = FIELDS[card_of(event["type"])]

    assert "id" not in event
    if fields:
        assert set(event["data"]) <= set(fields)
        assert {name for name, field in fields.items() if field["required"]} <= set(
            event["data"]
        )


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_rendered_whole(path: Path) -> None:
    event = sample(path)

    card = rendered(event["type"], event["data"])

    assert_clean(card)
    assert card["version"] == "1.5"
    assert card["msteams"] == {"width": "Full"}
    assert card["speak"]
    assert card["fallbackText"]
    shown = "\n".join(texts(card))
    missing = [
        name
        for name, value in event["data"].items()
        if isinstance(value, str) and not re.match(r"[\d-]+(T|[.]\d+$)", value)
        if value not in shown and name not in {"runbook_url", "currency", *MASKED}
    ]
    assert missing == []


@pytest.mark.parametrize("event_type", [*ROUTES, "some.event"])
def test_a_card_without_data_has_a_dash_for_each_required_field(event_type: str) -> None:
    fields = FIELDS[card_of(event_type)]

    empty = rendered(event_type, {}, UNLINKED)
    nulls = rendered(event_type, dict.fromkeys(fields), UNLINKED)

    arabic = rendered(event_type, {}, UNLINKED, lang="ar")
    for card in (empty, nulls, arabic):
        assert_clean(card)
        assert '": []' not in json.dumps({**card, "actions": None}), "an empty element"
    facts = [node["value"] for node in elements(empty) if set(node) == {"title", "value"}]
    assert facts.count("—") == sum(field["required"] for field in fields.values())


@pytest.mark.parametrize("card", CARD_NAMES)
@pytest.mark.parametrize("value", ["4200.5", "n/a", "", -3, 0, True, "ü" * 40, "1.234,50"])
def test_any_scalar_in_any_field_is_rendered(card: str, value: Any) -> None:
    assert_clean(rendered(event_types(card)[0], dict.fromkeys(FIELDS[card], value)))


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (4312.5, None, "4,312.50 SAR"),
        ("4312.5", None, "4,312.50 SAR"),
        ("12,500.00", None, "12,500.00 SAR"),
        ("0", None, "0.00 SAR"),
        ("to be agreed", None, "to be agreed SAR"),
        (10, "USD", "10.00 USD"),
    ],
)
def test_an_amount_is_formatted_or_shown_as_it_is(
    amount: Any, currency: Any, shown: str
) -> None:
    data = {"claim_id": "CLM-1", "total_amount": amount, "currency": currency}

    assert shown in list(texts(rendered("nphies.claim.submitted", data)))


@pytest.mark.parametrize("card", [name for name in CARD_NAMES if name != "acknowledged"])
def test_actions_are_links_only_and_vanish_without_their_link(card: str) -> None:
    event_type = event_types(card)[0]
    linked = rendered(event_type, {})["actions"]

    assert linked[0]["title"] == "Acknowledge"
    assert {action["type"] for action in linked} == {"Action.OpenUrl"}
    assert len(linked) <= 6
    assert rendered(event_type, {}, UNLINKED)["actions"] == []


@pytest.mark.parametrize("card", CARD_NAMES)
def test_the_same_facts_are_on_every_card(card: str) -> None:
    facts = [
        node["title"]
        for node in elements(rendered(event_types(card)[0], {}))
        if set(node) == {"title", "value"}
    ]

    last = ["Priority", "Event time", "Correlation id", "Stakeholders", "Notification"]
    assert facts[-5:] == last


def test_long_lists_are_cut_and_say_how_much_is_missing() -> None:
    services = [{"description": f"Service {n}", "amount": n} for n in range(200)]

    card = rendered("nphies.claim.submitted", {"claim_id": "CLM-1", "services": services})

    assert "… and 185 more services" in list(texts(card))
