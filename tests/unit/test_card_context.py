"""Links, facts and unused members: what a card is rendered from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import JsonValue
from redis.crc import key_slot

from notifier.broker.keys import ACCEPTED, action_key, callback_key
from notifier.cards.fields import shown_fields, unused_fields
from notifier.cards.library import CardLibrary, load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.errors import TemplateError
from notifier.events.action import REQUESTS
from notifier.events.entry import to_event
from notifier.events.notification import Notification
from notifier.events.routing import Catalogue
from notifier.templating import Template

CONFIG = load_config(None, {})
_MEMBERS: dict[str, JsonValue] = {
    "type": "a.b",
    "stakeholders": ["sre"],
    "data": {"claim_id": "CLM-1", "items": [{"title": "first"}, {"price": 2}]},
}
_EVENT = to_event("teams:events", "1-1", _MEMBERS)
NOTIFICATION = (
    Catalogue(CONFIG.routes, CONFIG.channels).route(_EVENT, _EVENT.data).notifications[0]
)


def rendered(text: str) -> JsonValue:
    renderer = CardRenderer(CardLibrary({"generic": Template({"text": text})}), CONFIG, None)
    return renderer.render(NOTIFICATION).card


def drawn_with_facts(text: str) -> JsonValue:
    renderer = CardRenderer(CardLibrary({}), CONFIG, None)
    return Template({"text": text}).expand(
        renderer.context(NOTIFICATION), missing=lambda _: "—"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("${facts[0].value}", "CLM-1"),
        ("${stringOrValue('v ${facts[0].value}')}", "v CLM-1"),
        ("${stringOrValue('${FACTS[0].value}')}", "CLM-1"),
        ("""${stringOrValue('${stringOrValue("v ${facts[0].value}")}')}""", "v CLM-1"),
        ("""${stringOrValue('${getProperty ("facts[0].value")}')}""", "CLM-1"),
        ("${stringOrValue('${$root.facts[0].value}')}", "CLM-1"),
        ("${join(select(data.items, facts, facts[0].title), ' ')}", "claim_id claim_id"),
        ("${join(select(data.items, Facts, facts[0].value), ' ')}", "CLM-1 CLM-1"),
        ("${join(foreach(data.items, $root, $root.facts[0].value), ' ')}", "CLM-1 CLM-1"),
        ("${count(where(data.items, facts, exists(facts[0].title)))}", 2),
    ],
)
def test_a_fact_is_shown_however_a_card_reads_it(text: str, shown: JsonValue) -> None:
    assert rendered(text) == {"text": shown}


def _literal(text: str) -> str:
    """Return a literal of the template language, with few backslashes."""
    quote = '"' if "'" in text else "'"
    return quote + text.replace(quote, "\\" + quote) + quote


_NAMES = st.sampled_from(["facts", "Facts", "x", "data", "$root", "$data"])
_LEAVES = st.sampled_from(
    ["facts", "FACTS[0]", "facts[1].title", "$root.facts", "$data['facts']", "data.items", "data", "x", "1", "'t'"]
)  # fmt: skip


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    written = st.builds("a ${{{}}}".format, inner) | st.builds("${{{}}}".format, inner)
    return st.one_of(
        st.builds("stringOrValue({})".format, written.map(_literal)),
        st.builds("getProperty({})".format, inner.map(_literal)),
        st.builds("getProperty({}, 'facts')".format, inner),
        st.builds("{}({}, {}, {})".format, st.sampled_from(["select", "where"]), inner, _NAMES, inner),
        st.builds("createArray({}, {})".format, inner, inner),
        st.builds("coalesce({}, {})".format, inner, inner),
        st.builds("if(exists({}), {}, {})".format, inner, inner, inner),
        st.builds("{}[0]".format, inner),
        st.builds("data[{}]".format, inner),
        st.builds("{}.title".format, inner),
        st.builds("json({}).value".format, inner),
        st.builds("string({})".format, inner),
    )  # fmt: skip


@given(
    expression=st.recursive(_LEAVES, _larger, max_leaves=6),
    form=st.sampled_from(["${%s}", "v ${%s}"]),
)
def test_a_card_comes_out_as_if_the_facts_were_always_there(expression: str, form: str) -> None:
    text = form % expression
    try:
        expected = drawn_with_facts(text)
    except TemplateError:
        assume(False)
    else:
        assert rendered(text) == expected


WITHOUT_LINKS = CardRenderer(load_cards(assets.cards_dir()), CONFIG, None)


def unused(event_type: str, **data: Any) -> list[tuple[str, str]]:
    return [
        tuple(each) for each in WITHOUT_LINKS.render(notification(event_type, **data)).unused
    ]


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
