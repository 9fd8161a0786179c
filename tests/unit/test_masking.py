from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.masking import Masking, mask_event_data, mask_value

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


def test_number_is_masked_where_it_stands_as_number_too():
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


def test_values_are_found_with_letters_that_count_as_ascii_ones():
    masked = mask_event_data({"patient_id": "KIS-12345", "notes": "\u212a\u0131\u017f 12345, \u0130"}, MASKING)  # fmt: skip

    assert masked["notes"] == "***345, \u0130"


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
    ["\u212aATIF-1234", "kat\u0131f-1234", "KAT\u0130F 1234", "katif_1234"],
)
def test_letters_that_look_like_ascii_ones_hide_nothing(written: str):
    masked = mask_event_data({"patient_id": "KATIF-1234", "note": f"seen: {written}."}, MASKING)

    assert masked["note"] == "seen: ***234."


def test_letters_beyond_ascii_elsewhere_hide_nothing():
    note = "راجع PAT-12345 اليوم"

    masked = mask_event_data({"patient_id": "PAT-12345", "note": note}, MASKING)

    assert masked["note"] == "راجع ***345 اليوم"
