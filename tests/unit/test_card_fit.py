"""A card that is too large is shortened in order and stays a card."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.cards import fit
from notifier.cards.check.schema import card_faults, worded_faults
from notifier.cards.fit import fit_card
from notifier.events.json import to_json_bytes
from notifier.teams.envelope import counted_size

LIMIT = 27_500
LINK = "https://claims.example/c/1"


def size(card: object) -> int:
    return counted_size(json.dumps(card, ensure_ascii=False, separators=(",", ":")))


def text_block(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True}


def card(*body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "AdaptiveCard", "version": "1.5", "body": list(body), **more}


def facts(count: int, length: int = 40) -> dict[str, Any]:
    return {
        "type": "FactSet",
        "facts": [{"title": f"{number}", "value": "v" * length} for number in range(count)],
    }


def fitted(given_card: dict[str, Any], limit: int = LIMIT) -> Any:
    return fit_card(given_card, max_card_bytes=limit, more_link=LINK)


def test_a_card_that_fits_stays_as_it_is() -> None:
    small = card(text_block("x" * 1000), facts(20))
    assert fitted(small) == small


def test_the_longest_list_is_shortened_first_and_says_how_many_are_missing() -> None:
    long = card(text_block("t" * 3000), facts(900), facts(30))
    result = fitted(long)
    assert size(result) <= LIMIT
    assert result["body"][0] == long["body"][0], "texts come after lists"
    assert result["body"][2] == long["body"][2], "the shorter list stays"
    shown = result["body"][1]["facts"]
    missing = 900 - (len(shown) - 1)
    assert shown[-1] == {"title": "…", "value": f"[and {missing} more]({LINK})"}
    assert shown[:-1] == long["body"][1]["facts"][: len(shown) - 1]


def test_a_list_of_elements_keeps_its_kind_and_gets_a_note() -> None:
    long = card(
        {"type": "Container", "items": [text_block(f"{n} " + "x" * 90) for n in range(600)]}
    )
    result = fitted(long)
    items = result["body"][0]["items"]
    assert items[-1]["text"] == f"[and {600 - len(items) + 1} more]({LINK})"
    assert size(result) <= LIMIT
    assert not worded_faults(result)


def test_texts_are_cut_when_lists_are_not_enough() -> None:
    long = card(text_block("word " * 8000), text_block("short"), facts(4))
    result = fitted(long)
    cut = result["body"][0]["text"]
    assert size(result) <= LIMIT
    assert cut.startswith("word word")
    kept, _, note = cut.partition(" … (and ")
    assert note == f"{40_000 - len(kept)} more characters)"
    assert result["body"][1:] == long["body"][1:]


def test_a_cut_leaves_no_half_of_an_escape_or_of_a_date() -> None:
    escaped = fitted(card(text_block("\\*" * 9000)), 2000)["body"][0]["text"]
    assert escaped.partition(" … ")[0].count("\\") == escaped.partition(" … ")[0].count("*")
    dated = "x" * 150 + "{{DATE(2026-11-24T10:15:00Z, SHORT)}}" * 300
    text = fitted(card(text_block(dated)), 2000)["body"][0]["text"]
    assert text.count("{{") == text.count("}}")


def test_a_cut_leaves_no_half_of_a_link_and_closes_bold_text() -> None:
    link = f"{'x' * 300} [Ticket](https://tickets.example/{'y' * 9000})"
    text = fitted(card(text_block(link)), 2000)["body"][0]["text"]
    assert "](" not in text
    bold = fitted(card(text_block(f"**{'word ' * 9000}**")), 2000)["body"][0]["text"]
    assert bold.count("**") == 2


def test_a_cut_leaves_no_isolate_open() -> None:
    text = fitted(card(text_block(f"رقم \u2068{'word ' * 9000}\u2069 هنا"), lang="ar"), 2000)
    shown = text["body"][0]["text"]
    assert (shown.count("\u2068"), shown.count("\u2069")) == (1, 1)
    assert shown.index("\u2069") < shown.index("…")


def test_notes_of_two_lists_have_no_id_in_common() -> None:
    rows = {"type": "Container", "items": [text_block("x" * 80)] * 200}
    result = fitted(card(rows, rows), 5_000)
    assert json.dumps(result).count(" more](") == 2
    assert not list(card_faults(result))


def test_an_arabic_card_says_it_in_arabic() -> None:
    result = fitted(card(facts(900), lang="ar"))
    assert "أخرى" in result["body"][0]["facts"][-1]["value"]


def test_a_card_that_cannot_be_shortened_comes_back_whole() -> None:
    full = card({"type": "Image", "url": "https://x/" + "y" * 40_000, "altText": "a"})
    assert fitted(full) == full


def test_images_are_left_out_without_a_note_among_them() -> None:
    image = {"type": "Image", "url": "https://x/" + "y" * 80}
    long = card(text_block("Photos"), {"type": "ImageSet", "images": [image] * 400})

    result = fitted(long)

    assert LIMIT - 2_000 < size(result) <= LIMIT
    assert all(each == image for each in result["body"][1]["images"])
    assert not worded_faults(result)


def row(number: int, kind: str = "Container") -> dict[str, Any]:
    members = {
        "Container": "items", "ColumnSet": "columns", "TableRow": "cells", "RichTextBlock": "inlines", "FactSet": "facts",
    }  # fmt: skip
    within: dict[str, Any] = {
        "Container": text_block(f"{number}" + "x" * 80),
        "ColumnSet": {"type": "Column", "width": "stretch", "items": [text_block("x" * 80)]},
        "TableRow": {"type": "TableCell", "items": [text_block("x" * 80)]},
        "RichTextBlock": {"type": "TextRun", "text": "x" * 80},
        "FactSet": {"title": "x", "value": "x" * 80},
    }
    return {"type": kind, members[kind]: [within[kind]] * 2}


HEADER = text_block("Rows")
FOOTER = {
    "type": "ActionSet",
    "actions": [{"type": "Action.OpenUrl", "title": "x", "url": LINK}],
}
TABLE = {"type": "Table", "columns": [{"width": 1}, {"width": 1}]}


@pytest.mark.parametrize(
    "given_card",
    [
        card(*map(row, range(190))),
        card(HEADER, *map(row, range(190)), FOOTER),
        card({"type": "Container", "items": [HEADER, *map(row, range(190)), FOOTER]}),
        card(HEADER, *(row(number, "ColumnSet") for number in range(190))),
        card(HEADER, *(row(number, "FactSet") for number in range(190))),
        card({"type": "ColumnSet", "columns": [{"type": "Column", "items": [HEADER, *map(row, range(190))]}]}),
        card(HEADER, {**TABLE, "rows": [row(number, "TableRow") for number in range(190)]}),
        card({"type": "ColumnSet", "columns": [{"type": "Column", "items": [text_block("x" * 80)]}] * 300}),
        card({"type": "ActionSet", "actions": FOOTER["actions"] * 700}),
        card({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "x" * 80}] * 400}),
        card(HEADER, actions=[{"type": "Action.ShowCard", "title": "x", "card": card(*map(row, range(190)))}]),
        card(*(each for number in range(190) for each in (text_block(f"{number}"), row(number)))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("link", [LINK, None])
def test_rows_of_any_kind_are_shortened_wherever_they_are(
    given_card: dict[str, Any], link: str | None
) -> None:
    result: Any = fit_card(given_card, max_card_bytes=LIMIT, more_link=link)

    assert LIMIT - 2_000 < size(result) <= LIMIT
    assert re.search(r"and \d+ more", json.dumps(result))
    assert not worded_faults(result)
    assert '"targetElements": []' not in json.dumps(result), "phones refuse the card"
    if given_card["body"][-1] == FOOTER:
        assert result["body"][-1] == FOOTER
    if given_card["body"][0] == HEADER:
        assert result["body"][0] == HEADER


def test_the_paragraphs_of_a_card_are_cut_not_left_out() -> None:
    result = fitted(card(*[text_block("word " * 2000)] * 6))
    assert size(result) <= LIMIT
    assert len(result["body"]) == 6


@pytest.mark.parametrize(
    "given_card",
    [
        card(*({"type": "Container", "items": [text_block("a" * 20)] * 9} for _ in range(900))),
        card(*({"type": "Container", "items": [text_block("a" * 30), *[text_block("b")] * 9]} for _ in range(900)), *[text_block("t" * 300)] * 30),
        card({"type": "Container", "items": [{"type": "Container", "items": [text_block("x")] * 6}] * 900}),
        card(*({"type": f"T{number}", "text": "t" * 300} for number in range(800))),
        card(facts(12_000, 1)),
    ],
)  # fmt: skip
def test_the_work_grows_with_the_card_alone(
    given_card: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def counted(value: object) -> bytes:
        nonlocal written
        text = to_json_bytes(value)
        written += len(text)
        return text

    monkeypatch.setattr(fit, "to_json_bytes", counted)
    fitted(given_card)

    assert written < 6 * size(given_card)


def test_the_card_given_is_not_changed() -> None:
    long = card(facts(900))
    before = json.dumps(long)
    fitted(long)
    assert json.dumps(long) == before


@given(
    st.lists(st.integers(0, 400), max_size=4),
    st.lists(
        st.text(st.characters(exclude_categories=["C"]), max_size=40).map(
            lambda text: text * 300
        ),
        max_size=4,
    ),
    st.integers(8_000, 27_500),
)
def test_any_mixture_of_lists_and_texts_fits_and_stays_a_card(
    lists: list[int], texts: list[str], limit: int
) -> None:
    result = fitted(card(*map(facts, lists), *map(text_block, texts)), limit)
    assert size(result) <= limit
    assert not [fault for fault in worded_faults(result) if "DATE" not in fault]
