"""The next channel of an escalation, its time, and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.config import load_config
from notifier.config.escalation import BusinessHoursSettings
from notifier.escalation.policy import (
    BusinessHours,
    Case,
    Escalate,
    Finished,
    Matrix,
    Step,
    Wait,
    chain_of,
)
from notifier.events.entry import Priority

CONFIG = load_config(None, {})
MATRIX = Matrix.of(CONFIG.escalation, CONFIG.business_hours)
RIYADH = ZoneInfo("Asia/Riyadh")
NOON = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # a Tuesday, 12:00 in Riyadh


def case(
    priority: str,
    channels: str,
    *steps: Step,
    since: datetime = NOON,
    acknowledged: bool = False,
) -> Case:
    return Case(Priority(priority), since, tuple(channels.split()), steps, acknowledged)


def told(case_: Case, until: datetime) -> list[tuple[int, str]]:
    """Run the scheduler on a fake clock; return (minutes, channel) of steps."""
    now, found = case_.since, []
    while now <= until:
        decision = MATRIX.decide(case_, now)
        match decision:
            case Finished():
                break
            case Wait():
                assert decision.until > now
                now = decision.until
            case Escalate():
                step = Step(decision.step, decision.channel, now)
                case_ = Case(
                    case_.priority,
                    case_.since,
                    case_.channels,
                    (*case_.steps, step),
                    acknowledged=False,
                )
                found.append((int((now - case_.since).total_seconds() // 60), decision.channel))
    return found


@pytest.mark.parametrize(
    ("priority", "channels", "expected"),
    [
        (
            "CRITICAL",
            "security_eng cloudops",
            [(5, "nphies_integration"), (10, "devops"), (15, "sre")],
        ),
        ("CRITICAL", "nphies_integration pmo", [(5, "devops"), (10, "sre")]),
        ("CRITICAL", "nphies_integration devops sre", [(5, "sre")]),
        ("HIGH", "runtime_eng", [(30, "nphies_integration"), (60, "devops")]),
        ("HIGH", "nphies_integration pmo compliance", [(30, "devops")]),
        ("MEDIUM", "runtime_eng", [(120, "nphies_integration"), (240, "pmo")]),
        ("INFO", "sre", []),
    ],
)
def test_the_matrix_of_the_catalogue(
    priority: str, channels: str, expected: list[tuple[int, str]]
):
    assert told(case(priority, channels), NOON + timedelta(days=1)) == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-11-24T12:00", "2026-11-25T08:00"),  # Tuesday: Wednesday
        ("2026-11-24T02:00", "2026-11-25T08:00"),  # before opening it is still Tuesday's
        ("2026-11-26T12:00", "2026-11-29T08:00"),  # Thursday: Sunday, over the weekend
        ("2026-11-27T23:59", "2026-11-29T08:00"),  # Friday: Sunday
        ("2026-12-31T12:00", "2027-01-03T08:00"),
    ],
)
def test_low_waits_for_the_next_business_day_of_riyadh(since: str, expected: str):
    start = datetime.fromisoformat(since).replace(tzinfo=RIYADH)
    waits = MATRIX.decide(case("LOW", "sre", since=start), start)

    assert waits == Wait(datetime.fromisoformat(expected).replace(tzinfo=RIYADH))
    assert isinstance(MATRIX.decide(case("LOW", "sre", since=start), waits.until), Escalate)


def test_low_that_becomes_due_outside_business_hours_waits_for_them():
    start = datetime(2026, 11, 24, 12, 0, tzinfo=RIYADH)
    evening = datetime(2026, 11, 25, 20, 0, tzinfo=RIYADH)  # the daemon was away all Wednesday

    assert MATRIX.decide(case("LOW", "sre", since=start), evening) == Wait(
        datetime(2026, 11, 26, 8, 0, tzinfo=RIYADH)
    )


def test_after_an_outage_the_steps_keep_their_distance():
    late = NOON + timedelta(hours=3)
    decision = MATRIX.decide(case("CRITICAL", "pmo"), late)
    assert isinstance(decision, Escalate)
    first = Step(1, decision.channel, late)

    assert MATRIX.decide(case("CRITICAL", "pmo", first), late) == Wait(
        late + timedelta(minutes=5)
    )


def test_what_is_acknowledged_or_old_is_left_alone():
    later = NOON + timedelta(hours=1)
    assert MATRIX.decide(case("CRITICAL", "pmo", acknowledged=True), later) == Finished()
    assert MATRIX.decide(case("CRITICAL", "pmo"), NOON + timedelta(days=8)) == Finished()


def test_by_hand_goes_on_along_the_chain_and_then_tells_its_last_again():
    steps: tuple[Step, ...] = ()
    channels = []
    for _ in range(4):
        number, channel = MATRIX.by_hand(case("CRITICAL", "nphies_integration", *steps))
        steps = (*steps, Step(number, channel, NOON))
        channels.append((number, channel))

    assert channels == [(1, "devops"), (2, "sre"), (3, "sre"), (4, "sre")]
    assert MATRIX.by_hand(case("INFO", "pmo")) == (1, "nphies_integration")


channel = st.sampled_from(sorted(CONFIG.channels))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    st.sampled_from(sorted(Priority)),
    st.lists(channel, min_size=1, max_size=8, unique=True),
    moments,
    st.integers(0, 14 * 86_400),
)
def test_every_chain_ends_each_channel_is_told_once_and_looking_twice_changes_nothing(
    priority: Priority, channels: list[str], since: datetime, delay: int
):
    event = Case(priority, since, tuple(channels), (), acknowledged=False)
    now = since + timedelta(seconds=delay)
    assert MATRIX.decide(event, now) == MATRIX.decide(event, now)
    steps = told(event, since + timedelta(days=30))

    names = [name for _, name in steps]
    rule = MATRIX.rules.get(priority)
    expected = chain_of(rule, channels) if rule else ()
    assert names == list(expected)
    assert len(set(names)) == len(names)


@given(
    st.sampled_from(sorted(Priority)),
    st.lists(channel, min_size=1, max_size=8, unique=True),
    moments,
    st.lists(st.integers(1, 600), max_size=20),
)
def test_whenever_it_is_looked_at_no_step_comes_early(
    priority: Priority, channels: list[str], since: datetime, minutes: list[int]
):
    """The scheduler may run late; steps never come before their time."""
    rule, now, steps = MATRIX.rules.get(priority), since, ()
    for wait in minutes:
        now += timedelta(minutes=wait)
        decision = MATRIX.decide(
            Case(priority, since, tuple(channels), steps, acknowledged=False), now
        )
        if isinstance(decision, Escalate):
            assert rule is not None
            base = steps[-1].at if steps else since
            assert now - base >= timedelta(seconds=rule.after_seconds)
            assert decision.step == len(steps) + 1
            assert decision.next_check > now
            steps = (*steps, Step(decision.step, decision.channel, now))
        elif isinstance(decision, Wait):
            assert decision.until > now


@given(moments)
def test_business_hours_open_on_business_days_at_the_start(moment: datetime):
    hours = BusinessHours(CONFIG.business_hours)
    opening = hours.opening_after_day_of(moment).astimezone(RIYADH)

    assert opening.strftime("%A") not in ("Friday", "Saturday")
    assert (opening.hour, opening.minute) == (8, 0)
    assert moment.astimezone(RIYADH).date() < opening.date()
    assert timedelta(0) < opening - moment < timedelta(days=4)
    assert hours.next_open(opening) == opening
    assert hours.next_open(moment) >= moment


def test_a_time_that_daylight_saving_skips_is_a_real_moment():
    hours = BusinessHours(
        BusinessHoursSettings(
            time_zone="Europe/Berlin", days=("sunday",), start="02:30", end="10:00"
        )
    )
    saturday = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)

    assert hours.opening_after_day_of(saturday) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
