"""Amounts are read as people write them, and shown per currency."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.templating import Template


def shown(expression: str, **data: Any) -> Any:
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
    assert shown("amount(a)", a=written) == read


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
    assert shown("money(a, c)", a=amount, c=currency) == text


def test_an_amount_without_a_currency_has_two_decimals() -> None:
    assert shown("money(a)", a="3") == "3.00"


@given(st.decimals(-(10**12), 10**12, places=2))
def test_amount_reads_the_text_of_money(value: Decimal) -> None:
    assert shown("amount(money(a))", a=str(value)) == float(value)


@given(
    st.decimals(0, 10**15, allow_nan=False, places=3), st.sampled_from(["SAR", "JPY", "KWD"])
)
def test_an_amount_is_rounded_once_as_a_text_and_as_a_number(value: Decimal, code: str) -> None:
    places = {"SAR": 2, "JPY": 0, "KWD": 3}[code]
    written = f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"

    assert shown("money(a, c)", a=str(value), c=code) == written
    if len(value.as_tuple().digits) <= 15:
        assert shown("money(a, c)", a=float(value), c=code) == written


@pytest.mark.parametrize("sign", [1, -1])
def test_an_object_with_a_number_beyond_any_double_is_written_with_its_digits(sign: int):
    assert (
        Template("${string(n)}").expand({"n": {"x": sign * 10**400}})
        == f'{{"x":{sign * 10**400}}}'
    )
