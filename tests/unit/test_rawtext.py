"""What did not parse is shown without patients, however it is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.events.masking import Masking
from notifier.events.masking_raw import mask_raw_text, mask_raw_texts

MASKING = Masking.of(["patient_id", "national_id", "name", "phone"], [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"type":"x","patient_id": "PAT-12345", "a', '{"type":"x","patient_id": "***", "a'),
        ('"national_id": {"value": "1012345678"},}', '"national_id": "***",}'),
        ('"phone": ["0501234567", "0559876543"],} 0559876543', '"phone": "***",} ***543'),
        ('"name": "Sara \\"Umm Ali\\" Alharbi",}', '"name": "***",}'),
        ('"national\\u005fid": "1012345678",}', '"national_id": "***",}'),
        ('"name": {"first": "Sara", "last": "Alharbi" and alharbi', '"name": "***"'),
        ("patient_id=PAT-12345&x=pat 12345", 'patient_id="***"&x=***345'),
        ("{'name': 'Sara Ali', 'n': 'sara ali'", "{'name': \"***\", 'n': '***ali'"),
        ('{"data": "{\\"phone\\": [\\"0501234567\\"], \\"n\\": 1', '{"data": "{\\"phone\\": "***", \\"n\\": 1'),
        ('"name": "', '"name": "***"'),
        ('"name": ', '"name": '),
    ],
)  # fmt: skip
def test_the_value_of_a_member_goes_whole(text: str, shown: str) -> None:
    assert mask_raw_text(text, MASKING) == shown


def test_what_one_text_names_is_hidden_in_all() -> None:
    shown = mask_raw_texts(
        {"a": '"patient_id": "PAT-12345",}', "b": "about pat 12345", "c": "ends in pat-123"}, MASKING
    )  # fmt: skip

    assert shown == {"a": '"patient_id": "***",}', "b": "about ***345", "c": "ends in ***"}


SECRET = st.text(alphabet='abcdefgh01234567 "\\\u0633\u0627', min_size=4, max_size=12).filter(
    lambda text: len(set(text) - set(' "\\')) > 2 and not text.endswith("\\")
)
LEAVES = SECRET | st.integers(10_000, 10**12)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pqr"), inner, max_size=3)
)  # fmt: skip


@given(VALUES, st.booleans(), st.booleans(), st.integers(0, 2))
def test_no_value_is_left_when_an_event_is_broken_off(
    value: Any, plain: bool, nested: bool, cut: int
) -> None:
    text = json.dumps({"patient_id": value, "z": "zzzz"}, ensure_ascii=not plain)
    if nested:
        text = json.dumps({"data": text}, ensure_ascii=not plain)
    shown = mask_raw_text(text[: len(text) - cut], MASKING)

    member = json.dumps(value, ensure_ascii=not plain)
    if nested:
        member = json.dumps(member, ensure_ascii=not plain)[1:-1]
    assert member not in shown
    assert shown.count("***") == 1
    assert "zz" in shown


@pytest.mark.parametrize(
    "text",
    ["\\" * 250_000 + '"', '"name": ' + "\\" * 250_000, 'name: "\\"' * 30_000, '"name":["' * 30_000],
)  # fmt: skip
def test_text_made_to_be_slow_is_not(text: str) -> None:
    # The suite's own limit for a test would end this one.
    assert mask_raw_text(text, MASKING)
