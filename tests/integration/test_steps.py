"""No legal event keeps the event loop for longer than a moment."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from notifier.config import load_config
from tests.support.backlog import KEYS, STREAM
from tests.support.broker import Broker
from tests.support.receiver import WebhookReceiver
from tests.support.stages import Stages
from tests.support.steps import no_long_step

BYTES = 250_000
"""Nearly all that an event may have."""


def _filled(item: Callable[[int], Any]) -> list[Any]:
    """Return as many items as an event can hold."""
    items: list[Any] = []
    size = 0
    while size < BYTES - 500:
        items.append(item(len(items)))
        size += len(json.dumps(items[-1])) + 2
    return items


HEAVY: dict[str, Callable[[], dict[str, Any]]] = {
    "one long text": lambda: {"error_message": "*_[x](y) <at> " * (BYTES // 15)},
    "patients": lambda: {
        "patients": _filled(lambda n: {"patient_name": f"Sara Al-Otaibi {n}"})
    },
    "names and texts": lambda: {
        "patient_name": "Sara Al-Otaibi",
        "rows": _filled(lambda n: f"claim {n} of Sara Al-Otaibi is late"),
    },
    "items of a batch": lambda: {
        "items": _filled(lambda n: {"claim_id": f"CLM-{n}", "error": "missing", "amount": n})
    },
    "numbers": lambda: {"numbers": _filled(lambda n: n)[:25_000]},
    "members": lambda: {f"member_{n}": n for n in range(9_000)},
    "digits": lambda: {"claim_id": 10**4_000, "text": "1" * (BYTES - 5_000)},
    "deep": lambda: {"deep": json.loads("[" * 40 + "1" + "]" * 40)},
}


@pytest.fixture
async def stages(redis_url: str) -> AsyncIterator[Stages]:
    env = {"REDIS_URL": redis_url, "TEAMS_REDIS__BLOCK_SECONDS": "0.01"}
    broker = Broker.connected(load_config(None, env), fake=False)
    yield Stages(broker)
    await broker.client.aclose()


@pytest.mark.parametrize("kind", HEAVY)
async def test_no_step_for_a_heavy_event_takes_longer_than_a_moment(
    stages: Stages, webhook_receiver: WebhookReceiver, kind: str
):
    client, group = stages.broker.client, stages.broker.group("one")
    await group.ensure([STREAM])
    intake = stages.intake(group)
    data = json.dumps(HEAVY[kind]())
    for number, event_type in enumerate(
        ("nphies.claim.rejected", "celery.batch.failed", "a.b")
    ):
        await client.xadd(
            STREAM,
            {"type": event_type, "id": f"e{number}", "stakeholders": "sre", "data": data},
        )
    async with stages.lane(webhook_receiver.url("sre"), group=group, in_flight=1) as lane:
        await intake.step()  # what is made once is made now
        with no_long_step() as longest:
            while await intake.step():
                pass
            for _ in range(3):
                await lane.step()
    assert longest
    letters = await stages.dead_letters()
    assert len(webhook_receiver.requests) + len(letters) == 3, letters
    assert {letter["reason"] for letter in letters} <= {
        "invalid_event",
        "card_error",
        "card_too_large",
    }
    assert await client.xlen(KEYS.outcomes) == 3 - sum(
        each["stage"] == "intake" for each in letters
    )
