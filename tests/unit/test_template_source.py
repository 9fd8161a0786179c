"""Templates become Python source: how deep, long or odd they are must not show in what they draw."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from notifier.templating import Template

_TEXTS = st.text(st.characters(exclude_characters="$\\'`"), max_size=30)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).filter(
    lambda name: not name.startswith("$")
)


@given(key=_NAMES, text=_TEXTS, value=st.text(st.characters(codec="utf-8"), max_size=20))
def test_whatever_signs_a_template_holds_come_out_as_they_are(
    key: str, text: str, value: str
) -> None:
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
    drawn = Template(card).expand({"n": 2, "s": "deep"})
    for _ in range(25):
        assert isinstance(drawn, dict)
        items = drawn["items"]
        assert isinstance(items, list)
        [drawn] = items
    assert drawn == {"type": "TextBlock", "text": "deep"}
    assert Template(card).expand({"n": 1, "s": "deep"}) is None


def test_a_long_chain_of_alternatives_is_no_deeper_than_one() -> None:
    chain = " || ".join(f"n == {number}" for number in range(60))
    template = Template(f"${{if({chain}, 'listed', 'not')}}")
    assert [template.expand({"n": number}) for number in (0, 59, 60)] == [
        "listed",
        "listed",
        "not",
    ]
