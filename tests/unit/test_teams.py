"""A webhook's message, the reading of its answer, and the breaker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from notifier.config.webhook_url import refuse_reason
from notifier.errors import CardError
from notifier.events.outcome import Attempt
from notifier.teams.breaker import Admission, Breaker
from notifier.teams.envelope import build_body, card_json, counted_size
from notifier.teams.response import (
    MAX_PAUSE_SECONDS,
    fault,
    hint,
    is_transient,
    retry_after,
    retry_delay,
    stated_status,
)

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


def attempt(status: int | None, number: int = 1) -> Attempt:
    return Attempt(number, NOW, 0.1, status, None)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success_is_accepted(status: int):
    assert attempt(status).accepted


@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 502, 503, 504, 599])
def test_passing_trouble_is_tried_again(status: int | None):
    assert is_transient(attempt(status, 4))
    assert not attempt(status, 4).accepted


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 410, 413, 422])
def test_lasting_refusal_is_not_tried_again(status: int):
    assert not is_transient(attempt(status))
    assert not attempt(status).accepted


FAILED = b"Webhook message delivery failed with error: "


@pytest.mark.parametrize(
    ("status", "body", "counts"),
    [
        (200, FAILED + b"Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0,server=a,cv=b..", 429),
        (200, FAILED + b"Microsoft Teams endpoint returned HTTP error 413 with ContextId MS-CV=x/0.", 413),
        (200, b'"' + FAILED.upper() + b'MICROSOFT TEAMS ENDPOINT RETURNED HTTP ERROR 500"', 500),
        (400, FAILED + b"Microsoft Teams endpoint returned HTTP error 429", 429),
        (202, FAILED + b"Microsoft Teams endpoint returned HTTP status code 403", 403),
        (200, b"Microsoft Teams endpoint returned HTTP error 429 with ContextId x", 429),
        (200, FAILED + b"Connection reset", 502),
        (200, FAILED + b"Microsoft Teams endpoint returned HTTP error 200", 502),
        (400, FAILED + b"Bad payload", 400),
        (503, FAILED + b"Microsoft Teams endpoint returned HTTP error 400", 503),
        (200, b"1", 200),
        (202, b"", 202),
        (200, b"HTTP error 429", 200),
    ],
)  # fmt: skip
def test_a_failure_in_the_text_of_an_answer_counts(status: int, body: bytes, counts: int):
    assert stated_status(status, body) == counts


def test_forbidden_is_tried_twice_more_before_it_counts():
    assert [is_transient(attempt(403, n)) for n in (1, 2, 3)] == [True, True, False]


def test_retry_after_is_read_as_seconds_and_as_date():
    assert retry_after("7", NOW) == 7
    assert retry_after(format_datetime(NOW + timedelta(seconds=90), usegmt=True), NOW) == 90
    assert retry_after(format_datetime(NOW - timedelta(seconds=90), usegmt=True), NOW) == 0


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "١٢"])
def test_unusable_retry_after_says_nothing(header: str | None):
    assert retry_after(header, NOW) is None


@given(
    st.text(max_size=40)
    | st.builds(
        "Thu, {} Aug {} 15:37:13 {}".format,
        st.integers(0, 10**12),
        st.integers(-1, 10**12),
        st.sampled_from(["GMT", "+2359", "-2359", "+99999999999999999999", ""]),
    )
    | st.integers(0, 10**30).map(str)
)
def test_any_retry_after_gives_nothing_or_a_bounded_wait(header: str):
    wait = retry_after(header, NOW)

    assert wait is None or 0 <= wait <= MAX_PAUSE_SECONDS


def test_waits_grow_by_the_factor_up_to_the_cap():
    waits = [
        retry_delay(n, asked=None, factor=2, max_seconds=60, jitter=0) for n in range(1, 9)
    ]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(1, 50), st.floats(1, 10), st.floats(0.1, 3600), st.floats(0, 1))
def test_wait_never_exceeds_the_cap_unless_the_receiver_asked(
    attempt: int, factor: float, cap: float, jitter: float
):
    assert (
        0
        < retry_delay(attempt, asked=None, factor=factor, max_seconds=cap, jitter=jitter)
        <= cap
    )
    assert (
        retry_delay(attempt, asked=cap * 2, factor=factor, max_seconds=cap, jitter=jitter)
        == cap * 2
    )


def test_fault_quotes_the_error_code_and_nothing_else_of_the_answer():
    body = b'{"error":{"code":"TriggerInputSchemaMismatch","message":"patient PAT-12345"}}'

    assert fault(400, body) == "HTTP 400 TriggerInputSchemaMismatch"
    assert fault(500, b"<html>PAT-12345</html>") == "HTTP 500"


@given(
    attempt=st.integers(1, 10**6),
    factor=st.floats(1, 100) | st.integers(1, 100),
    asked=st.none() | st.floats(0, MAX_PAUSE_SECONDS),
)
def test_any_attempt_waits_for_a_bounded_time(attempt: int, factor: float, asked: float | None):
    wait = retry_delay(attempt, asked=asked, factor=factor, max_seconds=30, jitter=1)

    assert 1 <= wait <= max(30, asked or 0)


@pytest.mark.parametrize(
    "status", [200, 202, 301, 400, 401, 403, 404, 408, 410, 413, 418, 429, 500, 502, 503, None]
)
def test_every_answer_has_a_hint(status: int | None):
    assert len(hint(status)) > 20


CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [{"type": "TextBlock", "text": 'مرحبا "x" \\ \n'}],
}


def test_body_is_the_message_a_workflow_takes():
    body = json.loads(build_body(CARD, max_card_bytes=1000))

    assert body == {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": CARD,
            }
        ],
    }


def test_card_is_found_again_in_the_body():
    assert json.loads(card_json(build_body(CARD, max_card_bytes=1000))) == CARD


@given(st.text())
def test_size_is_that_of_the_json_escaped_once_more(text: str):
    written = json.dumps({"text": text.encode("utf-8", "ignore").decode()}, ensure_ascii=False)

    assert counted_size(written) == len(json.dumps(written, ensure_ascii=False).encode())


def test_card_over_the_limit_is_refused_with_its_size():
    with pytest.raises(CardError, match="the limit is 1000"):
        build_body({"text": "x" * 1000}, max_card_bytes=1000)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://prod-1.westus.logic.azure.com/workflows/x", "not https"),
        ("https://evil.example/x", "evil.example, which is not in http.allowed_hosts"),
        ("https://logic.azure.com.evil.example/x", "not in http.allowed_hosts"),
        ("https://127.0.0.1/x", "TEAMS_ALLOW_LOOPBACK_WEBHOOKS"),
        ("http://localhost:8000/x", "TEAMS_ALLOW_LOOPBACK_WEBHOOKS"),
        ("ftp://prod-1.westus.logic.azure.com/x", "not an https URL"),
        ("nonsense", "not an https URL"),
    ],
)
def test_foreign_webhook_is_refused_without_showing_its_path(url: str, words: str):
    reason = refuse_reason(url, allowed_hosts=["*.logic.azure.com"], allow_loopback=False)

    assert reason is not None
    assert words in reason
    assert "/x" not in reason


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
