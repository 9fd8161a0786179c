"""Cards show event data as text, whatever they contain."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.cards import escaping
from notifier.cards import html as renderer
from notifier.cards.escaping import autoescape, escape_markdown, safe_address, visible
from notifier.templating import Template
from notifier.templating.values import DROP

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


def rendered(text: str, value: object, **more: object) -> Any:
    return Template({"type": "TextBlock", "text": text, **more}, autoescape).expand(
        {"x": value}
    )


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("**bold**", r"\*\*bold\*\*"),
        ("_em_", r"\_em\_"),
        ("[pay here](http://evil.example)", "[pay here]\u2060(http\u2060://evil.example)"),
        ("[a]: http://evil.example", "[a]\u2060: http\u2060://evil.example"),
        ("<at>Everyone</at>", "<\u2060at>Everyone<\u2060/at>"),
        ("https://evil.example", "https\u2060://evil.example"),
        ("- item", "\u2060- item"),
        ("# head", "\u2060# head"),
        ("> quote", "\u2060> quote"),
        ("~~gone~~", "~\u2060~gone~\u2060~"),
        ("(a)- b", "(a)\u2060- b"),
        ("line\n1. one", "line\n\n\u20601. one"),
        ("a\\*b", "a\\\u2060\\*b"),
        ("\\\\server\\share", "\u2060\\\u2060\\server\\share"),
        ("C:\\", "C:\\\u2060"),
        ("&lt;at&gt;", "&\u2060lt;at&\u2060gt;"),
        ("total\u202e0001", "total0001"),
    ],
)
def test_text_that_teams_would_read_is_escaped(hostile: str, shown: str) -> None:
    assert rendered("${x}", hostile)["text"] == shown


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
        "amount > 500 SAR",
        "C:\\claims",
        "[INV-001]",
        "limit < 5 (SAR)",
        "wow!",
        "a | b ~ c `d` #1",
    ],
)
def test_ordinary_text_stays_as_it_is(plain: str) -> None:
    assert rendered("${x}", plain)["text"] == plain


def test_markdown_of_the_template_stays_markdown() -> None:
    assert rendered("**${x}**", "*")["text"] == r"**\***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("${concat('{{DATE(', x, ', SHORT)}}')}", "{{DATE(2026-11-24T10:15:00Z, SHORT)}}"),
        (
            "${if(exists(x), concat('{{DATE(', x, ',SHORT)}} *'), '')}",
            "{{DATE(2026-11-24T10:15:00Z,SHORT)}} \\*",
        ),
        ("{{DATE(${x},SHORT)}} \\*", "{{DATE(2026-11-24T10:15:00Z,SHORT)}} \\*"),
    ],
)
def test_a_date_macro_of_the_template_stays_one(text: str, shown: str) -> None:
    assert rendered(text, "2026-11-24T10:15:00Z")["text"] == shown


@pytest.mark.parametrize(
    "macro", ["{{DATE(2026-11-24T10:15:00Z,SHORT)}}", "{{TIME(2026-11-24T10:15:00Z)}}"]
)
@pytest.mark.parametrize("around", ["", "due "])
@pytest.mark.parametrize("text", ["${x}", "Due: ${x}"])
def test_a_date_macro_in_event_text_stays_text(text: str, around: str, macro: str) -> None:
    shown = rendered(text, around + macro)["text"]

    assert "{{" not in shown
    assert seen(shown).endswith(around + macro)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a\nb", "a\n\nb"),
        ("a\r\nb\rc", "a\n\nb\n\nc"),
        ("a \n \n\n\tb\u2028c\n", "a\n\n\u2060\tb\n\nc"),
    ],
)
def test_a_line_end_in_a_value_begins_a_paragraph(sent: str, shown: str) -> None:
    assert rendered("${x}", sent)["text"] == shown
    fact = Template({"title": "Error", "value": "${x}"}, autoescape).expand({"x": sent})
    assert fact == {"title": "Error", "value": shown}
    plain = Template({"type": "Image", "url": "https://a", "altText": "${x}"}, autoescape)
    assert "\n\n\n" not in str(plain.expand({"x": "a\nb"}))


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("السبب: \u2068${x}\u2069.", "one\ntwo *", "السبب: \u2068one\u2069\n\n\u2068two \\*\u2069."),
        ("**${x}**!", " one\ntwo ", "**one**\n\n**two**!"),
        ("_\u2068${x}\u2069_", "one\ntwo", "_\u2068one\u2069_\n\n_\u2068two\u2069_"),
        ("a **${x}** b", "", "a **\u2060** b"),
        ("a **${x}** b", "one ", "a **one** b"),
        ("من\u2068${concat(' ', x)}\u2069", "TAWUNIYA ", "من\u2068 TAWUNIYA \u2069"),
    ],
)  # fmt: skip
def test_each_paragraph_of_a_value_is_emphasised_and_isolated(
    text: str, value: str, shown: str
) -> None:
    assert rendered(text, value)["text"] == shown


def test_a_value_with_a_blank_is_encoded_within_an_address() -> None:
    card = {
        "type": "Action.OpenUrl",
        "title": "x",
        "url": "https://claims.example/c/${x}?a=${y}",
    }
    expanded: Any = Template(card, autoescape).expand({"x": "CLM 1_<2>", "y": 'a&b="\u202e'})
    assert expanded["url"] == "https://claims.example/c/CLM%201_%3C2%3E?a=a&b=%22"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://t.example/INC_1?a=1&b=2#c", "https://t.example/INC_1?a=1&b=2#c"),
        ("https://t.example/a (b)", "https://t.example/a%20%28b%29"),
        ("https://t.example/[*_x_*]", "https://t.example/%5B%2A%5Fx%5F%2A%5D"),
        ("mailto:sre@example.com", "mailto:sre@example.com"),
    ],
)
@pytest.mark.parametrize("text", ["[Ticket](${x})", 'See [**T**](<${x}>), [a](${x} "b") now'])
def test_a_value_as_the_destination_of_a_link_stays_an_address(
    text: str, address: str, shown: str
) -> None:
    assert rendered(text, address)["text"] == text.replace("${x}", shown)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "", None, 5, "//evil.example", "data:text/html,x"]
)
def test_a_link_with_a_forbidden_destination_becomes_its_text(address: object) -> None:
    card = Template(
        {"type": "TextBlock", "text": "See [the ${y} ticket](${x}) now"}, autoescape
    )
    shown: Any = card.expand({"x": address, "y": "[INC]"}, missing=lambda _: "—")

    assert shown["text"] == "See the [INC] ticket now"


@pytest.mark.parametrize("subject", ["[[INC-1]] down", "[[[a]]", "x](y) [z", "\\"])
def test_the_text_of_a_link_cannot_restore_a_forbidden_destination(
    subject: str,
) -> None:
    card = Template(
        {"type": "TextBlock", "text": "[${y}](${x}) [${y}](<${x}/a> 'b')"}, autoescape
    )
    shown: Any = card.expand({"x": "javascript:alert(1)", "y": subject}, missing=lambda _: "—")

    assert "<a " not in html_of([shown["text"]])[0]
    assert "\ue000" not in shown["text"]


def test_a_value_within_a_destination_cannot_end_it() -> None:
    for before in ("https://claims.example/", "https://claims.example/(live)/"):
        shown = rendered(f"[Claim]({before}${{x}}/edit)", "a) [b](c")
        assert shown["text"] == f"[Claim]({before}a%29%20%5Bb%5D%28c/edit)"


@pytest.mark.parametrize("subject", ["a](https://evil.example) b", "a\n\nb", "[a", "a]", "*a*"])
def test_the_text_of_a_link_cannot_end_it(subject: str) -> None:
    card = {"type": "TextBlock", "text": "[${data.subject}](${data.ticket_url})"}
    data = {"subject": subject, "ticket_url": "https://t.example/1"}
    shown: Any = Template(card, autoescape).expand({"data": data})

    assert shown["text"].endswith("](https://t.example/1)")
    assert html_of([shown["text"]])[0].count('<a href="https://t.example/1">') == 1


@given(
    st.text(" ,.:;(+%!?@[]#=|'\"$}^-/~*_<\\&1aé\n", max_size=8),
    st.sampled_from(["", "a", ", a", " by "]),
)
def test_the_quick_test_passes_only_text_that_stays_the_same(end: str, begin: str) -> None:
    for escape in (escaping.MARKDOWN, escaping._JOINED):
        assert escape.text is not None
        assert escape.is_harmless is not None
        if escape.is_harmless(begin + end):
            assert escape.text(begin + end) == begin + end


@pytest.mark.parametrize(
    "text", ["${x}(${y})", "[a]${y}", "${x}[b](https://b.example)", "${x}: ${y}"]
)
def test_values_beside_each_other_or_the_template_make_no_link(text: str) -> None:
    card = Template({"type": "TextBlock", "text": text}, autoescape)
    shown: Any = card.expand({"x": "[pay]", "y": "(https://evil.example)"})
    other: Any = card.expand({"x": "pay!", "y": "x"})

    html = html_of([shown["text"], other["text"]])
    assert 'evil.example"' not in html[0]
    assert "<img" not in html[1]


@pytest.mark.parametrize("value", [5, 2.5, True, None, {"a": 1}, ["*"]])
def test_text_is_text_even_when_the_data_are_not(value: object) -> None:
    assert isinstance(rendered("${x}", value)["text"], str)


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//evil.example", "", "https://a b",
     "msteams://x", "https://a\u202eb"],
)  # fmt: skip
def test_an_action_with_another_address_than_http_is_not_shown(address: str) -> None:
    card = {"actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "${x}"}]}
    assert Template(card, autoescape).expand({"x": address}) == {"actions": []}


def test_whole_facts_from_the_data_are_escaped_and_their_addresses_checked() -> None:
    card = {"type": "Container", "items": "${x}"}
    element = {
        "type": "TextBlock", "text": "**x**",
        "selectAction": {"type": "Action.OpenUrl", "url": "javascript:x"},
    }  # fmt: skip
    expanded: Any = Template(card, autoescape).expand({"x": [element]})
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


def seen(escaped: str) -> str:
    """Return the text that a reader sees on a phone."""
    # Phones take a backslash before `*` and `_` only; a word joiner is invisible.
    return re.sub(r"\\([*_])", r"\1", escaped).replace("\u2060", "")


@given(st.text(alphabet="*_[]()<>`~#-+1. \\ab!&;=|:/{}DATE", max_size=40))
def test_phones_show_the_text_as_it_was_sent(text: str) -> None:
    assert seen(escape_markdown(text)) == text


RENDERED = """
const context = {}; context.window = context.self = context;
const {readFileSync} = require("node:fs");
const vm = require("node:vm");
vm.createContext(context);
for (const file of ["vendor/markdown-it-15.0.3.min.js", "vendor/adaptivecards-3.0.6.min.js", "host.js"])
  vm.runInContext(readFileSync(`${process.argv[1]}/${file}`, "utf8"), context);
