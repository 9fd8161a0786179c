"""Dead letters are replayed or discarded once, with a record."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.support.commands import dlq
from tests.support.daemons import Daemons
from tests.support.publishing import DIGESTING, burst, refused
from tests.support.state import KEYS
from tests.support.waiting import until


async def test_a_replayed_notification_is_delivered_in_its_own_row(daemons: Daemons):
    await refused(daemons)
    [before] = daemons.rows()
    [(letter_id, _)] = daemons.dead_entries()

    done = dlq(daemons, "replay", letter_id, "--by", "ops", "--why", "the flow is on again")

    assert done.returncode == 0, done.stderr
    await until(lambda: daemons.rows()[0]["status"] == "delivered")
    [after] = daemons.rows()
    assert after["id"] == before["id"]
    assert after["retry_count"] == 1
    assert daemons.dead_entries() == []
    assert len(daemons.receiver.requests) == 2
    assert (
        daemons.receiver.requests[0].headers["webhook-id"]
        == daemons.receiver.requests[1].headers["webhook-id"]
    )
    attempts = daemons.rows(
        "SELECT attempt, status_code FROM teams_notification_attempts ORDER BY 1"
    )
    assert [tuple(row.values()) for row in attempts] == [(1, 400), (2, 202)]
    [record] = daemons.dead_letter_actions()
    assert (record["action"], record["who"], record["why"]) == (
        "replay",
        "ops",
        "the flow is on again",
    )
    assert record["letter_id"] == letter_id
    assert "PAT-12345" not in json.dumps(record, default=str)

    again = dlq(daemons, "replay", letter_id)

    assert again.returncode == 1
    assert "there is no dead letter" in again.stderr
    assert len(daemons.receiver.requests) == 2


async def test_what_fails_again_comes_back_with_its_history(daemons: Daemons):
    await refused(daemons)
    daemons.receiver.answer(404, times=1)
    [(first, _)] = daemons.dead_entries()

    assert dlq(daemons, "replay", first).returncode == 0
    await until(lambda: [entry for entry, _ in daemons.dead_entries()] not in ([], [first]))

    [(_, fields)] = daemons.dead_entries()
    [ending] = json.loads(fields["history"])
    assert ending["reason"] == "rejected"
    assert "400" in ending["detail"]
    assert fields["attempts_before"] == "1"


async def test_a_dry_run_changes_nothing_and_filters_choose(daemons: Daemons):
    await refused(daemons, 3)
    dry = dlq(daemons, "replay", "--reason", "rejected", "--channel", "sre", "--dry-run")
    assert dry.stdout.count("would go to") == 3
    none = dlq(daemons, "replay", "--type", "c.d")
    assert "there are no such dead letters" in none.stdout
    assert len(daemons.dead_entries()) == 3
    assert daemons.dead_letter_actions() == []
    unclear = dlq(daemons, "replay")
    assert unclear.returncode == 2
    assert "--all" in unclear.stderr

    assert dlq(daemons, "replay", "--all", "--rate", "0").returncode == 0
    await until(lambda: {row["status"] for row in daemons.rows()} == {"delivered"})


async def test_a_broken_event_is_replayed_with_a_corrected_one(
    daemons: Daemons, tmp_path: Path
):
    await daemons.start()
    daemons.publish(type="a b")
    await until(lambda: len(daemons.dead_entries()) == 1)
    [(letter_id, _)] = daemons.dead_entries()

    still_broken = dlq(daemons, "replay", letter_id)
    assert still_broken.returncode == 1
    assert "type" in still_broken.stderr
    assert len(daemons.dead_entries()) == 1

    corrected = json.dumps(
        {"type": "a.b", "stakeholders": ["sre"], "data": {"note": "corrected"}}
    )
    done = dlq(daemons, "replay", letter_id, "--edit", "-", stdin=corrected)
    assert done.returncode == 0, done.stderr
    [request] = await daemons.receiver.wait_for(1)
    assert b"corrected" in request.body
    [record] = daemons.dead_letter_actions()
    assert record["edited"] is True


async def test_discarding_wants_a_reason_and_keeps_the_letter(daemons: Daemons):
    await refused(daemons)
    [(letter_id, _)] = daemons.dead_entries()
    assert dlq(daemons, "discard", letter_id).returncode == 2
    assert dlq(daemons, "discard", letter_id, "--why", "  ").returncode == 2
    assert len(daemons.dead_entries()) == 1

    done = dlq(daemons, "discard", letter_id, "--why", "a test event", "--by", "ops")

    assert done.returncode == 0, done.stderr
    assert daemons.dead_entries() == []
    [record] = daemons.dead_letter_actions()
    assert (record["action"], record["who"], record["why"]) == (
        "discard",
        "ops",
        "a test event",
    )
    assert record["letter"]["event"]["event_id"] == "e0"
    assert len(daemons.receiver.requests) == 1


async def test_without_postgres_nothing_is_replayed(daemons: Daemons):
    await refused(daemons)
    [(letter_id, _)] = daemons.dead_entries()

    done = dlq(
        daemons, "replay", letter_id, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none"
    )

    assert done.returncode == 4
    assert "nothing was done" in done.stderr
    assert len(daemons.dead_entries()) == 1


async def test_the_list_shows_hostile_text_as_it_is_and_moves_no_cursor(daemons: Daemons):
    fields = {
        "reason": "rejected",
        "detail": "[/red] \x1b[2J \u202egpj",
        "channel": "[bold]sre",
    }
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xadd(KEYS.dead, fields | {"event": "{}"})

    listed = dlq(daemons, "list")

    assert listed.returncode == 0, listed.stderr
    assert "[/red]" in listed.stdout
    assert "\x1b" not in listed.stdout
    assert "\u202e" not in listed.stdout


async def test_what_dies_again_during_a_replay_of_all_is_not_replayed_again_by_it(
    daemons: Daemons,
):
    await refused(daemons, 3)
    daemons.receiver.answer(400)

    done = await asyncio.to_thread(dlq, daemons, "replay", "--all", "--rate", "2")

    assert done.stdout.count("went to") == 3
    await until(lambda: len(daemons.dead_entries()) == 3)
    assert {fields["attempts_before"] for _, fields in daemons.dead_entries()} == {"1"}


async def test_a_long_list_of_dead_letters_is_replayed_page_by_page(daemons: Daemons):
    event = json.dumps({"event": {"type": "a.b", "stakeholders": ["sre"]}})
    fields = {
        "reason": "unroutable", "stage": "intake", "detail": "", "event": event, "source_id": "1-1",
    }  # fmt: skip
    with redis.Redis.from_url(daemons.redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(1200):
            pipeline.xadd(KEYS.dead, fields | {"source_id": f"{number + 1}-1"})
        pipeline.execute()

    done = await asyncio.to_thread(dlq, daemons, "discard", "--all", "--why", "a test")

    assert done.returncode == 0, done.stderr
    assert daemons.dead_entries() == []
    assert len(daemons.dead_letter_actions()) == 1200


async def test_letters_of_a_refused_digest_are_shown_replayed_and_discarded_one_by_one(
    daemons: Daemons,
):
    daemons.receiver.answer(400)
    await daemons.start("--stages", "intake")
    burst(daemons, "a.b", 8, patient_id="PAT-12345")
    await until(lambda: daemons.lane_length() == 8)
    await daemons.start("--stages", "delivery,recorder", **DIGESTING)
    await until(lambda: len(daemons.rows()) == 8, 60)
    assert len(daemons.receiver.requests) == 1
    daemons.receiver.recover()
    [(first, _), (second, fields), *rest] = daemons.dead_entries()

    shown = json.loads((await asyncio.to_thread(dlq, daemons, "show", second)).stdout)
    assert shown["notification_id"] == fields["notification_id"]
    assert shown["event"]["data"]["claim_id"] == "CLM-1"
    assert "PAT-12345" not in json.dumps(shown)
    replayed = await asyncio.to_thread(dlq, daemons, "replay", second)
    discarded = await asyncio.to_thread(dlq, daemons, "discard", first, "--why", "a test")
    assert (replayed.returncode, discarded.returncode) == (0, 0)

    def status(row: dict[str, Any]) -> tuple[str, str]:
        return row["event_id"], row["status"]

    await until(lambda: ("a.b-1", "delivered") in map(status, daemons.rows()))
    assert len(daemons.dead_entries()) == len(rest) == 6
    # Alone it is a card of its own, under its own id.
    assert daemons.receiver.requests[-1].headers["webhook-id"] == fields["notification_id"]
    assert Counter(row["status"] for row in daemons.rows()) == {
        "delivered": 1,
        "dead_lettered": 7,
    }


async def test_a_replay_keeps_to_its_rate(daemons: Daemons):
    await refused(daemons, 5)

    done = await asyncio.to_thread(dlq, daemons, "replay", "--all", "--rate", "4")

    assert done.returncode == 0
    times = [record["at"] for record in daemons.dead_letter_actions()]
    assert len(times) == 5
    assert all((b - a).total_seconds() > 0.24 for a, b in itertools.pairwise(times))


async def test_a_letter_with_a_posted_card_is_shown_without_what_acts(daemons: Daemons):
    with psycopg.connect(daemons.database_url) as connection:
        connection.execute(
            "ALTER TABLE teams_notifications ADD CONSTRAINT refuse CHECK (channel <> 'sre')"
        )
    public = {"TEAMS_PUBLIC__BIND": "127.0.0.1:0", "TEAMS_PUBLIC__URL": "https://n.example"}
    await daemons.start(**public)
    daemons.publish(type="nphies.api.error", error_code="E-503")
    await until(lambda: len(daemons.dead_entries()) == 1)
    [(letter_id, kept)] = daemons.dead_entries()
    assert "https://n.example/a/" in kept["event"]

    shown = dlq(daemons, "show", letter_id)

    letter = json.loads(shown.stdout)
    assert letter["reason"] == "unrecordable"
    assert "Acknowledge" in json.dumps(letter["event"]["card_payload"])
    assert "n.example" not in shown.stdout
