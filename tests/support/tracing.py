"""`notifier trace` as a test calls it, and events with a trace."""

from __future__ import annotations

import json
from typing import Any

from tests.support.commands import notifier
from tests.support.daemons import Daemons

CLAIM = {
    "type": "nphies.claim.rejected",
    "id": "rejected-1",
    "correlation_id": "corr-1",
    "claim_id": "CLM-77",
    "patient_id": "PAT-9876543",
    "stakeholders": "sre",
}


def trace(daemons: Daemons, *arguments: str, **env: str) -> dict[str, Any]:
    done = notifier(
        "trace", *arguments, "--json",
        **({"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url} | env),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9876543" not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def shown(daemons: Daemons, *arguments: str, status: int = 0, **env: str) -> str:
    done = notifier(
        "trace", *arguments,
        **({"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url, "COLUMNS": "220"} | env),
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "9876543" not in done.stdout + done.stderr
    return done.stdout


def whats(journey: dict[str, Any]) -> list[str]:
    return [step["what"] for step in journey["steps"]]


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


TRACED = {
    "type": "a.b",
    "id": "e1",
    "stakeholders": "sre",
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "tracestate": "congo=t61rcWkgMzE",
}
