"""A Celery worker that publishes events of claims with plain Redis.

It publishes at five points: an eligibility check failed after its retries; a claim was
submitted; a submission failed; a claim was approved; a claim was rejected.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any, Protocol, TypedDict

import redis
from celery import Celery, Task

STREAM = os.environ.get("TEAMS_EVENTS_STREAM", "teams:events")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
logger = logging.getLogger(__name__)

Json = dict[str, Any]


class NphiesError(Exception):
    """NPHIES gave no usable answer.

    Args:
        error_type: certificate, jwt, network or api.
        message: Description of the event, in words.
        http_status: Status of the answer, None when there was none.
    """

    def __init__(self, error_type: str, message: str, http_status: int | None = None) -> None:
        super().__init__(error_type, message, http_status)  # all three: Celery pickles errors
        self.error_type = error_type
        self.message = message
        self.http_status = http_status


class Decision(TypedDict):
    """The payer's answer to a claim."""

    outcome: str  # "approved" or "rejected"
    details: Json  # the fields of the claim_approved or claim_rejected card


class NphiesClient(Protocol):
    """The calls of NPHIES that tasks need; each may raise NphiesError."""

    def check_eligibility(self, request: Json) -> str:
        """Return the status of a patient's cover."""
        ...

    def submit_claim(self, claim: Json) -> str:
        """Send a claim and return its poll id."""
        ...

    def poll_claim(self, poll_id: str) -> Decision:
        """Return the payer's decision."""
        ...


class SimulatedNphies:
    """A simulated NPHIES: the real one needs a licence and a VPN.

    It approves every claim up to SAR 10,000 and rejects dearer ones.
    """

    def __init__(self) -> None:
        self._amounts: dict[str, float] = {}

    def check_eligibility(self, request: Json) -> str:
        return "eligible"

    def submit_claim(self, claim: Json) -> str:
        poll_id = f"POLL-{claim['claim_id']}"
        self._amounts[poll_id] = float(claim.get("total_amount", 0))
        return poll_id

    def poll_claim(self, poll_id: str) -> Decision:
        amount = self._amounts.pop(poll_id)
        if amount <= 10_000:
            approval: Json = {"approval_number": "APR-1", "approved_amount": amount}
            return {"outcome": "approved", "details": approval}
        reason = "Prior authorisation is required above SAR 10,000"
        return {
            "outcome": "rejected",
            "details": {"rejection_code": "BE-1-6", "rejection_reason": reason},
        }


class Publisher:
    """Appends events to the stream that notifier reads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def publish_event(
        self,
        event_type: str,
        data: Json,
        *,
        event_id: str,
        priority: str | None = None,
        stakeholders: str | None = None,
    ) -> None:
        """Publish one event; a failure is logged and does not fail the task.

        notifier drops a second event with the same event_id within a day, so a task that
        Celery delivers twice notifies once. Priority and stakeholders default to the route's.
        """
        fields = {
            "type": event_type,
            "id": event_id,
            "correlation_id": str(data.get("claim_id") or event_id),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": "claims-worker",
            "data": json.dumps(
                {name: value for name, value in data.items() if value is not None},
                ensure_ascii=False,
            ),
        }
        if priority:
            fields["priority"] = priority
        if stakeholders:
            fields["stakeholders"] = stakeholders
        try:
            self._redis.xadd(STREAM, fields)  # type: ignore[arg-type]  # dict is invariant
        except redis.RedisError:
            # The claim itself went through: failing here would make Celery submit it again.
            # The data stay out of the log: they name a patient.
            logger.exception("event %s (%s) was not published", event_id, event_type)


def create_app(nphies: NphiesClient, publisher: Publisher) -> Celery:
    """Return a Celery app whose tasks use this client and publisher.

    The tasks are not shared: an app with another client keeps its own.
    """
    app = Celery("claims", broker=os.environ.get("CELERY_BROKER_URL", REDIS_URL))

    @app.task(name="claims.check_eligibility", bind=True, max_retries=3, shared=False)
    def check_eligibility(task: Task, request: Json) -> str:
        try:
            return nphies.check_eligibility(request)
        except NphiesError as error:
            if task.request.retries < task.max_retries:
                raise task.retry(exc=error, countdown=2**task.request.retries) from error
            publisher.publish_event(
                "nphies.api.error",
                _failure(request, error, "eligibility-check"),
                event_id=f"{task.request.id}:failed",
                priority="HIGH",
                stakeholders="nphies_integration,sre",
            )
            raise

    @app.task(name="claims.submit_claim", bind=True, shared=False)
    def submit_claim(task: Task, claim: Json) -> str:
        task_id = str(task.request.id)
        try:
            poll_id = nphies.submit_claim(claim)
        except NphiesError as error:
            publisher.publish_event(
                "nphies.api.error",
                _failure(claim, error, "claim-submit"),
                event_id=f"{task_id}:failed",
                priority="HIGH" if error.error_type == "certificate" else "MEDIUM",
            )
            raise
        submitted = {**claim, "poll_id": poll_id}
        publisher.publish_event(
            "nphies.claim.submitted", submitted, event_id=f"{task_id}:submitted"
        )
        return _publish_decision(publisher, task_id, claim, nphies.poll_claim(poll_id))

    return app


def _publish_decision(publisher: Publisher, task_id: str, claim: Json, answer: Decision) -> str:
    outcome = answer["outcome"]
    known = {name: claim.get(name) for name in ("claim_id", "patient_id", "payer")}
    publisher.publish_event(
        f"nphies.claim.{outcome}", known | answer["details"], event_id=f"{task_id}:{outcome}"
    )
    return outcome


def _failure(request: Json, error: NphiesError, operation: str) -> Json:
    return {
        "error_type": error.error_type,
        "http_status": error.http_status,
        "operation": operation,
        "error_message": error.message,
        "claim_id": request.get("claim_id"),
        "patient_id": request.get("patient_id"),
        "payer": request.get("payer"),
    }


app = create_app(SimulatedNphies(), Publisher(redis.Redis.from_url(REDIS_URL)))
