"""A card leaves out elements and members without a value."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.cards.escaping import autoescape
from notifier.errors import TemplateError
from notifier.templating import Template


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
