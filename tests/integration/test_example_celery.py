"""The example Celery worker publishes valid events on a real Redis."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
from celery import Celery

from notifier.events.entry import Event, parse_entry

SOURCE = Path(__file__).parents[2] / "examples" / "celery_worker" / "tasks.py"
CLAIM = {
    "claim_id": "CLM-2026-000123",
    "patient_id": "PAT-12345",
    "payer": "TAWUNIYA (7001071327)",
    "total_amount": 4312.5,
}


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("celery_worker_tasks", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Celery looks a task's module up by name
    spec.loader.exec_module(module)
    return module


example = load_example()


class BrokenNphies:
    """Answers every request with the same error and counts them."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def check_eligibility(self, request: dict[str, Any]) -> str:
        self.calls += 1
        raise self.error

    submit_claim = check_eligibility
    poll_claim = check_eligibility


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connected:
        connected.delete(example.STREAM)
        yield connected
        connected.delete(example.STREAM)


def eager(client: redis.Redis, nphies: object) -> Celery:
    app: Celery = example.create_app(nphies, example.Publisher(client))
    app.conf.update(task_always_eager=True)
    return app


def published(client: redis.Redis) -> list[Event]:
    entries: Any = client.xrange(example.STREAM)
    return [
        parse_entry(example.STREAM, entry_id.decode(), fields, max_bytes=262_144)
        for entry_id, fields in entries
    ]


def test_cheap_claim_is_submitted_and_approved(client: redis.Redis) -> None:
    app = eager(client, example.SimulatedNphies())

    app.tasks["claims.submit_claim"].delay(CLAIM).get()

    submitted, approved = published(client)
    assert submitted.type == "nphies.claim.submitted"
    assert submitted.data == {**CLAIM, "poll_id": "POLL-CLM-2026-000123"}
    assert approved.type == "nphies.claim.approved"
    assert approved.data["approved_amount"] == 4312.5
    assert submitted.correlation_id == approved.correlation_id == "CLM-2026-000123"
    assert submitted.id != approved.id


def test_dear_claim_is_submitted_and_rejected(client: redis.Redis) -> None:
    app = eager(client, example.SimulatedNphies())

    app.tasks["claims.submit_claim"].delay({**CLAIM, "total_amount": 50_000}).get()

    submitted, rejected = published(client)
    assert submitted.type == "nphies.claim.submitted"
    assert rejected.type == "nphies.claim.rejected"
    assert rejected.priority is None
    assert rejected.data["rejection_code"] == "BE-1-6"


@pytest.mark.parametrize(
    ("error_type", "priority"),
    [("certificate", "HIGH"), ("jwt", "MEDIUM"), ("network", "MEDIUM"), ("api", "MEDIUM")],
)
def test_failed_submission_is_an_api_error_with_its_priority(
    client: redis.Redis, error_type: str, priority: str
) -> None:
    app = eager(client, BrokenNphies(example.NphiesError(error_type, "refused")))

    with pytest.raises(example.NphiesError):
        app.tasks["claims.submit_claim"].delay(CLAIM).get()

    (failed,) = published(client)
    assert (failed.type, failed.priority) == ("nphies.api.error", priority)
    assert failed.stakeholders is None
    assert failed.data["operation"] == "claim-submit"
    assert "http_status" not in failed.data


def test_eligibility_failure_is_published_once_after_all_retries(client: redis.Redis) -> None:
    nphies = BrokenNphies(example.NphiesError("network", "no answer within 30 s", 503))
    app = eager(client, nphies)

    with pytest.raises(example.NphiesError):
        app.tasks["claims.check_eligibility"].delay({"patient_id": "PAT-12345"}).get()

    (failed,) = published(client)
    assert nphies.calls == 4
    assert (failed.type, failed.priority) == ("nphies.api.error", "HIGH")
    assert failed.stakeholders == ("nphies_integration", "sre")
    assert failed.data["http_status"] == 503


def test_eligible_patient_publishes_nothing(client: redis.Redis) -> None:
    app = eager(client, example.SimulatedNphies())

    result = app.tasks["claims.check_eligibility"].delay({"patient_id": "PAT-12345"})

    assert result.get() == "eligible"
    assert published(client) == []


def test_claim_goes_through_while_redis_is_away(caplog: pytest.LogCaptureFixture) -> None:
    unreachable = redis.Redis.from_url("redis://127.0.0.1:1/0", retry=None)
    app = eager(unreachable, example.SimulatedNphies())

    result = app.tasks["claims.submit_claim"].delay(CLAIM)

    assert result.get() == "approved"
    assert "was not published" in caplog.text
    assert "PAT-12345" not in caplog.text
