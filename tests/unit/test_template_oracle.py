"""Compare templates with the kept answers of Microsoft's engine.

They are in tests/oracle/corpus.jsonl.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from notifier.errors import TemplateError
from notifier.templating import Template
from notifier.templating.functions import lists, numbers, text, times, timex, web
from notifier.templating.signatures import REFUSED
from tests.support.oracle import same

ORACLE = Path(__file__).resolve().parent.parent / "oracle"
ON_PURPOSE = re.compile(rf"\b({'|'.join(REFUSED)})\(|foreach\)\(\)|'hello'\.length\(\)")
"""Refused by name, or a call of something that is not a function: an error at load here, left visible there."""
UNKNOWN = re.compile(
    r"\b(unknownFunction|nofn|user\.name|lower|TOUPPER|(a\.)?func|array|setPathToValue)\("
)
FAMILIES = {"text": text, "numbers": numbers, "lists": lists, "times": times, "timex": timex, "web": web}  # fmt: skip
FAMILY_OF = {name: family for family, module in FAMILIES.items() for name in module.FUNCTIONS}


def family(template: Any) -> str:
    """Return the subject of a case: a whole card, or a family of functions.

    The family is that of the first function of its expression.
    """
    if not isinstance(template, dict) or set(template) != {"v"}:
        return "cards"
    expression = str(template["v"])
    called = [FAMILY_OF.get(name) for name in re.findall(r"(\w+)\(", expression)]
    kind = next(filter(None, called), "operators and paths")
    return f"{kind}, within text" if expression.startswith("<") else kind


def corpus() -> dict[str, list[Any]]:
    scope = json.loads((ORACLE / "scope.json").read_text("utf-8"))
    found = defaultdict(list)
    for line in filter(None, (ORACLE / "corpus.jsonl").read_text("utf-8").split("\n")):
        case = json.loads(line)
        if case["data"] == "scope":
            case["data"] = scope
        found[family(case["template"])].append(case)
    return found


CORPUS = corpus()


def difference(case: Any) -> str | None:
    """Return how we differ from the reference on a case, None when we do not."""
    refused = "throws" in case or bool(
        ON_PURPOSE.search(json.dumps(case["template"]))
        or UNKNOWN.search(json.dumps(case["template"]))
    )
    before = json.dumps(case["data"])
    try:
        expanded = Template(case["template"]).expand(case["data"], case.get("host"))
    except TemplateError as exc:
        return None if refused else f"refused: {exc}"
    if json.dumps(case["data"]) != before:
        return "changed the data"
    if refused:
        return f"gave {expanded!r} for a case that must be refused"
    return (
        None if same(expanded, case["value"]) else f"gave {expanded!r}, not {case['value']!r}"
    )


def test_no_case_of_the_corpus_was_lost() -> None:
    assert sum(map(len, CORPUS.values())) == 3_434


@pytest.mark.parametrize("about", CORPUS)
def test_templates_expand_as_microsofts_engine_expands_them(about: str) -> None:
    differences = [
        f"{json.dumps(case['template'], ensure_ascii=False)[:300]}: {fault}"
        for case in CORPUS[about]
        if (fault := difference(case))
    ]

    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences)
