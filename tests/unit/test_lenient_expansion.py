"""A delivered card shows a dash for an expression without value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import TemplateError
from notifier.templating import DataName, Template


def rendered(text: str, data: Any) -> tuple[Any, list[str]]:
    gaps: list[str] = []

    def dash(expression: str) -> str:
        gaps.append(expression)
        return "—"

    return Template({"t": text}).expand(data, missing=dash), gaps


@pytest.mark.parametrize(
    ("text", "shown", "gap"),
    [
        ("Claim ${data.claim_id}", "Claim —", "data.claim_id"),
        ("${data.claim_id}", "—", "data.claim_id"),
        ("${toUpper(data.claim_id)}!", "—!", "data.claim_id"),
        ("a ${data.nothing} b", "a — b", "data.nothing"),
        ("a ${1 / data.zero} b", "a — b", "(1 / data.zero)"),
        ("${length(data.zero)}", "—", "length(data.zero)"),
        ("${data.list[5]}", "—", "data.list[5]"),
    ],
)
def test_an_expression_without_value_shows_a_dash_and_is_reported(
    text: str, shown: str, gap: str
) -> None:
    data = {"data": {"nothing": None, "zero": 0, "list": []}}
    assert rendered(text, data) == ({"t": shown}, [gap])


def test_event_text_that_looks_like_a_template_stays_text() -> None:
    assert rendered("${x}", {"x": "${y}"}) == ({"t": "${y}"}, [])


def test_work_is_bounded_in_a_delivery_too() -> None:
    nested = "${select(range(0, 10000), x, select(range(0, 10000), y, x * y))}"
    with pytest.raises(TemplateError, match="steps"):
        rendered(nested, {})


@given(
    st.text(alphabet="abx.${}()'\" +*/[]01,?:!=<>|&^%\\`", max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner)
        ),
        max_leaves=8,
    ),
)
def test_any_text_and_data_expand_or_are_refused(text: str, data: Any) -> None:
    try:
        template = Template({"$when": text, "t": text, "l": [text, {"$data": text, "u": text}]})
    except TemplateError:
        return
    card = template.expand(data, missing=lambda _: "—")
    assert card is None or isinstance(card, dict)


@pytest.mark.parametrize(
    "text", ["a ${n * 1}", "${n}", "${n == 1.5}", "${n + 1}", "a ${" + "9" * 5000 + "}"]
)
@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_number_beyond_a_double_is_an_infinity_as_in_javascript(text: str, number: int) -> None:
    shown, _ = rendered(text, {"n": number})

    if text.startswith("a "):
        assert str(shown["t"]).endswith("Infinity")


@pytest.mark.parametrize("text", ["${getProperty(labels, code)}", "${labels[code].b}"])
def test_a_name_from_the_data_differs_from_one_of_the_template(text: str):
    names: list[str] = []

    def dash(expression: str) -> str:
        names.append(expression)
        return "–"

    data: Any = {"labels": {"a": 1}, "code": "Sara Al-Otaibi"}
    Template({"t": text + "${labels.c}"}).expand(data, missing=dash)

    assert [isinstance(name, DataName) for name in names] == [True, False]
