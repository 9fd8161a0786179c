"""Identifying values are found however they are written, and nothing else is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.identifiers import Identifiers

SEPARATORS = st.text(alphabet=" -_\t\u00a0\u2003", max_size=3)


def hidden(values: list[str], text: str) -> str:
    return Identifiers(values).replaced(text, lambda found: "#")


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [
        ("PAT-12345", "PAT-12345, pat 12345, Pat_12345 and PAT12345", "#, #, # and #"),
        ("PAT-12345", "PAT-1 2345 and PA T12345", "PAT-1 2345 and PA T12345"),
        ("1098765432", "1098 765-432", "#"),
        ("1098765432", "1098    765432", "1098    765432"),
        ("+966 50 123", "96650123 and +966-50-123", "# and +#"),
        ("PAT-----12345", "PAT-----12345", "#"),
        ("12345", "12 345 and 12345", "12 345 and #"),
        ("a - b", "a - b, A - B and a-b", "#, # and a-b"),
        ("KIS-77", "\u212a\u0131\u017f 77", "#"),
        ("ΣΟΦΟΣ", "σοφος", "#"),
        ("سارة العتيبي", "عن سارة  العتيبي اليوم", "عن # اليوم"),
    ],
)
def test_a_value_is_found_as_people_write_it(value: str, text: str, shown: str) -> None:
    assert hidden([value], text) == shown


def test_what_overlaps_is_hidden_whole() -> None:
    assert hidden(["12345", "34567", "1234567"], "x1234567x 12345 34567") == "x#x # #"
    assert hidden(["abcde", "defgh"], "abcdefgh") == "#"


def test_the_beginning_of_a_value_at_the_end_of_a_text_is_found() -> None:
    identifiers = Identifiers(["PAT-12345", "Sara Ali"])
    for text, kept in (
        ("about pat 123", "about "),
        ("about SARA", "about "),
        ("about PAT", "about PAT"),
        ("about 12345", "about 12345"),
    ):
        assert text[: identifiers.begun_at_end(text)] == kept


@given(st.data())
def test_a_number_in_groups_is_found_and_shows_nothing(data: st.DataObject) -> None:
    digits = data.draw(st.text(alphabet="0123456789", min_size=6, max_size=15))
    grouped = "".join(digit + data.draw(SEPARATORS) for digit in digits[:-1]) + digits[-1]
    before, after = data.draw(st.text(max_size=9)), data.draw(st.text(max_size=9))
    shown = hidden([digits], f"{before}{grouped}{after}")
    assert digits not in re.sub(r"[\s_\-]", "", shown)


@given(
    st.lists(st.text(alphabet="abc1- ", max_size=8), max_size=4),
    st.text(alphabet="abcABC1- _\u0130", max_size=40),
)
def test_as_a_pattern_of_each_value_would_find_them(values: list[str], text: str) -> None:
    spans = Identifiers(values).spans(text)
    inside = {place for begin, end in spans for place in range(begin, end)}
    for value in values:
        for found in re.finditer(pattern_of(value), text, re.IGNORECASE):
            assert inside.issuperset(range(*found.span()))
    for begin, end in spans:
        assert begin < end
        assert any(re.search(pattern_of(value), text[begin:end], re.I) for value in values)


def pattern_of(value: str) -> str:
    """Write the same as a pattern: up to three separators where the value has some, or as many as it has there."""
    parts = [part for part in re.split(r"[\s_\-]+", value) if part]
    if sum(map(len, parts)) < 4:
        return re.escape(value) or r"(?!)"
    gaps = [len(gap) for gap in re.findall(r"[\s_\-]+", value.strip())]
    if re.fullmatch(r"[0-9]{6,}", "".join(parts)):
        parts = list("".join(parts))
    return rf"[\s_\-]{{0,{max(3, *gaps, 0)}}}".join(map(re.escape, parts))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["1" * 60_000 + "2"], "1" * 120_000 + "2"),
        (["a-" * 30_000], "a-" * 60_000),
        (["a" * 27 + str(number) for number in range(300)], "a" * 200_000),
    ],
)
def test_a_text_that_nearly_matches_at_every_place_is_gone_through_once(
    values: list[str], text: str
) -> None:
    # The suite's own limit for a test would end this one: tried at every place, it takes many minutes.
    assert len(Identifiers(values).replaced(text, lambda found: "")) < len(text) + 1
