import pytest

from notifier.telemetry.clock import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-4, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (300, "5 min"), (3725, "1 h 2 min"), (90_061, "1 d 1 h")],
)  # fmt: skip
def test_duration_has_its_two_largest_units(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.83, "830 ms"), (0.9996, "1 s"), (1.456, "1.46 s"), (59.999, "1 min"), (250, "4 min 10 s")],
)  # fmt: skip
def test_precise_duration_has_fractions_below_a_minute(seconds: float, text: str):
    assert duration(seconds, precise=True) == text
