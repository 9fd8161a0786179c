"""Templates become Python source, and their strings end as in the grammar."""

from __future__ import annotations

import itertools
import re
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from notifier.errors import TemplateError
from notifier.templating import Template
from notifier.templating.parser import KEY, STRING, parse, split_text

_TEXTS = st.text(st.characters(exclude_characters="$\\'`"), max_size=30)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).filter(
    lambda name: not name.startswith("$")
)


@given(key=_NAMES, text=_TEXTS, value=st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_signs_of_a_template_come_out_unchanged(key: str, text: str, value: str) -> None:
    template = Template({key: f"{text}${{x}}{text}${{concat('{text}', x)}}", "same": text})
    shown = f"{text}{value}{text}{text}{value}"
    assert template.expand({"x": value}) == {key: shown} | {"same": text}


def test_conditions_may_be_nested_deeper_than_pythons_blocks() -> None:
    expression = reduce(
        lambda inner, n: f"if(n > {n} && !empty(s), {inner}, 'no')", range(40), "s"
    )
    template = Template(f"${{{expression}}}")
    assert template.expand({"n": 40, "s": "yes"}) == "yes"
    assert template.expand({"n": 3, "s": "yes"}) == "no"


def test_elements_may_be_nested_deeper_than_pythons_blocks() -> None:
    card: JsonValue = {"type": "TextBlock", "text": "${s}"}
    for _ in range(25):
        card = {"type": "Container", "$when": "${n > 1}", "items": [card]}
    rendered = Template(card).expand({"n": 2, "s": "deep"})
    for _ in range(25):
        assert isinstance(rendered, dict)
        items = rendered["items"]
        assert isinstance(items, list)
        [rendered] = items
    assert rendered == {"type": "TextBlock", "text": "deep"}
    assert Template(card).expand({"n": 1, "s": "deep"}) is None


def test_a_long_chain_of_alternatives_is_not_deeper_than_one() -> None:
    chain = " || ".join(f"n == {number}" for number in range(60))
    template = Template(f"${{if({chain}, 'listed', 'not')}}")
    assert [template.expand({"n": number}) for number in (0, 59, 60)] == [
        "listed",
        "listed",
        "not",
    ]


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0.005, 1.005, 2.5, -0.0, 999.995, 1e15 - 0.5, 1e15, 10**15, 2**52 / 100])
    | st.text(max_size=5)
    | st.sampled_from([90 * "x", 95 * "x", 200_000 * "x"])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)


@pytest.mark.parametrize(
    ("literal", "bound", "operands"),
    [
        ("formatNumber(x, 0)", "formatNumber(x, a)", {"a": 0}),
        ("formatNumber(x, 2)", "formatNumber(x, a)", {"a": 2}),
        ("formatNumber(x, 15)", "formatNumber(x, a)", {"a": 15}),
        ("formatNumber(x, 16)", "formatNumber(x, a)", {"a": 16}),
        ("x < 1000000000000000", "x < a", {"a": 10**15}),
        ("x <= 2.5", "x <= a", {"a": 2.5}),
        ("x > -5", "x > a - b", {"a": 0, "b": 5}),
        ("x >= 2 * 3 - 6", "x >= a", {"a": 0}),
        ("x == 2 + 3", "x == a", {"a": 5}),
        ("empty(x)", "empty(first(a))", {}),
        ("concat('a', x, 'b')", "concat(a, x, b)", {"a": "a", "b": "b"}),
        ("concat(x, 'تم')", "concat(x, a)", {"a": "تم"}),
    ],
)
@given(value=_VALUES)
def test_an_operand_in_the_template_does_as_the_same_one_in_the_data(
    literal: str, bound: str, operands: dict[str, JsonValue], value: JsonValue
) -> None:
    data: JsonValue = {"a": [value], **operands, "x": value}
    for form in ("${%s}", "it is ${%s}", "${if(%s, 'yes', 'no')}"):
        assert _outcome(form % literal, data) == _outcome(form % bound, data)


def _outcome(text: str, data: JsonValue) -> str:
    """Return the result with its type, or the error."""
    try:
        return repr(Template(text).expand(data, missing=lambda _: "—"))
    except TemplateError as exc:
        return str(exc)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("${data.facts}", False),
        ("facts", False),
        ("${facts}", True),
        ("${Facts[0].title}", True),
        ("${foreach(facts, each, each.title)}", True),
        ("${length($root)}", True),
        ("${$root.data.claim_id}", True),
        ("${getProperty('facts')}", True),
        ("${stringOrValue('facts')}", False),
        ("${select(data.items, each, each.facts)}", False),
        ("${concat('getProperty(', data.x)}", False),
    ],
)
def test_a_template_knows_the_members_that_it_does_not_read(text: str, may: bool) -> None:
    assert Template({"text": text}).may_read("facts") is may


def test_the_list_that_elements_repeat_over_is_read() -> None:
    assert Template([{"$data": "${facts}", "text": "${title}"}]).may_read("facts")


# ExpressionAntlrLexer.g4: STRING, with its choice of reading a backslash alone or with what follows.
GRAMMAR = re.compile(r"'(?:\\['\\]|[^'])*'|\"(?:\\[\"\\]|[^\"])*\"")


def test_every_short_text_is_matched_as_the_grammar_matches_it():
    ours = re.compile(STRING)
    for length in range(9):
        for signs in itertools.product("'\\a", repeat=length):
            text = "'" + "".join(signs)
            expected, found = GRAMMAR.match(text), ours.match(text)
            assert (found and found[0]) == (expected and expected[0]), text


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_string_without_an_end_is_refused_however_many_backslashes_it_has(quote: str):
    with pytest.raises(TemplateError):
        parse(f"concat(a, {quote}" + "\\" * 9_000)


def test_every_short_key_is_matched_as_the_grammar_matches_it():
    ours, grammar = re.compile(KEY), re.compile(r"'(?:\\['\\]|[^'])*':")
    for length in range(8):
        for signs in itertools.product("'\\a:", repeat=length):
            text = "'" + "".join(signs)
            expected, found = grammar.match(text), ours.match(text)
            assert (found and found[0]) == (expected and expected[0]), text


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_key_without_an_end_leaves_the_text_as_it_is_however_many_backslashes_it_has(
    quote: str,
):
    text = "${{" + quote + "\\" * 9_000 + "."

    assert split_text(text) == [text]
