"""The shipped cards keep their promises for every event type, with full and with minimal data."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.config import assets
from notifier.templating import Template

CARDS = assets.cards_dir()
SAMPLES = sorted((CARDS / "samples").glob("*.json"))
ROUTES: dict[str, Any] = tomllib.loads(assets.config_file().read_text("utf-8"))["routes"]
FIELDS: dict[str, dict[str, Any]] = tomllib.loads((CARDS / "fields.toml").read_text("utf-8"))
CARD_NAMES = sorted(FIELDS)
MAX_CARD_BYTES = 27_500
LEFTOVERS = re.compile(r"\$\{|\bNone\b|\bnull\b|\bNaN\b|\bundefined\b|\[object")
LINK_NAMES = (
    *("acknowledge", "escalate", "retry_task", "discard_task", "poll_nphies", "view_claim"),
    *("edit_claim", "process_payment", "rejection_guide", "nphies_portal", "nphies_status"),
    *("nphies_docs", "dashboard", "logs", "flower", "runbook"),
)
LINKS = {name: f"https://notifier.example.sa/{name}" for name in LINK_NAMES}


def sample(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return event


def card_of(event_type: str) -> str:
    return str(ROUTES[event_type]["card"]) if event_type in ROUTES else "generic"


def template(card: str) -> Template:
    return Template(json.loads((CARDS / f"{card}.json").read_text("utf-8")))


def expand(
    card: str, event_type: str, data: dict[str, Any], links: dict[str, str] = LINKS
) -> Any:
    return template(card).expand(
        {
            "event": {
                "type": event_type,
                "id": "1764000000000-0",
                "correlation_id": "corr-1",
                "time": "2026-11-24T10:15:00Z",
                "lang": "en",
                "stream": "teams:events",
            },
            "notification": {
                "id": "b5c9c5d4-52a6-5c0c-a1f4-1a4f28d41a07",
                "channel": "sre",
                "channel_title": "SRE",
                "stakeholders": ["sre", "devops"],
                "stakeholders_text": "SRE, DevOps",
                "priority": "HIGH",
                "priority_icon": "🟠",
                "priority_color": "warning",
                "priority_style": "warning",
            },
            "data": data,
            "facts": [{"title": name, "value": str(value)} for name, value in data.items()],
            "links": links,
        }
    )


def texts(node: Any) -> Iterator[str]:
    """Yield what a reader sees or hears."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"text", "title", "value", "url", "speak", "fallbackText"}:
                yield str(value)
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
def test_sample_is_drawn_whole(path: Path) -> None:
    event = sample(path)

    card = expand(card_of(event["type"]), event["type"], event["data"])

    assert_clean(card)
    assert card["version"] == "1.5"
    assert card["msteams"] == {"width": "Full"}
    assert len(json.dumps(json.dumps(card))) <= MAX_CARD_BYTES
    assert card["speak"]
    assert card["fallbackText"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_declared_value_of_a_sample_appears(path: Path) -> None:
    event = sample(path)
    rendered = "\n".join(texts(expand(card_of(event["type"]), event["type"], event["data"])))

    missing = [
        name
        for name, value in event["data"].items()
        if isinstance(value, str) and not re.match(r"[\d-]+(T|[.]\d+$)", value)
        if value not in rendered and name not in {"runbook_url", "currency"}
    ]
    assert missing == []


@pytest.mark.parametrize("card", CARD_NAMES)
@pytest.mark.parametrize("data", [{}, None], ids=["no data", "only nulls"])
def test_card_without_any_data_prints_no_leftovers(
    card: str, data: dict[str, Any] | None
) -> None:
    values = dict.fromkeys(FIELDS[card]) if data is None else data
    for event_type in event_types(card):
        rendered = template_context_without_nulls(card, event_type, values)

        assert_clean(rendered)


def template_context_without_nulls(card: str, event_type: str, data: dict[str, Any]) -> Any:
    """Render as the product does: the fact list holds no nulls, data may."""
    if card == "generic":
        data = {name: value for name, value in data.items() if value is not None}
    return expand(card, event_type, data, links={})


@pytest.mark.parametrize("card", [name for name in CARD_NAMES if name != "generic"])
def test_missing_required_field_shows_a_dash(card: str) -> None:
    required = [name for name, field in FIELDS[card].items() if field["required"]]

    rendered = expand(card, event_types(card)[0], {}, links={})

    facts = [node["value"] for node in elements(rendered) if set(node) == {"title", "value"}]
    assert facts.count("—") == len(required)


@pytest.mark.parametrize("card", CARD_NAMES)
@pytest.mark.parametrize("value", ["4200.5", "n/a", "", -3, 0, True, "ü" * 40, "1.234,50"])
def test_any_scalar_in_any_field_is_rendered(card: str, value: Any) -> None:
    data = dict.fromkeys(FIELDS[card], value)

    assert_clean(expand(card, event_types(card)[0], data))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (4312.5, "4,312.50 SAR"),
        ("4312.5", "4,312.50 SAR"),
        ("12,500.00", "12,500.00 SAR"),
        ("0", "0.00 SAR"),
        ("to be agreed", "to be agreed SAR"),
    ],
)
def test_amount_is_formatted_or_shown_as_it_is(amount: Any, shown: str) -> None:
    data = {"claim_id": "CLM-1", "total_amount": amount}

    assert shown in list(texts(expand("claim_submitted", "nphies.claim.submitted", data)))


def test_amount_takes_the_currency_of_the_event() -> None:
    data = {"claim_id": "CLM-1", "total_amount": 10, "currency": "USD"}

    assert "10.00 USD" in list(texts(expand("claim_submitted", "nphies.claim.submitted", data)))


@pytest.mark.parametrize("card", [name for name in CARD_NAMES if name != "acknowledged"])
def test_actions_are_links_only_and_vanish_without_their_link(card: str) -> None:
    event_type = event_types(card)[0]
    linked = expand(card, event_type, {})["actions"]

    assert linked[0]["title"] == "Acknowledge"
    assert {action["type"] for action in linked} == {"Action.OpenUrl"}
    assert len(linked) <= 6
    assert expand(card, event_type, {}, links={})["actions"] == []


@pytest.mark.parametrize("card", CARD_NAMES)
def test_every_text_wraps(card: str) -> None:
    source = json.loads((CARDS / f"{card}.json").read_text("utf-8"))

    blocks = [node for node in elements(source) if node.get("type") == "TextBlock"]
    assert blocks
    assert all(block["wrap"] is True for block in blocks)


@pytest.mark.parametrize("card", CARD_NAMES)
def test_same_facts_stand_on_every_card(card: str) -> None:
    rendered = expand(card, event_types(card)[0], {})

    titles = [node["title"] for node in elements(rendered) if set(node) == {"title", "value"}]
    assert titles[-5:] == [
        "Priority",
        "Event time",
        "Correlation id",
        "Stakeholders",
        "Notification",
    ]


def test_long_lists_are_cut_and_say_how_much_is_missing() -> None:
    services = [{"description": f"Service {n}", "amount": n} for n in range(200)]
    data = {"claim_id": "CLM-1", "services": services}

    card = expand("claim_submitted", "nphies.claim.submitted", data)

    assert "… and 185 more services" in list(texts(card))
    assert len(json.dumps(json.dumps(card))) <= MAX_CARD_BYTES
