"""Numbers keep their digits, JSON is exact, and amounts are read."""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_UP, Decimal
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
from notifier.events.json import (
    exact_json,
    json_object,
    to_exact_json,
    to_json_bytes,
    without_nul,
)
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


def expanded(expression: str, **data: Any) -> Any:
    return Template(f"${{{expression}}}").expand(data, missing=lambda _: "no value")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1,250.50", 1250.5), ("1250.50", 1250.5), ("1,250", 1250), ("1.250,50", 1250.5), ("12,5", 12.5), (" 7 ", 7),
        ("-1,250.50", -1250.5), ("\u22121,250.50", -1250.5), ("1,250.50-", -1250.5), ("+5", 5), ("1 250 000.5", "no value"),
        ("1\u00a0250\u00a0000.5", 1250000.5), ("1'250.5", 1250.5), ("\u0661\u066c\u0662\u0665\u0660\u066b\u0665", 1250.5),
        ("\u200f-\u0661\u0662", -12), ("\uff11\uff12.5", 12.5), (".5", 0.5), ("12,34,567", 1234567), (1250.5, 1250.5), (3, 3),
        ("", "no value"), ("SAR 5", "no value"), ("1,2,3", "no value"), ("1.2.3", "no value"), ("1e5", "no value"),
        (True, "no value"), ([1], "no value"), ("9" * 100, "no value"), ("9" * 40, 1e40), (10**30, 1e30), ("-" + "1" * 29 + ".5", -1.1111111111111111e28),
    ],
)  # fmt: skip
def test_an_amount_is_read(written: Any, read: Any) -> None:
    assert expanded("amount(a)", a=written) == read


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("12.345", "BHD", "12.345"), (12.345, "kwd", "12.345"), (12.3, "OMR", "12.300"), (1250.6, "JPY", "1,251"),
        ("1,250.5", "SAR", "1,250.50"), (1250, "", "1,250.00"), (-0.125, "SAR", "\u22120.13"), (0.004, "SAR", "0.00"),
        (-0.004, "SAR", "0.00"), (1.005, "SAR", "1.01"), (90071992547409931, "SAR", "90,071,992,547,409,931.00"),
        ("to be agreed", "SAR", "to be agreed"), ("1" * 40, "SAR", "1" * 40), ("5", None, "5.00"),
    ],
)  # fmt: skip
def test_an_amount_has_the_decimals_of_its_currency(
    amount: Any, currency: Any, text: str
) -> None:
    assert expanded("money(a, c)", a=amount, c=currency) == text


def test_an_amount_without_a_currency_has_two_decimals() -> None:
    assert expanded("money(a)", a="3") == "3.00"


@given(st.decimals(-(10**12), 10**12, places=2))
def test_amount_reads_the_text_of_money(value: Decimal) -> None:
    assert expanded("amount(money(a))", a=str(value)) == float(value)


@given(
    st.decimals(0, 10**15, allow_nan=False, places=3), st.sampled_from(["SAR", "JPY", "KWD"])
)
def test_an_amount_is_rounded_once_as_a_text_and_as_a_number(value: Decimal, code: str) -> None:
    places = {"SAR": 2, "JPY": 0, "KWD": 3}[code]
    written = f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"

    assert expanded("money(a, c)", a=str(value), c=code) == written
    if len(value.as_tuple().digits) <= 15:
        assert expanded("money(a, c)", a=float(value), c=code) == written


@pytest.mark.parametrize("sign", [1, -1])
def test_an_object_with_a_number_beyond_any_double_is_written_with_its_digits(sign: int):
    assert (
        Template("${string(n)}").expand({"n": {"x": sign * 10**400}})
        == f'{{"x":{sign * 10**400}}}'
    )


JSON_NUMBERS = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | JSON_NUMBERS | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_it_reads_back_as_what_the_standard_library_writes(value: object):
    plainly = json.dumps(value, ensure_ascii=False).encode(errors="replace")

    assert json.loads(to_json_bytes(value)) == json.loads(plainly)
    assert decode(encode(replace(ONE, data={"x": value}))).data == {"x": json.loads(plainly)}  # type: ignore[dict-item]


def test_it_is_as_short_as_it_can_be_and_not_escaped():
    assert (
        to_json_bytes({"a": [1, "مرحبا"], "b": None}) == '{"a":[1,"مرحبا"],"b":null}'.encode()
    )


def test_what_is_no_number_is_null():
    # Postgres and Teams refuse NaN, which the standard library would write.
    assert to_json_bytes([math.nan, math.inf]) == b"[null,null]"


_NUL_LIKE = st.lists(st.sampled_from(["\0", "\\", "u0000", '"', "a"]), max_size=8).map("".join)


@given(st.lists(_NUL_LIKE | st.dictionaries(_NUL_LIKE, _NUL_LIKE), max_size=3))
def test_a_nul_is_replaced_and_what_only_looks_like_one_is_not(values: list[object]):
    def replaced(value: object) -> object:
        if isinstance(value, dict):
            return {replaced(key): replaced(inner) for key, inner in value.items()}
        return str(value).replace("\0", "\ufffd")

    for written in (to_json_bytes(values), json.dumps(values).encode()):
        assert json.loads(without_nul(written)) == [replaced(value) for value in values]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [4299, 4300, 4301])
def test_a_number_that_an_event_may_hold_can_be_read_from_its_lane(sign: str, digits: int):
    text = f'{{"x": {sign}{"9" * digits}}}'
    try:
        data = json_object("data", text)
    except EventError:
        return

    assert decode(encode(replace(ONE, data=data))).data == data


EARLIER = (
    b' {"id":"n1","channel":"sre","stakeholders":["sre"],"priority":"LOW","card":"generic","stream":"s","entry_id":"1-0","event_id":"e",'
    b'"event_type":"a.b","correlation_id":"c","event_time":"t","lang":"en","source":null,"traceparent":null,"data":{"n":1.10},'
    b'"tried_before":2,"endings":[{"dead_at":"t","reason":"rejected","detail":"d","more":1}],"of_later_versions":true}'
)


def test_a_notification_of_another_version_is_read():
    read = decode(EARLIER)

    assert (read.tried_before, read.endings[0].reason, read.tracestate) == (2, "rejected", None)
    assert b'{"n":1.10}' in encode(read)
