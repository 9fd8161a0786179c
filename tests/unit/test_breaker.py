from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from notifier.teams.breaker import Admission, Breaker


def test_opens_after_failures_in_a_row_and_lets_one_probe_through():
    breaker = Breaker(failures_to_open=3, open_seconds=30)
    for _ in range(3):
        assert breaker.admit(0) is Admission.GO
        breaker.failed(0)

    assert breaker.admit(29.9) is Admission.WAIT
    assert breaker.admit(30) is Admission.PROBE
    assert breaker.admit(31) is Admission.WAIT

    breaker.succeeded()

    assert breaker.admit(31) is Admission.GO


def test_success_between_failures_keeps_it_closed():
    breaker = Breaker(failures_to_open=2, open_seconds=30)
    for _ in range(5):
        breaker.failed(0)
        breaker.succeeded()

    assert breaker.admit(0) is Admission.GO


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(failures_to_open=3, open_seconds=10)
        self.now = 0.0
        self.probes = 0
        self.in_a_row = 0

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        admission = self.breaker.admit(self.now)
        assert (admission is Admission.GO) == (self.in_a_row < 3)
        self.probes += admission is Admission.PROBE

    @rule()
    def fail(self) -> None:
        self.in_a_row += 1
        self.breaker.failed(self.now)

    @rule()
    def succeed(self) -> None:
        self.in_a_row = 0
        self.probes = 0
        self.breaker.succeeded()

    @rule()
    def probe_gives_up(self) -> None:
        self.probes = 0
        self.breaker.probe_ended()

    @invariant()
    def at_most_one_probe(self) -> None:
        assert self.probes <= 1


TestBreaker = BreakerMachine.TestCase
