"""Identifying values are found however they are written."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.events.identifiers import _ARABIC, Identifiers
from notifier.events.letter_shapes import folded

SEPARATORS = st.text(alphabet=" -_\t\u00a0\u2003", max_size=3)


def hidden(values: list[str], text: str) -> str:
    return Identifiers(values).replacements([text], lambda found: "#").get(text, text)


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
        ("سارة العتيبي", "عن سارَة\u200f العتيبـــي اليوم", "عن # اليوم"),
        ("أحمد الزهراني", "احمد\u00a0الزهراني", "#"),
        ("فاطمة علي", "المريضة فاطمه على وصلت", "المريضة # وصلت"),
        ("كيان", "\u06a9\u06ccان", "#"),
        ("PAT-12345", "رقم PAT-1\u06402345، يوماً", "رقم #، يوماً"),
        ("PAT-12345", "PAT\u201312345, PAT\u00ad12345; PAT\u221212345!", "#, #; #!"),
        ("PAT-12345", "\uff30\uff21\uff34\uff0d\uff11\uff12\uff13\uff14\uff15.", "#."),
        (
            "1098765432",
            "رقم ١٠٩٨ ٧٦٥ ٤٣٢، و\u06f1\u06f0\u06f9\u06f8\u06f7\u06f6\u06f5\u06f4\u06f3\u06f2",
            "رقم #، و#",
        ),
        ("Ren\u00e9e Stra\u00dfer", "Rene\u0301e STRASSER", "#"),
        ("Rene\u0301e", "ren\u00e9e, \u200bR\u200bEN\u00c9E\u200d", "#, \u200b#"),
        (
            "\ud55c\uad6d\uc0ac\ub78c",
            "\u1112\u1161\u11ab\u1100\u116e\u11a8\u1109\u1161\u1105\u1161\u11b7",
            "#",
        ),
    ],
)
def test_a_value_is_found_as_people_write_it(value: str, text: str, shown: str) -> None:
    assert hidden([value], text) == shown


def test_overlapping_values_are_hidden_as_one() -> None:
    assert hidden(["12345", "34567", "1234567"], "x1234567x 12345 34567") == "x#x # #"
    assert hidden(["abcde", "defgh"], "abcdefgh") == "#"


DISGUISES = {
    "-": "-\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\ufe58\ufe63", " ": " \u00a0\u2009\u202f\u3000\t",
    "1": "1\u0661\u06f1\uff11\u00b9", "a": "aA\uff41\u00e0\u1d43", "b": "bB\uff22", "_": "_\uff3f",
}  # fmt: skip


@given(
    st.lists(st.text(alphabet="ab1- ", min_size=4, max_size=8), max_size=4),
    st.text(alphabet="ab1- _", max_size=40),
    st.data(),
)
def test_a_disguise_changes_nothing_of_what_is_found(
    values: list[str], text: str, data: st.DataObject
) -> None:
    unseen = st.sampled_from(["", "", "", "\u00ad", "\u200b", "\u0301", "\u2060"])
    shown = [data.draw(st.sampled_from(DISGUISES[each])) + data.draw(unseen) for each in text]
    places = [place for place, each in enumerate(shown) for _ in each]

    found = Identifiers(values).spans("".join(shown))

    hidden_places = {places[at] for begin, end in found for at in range(begin, end)}
    plainly = Identifiers(values).spans(text)
    assert hidden_places == {at for begin, end in plainly for at in range(begin, end)}


def test_a_piece_of_a_long_value_is_found_too() -> None:
    address = "King Fahd Road, Al Olaya District, Riyadh 12213, Saudi Arabia"

    assert hidden([address], f"at {address.upper()}.") == "at #."
    assert "Olaya" not in hidden([address], f"at {address[:40]} it ends")


def test_thousands_of_values_are_found_at_once() -> None:
    values = [f"{number:05d}-{number * 7:06d}" for number in range(8_000)]

    assert hidden(values, " x ".join(values)) == " x ".join("#" * len(values))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["a" * size for size in range(4, 33)], "a" * 100_000),
        ([f"{number:04d}" for number in range(10_000)], "0123456789" * 10_000),
        (["".join(parts) for parts in product(("a", "a-"), repeat=11)], "a a-" * 20_000),
        ([f"a - {number % 10}" + " " * number for number in range(100)], "a - " * 20_000),
    ],
)
def test_a_text_that_takes_too_much_work_is_hidden_whole(values: list[str], text: str) -> None:
    assert hidden(values, text) == "#"
    assert hidden(values, "x") == "x"


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
    """Return a pattern for a value with other separators.

    It allows up to three where the value has some, or as many as it has.
    """
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
    # A search that begins again at every place would run into the time limit of tests.
    assert (
        len(Identifiers(values).replacements([text], lambda found: "").get(text, text))
        < len(text) + 1
    )


def test_no_arabic_letter_or_mark_counts_as_a_character_of_ascii() -> None:
    arabic = [chr(code) for code in range(0x80, 0x3000) if _ARABIC.fullmatch(chr(code))]

    assert "\u0633" in arabic
    assert not [each for each in arabic if any(map(str.isascii, folded(each)))]
