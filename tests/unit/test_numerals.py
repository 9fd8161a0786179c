"""Numbers keep the digits that they were sent with.

That holds from the stream to the card, the row and the dead letter.
"""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from notifier.cards.library import compile_card, load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import assets, load_config
from notifier.errors import EventError
from notifier.events.entry import parse_entry
from notifier.events.json import exact_json, to_exact_json, to_json_bytes
from notifier.events.masking import Masking, mask_event_data
from notifier.events.notification import decode, encode
from notifier.ops.publishing import Members, published
from notifier.templating import Template
from tests.support.stages import ONE

WRITTEN = [
    "90071992547409931", "-90071992547409931", "18446744073709551616", "1250.50", "0.1000000000000000055", "5.0", "1E3", "-0.0",
    "1e400", "100000000000000000000000.5", "7", "0.1", "12345678901234567", "1" * 400,
]  # fmt: skip


def carried(data_json: str) -> dict[str, Any]:
    """Return data as a delivery has them.

    They are read, masked, written to a lane and read again.
    """
    fields = {b"type": b"a.b", b"data": data_json.encode()}
    event = parse_entry("s", "1-1", fields, max_bytes=100_000)
    data = mask_event_data(event.data, Masking.of(["patient_id"], []))
    return decode(encode(replace(ONE, data=data))).data


@pytest.mark.parametrize("number", WRITTEN)
def test_a_number_keeps_its_digits(number: str) -> None:
    data = carried(f'{{"n": {number}, "l": [{number}], "o": {{"n": {number}}}}}')
    block = {"type": "TextBlock", "text": "${n}", "altText": "${n}, ${l[0]}, ${o.n}"}

    shown: Any = compile_card({"body": [block]}).expand(data)
    assert shown["body"][0]["text"] == number
    assert shown["body"][0]["altText"] == f"{number}, {number}, {number}"
    quoted = f'"{number}"' if number == "1e400" else number
    assert to_json_bytes(data["l"]).decode() == f"[{quoted}]"


@pytest.mark.parametrize("number", WRITTEN)
def test_a_fact_and_a_published_event_keep_the_digits_within_lists_and_objects(
    number: str,
) -> None:
    data = carried(f'{{"o": {{"l": [{number}]}}}}')
    renderer = CardRenderer(load_cards(assets.cards_dir()), load_config(None, {}), None)
    quoted = f'"{number}"' if number == "1e400" else number

    [fact] = renderer.context(replace(ONE, data=data))["facts"]  # type: ignore[misc]
    assert fact == {"title": "o", "value": f'{{"l":[{quoted}]}}'}
    assert to_exact_json({"type": "a.b", "data": data}) == (
        f'{{"type":"a.b","data":{{"o":{{"l":[{quoted}]}}}}}}'
    )


def test_links_and_arithmetic_use_the_number() -> None:
    data = carried('{"n": 1250.50, "m": 90071992547409931}')

    assert Template("${n + 1}").expand(data) == 1251.5
    assert Template("${if(n > 1250, 'more', 'less')}").expand(data) == "more"
    assert Template("${formatNumber(n, 1)}").expand(data) == "1,250.5"
    assert Template("x/${m}").expand(data) == "x/90071992547409931"


def test_a_number_that_identifies_a_person_is_masked_however_it_is_written() -> None:
    data = carried('{"patient_id": 1234567.50, "ref": 1234567.5, "note": "of 1234567.50"}')

    assert "234567" not in json.dumps(data)


NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)


@given(st.lists(NUMBERS, max_size=5), st.booleans())
def test_any_number_of_json_is_written_as_it_came(numbers: list[str], beside: bool) -> None:
    numbers = [number for number in numbers if number != "-0"]
    more = ', "x": 1' + "0" * 30 if beside else ""
    data = carried(f'{{"l": [{", ".join(numbers)}]{more}}}')

    assert to_json_bytes(data["l"]).decode() == f"[{','.join(numbers)}]"


@pytest.mark.parametrize("depth", [40, 500])
def test_an_event_that_is_nested_too_deeply_is_refused_by_name(depth: int) -> None:
    nested = exact_json(f'{{"type": "a.b", "data": {{"x": {"[" * depth}{"]" * depth}}}}}')

    with pytest.raises(EventError, match="nested"):
        published("s", cast("Members", nested), max_bytes=100_000)
