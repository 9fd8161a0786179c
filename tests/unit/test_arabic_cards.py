"""Arabic cards say the same as their English twins, right to left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.arabic import isolate_values
from notifier.cards.library import compile_card, load_cards
from notifier.config import assets
from notifier.templating import Template
from notifier.templating.parser import expression_spans

CARDS = assets.cards_dir()
ARABIC = sorted(CARDS.glob("*.ar.json"))
SHOWN = {"text", "title", "value", "speak", "fallbackText"}


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def english(path: Path) -> Path:
    return CARDS / path.name.replace(".ar.json", ".json")


def values(node: Any, keys: set[str]) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys and isinstance(value, str):
                yield value
            else:
                yield from values(value, keys)
    elif isinstance(node, list):
        for item in node:
            yield from values(item, keys)


def test_the_claim_cards_are_there_in_arabic() -> None:
    assert {path.name.split(".")[0] for path in ARABIC} >= {
        "claim_submitted",
        "claim_approved",
        "claim_rejected",
    }


@pytest.mark.parametrize("path", ARABIC, ids=lambda path: path.stem)
def test_it_is_marked_as_arabic_from_right_to_left(path: Path) -> None:
    card = load(path)
    assert card["lang"] == "ar"
    assert card["rtl"] is True


@pytest.mark.parametrize("path", ARABIC, ids=lambda path: path.stem)
def test_it_reads_and_links_the_same_as_the_english_card(path: Path) -> None:
    assert Template(load(path)).paths == Template(load(english(path))).paths
    assert list(values(load(path), {"url"})) == list(values(load(english(path)), {"url"}))
    assert list(values(load(path), {"$when"})) == list(values(load(english(path)), {"$when"}))


@pytest.mark.parametrize("path", ARABIC, ids=lambda path: path.stem)
def test_no_english_word_is_left_in_its_text(path: Path) -> None:
    for text in values(load(path), SHOWN):
        fixed = re.sub(r"\$\{.*?\}|\{\{.*?\}\}", "", re.sub(r"'[^']*'", "", text))
        assert not re.search(r"[A-Za-z]{2}", fixed), text
    for text in values(load(path), SHOWN):
        for literal in re.findall(r"concat\('([^']*)'", text):
            assert not re.search(r"[A-Za-z]{2}", literal), text


def test_a_card_without_an_arabic_version_is_rendered_in_english() -> None:
    cards = load_cards(CARDS)
    assert cards.find("claim_rejected", "ar")[0] == "claim_rejected.ar"
    assert cards.find("claim_rejected", "en")[0] == "claim_rejected"
    assert cards.find("system_alert", "ar")[0] == "system_alert"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("رُفضت المطالبة ${x}", "رُفضت المطالبة \u20682026-00451-7\u2069"),
        ("المبلغ ${y} ريال", "المبلغ \u2068-1,250.50\u2069 ريال"),
        ("${x}", "2026-00451-7"),
        ("قبل \u2068${x}\u2069 بعد", "قبل \u20682026-00451-7\u2069 بعد"),
        ("[الرابط](https://a.example/${x})", "[الرابط](https://a.example/2026-00451-7)"),
        ("في {{DATE(${t},SHORT)}}", "في {{DATE(2026-11-24T10:15:00Z,SHORT)}}"),
        ("\\${x} ثم ${x}", "${x} ثم \u20682026-00451-7\u2069"),
        ("\\\\${x} ثم ${x}", "\\${x} ثم \u20682026-00451-7\u2069"),
    ],
)
def test_a_value_within_arabic_text_is_isolated(text: str, shown: str) -> None:
    data = {"x": "2026-00451-7", "y": "-1,250.50", "t": "2026-11-24T10:15:00Z"}
    block = {"type": "TextBlock", "text": text, "id": "a ${x}"}

    def rendered(lang: str) -> Any:
        return compile_card({"lang": lang, "body": [block]}).expand(data)

    assert rendered("ar")["body"][0] == {
        "type": "TextBlock",
        "text": shown,
        "id": "a 2026-00451-7",
    }
    assert rendered("en")["body"][0]["text"].count("\u2068") == text.count("\u2068")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("17001835-d402-58d3", "\u206817001835-d402-58d3\u2069"),
        ("Correct it.\n- مطالبة (5)", "\u2068Correct it.\u2069\n\n\u2060- مطالبة (5)"),
        ("2026-00451-7", "2026-00451-7"),
        ("مطالبة ab", "مطالبة ab"),
        (5, "5"),
        ("1,250.50", "1,250.50"),
        ("-1,250.50", "\u2068-1,250.50\u2069"),
        (-1250.5, "\u2068-1250.5\u2069"),
        ("+966 50 123 4567", "\u2068+966 50 123 4567\u2069"),
        ("10:15 - 11:00", "\u206810:15 - 11:00\u2069"),
        ("2026--7", "\u20682026--7\u2069"),
        ("٥ - ٦", "٥ - ٦"),
        ("—", "—"),
    ],
)
def test_a_value_alone_that_would_run_the_wrong_way_is_isolated(value: Any, shown: str) -> None:
    card: Any = {"lang": "ar", "body": [{"type": "TextBlock", "text": "${x}", "id": "${x}"}]}
    expanded: Any = compile_card(card).expand({"x": value})
    assert expanded["body"][0]["text"] == shown
    assert expanded["body"][0]["id"] == value


@pytest.mark.parametrize("path", ARABIC, ids=lambda path: path.stem)
def test_each_value_beside_other_text_is_isolated(path: Path) -> None:
    for text in values(isolate_values(load(path)), SHOWN):
        for begin, end in expression_spans(text):
            bare = text[begin - 1 : begin] not in ("\u2066", "\u2067", "\u2068") and (
                begin,
                end,
            ) != (0, len(text))
            assert not bare or "{{DATE(" in text or "{{TIME(" in text, text
