"""The template engine against Microsoft's own: what it answered is kept in tests/oracle/corpus.jsonl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.errors import TemplateError
from notifier.templating import Template
from notifier.templating.signatures import REFUSED

ORACLE = Path(__file__).resolve().parent.parent / "oracle"
ON_PURPOSE = re.compile(rf"\b({'|'.join(REFUSED)})\(|foreach\)\(\)|'hello'\.length\(\)")
"""Refused by name, or a call of what is no function: an error at load here, left visible there."""
UNKNOWN = re.compile(
    r"\b(unknownFunction|nofn|user\.name|lower|TOUPPER|(a\.)?func|array|setPathToValue)\("
)


def cases() -> Iterator[Any]:
    scope = json.loads((ORACLE / "inputs.json").read_text("utf-8"))["scope"]
    for number, line in enumerate((ORACLE / "corpus.jsonl").read_text("utf-8").split("\n")):
        if not line:
            continue
        case = json.loads(line)
        if case["data"] == "scope":
            case["data"] = scope
        yield pytest.param(case, id=f"{number}")


def same(left: Any, right: Any) -> bool:
    """Compare as JSON does: true is not 1, 1.0 is 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


CASES = list(cases())


def on_purpose(template: object) -> bool:
    text = json.dumps(template)
    return bool(ON_PURPOSE.search(text) or UNKNOWN.search(text))


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(CASES) >= 3_000


@pytest.mark.parametrize("case", CASES)
def test_a_template_expands_as_microsofts_engine_does(case: dict[str, Any]) -> None:
    if on_purpose(case["template"]) or "throws" in case:
        with pytest.raises(TemplateError):
            Template(case["template"]).expand(case["data"], case.get("host"))
    else:
        before = json.dumps(case["data"])
        drawn = Template(case["template"]).expand(case["data"], case.get("host"))
        assert same(drawn, case["value"]), drawn
        assert json.dumps(case["data"]) == before, "the data were changed"
