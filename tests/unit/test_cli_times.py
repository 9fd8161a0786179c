"""Times on the command line: what people type means what they expect."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from notifier.cli.times import moment, period

NOW = datetime(2026, 11, 24, 10, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", "2026-11-24T08:15:30"),
        ("90s", "2026-11-24T10:14:00"),
        ("30m", "2026-11-24T09:45:30"),
        ("3d", "2026-11-21T10:15:30"),
        ("1w", "2026-11-17T10:15:30"),
        ("now", "2026-11-24T10:15:30"),
        ("today", "2026-11-24T00:00:00"),
        ("yesterday", "2026-11-23T00:00:00"),
        ("2026-11-24", "2026-11-24T00:00:00"),
        ("2026-11-24 10:00", "2026-11-24T10:00:00"),
        ("2026-11-24T10:00", "2026-11-24T10:00:00"),
        ("2026-11-24T10:00:05.250", "2026-11-24T10:00:05.250000"),
        ("2026-11-24T10:00Z", "2026-11-24T10:00:00"),
        ("2026-11-24T13:00:00+03:00", "2026-11-24T10:00:00"),
        ("2026-11-24T13:00+0300", "2026-11-24T10:00:00"),
        (" 2h ", "2026-11-24T08:15:30"),
    ],
)
def test_a_time_is_read(text: str, expected: str):
    assert moment(text, NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2x", "h", "-2h", "24.11.2026", "2026-13-01", "999999999w", "0001-01-01T00:00+23:00", "1.5h"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_what_to_give(text: str):
    with pytest.raises(typer.BadParameter, match=r"2h.*2026-11-24T13:00\+03:00"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("since", "until"),
    [("1h", "2h"), ("1h", "1h"), ("60m", "1h"), ("now", "now"), ("today", "2026-11-24"), ("2026-11-25", "today")],
)  # fmt: skip
def test_a_period_in_which_no_time_lies_is_refused_by_both_its_names(since: str, until: str):
    with pytest.raises(typer.BadParameter) as refused:
        period(since, until, NOW)

    assert refused.value.param_hint == "--since"
    assert f"{since} (2026-11-2" in refused.value.message
    assert f"must be before --until {until} (2026-11-2" in refused.value.message


def test_both_ends_of_a_period_are_counted_from_one_now():
    # Read one after the other, an hour ago would be before an hour ago.
    with pytest.raises(typer.BadParameter, match="before --until"):
        period("1h", "1h")


def test_a_period_may_be_open_at_either_end():
    earlier = moment("2h", NOW)

    assert period("2h", "now", NOW) == (earlier, NOW)
    assert period("2h", None, NOW) == (earlier, None)
    assert period(None, "now", NOW) == (None, NOW)
    assert period(None, None, NOW) == (None, None)


@pytest.mark.parametrize(
    ("since", "until", "option"), [("soon", None, "--since"), ("2h", "soon", "--until")]
)
def test_the_end_that_is_no_time_is_named(since: str, until: str | None, option: str):
    with pytest.raises(typer.BadParameter, match="how long ago") as refused:
        period(since, until, NOW)

    assert refused.value.param_hint == option
