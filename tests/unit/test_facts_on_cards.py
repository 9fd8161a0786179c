"""The list of facts is built only for cards that read it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import JsonValue

from notifier.cards.library import CardLibrary
from notifier.cards.renderer import CardRenderer
from notifier.config import load_config
from notifier.errors import TemplateError
from notifier.events.entry import to_event
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
