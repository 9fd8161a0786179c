"""No template and no data may hang the daemon or fill its memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

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
