"""The examples: a worker for requests, and producers in Celery."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
from celery import Celery

from notifier.events.entry import Event, parse_entry
from tests.support.action_pages import links, post
from tests.support.daemons import Daemons
from tests.support.waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"
WORKER = EXAMPLES / "action_worker" / "worker.py"


def load_example(source: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{source.stem}", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and Celery look modules up by name
    spec.loader.exec_module(module)
    return module


example = load_example(WORKER)
producers = load_example(EXAMPLES / "celery_worker" / "tasks.py")
REQUEST = {
    "id": "n-1:retry_task", "action": "retry_task", "notification_id": "n-1", "subject": '{"task_id": "t-1"}', "requested_by": "Sara",
    "correlation_id": "c-1", "note": "",
}  # fmt: skip


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as connected:
        yield connected


def jobs(client: redis.Redis, key: str = "claims:retry") -> list[dict[str, Any]]:
    found: Any = client.lrange(key, 0, -1)
    return [json.loads(job) for job in found]


def pending(client: redis.Redis) -> int:
    found: Any = client.xpending("teams:actions", example.GROUP)
    return int(found["pending"])


def worker(client: redis.Redis, name: str = "one") -> Any:
    made = example.Worker(client, name=name, log=lambda _: None)
    made.prepare()
    return made


def test_request_that_comes_twice_is_done_once(client: redis.Redis):
    client.xadd("teams:actions", REQUEST)
    client.xadd("teams:actions", REQUEST)
    assert worker(client).turn(block_ms=10) == 2

    assert jobs(client) == [{"request": "n-1:retry_task", "by": "Sara", "task_id": "t-1"}]
    assert pending(client) == 0


def test_what_a_dead_worker_left_is_taken_over(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    client.xadd("teams:actions", REQUEST)
    worker(client)
    client.xreadgroup(example.GROUP, "dead", {"teams:actions": ">"})
    monkeypatch.setattr(example, "TAKE_OVER_MS", 0)
    assert worker(client, "two").turn(block_ms=10) == 1

    assert len(jobs(client)) == 1
    assert pending(client) == 0


def test_unreadable_and_unknown_requests_are_put_aside(client: redis.Redis):
    client.xadd("teams:actions", {"id": "x"})
    client.xadd("teams:actions", REQUEST | {"action": "dance", "id": "y"})
    client.xadd("teams:actions", REQUEST | {"subject": "[1]"})
    client.xadd("teams:actions", REQUEST)
    worker(client).turn(block_ms=10)

    assert len(jobs(client)) == 1
    assert client.xlen(example.UNREADABLE) == 3
    assert pending(client) == 0


def test_many_workers_share_the_work(client: redis.Redis, redis_url: str):
    actions = ("retry_task", "discard_task", "poll_nphies")
    for number in range(60):
        fields = REQUEST | {"id": f"r{number % 30}", "action": actions[number % 30 % 3]}
        client.xadd("teams:actions", fields)
    worker(client)

    def work(name: str) -> None:
        with redis.Redis.from_url(redis_url, decode_responses=True) as own:
            one = worker(own, name)
            while one.turn(block_ms=100):
                pass

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done = [
        job["request"]
        for key in ("retry", "discard", "poll")
        for job in jobs(client, f"claims:{key}")
    ]
    assert sorted(done) == sorted(f"r{number}" for number in range(30))
    assert pending(client) == 0


async def test_a_click_on_a_card_becomes_one_job_of_the_running_example(daemons: Daemons):
    found = await links(
        daemons, type="celery.task.failed", task_name="submit", task_id="task-9", retry_count="3", max_retries="3"
    )  # fmt: skip
    [title] = [title for title in found if re.search("retry", title, re.IGNORECASE)]
    with redis.Redis.from_url(daemons.redis_url, decode_responses=True) as client:
        process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            env=os.environ | {"REDIS_URL": daemons.redis_url},
            stdout=subprocess.DEVNULL,
        )
        try:
            assert (await post(found[title], who="Sara"))[0] == 200
            await until(lambda: len(jobs(client)) == 1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()
        [job] = jobs(client)
    assert (job["task_id"], job["by"]) == ("task-9", "Sara")


CLAIM = {
    "claim_id": "CLM-2026-000123",
    "patient_id": "PAT-12345",
    "payer": "TAWUNIYA (7001071327)",
    "total_amount": 4312.5,
}


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
def undecoded(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connected:
        connected.delete(producers.STREAM)
        yield connected
        connected.delete(producers.STREAM)


def eager(undecoded: redis.Redis, nphies: object) -> Celery:
    app: Celery = producers.create_app(nphies, producers.Publisher(undecoded))
    app.conf.update(task_always_eager=True)
    return app


def published(undecoded: redis.Redis) -> list[Event]:
    entries: Any = undecoded.xrange(producers.STREAM)
    return [
        parse_entry(producers.STREAM, entry_id.decode(), fields, max_bytes=262_144)
        for entry_id, fields in entries
    ]


def test_cheap_claim_is_submitted_and_approved(undecoded: redis.Redis) -> None:
    app = eager(undecoded, producers.SimulatedNphies())

    app.tasks["claims.submit_claim"].delay(CLAIM).get()

    submitted, approved = published(undecoded)
    assert submitted.type == "nphies.claim.submitted"
    assert submitted.data == {**CLAIM, "poll_id": "POLL-CLM-2026-000123"}
    assert approved.type == "nphies.claim.approved"
    assert approved.data["approved_amount"] == 4312.5
    assert submitted.correlation_id == approved.correlation_id == "CLM-2026-000123"
    assert submitted.id != approved.id


def test_dear_claim_is_submitted_and_rejected(undecoded: redis.Redis) -> None:
    app = eager(undecoded, producers.SimulatedNphies())

    app.tasks["claims.submit_claim"].delay({**CLAIM, "total_amount": 50_000}).get()

    submitted, rejected = published(undecoded)
    assert submitted.type == "nphies.claim.submitted"
    assert rejected.type == "nphies.claim.rejected"
    assert rejected.priority is None
    assert rejected.data["rejection_code"] == "BE-1-6"


@pytest.mark.parametrize(
    ("error_type", "priority"),
    [("certificate", "HIGH"), ("jwt", "MEDIUM"), ("network", "MEDIUM"), ("api", "MEDIUM")],
)
def test_failed_submission_is_an_api_error_with_its_priority(
    undecoded: redis.Redis, error_type: str, priority: str
) -> None:
    app = eager(undecoded, BrokenNphies(producers.NphiesError(error_type, "refused")))

    with pytest.raises(producers.NphiesError):
        app.tasks["claims.submit_claim"].delay(CLAIM).get()

    (failed,) = published(undecoded)
    assert (failed.type, failed.priority) == ("nphies.api.error", priority)
    assert failed.stakeholders is None
    assert failed.data["operation"] == "claim-submit"
    assert "http_status" not in failed.data


def test_eligibility_failure_is_published_once_after_all_retries(
    undecoded: redis.Redis,
) -> None:
    nphies = BrokenNphies(producers.NphiesError("network", "no answer within 30 s", 503))
    app = eager(undecoded, nphies)

    with pytest.raises(producers.NphiesError):
        app.tasks["claims.check_eligibility"].delay({"patient_id": "PAT-12345"}).get()

    (failed,) = published(undecoded)
    assert nphies.calls == 4
    assert (failed.type, failed.priority) == ("nphies.api.error", "HIGH")
    assert failed.stakeholders == ("nphies_integration", "sre")
    assert failed.data["http_status"] == 503


def test_eligible_patient_publishes_nothing(undecoded: redis.Redis) -> None:
    app = eager(undecoded, producers.SimulatedNphies())

    result = app.tasks["claims.check_eligibility"].delay({"patient_id": "PAT-12345"})

    assert result.get() == "eligible"
    assert published(undecoded) == []


def test_claim_goes_through_while_redis_is_away(caplog: pytest.LogCaptureFixture) -> None:
    unreachable = redis.Redis.from_url("redis://127.0.0.1:1/0", retry=None)
    app = eager(unreachable, producers.SimulatedNphies())

    result = app.tasks["claims.submit_claim"].delay(CLAIM)

    assert result.get() == "approved"
    assert "was not published" in caplog.text
    assert "PAT-12345" not in caplog.text
