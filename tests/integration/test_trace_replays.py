"""The way of a dead letter goes on in what it became, and leads back."""

from __future__ import annotations

import json

import pytest
import redis

from tests.support.commands import dlq
from tests.support.daemons import Daemons
from tests.support.tracing import CLAIM, shown, trace, whats
from tests.support.waiting import until


async def test_dead_letter_and_its_replay_say_why_and_by_whom(daemons: Daemons):
    daemons.receiver.answer(400, times=1)
    await daemons.start()
    daemons.add(CLAIM)
    await until(lambda: len(daemons.rows()) == 1)
    [(letter_id, _)] = daemons.dead_entries()

    [journey] = trace(daemons, "CLM-77")["journeys"]

    assert journey["state"] == "dead_lettered"
    assert [letter["id"] for letter in journey["letters"]] == [letter_id]
    assert "rejected" in journey["steps"][-1]["detail"]
    [by_letter] = trace(daemons, letter_id)["journeys"]
    assert [letter["id"] for letter in by_letter["letters"]] == [letter_id]
    dlq(daemons, "replay", letter_id, "--by", "Lina", "--why", "the flow is on again")
    await until(lambda: daemons.rows()[0]["status"] == "delivered")

    for wanted in ("CLM-77", letter_id):
        found = trace(daemons, wanted)
        told = json.dumps(found)
        assert "Lina" in told
        assert "the flow is on again" in told
    [journey] = trace(daemons, "CLM-77")["journeys"]
    assert whats(journey) == [
        "published", "attempt 1", "recorded", "replayed", "attempt 2", "delivered"
    ]  # fmt: skip


async def test_what_a_corrected_letter_became_is_followed_both_ways(daemons: Daemons):
    await daemons.start()
    entry_id = daemons.add({"type": "a b", "claim_id": "CLM-5"})
    await until(lambda: len(daemons.dead_letters()) == 1)
    [(letter_id, _)] = daemons.dead_entries()
    corrected = {"type": "nphies.claim.rejected", "data": {"claim_id": "CLM-5"}}
    why = ("--by", "Lina", "--why", "a type in two words")
    done = dlq(daemons, "replay", letter_id, "--edit", "-", *why, stdin=json.dumps(corrected))
    assert done.returncode == 0, done.stderr
    await until(lambda: {row["status"] for row in daemons.rows()} == {"delivered"})

    for wanted in (letter_id, entry_id, "CLM-5"):
        found = trace(daemons, wanted)
        assert found["journeys"], wanted
        assert found["revivals"] == [], wanted
        for journey in found["journeys"]:
            assert journey["state"] == "delivered"
            [replayed] = [step for step in journey["steps"] if step["what"] == "replayed"]
            assert replayed["detail"] == (
                f"dead letter {letter_id} (invalid_event) by Lina: a type in two words; with a corrected event"
            )
            assert journey["revivals"][0]["event_id"] == entry_id
    assert "with a corrected event" in shown(daemons, letter_id)


async def replayed_as_another(daemons: Daemons) -> str:
    """Replay the one dead letter as another event; return the dead letter's id."""
    await until(lambda: len(daemons.dead_letters()) == 1)
    [(letter_id, _)] = daemons.dead_entries()
    event = {"type": "a.b", "id": "corrected-1", "stakeholders": ["sre"]}
    dlq(daemons, "replay", letter_id, "--edit", "-", stdin=json.dumps(event))
    return letter_id


@pytest.mark.parametrize("redis_keeps_it", [True, False])
async def test_a_dead_letter_that_became_another_event_is_found_by_every_id(
    daemons: Daemons, redis_keeps_it: bool
):
    await daemons.start()
    daemons.add({"type": "no.route", "id": "lost-1", "correlation_id": "corr-9"})
    letter_id = await replayed_as_another(daemons)
    await until(lambda: len(daemons.rows()) == 1)
    if not redis_keeps_it:
        with redis.Redis.from_url(daemons.redis_url) as client:
            client.xtrim("teams:events", 0, approximate=False)

    for wanted in ("lost-1", "corr-9", "corrected-1", letter_id):
        [journey] = trace(daemons, wanted)["journeys"]
        assert journey["identity"]["event_id"] == "corrected-1"
        assert [each["letter_id"] for each in journey["revivals"]] == [letter_id], wanted


async def test_what_a_letter_became_is_found_while_it_waits(daemons: Daemons):
    await daemons.start("--stages", "intake")
    daemons.add({"type": "a b"})
    letter_id = await replayed_as_another(daemons)

    [journey] = trace(daemons, letter_id)["journeys"]

    assert (journey["state"], journey["identity"]["event_id"]) == ("waiting", "corrected-1")
    assert "replayed" in whats(journey)
