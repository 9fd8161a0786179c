"""No template and no data may hang the daemon or fill its memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from notifier.cards.library import compile_card
from notifier.errors import TemplateError
from notifier.templating import Template


def nested(depth: int, *, member: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if member else [value]
    return value


DATA: Any = {
    "s": "x" * 100_000,
    "l": list(range(10_000)),
    "lists": [list(range(1_000))] * 1_000,
    "deep": nested(900, member=True),
    "deep_list": nested(900, member=False),
    "huge": 10**400,
}

TOO_MUCH = [
    "foreach(l, x, s)",
    "foreach(l, x, l)",
    "foreach(l, x, $root)",
    "foreach(l, x, foreach(l, y, y))",
    "join(l, s)",
    "join(foreach(l, x, s), '')",
    "replace(s, 'x', s)",
    "range(0, 1000000000)",
    "where(l, x, contains(l, x))",
    "where(l, x, indexOf(l, x) > 5)",
    "where(l, x, sum(l) > 5)",
    "select(l, x, sortBy(l))",
    "select(l, x, split(s, ''))",
    "where(l, x, l == lists)",
    "flatten(lists)",
    "replaceIgnoreCase(s, 'x', 'aaaaaaaaaa')",
    "jsonStringify(lists)",
    "isMatch(s, 'x{1000}{1000}')",
]


EVENT: Any = {
    "items": [{"v": number} for number in range(9_000)],
    "names": {f"Name{number}": number for number in range(12_000)},
    "ids": list(range(9_000)),
    "words": [f"w{number}" for number in range(9_000)],
    "long": "x" * 100_000,
    "rows": [{"k": "x" * 4_000 + str(number)} for number in range(25)],
}
"""As an event may be."""

BEYOND_AN_EVENT = [
    "where(items, x, exists(names.missing) && contains(ids, x.v))",
    "where(items, x, contains(ids, x.v))",
    "where(items, x, contains(words, 'no'))",
    "where(items, x, indexOf(ids, x.v) > 5)",
    "where(items, x, lastIndexOf(long, 'y') > 5)",
    "where(items, x, length(long) > 5)",
    "where(items, x, isMatch(long, 'y'))",
    "where(items, x, setProperty(names, 'a', 1))",
    "where(items, x, getProperty(removeProperty(names, 'a'), 'missing'))",
    "where(items, x, formatDateTime('2026-11-24T10:15:00Z') == x)",
    "where(items, x, max(ids) > 5)",
    "where(items, x, startsWith(toUpper(long), 'A'))",
    "where(items, x, long == concat(long, ''))",
    "sortBy(items, 'v')",
    "where(words, x, count(sortBy(rows, 'k')) > 1)",
    "replaceIgnoreCase(concat(long, long), 'x', 'y')",
    "where(items, x, uriComponent(long))",
    "binary(concat(long, long))",
    "where(items, x, jsonStringify(names))",
    "formatDateTime('2026-11-24T10:15:00Z', concat(long, long))",
    "isDateTime(concat(long, long))",
]


@pytest.mark.parametrize("expression", BEYOND_AN_EVENT)
def test_each_call_counts_the_items_that_it_reads(expression: str) -> None:
    with pytest.raises(TemplateError, match="steps"):
        Template(f"${{{expression}}}").expand(EVENT)


@pytest.mark.parametrize("name", ["missing", "NAME5", "name11999"])
def test_a_large_object_is_searched_for_a_name_once(
    name: str,
) -> None:
    class Counted(str):
        __slots__ = ()
        lowered = 0

        def lower(self) -> str:
            Counted.lowered += 1
            return super().lower()

    data = {
        "items": [1] * 2_000,
        "names": {Counted(f"Name{number}"): number for number in range(12_000)},
    }
    card = {"items": [{"$data": "${items}", "text": f"${{$root.names.{name}}}"}]}

    Template(card).expand(data, missing=lambda _: "-")
    assert Counted.lowered == 12_000


@pytest.mark.parametrize(
    "data",
    [
        {"text": "*" * 240_000},
        {"text": "\n- " * 80_000},
        {"text": {f"*{number}": "_" for number in range(14_000)}},
    ],
)
def test_making_text_harmless_is_counted(data: Any) -> None:
    texts = [f"${{if(exists(text), text, '{number}')}} " for number in range(8)]
    blocks = [{"type": "TextBlock", "text": text} for text in texts]
    with pytest.raises(TemplateError, match="steps"):
        compile_card({"body": blocks}).expand(data)


@pytest.mark.parametrize("expression", TOO_MUCH)
def test_an_expression_that_would_take_too_much_is_refused(expression: str) -> None:
    with pytest.raises(TemplateError):
        Template(f"${{{expression}}}").expand(DATA)


@pytest.mark.parametrize(
    "template",
    [
        {"items": [{"$data": "${l}", "text": "${$root.s} ${$root.s}"}]},
        {"items": [{"$data": "${l}", "text": "${$root}"}]},
        {"items": [{"$data": "${l}", "in": {"$data": "${$root.l}", "text": "${$index}"}}]},
    ],
)
def test_a_repeated_element_that_would_become_too_large_is_refused(template: Any) -> None:
    with pytest.raises(TemplateError, match=r"steps|nested"):
        Template(template).expand(DATA)


@pytest.mark.parametrize("name", ["deep", "deep_list"])
@pytest.mark.parametrize(
    "form", ["${%s}", "${jsonStringify(%s)}", "${flatten(%s)}", "${%s == %s}", "a ${%s}"]
)
def test_data_nested_deeply_are_shown_or_refused(name: str, form: str) -> None:
    with suppress(TemplateError):
        Template(form.replace("%s", name)).expand(DATA)


@pytest.mark.parametrize(
    "text",
    [
        "${" + "(" * 4_000 + "1" + ")" * 4_000 + "}",
        "${" + "!" * 9_000 + "t}",
        "${" + "1+" * 4_000 + "1}",
        "${" + "a." * 4_000 + "b}",
        "${a" + "[0]" * 3_000 + "}",
        "${" + "a?b:" * 2_000 + "1}",
        "${" + "a && " * 1_900 + "1}",
        "${" + "a" * 20_000 + "}",
    ],
)
def test_an_endless_expression_is_refused_when_the_card_is_loaded(text: str) -> None:
    with pytest.raises(TemplateError):
        Template({"text": text})


@pytest.mark.parametrize("member", [True, False])
def test_a_template_nested_too_deeply_is_refused(member: bool) -> None:
    with pytest.raises(TemplateError, match="nested"):
        Template(nested(500, member=member))


@pytest.mark.parametrize(
    "expression",
    [
        "huge",
        "huge + 1",
        "formatNumber(huge, 2)",
        "string(huge)",
        "-huge",
        "addDays('2026-11-24T10:15:00.000Z', huge)",
    ],
)
@pytest.mark.parametrize("form", ["${%s}", "= ${%s}"])
def test_a_number_beyond_a_double_never_fails_in_another_way(
    expression: str, form: str
) -> None:
    with suppress(TemplateError):
        Template(form.replace("%s", expression)).expand(DATA)
