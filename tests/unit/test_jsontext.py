"""JSON written in C equals that of the standard library."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from notifier.errors import EventError
from notifier.events.json import json_object, to_json_bytes, without_nul
from notifier.events.notification import decode, encode
from tests.support.stages import ONE

NUMBERS = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(codec=None)),
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
