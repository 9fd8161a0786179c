"""What comes from an event is shown as text, whatever it holds."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier import cardguard
from notifier.cardguard import escape_markdown, guard, safe_address, visible
from notifier.templating import Template
from notifier.templating.values import DROP

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


def drawn(text: str, value: object, **more: object) -> Any:
    return Template({"type": "TextBlock", "text": text, **more}, guard).expand({"x": value})


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("**bold**", r"\*\*bold\*\*"),
        ("_em_", r"\_em\_"),
        ("[pay here](http://evil.example)", "\\[pay here\\](http\u2060://evil.example)"),
        ("<at>Everyone</at>", "\\<\u2060at\\>Everyone\\<\u2060/at\\>"),
        ("https://evil.example", "https\u2060://evil.example"),
        ("- item", "\u2060- item"),
        ("# head", "\u2060# head"),
        ("line\n1. one", "line\n\u20601. one"),
        ("`code`", r"\`code\`"),
        ("a\\*b", r"a\\\*b"),
        ("&lt;at&gt;", r"\&lt;at\&gt;"),
        ("total\u202e0001", "total0001"),
    ],
)
def test_text_that_teams_would_read_is_escaped(hostile: str, shown: str) -> None:
    assert drawn("${x}", hostile)["text"] == shown


@pytest.mark.parametrize(
    "plain",
    [
        "CLM_2024_001",
        "12,500.50 SAR",
        "a - b",
        "2026-11-24",
        "مطالبة 12",
        "R&D",
        "3 + 4",
        "-5.00",
        "+966 11 000",
    ],
)
def test_ordinary_text_stays_as_it_is(plain: str) -> None:
    assert drawn("${x}", plain)["text"] == plain


def test_markdown_of_the_template_stays_markdown() -> None:
    assert drawn("**${x}**", "*")["text"] == r"**\***"


def test_a_date_macro_of_the_template_stays_a_macro() -> None:
    built = drawn("${concat('{{DATE(', x, ', SHORT)}}')}", "2026-11-24T10:15:00Z")
    assert built["text"] == "{{DATE(2026-11-24T10:15:00Z, SHORT)}}"


@pytest.mark.parametrize("value", [5, 2.5, True, None, {"a": 1}, ["*"]])
def test_text_is_text_even_when_the_data_are_not(value: object) -> None:
    assert isinstance(drawn("${x}", value)["text"], str)


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//evil.example", "", "https://a b",
     "msteams://x", "https://a\u202eb"],
)  # fmt: skip
def test_an_action_with_another_address_than_http_is_not_shown(address: str) -> None:
    card = {"actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "${x}"}]}
    assert Template(card, guard).expand({"x": address}) == {"actions": []}


def test_an_action_with_an_https_address_is_shown() -> None:
    card = {"type": "Action.OpenUrl", "title": "Open", "url": "https://claims.example/c/${x}"}
    expanded: Any = Template(card, guard).expand({"x": "CLM_1"})
    assert expanded["url"] == "https://claims.example/c/CLM_1"


def test_whole_facts_from_the_data_are_escaped_and_their_addresses_checked() -> None:
    card = {"type": "Container", "items": "${x}"}
    element = {
        "type": "TextBlock", "text": "**x**",
        "selectAction": {"type": "Action.OpenUrl", "url": "javascript:x"},
    }  # fmt: skip
    expanded: Any = Template(card, guard).expand({"x": [element]})
    assert expanded["items"][0]["text"] == r"\*\*x\*\*"
    assert "url" not in expanded["items"][0]["selectAction"]


@given(st.text())
def test_no_bidi_control_survives(text: str) -> None:
    hostile = text + BIDI
    assert not set(visible(hostile)) & set(BIDI)
    assert not set(escape_markdown(hostile)) & set(BIDI)


@given(st.text(alphabet="*_[]()<>at`~#-+1. \n\\ab!&;:/h|", max_size=40))
def test_no_mention_and_no_address_survives(text: str) -> None:
    escaped = escape_markdown(text + "<at>x</at> http://x")
    assert not re.search(r"</?at>", escaped)
    assert "://" not in escaped.replace("\u2060://", "")


@given(st.one_of(st.text(), st.from_regex(r"https?://\S+", fullmatch=True)))
def test_an_address_is_taken_whole_or_not_at_all(text: str) -> None:
    assert safe_address(text) in (text, DROP)


RENDERED = """
const md = new (require(process.argv[1]))({html: false});
const lines = require("node:fs").readFileSync(0, "utf8").trim().split("\\n").map((line) => JSON.parse(line));
console.log(JSON.stringify(lines.map((text) => md.render(text))));
"""


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.text(alphabet="*_[]()<>`~#-+1. \\ab!&;=|:\n\t", min_size=1, max_size=30), min_size=20
    )
)
def test_the_renderer_makes_no_markup_of_it(texts: list[str]) -> None:
    library = (
        Path(__file__).resolve().parents[2]
        / "notifier/web/renderer/vendor/markdown-it-15.0.3.min.js"
    )
    try:
        done = subprocess.run(
            ["node", "-e", RENDERED, str(library)],
            input="\n".join(json.dumps(escape_markdown(text)) for text in texts),
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs Node")
    for source, html in zip(texts, json.loads(done.stdout), strict=True):
        assert not re.search(r"<(?!/?p>|br)", html), (source, html)


@given(st.text("aZ0 9١\u200b\u00a0.)(:/-+#=|^$'\"{}_*\n\té", max_size=12))
@example("1.")
@example("1) ")
@example("12.5")
@example("12.\u00a0a")
def test_the_quick_look_lets_nothing_through_that_the_long_one_escapes(text: str):
    quick = escape_markdown(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cardguard, "_PLAIN", re.compile("(?!)"))
        patch.setattr(cardguard, "_HARMLESS", re.compile("(?!)"))
        assert quick == escape_markdown(text)


def test_whatever_is_taken_out_for_being_unseen_is_not_printable():
    unseen = [sign for sign in map(chr, range(0x110000)) if cardguard._UNSEEN.match(sign)]

    assert len(unseen) > len(BIDI)
    assert not any(sign.isprintable() for sign in unseen)


@given(
    st.sampled_from(["https://", "http://", "HTTPS://", "ftp://", "https:/", ""]),
    st.text("a/:?.é\u0645\u200b\u202e\u00a0\u00ad\ue000 \t\\\\", max_size=6),
)
@example("http://", "a://")
def test_an_address_is_shown_only_if_it_is_one_and_all_of_it_is_seen(
    scheme: str, rest: str
) -> None:
    whole = re.fullmatch(r"(?i:https?)://[^\s\\]+", scheme + rest)
    unseen = set(rest) & set("\u200b\u202e")

    shown = safe_address(scheme + rest)

    assert shown == (scheme + rest if whole and not unseen else DROP)