context.strict = process.argv[2] === "strict";
const md = vm.runInContext("strict ? window.markdownit({html: false}).disable('backticks') : teamsMarkdown()", context);
const lines = readFileSync(0, "utf8").trim().split("\\n").map((line) => JSON.parse(line));
console.log(JSON.stringify(lines.map((text) => md.render(text))));
"""


def html_of(texts: list[str], how: str = "teams") -> list[str]:
    """Return the HTML of texts in the local Teams.

    If `how` is strict, in the whole of CommonMark.
    """
    try:
        done = subprocess.run(
            ["node", "-e", RENDERED, str(renderer.FOLDER), how],
            input="\n".join(map(json.dumps, texts)),
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs Node")
    return list(json.loads(done.stdout))


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.text(alphabet="*_[]()<>`~#-+1. \\ab!&;=|:\n\t", min_size=1, max_size=30), min_size=80
    )
)
def test_the_desktop_shows_the_text_as_it_was_sent_without_markup(
    texts: list[str],
) -> None:
    escaped = [escape_markdown(text) for text in texts]
    for source, html in zip(texts, html_of(escaped, "strict"), strict=True):
        assert not re.search(r"<(?!/?p>|br)", html), (source, html)
        shown = unescape(re.sub(r"</?p>|<br>", " ", html)).replace("\u2060", "")
        assert shown.split() == source.split()


def test_a_line_end_of_the_template_is_a_space_as_on_the_desktop() -> None:
    assert html_of(["a\nb"])[0] == "<p>a\nb</p>\n"


@given(st.text("aZ0 9١\u200b\u00a0.)(:/-+#=|^$'\"{}_*\n\té", max_size=12))
@example("1.")
@example("1) ")
@example("12.5")
@example("12.\u00a0a")
def test_the_quick_test_passes_nothing_that_would_be_escaped(text: str):
    quick = escape_markdown(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(escaping, "_PLAIN", re.compile("(?!)"))
        patch.setattr(escaping, "_HARMLESS", re.compile("(?!)"))
        assert quick == escape_markdown(text)


def test_removed_characters_are_not_printable():
    unseen = [sign for sign in map(chr, range(0x110000)) if escaping._UNSEEN.match(sign)]

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
    whole_text = re.fullmatch(r"(?i:https?)://[^\s\\]+", scheme + rest)
    unseen = set(rest) & set("\u200b\u202e")

    shown = safe_address(scheme + rest)

    assert shown == (scheme + rest if whole_text and not unseen else DROP)
