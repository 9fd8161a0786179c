"""notifier trace finds an event by any of its ids, whatever is away."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import redis

from notifier.broker.keys import Keys
from notifier.store.database import load_queries
from tests.support.action_pages import links_on, post, public
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.topologies import Cluster
from tests.support.tracing import CLAIM, shown, trace, whats
from tests.support.waiting import until

AWAY_REDIS = "redis://127.0.0.1:1/0"
AWAY_POSTGRES = "postgresql://127.0.0.1:1/notifier"


async def test_every_id_leads_to_the_whole_way_of_a_delivered_card(daemons: Daemons):
    daemons.receiver.answer(503, times=1)
    await daemons.start(
        TEAMS_RETRY__FACTOR="1",
        TEAMS_PUBLIC__BIND="127.0.0.1:0",
        TEAMS_PUBLIC__URL="https://n.example",
    )
    entry_id = daemons.add(CLAIM)
    await until(lambda: len(daemons.rows()) == 1)
    [row] = daemons.rows()

    for wanted in ("rejected-1", "corr-1", "CLM-77", entry_id, str(row["id"])):
        found = trace(daemons, wanted)
        [journey] = found["journeys"]

        assert journey["state"] == "delivered"
        assert whats(journey) == [
            "published",
            "attempt 1",
            "attempt 2",
            "delivered",
            "recorded",
        ]
        assert [each["status_code"] for each in journey["attempts"]] == [503, 202]
        assert journey["attempts"][0]["waited_seconds"] is None
        assert journey["attempts"][1]["waited_seconds"] > 0
        assert journey["identity"]["entry_id"] == entry_id
        assert not found["more"]
        assert journey["ended"]["card"] is None
    [journey] = trace(daemons, "CLM-77", "--card")["journeys"]
    card = journey["ended"]["card"]
    assert card["body"] == row["card_payload"]["body"]
    # Whoever has a card's signed link can act; what is printed here ends in tickets.
    assert "https://n.example/a/" in json.dumps(row["card_payload"])
    assert [action["title"] for action in card["actions"]]
    assert "n.example" not in json.dumps(card)
    table = shown(daemons, "CLM-77")
    for words in ("event rejected-1", "sre  delivered", str(row["id"]), "HTTP 503", "CLM-77"):
        assert words in table


async def test_what_waits_shows_its_place_and_then_who_has_it_in_hand(daemons: Daemons):
    await daemons.start("--stages", "intake")
    for number in (1, 2, 3):
        daemons.add({**CLAIM, "id": f"e{number}", "claim_id": f"CLM-{number}"})
    lane = Keys("teams:events").lane("sre", urgent=True)
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(lambda: client.xlen(lane) == 3)

    [journey] = trace(daemons, "e2")["journeys"]

    assert journey["state"] == "waiting"
    assert (journey["waiting"]["position"], journey["waiting"]["length"]) == (2, 3)
    assert whats(journey) == ["published", "into its lane", "waits"]
    assert "2 of 3" in shown(daemons, "CLM-2")
    daemons.receiver.answer(202, delay=20)
    await daemons.start("--stages", "delivery")
    await daemons.receiver.wait_for(3)

    [journey] = trace(daemons, "CLM-3")["journeys"]

    assert journey["state"] == "in_hand"
    assert journey["waiting"]["consumer"].startswith("test1.")


async def test_an_event_of_a_time_to_come_is_named_in_log_and_trace(daemons: Daemons):
    await daemons.start()
    later = f"{datetime.now(UTC) + timedelta(hours=3):%Y-%m-%dT%H:%M:00Z}"
    daemons.add({**CLAIM, "id": "early", "time": later})
    await until(lambda: daemons.rows())

    [journey] = trace(daemons, "early")["journeys"]

    assert later[:-4].replace("T", " ") in journey["steps"][0]["detail"]
    assert '"event_time_ahead"' in daemons.log()


async def test_without_postgres_the_outcome_that_waits_is_shown(daemons: Daemons):
    await daemons.start(ready=False, DATABASE_URL=AWAY_POSTGRES)
    daemons.add(CLAIM)
    await daemons.receiver.wait_for(1)
    outcomes = Keys("teams:events").outcomes
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(lambda: client.xlen(outcomes) == 1)

    found = trace(daemons, "CLM-77", DATABASE_URL=AWAY_POSTGRES)
    [journey] = found["journeys"]

    assert whats(journey) == ["published", "attempt 1", "delivered", "not recorded"]
    assert journey["ended"]["title"].endswith("Claim CLM-77 was rejected.")
    [problem] = [each["problem"] for each in found["looked"] if each["problem"]]
    assert problem.startswith("Postgres")
    assert "could not be asked" in shown(daemons, "CLM-77", DATABASE_URL=AWAY_POSTGRES)


async def test_without_redis_the_row_is_shown(daemons: Daemons):
    await daemons.start()
    daemons.add(CLAIM)
    await until(lambda: len(daemons.rows()) == 1)

    found = trace(daemons, "corr-1", REDIS_URL=AWAY_REDIS)

    assert [journey["state"] for journey in found["journeys"]] == ["delivered"]
    assert [each["place"] for each in found["looked"] if each["problem"]] == ["Redis"]


async def test_acknowledgement_says_who_and_when_and_no_note(daemons: Daemons):
    await daemons.start(**public())
    daemons.add(CLAIM)
    [request] = await daemons.receiver.wait_for(1)
    await until(lambda: len(daemons.rows()) == 1)
    await post(links_on(request.body)["Acknowledge"], who="Sara", note="about 9876543")
    await until(lambda: daemons.rows()[0]["acknowledged_at"])

    [journey] = trace(daemons, "CLM-77")["journeys"]

    assert journey["taken"]["who"] == "Sara"
    assert journey["taken"]["via"] == "page"
    assert whats(journey)[-1] == "acknowledge"


async def test_acknowledgement_is_shown_before_postgres_has_it(daemons: Daemons):
    await daemons.start(ready=False, DATABASE_URL=AWAY_POSTGRES, **public())
    daemons.add(CLAIM)
    [request] = await daemons.receiver.wait_for(1)
    await post(links_on(request.body)["Acknowledge"], who="Sara")

    [journey] = trace(daemons, "CLM-77", DATABASE_URL=AWAY_POSTGRES)["journeys"]

    assert (journey["taken"]["who"], journey["taken"]["recorded"]) == ("Sara", False)


async def test_escalation_is_told_from_both_sides(daemons: Daemons):
    soon = daemons.folder / "soon.toml"
    soon.write_text(
        '[escalation]\npoll_seconds = 0.1\nCRITICAL = { after_seconds = 1, chain = ["pmo"] }\n'
    )
    await daemons.start(NOTIFIER_CONFIG=str(soon))
    daemons.add({**CLAIM, "priority": "CRITICAL"})
    await until(lambda: len(daemons.rows()) == 2)

    by_channel = {
        each["identity"]["channel"]: each for each in trace(daemons, "corr-1")["journeys"]
    }

    assert "escalated" in whats(by_channel["sre"])
    assert by_channel["pmo"]["escalates"]["event_id"] == "rejected-1"
    assert (
        by_channel["sre"]["escalations"][0]["escalation_id"]
        == by_channel["pmo"]["identity"]["id"]
    )


async def test_what_is_no_event_or_not_read_or_dropped_is_found_too(daemons: Daemons):
    waiting = daemons.add(CLAIM)

    [published] = trace(daemons, "CLM-77")["published"]

    assert (published["intake"], published["entry_id"]) == ("unread", waiting)
    assert "no daemon with the stage intake has read it" in shown(daemons, waiting)
    await daemons.start()
    await until(lambda: len(daemons.rows()) == 1)
    second = daemons.add(CLAIM)
    broken = daemons.add({"type": "a b", "data": '{"claim_id": "CLM-88", '})
    daemons.add({"type": "no.route", "id": "lost-1", "claim_id": "CLM-99"})
    await until(lambda: len(daemons.dead_letters()) == 2)

    found = trace(daemons, second)
    assert [(each["entry_id"], each["intake"]) for each in found["published"]] == [
        (second, "duplicate"),
        (waiting, "taken_in"),
    ]
    assert f"accepted before, as entry {waiting}" in shown(daemons, second)
    assert [each["state"] for each in found["journeys"]] == ["delivered"]
    for wanted, reason in (("CLM-88", "invalid_event"), (broken, "invalid_event"), ("CLM-99", "unroutable"), ("lost-1", "unroutable")):  # fmt: skip
        assert [letter["reason"] for letter in trace(daemons, wanted)["letters"]] == [reason]
        assert reason in shown(daemons, wanted)


async def test_nothing_found_says_where_it_looked_and_why_that_may_be(daemons: Daemons):
    told = shown(daemons, "CLM-0", status=1)

    for words in ("Nothing was found for CLM-0", "teams_notifications", "16 lanes", "never published", "duplicate", "90 days"):  # fmt: skip
        assert words in told
    away = shown(daemons, "CLM-0", status=4, DATABASE_URL=AWAY_POSTGRES)
    assert "Postgres could not be asked" in away
    both = shown(daemons, "CLM-0", status=4, DATABASE_URL=AWAY_POSTGRES, REDIS_URL=AWAY_REDIS)
    assert "Redis could not be asked" in both
    assert "control character" in notifier("trace", "a\nb").stderr


def test_an_older_schema_is_named_with_its_fix(redis_url: str, empty_database_url: str):
    done = notifier("trace", "CLM-0", REDIS_URL=redis_url, DATABASE_URL=empty_database_url)

    assert done.returncode == 4
    assert "notifier migrate up" in done.stdout


async def test_no_more_than_the_limit_is_shown_the_newest_first(daemons: Daemons):
    with psycopg.connect(daemons.database_url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at)"
            " SELECT gen_random_uuid(), 'teams:events', (1700000000000 + n) || '-0', 'e' || n, 'many', 'a.b', 'sre', 'INFO', 'delivered',"
            " to_timestamp(1700000000 + n) FROM generate_series(1, 30) AS n"
        )

    found = trace(daemons, "many", "--limit", "2")

    assert [journey["identity"]["event_id"] for journey in found["journeys"]] == ["e30", "e29"]
    assert found["more"]
    assert "There are more" in shown(daemons, "many", "--limit", "2")


def test_every_way_in_has_an_index(database_url: str):
    query = load_queries("notifier.ops.trace", "trace.sql")
    text = "CLM-5"
    values = {
        "text": text, "uuid": str(uuid.uuid4()), "event_ids": [text], "limit": 21, "cards": False,
        "streams": ["teams:events"], "correlation_ids": [text],
    }  # fmt: skip
    with psycopg.connect(database_url) as connection:
        # On an empty table reading all of it would be the cheapest.
        connection.execute("SET enable_seqscan = off")
        plans = "\n".join(
            str(row[0])
            for name in ("rows", "dead_letter_actions")
            for row in connection.execute(b"EXPLAIN " + query[name], values).fetchall()
        )

    for index in (
        "teams_notifications_pkey", "teams_notifications_digest_id_idx", "teams_notifications_event_id_idx",
        "teams_notifications_correlation_id_idx", "teams_notifications_claim_id_idx", "teams_notifications_trace_id_idx",
        "teams_dead_letter_actions_correlation_id_idx", "teams_dead_letter_actions_event_id_idx", "teams_dead_letter_actions_letter_event_id_idx", "teams_dead_letter_actions_pkey",
    ):  # fmt: skip
        assert index in plans
    assert "Seq Scan" not in plans


async def test_it_finds_what_waits_on_a_cluster(shards: Cluster, database_url: str):
    with shards.client() as client:
        entry_id = client.xadd("teams:events", CLAIM)  # type: ignore[arg-type]
    done = notifier(
        "trace", "CLM-77", "--json", REDIS_URL=shards.url, DATABASE_URL=database_url
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [(each["entry_id"], each["intake"]) for each in found["published"]] == [
        (entry_id, "unread")
    ]
    assert [each["problem"] for each in found["looked"] if each["problem"]] == []
