"""Patient data are masked wherever an event has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from notifier.events.identifiers import Identifiers
from notifier.events.masking import Masking, mask_event_data, mask_value

MASKING = Masking.of(
    ["patient_id", "member_id", "name", "phone", "national_id"],
    ["portal_resources.name", "services.name"],
)


def test_patient_id_shows_only_its_last_three_characters():
    assert mask_event_data({"patient_id": "PAT-12345"}, MASKING) == {"patient_id": "***345"}


def test_short_value_shows_nothing():
    assert mask_value("1234") == "***"


def test_value_is_masked_in_free_text_and_nested_members_and_keys():
    masked = mask_event_data(
        {
            "patient_id": "PAT-12345",
            "error_message": "no cover for pat-12345.",
            "errors": [{"field": "subject", "message": "PAT-12345 unknown"}],
            "by_patient": {"PAT-12345": 1},
        },
        MASKING,
    )

    assert "12345" not in json.dumps(masked)
    assert masked["error_message"] == "no cover for ***345."


def test_nested_and_differently_cased_members_are_masked():
    masked = mask_event_data(
        {"subject": {"Patient_ID": "PAT-777777", "name": {"ar": "سارة العتيبي"}}}, MASKING
    )

    assert "777777" not in json.dumps(masked)
    assert "سارة" not in json.dumps(masked, ensure_ascii=False)


def test_an_identifying_number_is_masked_in_other_members_too():
    masked = mask_event_data(
        {"national_id": 1087654321, "ref": 1087654321, "amount": 12.5}, MASKING
    )

    assert masked == {"national_id": "***321", "ref": "***321", "amount": 12.5}


def test_names_of_things_are_left_alone():
    data = {"portal_resources": [{"name": "Claims portal", "url": "https://x"}]}

    assert mask_event_data(data, MASKING) == data


def test_values_are_found_with_other_spaces_and_dashes():
    masked = mask_event_data(
        {
            "national_id": "1098765432",
            "patient_id": "PAT-12345",
            "name": "Sara Ali",
            "notes": "1098 765 432, 1098-765-432, PAT 12345, PAT12345, sara  ali; 1098765 and Sara stay",
        },
        MASKING,
    )

    assert masked["notes"] == "***432, ***432, ***345, ***345, ***ali; 1098765 and Sara stay"


def test_a_value_is_found_in_a_number_of_another_member_and_across_its_separators():
    masked = mask_event_data(
        {"patient_id": "1098-765", "other": {"ref": 1098765, "list": ["x 10 98_765"]}}, MASKING
    )

    assert masked["other"] == {"ref": "***765", "list": ["x ***765"]}


@pytest.mark.parametrize(
    ("identity", "other"),
    [
        ("1012 345 678", 1012345678), ("10_123456", 10123456), ("1 2345", 12345), ("1012345678", 1012345678.0),
        (1012345678, 1012345678.0), (1012345678.0, 1012345678), ("+966501234567", 966501234567.0),
    ],
)  # fmt: skip
def test_a_number_is_masked_as_number_too_however_it_was_written(
    identity: str | float, other: float
):
    masked = mask_event_data({"patient_id": identity, "list": [{"ref": other}, 1.5]}, MASKING)

    assert str(int(other)) not in json.dumps(masked)


def test_members_whose_names_look_alike_once_masked_are_all_kept():
    ids = ["PAT-10345", "PAT-20345", "PAT-30345"]
    masked = mask_event_data({"patient_id": ids, "results": dict.fromkeys(ids, "new")}, MASKING)

    assert masked["results"] == {"***345": "new", "***345 (2)": "new", "***345 (3)": "new"}


def test_a_value_of_separators_alone_hides_nothing_else():
    assert mask_event_data({"patient_id": "------", "notes": "a - b"}, MASKING) == {
        "patient_id": "***---",
        "notes": "a - b",
    }


@given(
    st.text(alphabet="abcdefghijklmnop0123456789-", min_size=6, max_size=20),
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=30), max_size=4),
    st.integers(0, 3),
)
def test_raw_value_is_nowhere_in_the_masked_data(value: str, rest: dict[str, str], copies: int):
    data = {**rest, "patient_id": value, "notes": f"about {value} " * copies}

    masked = mask_event_data(dict(data), MASKING)

    assert value not in json.dumps(masked, ensure_ascii=False)


@pytest.mark.parametrize(
    "written",
    [
        *(f"PAT{dash}12345" for dash in "\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\ufe58\ufe63\u06d4\u2027\u2500\u2796\u30fc\u2800"),
        "PA\u00adT-12\u00ad345", "P\u200bA\u200cT\u2060-\ufeff12345", "PAT-\u0661\u0662\u0663\u0664\u0665",
        "PAT-\uff11\uff12\uff13\uff14\uff15", "\uff50\uff41\uff54\u300012345",
    ],
)  # fmt: skip
def test_a_value_is_masked_however_it_is_typed_and_the_rest_stays_as_sent(written: str):
    note = f"re\u0301sume\u0301 \u2013 \u200f{written}\u00a0\u2014 \u0661 \uff21"

    masked = mask_event_data({"patient_id": "PAT-12345", "note": note, written: 1}, MASKING)

    assert str(masked["note"]).startswith("re\u0301sume\u0301 \u2013 \u200f***")
    assert str(masked["note"]).endswith("\u00a0\u2014 \u0661 \uff21")
    assert written not in masked
    assert written not in json.dumps(masked, ensure_ascii=False)


def test_names_of_members_under_a_masked_field_are_values_too():
    masked = mask_event_data(
        {
            "patient_id": {"PAT-12345": {"seen": True}, "PAT-99345": {"seen": False}},
            "name": {"given": "Sara", "use": "official"},
            "note": "PAT 12345 and PAT-99345, no reason given",
        },
        MASKING,
    )

    assert masked["note"] == "***345 and ***345, no reason given"
    assert masked["name"] == {"given": "***", "use": "***ial"}
    assert "PAT" not in json.dumps(masked)


def test_a_number_is_masked_whatever_its_sign():
    assert mask_event_data({"patient_id": 1098765, "ref": [-1098765]}, MASKING)["ref"] == [
        "***765"
    ]


LEAVES = st.text(alphabet="abc12\u0661- ", max_size=8) | st.integers(0, 99_999) | st.booleans()
NAMES = st.sampled_from(["patient_id", "name", "note", "list"]) | st.text(
    alphabet="abc12-", min_size=1, max_size=6
)
DATA = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, DATA, max_size=5))
def test_each_text_is_masked_as_a_search_for_each_value_alone_would(data: dict[str, JsonValue]):
    values: set[str] = set()
    for value in values_of(data):
        values |= {value} if len(value) >= 4 else set()

    assert texts_of(mask_event_data(data, MASKING)) == texts_of(one_by_one(data, values))


def values_of(value: JsonValue, *, inside: bool = False) -> Iterator[str]:
    """Yield what identifies a person, by the plainest reading of the rule."""
    if isinstance(value, dict):
        for key, item in value.items():
            if inside and key not in MASKING.fields:
                yield key
            yield from values_of(item, inside=inside or key in MASKING.fields)
    elif isinstance(value, list):
        for item in value:
            yield from values_of(item, inside=inside)
    elif inside and not isinstance(value, bool):
        yield str(value)


def one_by_one(value: JsonValue, values: set[str], *, inside: bool = False) -> JsonValue:
    if isinstance(value, dict):
        shown: dict[str, JsonValue] = {}
        for key, item in value.items():
            known = key in MASKING.fields
            name = mask_value(key) if inside and not known else hidden_in(key, values)
            while name in shown:
                name += "'"
            shown[name] = one_by_one(item, values, inside=inside or known)
        return shown
    if isinstance(value, list):
        return [one_by_one(item, values, inside=inside) for item in value]
    if isinstance(value, bool):
        return value
    if inside:
        return mask_value(str(value))
    if isinstance(value, int):
        alone = any(Identifiers([each]).spans(str(value)) == [(0, len(str(value)))] for each in values)  # fmt: skip
        return mask_value(str(value)) if alone else value
    return hidden_in(str(value), values)


def hidden_in(text: str, values: set[str]) -> str:
    spans: list[list[int]] = []
    for begin, end in sorted(
        span for value in values for span in Identifiers([value]).spans(text)
    ):
        if spans and begin < spans[-1][1]:
            spans[-1][1] = max(end, spans[-1][1])
        else:
            spans.append([begin, end])
    for begin, end in reversed(spans):
        text = text[:begin] + mask_value(text[begin:end]) + text[end:]
    return text


def texts_of(value: JsonValue) -> list[JsonValue]:
    """Return names and leaves in order, without the numbers of copies."""
    if isinstance(value, dict):
        return [
            each
            for key, item in value.items()
            for each in (re.sub(r" \([0-9]+\)$|'+$", "", key), *texts_of(item))
        ]
    if isinstance(value, list):
        return [each for item in value for each in texts_of(item)]
    return [value]


@pytest.mark.parametrize(
    "data",
    [
        {"name": [f"Name {number:05d}" for number in range(4_000)]},
        {"patient_id": {f"PAT-{number:05d}": number for number in range(4_000)}},
        {"patients": [{"name": f"N{number:05d}"} for number in range(4_000)]},
    ],
)
def test_no_value_of_thousands_is_left(data: dict[str, JsonValue]):
    names = sorted({*values_of(data)} - {*map(str, range(4_000))})
    masked = mask_event_data({**data, "seen": names, "text": ", ".join(names)}, MASKING)

    shown = json.dumps(masked)
    assert not any(name in shown for name in names)


def test_one_value_in_deep_and_many_members_is_left_nowhere():
    deep: JsonValue = "PAT-12345"
    for _ in range(30):
        deep = [{"PAT 12345": deep}]
    data: dict[str, JsonValue] = {"patient_id": "PAT-12345", "deep": deep, "PAT12345" * 500: 1}

    assert "12345" not in json.dumps(mask_event_data(data, MASKING))
