"""What a template expands to: dashes for gaps, and no empty elements."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.cards.escaping import autoescape
from notifier.errors import TemplateError
from notifier.templating import DataName, Template


def with_gaps(text: str, data: Any) -> tuple[Any, list[str]]:
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
    assert with_gaps(text, data) == ({"t": shown}, [gap])


def test_event_text_that_looks_like_a_template_stays_text() -> None:
    assert with_gaps("${x}", {"x": "${y}"}) == ({"t": "${y}"}, [])


def test_work_is_bounded_in_a_delivery_too() -> None:
    nested = "${select(range(0, 10000), x, select(range(0, 10000), y, x * y))}"
    with pytest.raises(TemplateError, match="steps"):
        with_gaps(nested, {})


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
    shown, _ = with_gaps(text, {"n": number})

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


@pytest.mark.parametrize("empty", ["", None, "javascript:x"])
def test_of_an_element_only_the_member_without_a_value_goes(empty: object) -> None:
    card = {
        "type": "Container",
        "backgroundImage": "${if(empty(x),'',x)}",
        "style": "${if(empty(x),'',x)}",
        "selectAction": {"type": "Action.OpenUrl", "url": "${x}"},
        "items": [
            {"type": "TextBlock", "text": "here", "color": "${if(isString(x),'',x)}"},
            {"type": "Image", "url": "${x}", "altText": "gone"},
            {"type": "ActionSet", "actions": [{"type": "Action.OpenUrl", "url": "https://a.example", "iconUrl": "${x}"}]},
            {"type": "Container", "backgroundImage": {"url": "${x}", "fillMode": "Cover"}, "items": [{"type": "TextBlock", "text": "too"}]},
        ],
    }  # fmt: skip
    shown: Any = Template(card, autoescape).expand({"x": empty}, missing=lambda _: "—")

    shown.pop("style", None)
    assert shown == {
        "type": "Container",
        "items": [
            {"type": "TextBlock", "text": "here"},
            {"type": "ActionSet", "actions": [{"type": "Action.OpenUrl", "url": "https://a.example"}]},
            {"type": "Container", "items": [{"type": "TextBlock", "text": "too"}]},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "element",
    [
        {"type": "FactSet", "facts": [{"$data": "${x}", "title": "a", "value": "b"}]},
        {"type": "FactSet", "facts": "${x}"},
        {"type": "FactSet", "facts": "${nowhere}"},
        {"type": "ActionSet", "actions": [{"type": "Action.OpenUrl", "url": "${nowhere}"}]},
        {"type": "ColumnSet", "columns": [{"$when": "${false}", "type": "Column"}]},
        {"type": "RichTextBlock", "inlines": "${x}"},
        {"type": "ImageSet", "images": [{"type": "Image", "url": "${nowhere}"}]},
        {"type": "Container", "items": [{"type": "FactSet", "facts": [{"$when": "${false}", "title": "a"}]}]},
    ],
)  # fmt: skip
def test_an_element_that_became_empty_is_left_out(element: Any) -> None:
    kept = {"type": "TextBlock", "text": "here"}
    card = Template({"type": "AdaptiveCard", "body": [element, kept]}, autoescape)

    assert card.expand({"x": []}, missing=lambda _: "—") == {
        "type": "AdaptiveCard",
        "body": [kept],
    }


def test_an_empty_box_that_the_template_paints_stays() -> None:
    box: Any = {"type": "Container", "minHeight": "20px", "items": [{"$when": "${false}"}]}
    assert Template(box, autoescape).expand({}) == {**box, "items": []}


ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["${x}", "TextBlock", "", "a ${x}"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "text", "url", "facts", "items", "style", "$data", "$when"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(ANY_JSON, ANY_JSON)
@example({"type": ["x"], "text": "${x}"}, "a")
def test_any_json_is_a_template_or_is_refused_by_name(card: Any, value: Any) -> None:
    with contextlib.suppress(TemplateError):
        Template(card, autoescape).expand({"x": value}, missing=lambda _: "—")
