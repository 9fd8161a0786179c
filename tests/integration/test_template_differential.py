"""Compare random templates with Microsoft's own engine on Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.errors import TemplateError
from notifier.templating import Template
from tests.support.oracle import same

ORACLE = Path(__file__).resolve().parent.parent / "oracle"


class Reference:
    """Microsoft's engine, one process for all cases."""

    def __init__(self, folder: Path) -> None:
        self._node = subprocess.Popen(
            ["node", "expand.cjs"], cwd=folder, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def expand(self, template: object, data: object) -> dict[str, Any]:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps({"template": template, "data": data}) + "\n")
        answer: dict[str, Any] = json.loads(self._node.stdout.readline())
        return answer

    def close(self) -> None:
        self._node.kill()
        self._node.communicate(timeout=60)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs Node and npm; the committed corpus is tested without")
    folder = tmp_path_factory.mktemp("oracle")
    for name in ("package.json", "package-lock.json", "expand.cjs"):
        shutil.copy(ORACLE / name, folder)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, timeout=300
    )
    if done.returncode:
        pytest.skip("the reference's packages cannot be fetched")
    engine = Reference(folder)
    yield engine
    engine.close()


DATA = {
    "n": 5, "f": 2.5, "neg": -3, "zero": 0, "s": "Claim 12", "e": "", "t": True, "no": False, "nul": None,
    "list": [3, 1, 2], "names": ["b", "a", "C"], "none": [], "obj": {"k": "v", "n": 7},
    "people": [{"n": "A", "age": 3, "kids": [{"n": "x"}]}, {"n": "B", "age": 30, "kids": []}],
    "at": "2026-11-24T10:15:00.000Z",
}  # fmt: skip

NAMES = st.sampled_from([
    "n", "f", "neg", "zero", "s", "e", "t", "no", "nul", "list", "names", "none", "obj", "people", "at", "zz",
    "obj.k", "obj.zz", "zz.y", "people[0].n", "people[1].kids", "list[1]", "list[9]", "names[n]", "obj['k']",
    "$root.s", "$data.n", "$index", "PEOPLE[0].AGE",
])  # fmt: skip
LITERALS = st.sampled_from(
    ["0", "1", "2", "10", "2.5", "'a'", "'Claim'", "''", "true", "false", "null", "'it\\'s'", "[1, 2]", "{}"]
)  # fmt: skip
ONE = st.sampled_from([
    "toUpper", "toLower", "length", "trim", "exists", "empty", "string", "int", "float", "bool", "abs", "floor", "ceiling",
    "first", "last", "count", "reverse", "isString", "isArray", "isObject", "isInteger", "isFloat", "isBoolean", "not", "sum",
    "average", "min", "max", "json", "titleCase", "sentenceCase", "countWord", "addOrdinal", "unique", "flatten", "sortBy",
    "indicesAndValues", "uriComponent", "base64", "year", "date", "formatDateTime", "round", "sqrt", "createArray", "coalesce",
    "jsonStringify", "dayOfWeek", "startOfDay", "getProperty", "isDateTime",
])  # fmt: skip
TWO = st.sampled_from([
    "concat", "add", "sub", "mul", "div", "mod", "equals", "greater", "lessOrEquals", "and", "or", "contains", "startsWith",
    "endsWith", "indexOf", "lastIndexOf", "split", "join", "take", "skip", "substring", "subArray", "union", "intersection",
    "formatNumber", "round", "max", "min", "coalesce", "getProperty", "range", "addDays", "sortBy", "createArray", "string",
])  # fmt: skip
OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "&", "??", " % "]
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}({})".format, ONE, inner),
        st.builds("{}({}, {})".format, TWO, inner, inner),
        st.builds("{} {} {}".format, inner, OPERATORS, inner),
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("if({}, {}, {})".format, inner, inner, inner),
        st.builds("{} ? {} : {}".format, inner, inner, inner),
        st.builds(
            "select({}, x, {})".format,
            inner,
            st.sampled_from(["x", "x.n", "x + 1", "string(x)"]),
        ),
        st.builds(
            "where({}, x, {})".format, inner, st.sampled_from(["x > 1", "x.age > 5", "x", "n"])
        ),
        st.builds("replace({}, 'a', {})".format, inner, inner),
        st.builds("!{}".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{}[{}]".format, st.sampled_from(["list", "people", "obj", "zz"]), inner),
    )


EXPRESSIONS = st.recursive(st.one_of(NAMES, LITERALS), larger, max_leaves=6)
TEXTS = st.one_of(
    st.builds("${{{}}}".format, EXPRESSIONS),
    st.builds("a ${{{}}} b".format, EXPRESSIONS),
    st.builds("${{{}}}${{{}}}".format, EXPRESSIONS, NAMES),
    st.text(alphabet="ab$ {}\\'\"n.()", max_size=12),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(st.sampled_from(["a", "b", "$when", "$data"]), inner, max_size=3)
    return st.one_of(members, st.lists(inner, max_size=3))


TEMPLATES = st.recursive(
    st.one_of(TEXTS, st.none(), st.integers(-2, 2), st.booleans()), nested, max_leaves=5
)


def unusual(template: object) -> bool:
    """Tell whether a template is left out of the comparison.

    The reference changes data in place, and its null $data holds unexpanded expressions.
    """
    text = json.dumps(template)
    return "reverse(" in text or '"$data": {' in text or '"$data": [' in text or "1e" in text


@pytest.mark.slow
@pytest.mark.node
@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(template=TEMPLATES.filter(lambda template: not unusual(template)))
def test_any_template_expands_as_microsofts_engine_does(
    reference: Reference, template: Any
) -> None:
    expected = reference.expand(template, DATA)
    try:
        rendered = {"value": Template(template).expand(json.loads(json.dumps(DATA)))}
    except TemplateError as exc:
        rendered = {"throws": str(exc)}
    assert ("throws" in rendered) == ("throws" in expected), (rendered, expected)
    if "value" in expected:
        assert same(rendered["value"], expected["value"]), (rendered, expected)
