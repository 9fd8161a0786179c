"""Members of event data that no card shows are named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.cards.fields import shown_fields, unused_fields
from notifier.cards.library import load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.events.entry import to_event
from notifier.events.routing import Catalogue
from notifier.templating import Template

CONFIG = load_config(None, {})
RENDERER = CardRenderer(load_cards(assets.cards_dir()), CONFIG, None)


def unused(event_type: str, **data: Any) -> list[tuple[str, str]]:
    members = {"type": event_type, "stakeholders": ["sre"], "data": data}
    event = to_event("teams:events", "1-1", members)
    [first, *_] = (
        Catalogue(CONFIG.routes, CONFIG.channels).route(event, event.data).notifications
    )
    return [tuple(each) for each in RENDERER.render(first).unused]


@pytest.mark.parametrize(
    ("event_type", "data", "found"),
    [
        ("nphies.claim.rejected", {"claim_id": "1", "payer_name": "x"}, [("payer_name", "payer")]),
        ("nphies.claim.approved", {"approved_ammount": 1, "payer": "x"}, [("approved_ammount", "approved_amount")]),
        ("nphies.claim.approved", {"payer_name": "x", "payer_share": 1}, [("payer_name", "payer")]),
        ("nphies.claim.rejected", {"xyzzy": 1}, [("xyzzy", "")]),
        ("nphies.claim.rejected", {"prioritty": "HIGH", "stakeholder": "sre"}, [("prioritty", "priority"), ("stakeholder", "stakeholders")]),
        ("nphies.claim.rejected", {"corelation_id": "x"}, [("corelation_id", "correlation_id")]),
        ("nphies.claim.rejected", {"Claim_ID": "1", "errors": [{"field": "a"}], "rejection_code": "x"}, []),
        ("system.redis.connection_lost", {"runbook_url": "https://x", "dashboard_id": "d"}, []),
        ("a.b", {"anything": 1}, []),
        ("nphies.claim.rejected", {f"n{number}": 1 for number in range(9_000)}, None),
    ],
)  # fmt: skip
def test_members_that_a_card_does_not_show_are_named(
    event_type: str, data: Any, found: Any
) -> None:
    names = unused(event_type, **data)
    assert len(names) <= 20
    if found is not None:
        assert names == found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("${data.a} ${toUpper($root.data.B)} ${$data.data.c.d}", {"a", "b", "c"}),
        ("${getProperty(data, event.lang)}", None),
        ("${join(foreach(data.list, x, x.name), ',')}", {"list"}),
        ("${facts[0].value}", None),
        ("${json(data)}", None),
    ],
)
def test_fields_are_known_from_the_expressions(text: str, shown: set[str] | None) -> None:
    found = shown_fields(Template({"type": "TextBlock", "text": text}))
    assert (found is None) == (shown is None)
    if found is not None and shown is not None:
        assert shown <= found
        assert not {"z", "name"} & found


@given(st.dictionaries(st.text(), st.none()))
@example({"CORRELATION": None})
def test_any_names_can_be_compared(data: dict[str, None]) -> None:
    found = unused_fields(data, frozenset({"payer", "claim_id"}), ["documented"])
    of_event = {"correlation_id", "priority", "stakeholders"}
    assert {each.meant for each in found} <= {"", "payer", "claim_id", "documented", *of_event}
    assert {each.name for each in found} <= set(data)
