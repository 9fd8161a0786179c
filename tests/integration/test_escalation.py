"""What nobody answers goes on to the next channel, once, until somebody answers."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from notifier.actions import Action, Via
from notifier.config import Config, load_config
from notifier.errors import StreamError
from notifier.escalation import Matrix
from notifier.notifications import notification_id
from notifier.stages.escalator import Escalator
from notifier.store.connection import Connection
from notifier.store.escalations import Ledger
from notifier.store.queries import load_queries
from notifier.store.store import Store
from notifier.streams.actions import Actions
from notifier.streams.connection import connect
from tests.support.action_pages import get, links_on, post, public
from tests.support.daemons import Daemons
from tests.support.escalation import STREAM, age, answer, record
from tests.support.readiness import readiness
from tests.support.state import rows, xadd
from tests.support.waiting import until

CONFIG = load_config(None, {})
VIEW = "SELECT * FROM teams_notifications_unacknowledged_critical"


def waiting(
    database_url: str,
    event_id: str,
    channels: str,
    *,
    priority: str = "CRITICAL",
    event_type: str = "nphies.api.error",
) -> list[str]:
    """Record an event now."""
    return record(
        database_url,
        event_id,
        channels,
        priority=priority,
        event_type=event_type,
        at=datetime.now(UTC),
    )


async def recorded(
    database_url: str, *outcomes: dict[str, Any], arrived: datetime | None = None
) -> dict[str, dict[str, Any]]:
    """Let the store record outcomes under the shipped rules; returns the rows by id."""
    now = datetime.now(UTC)
    matrix = Matrix.of(CONFIG.escalation, CONFIG.business_hours)
    texts = [
        json.dumps(
            {
                "id": notification_id(STREAM, each["event_id"], each["channel"]), "stream": STREAM, "entry_id": "1-1",
                "correlation_id": "c", "event_type": "a.b", "stakeholders": ["sre"], "priority": "CRITICAL",
                "status": "delivered", "retry_count": 0, "sent_at": now.isoformat(), "attempts": [], **each,
            }
        ).encode()
        for each in outcomes
    ]  # fmt: skip
    store = Store(database_url, connect_timeout_seconds=5, statement_timeout_seconds=10)
    try:
        await store.record(
            texts,
            store_cards=True,
            arrived=[(arrived or now).timestamp()] * len(texts),
            looks=matrix.first_looks(now),
        )
    finally:
        await store.close()
    return {row["event_id"] + " " + row["channel"]: row for row in rows(database_url)}


def seconds_to_look(row: dict[str, Any]) -> float | None:
    at = row["escalation_check_at"]
    return at and (at - row["waiting_since"]).total_seconds()


@dataclass
class World:
    """Schedulers over real servers; time passes by what they find having happened earlier."""

    config: Config
    actions: Actions
    connections: list[Connection]
    database_url: str
    ahead: timedelta = timedelta()
    """How far this machine's clock is ahead of the servers'."""
    published: list[dict[str, str]] = field(default_factory=list)
    faults: int = 0
    fault_after: bool = False

    async def publish(self, stream: str, entries: Sequence[Mapping[str, str]]) -> None:
        assert stream == STREAM
        if self.faults and not self.fault_after:
            self.faults -= 1
            raise StreamError("away")
        self.published += [dict(fields) for fields in entries]
        if self.faults:
            self.faults -= 1
            raise StreamError("the connection broke after it was published")

    def escalator(self, number: int = 0) -> Escalator:
        return Escalator(
            Ledger(self.connections[number]), self.actions, self.publish,
            lambda: Matrix.of(self.config.escalation, self.config.business_hours), titles=lambda: {"devops": "DevOps"},
            stop=asyncio.Event(), now=lambda: datetime.now(UTC) + self.ahead,
        )  # fmt: skip

    async def minutes(self, minutes: float) -> list[tuple[str, str]]:
        """Let time pass and look; returns (id, channel) of what is published by that."""
        age(self.database_url, minutes)
        before = len(self.published)
        while await self.escalator().look():
            pass
        return [(each["id"], each["stakeholders"]) for each in self.published[before:]]


@asynccontextmanager
async def world(redis_url: str, database_url: str) -> AsyncIterator[World]:
    config = load_config(None, {"REDIS_URL": redis_url, "DATABASE_URL": database_url})
    client = connect(config.redis)
    connections = [
        Connection(database_url, connect_timeout_seconds=5, statement_timeout_seconds=10)
        for _ in range(6)
    ]
    try:
        yield World(
            config,
            Actions(client, config.redis, remember_seconds=1000),
            connections,
            database_url,
        )
    finally:
        for connection in connections:
            await connection.close()
        await client.aclose()


async def test_each_channel_of_the_chain_is_told_in_its_time(redis_url: str, database_url: str):
    [lead, _] = waiting(database_url, "e1", "security_eng cloudops")
    async with world(redis_url, database_url) as w:
        assert await w.minutes(4.9) == []
        assert await w.minutes(0.2) == [(f"escalation:{lead}:1", "nphies_integration")]
        assert await w.minutes(4.8) == []
        assert await w.minutes(0.3) == [(f"escalation:{lead}:2", "devops")]
        assert await w.minutes(6) == [(f"escalation:{lead}:3", "sre")]
        assert await w.minutes(600) == []

        entry = w.published[0]
        assert (entry["type"], entry["priority"], entry["correlation_id"]) == (
            "notifier.escalation",
            "CRITICAL",
            "corr-1",
        )
        data = json.loads(entry["data"])
        assert (data["summary"], data["answer_id"], data["waiting_minutes"]) == (
            "It failed.",
            lead,
            5,
        )
        assert data["told"] == ["security_eng", "cloudops"]


@pytest.mark.parametrize("who", ["lead", "sibling", "escalation"])
async def test_an_answer_to_any_of_it_stops_the_chain(
    redis_url: str, database_url: str, who: str
):
    ids = dict(
        zip(("lead", "sibling"), waiting(database_url, "e1", "pmo compliance"), strict=True)
    )
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        # The escalation arrives in its channel and in the table.
        [ids["escalation"]] = waiting(
            database_url, event_id, channel, event_type="notifier.escalation"
        )
        answer(database_url, ids[who])

        assert await w.minutes(30) == []
        assert await w.minutes(600) == []


async def test_escalating_by_hand_is_no_answer_the_chain_goes_on(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        waiting(database_url, event_id, channel, event_type="notifier.escalation")
        answer(database_url, lead, "escalate")

        assert [channel for _, channel in await w.minutes(6)] == ["devops"]


async def test_an_escalation_that_arrives_after_the_answer_is_answered_too(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        answer(database_url, lead)
        waiting(database_url, event_id, channel, event_type="notifier.escalation")
        await w.minutes(1)

    assert {row["acknowledged_by"] for row in rows(database_url)} == {"Sara"}
    assert rows(database_url, VIEW) == []


async def test_an_answer_that_postgres_does_not_know_yet_holds_the_chain(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        await w.actions.take(
            Action(lead, "acknowledge", "Sara", "", Via.PAGE, datetime.now(UTC)), None
        )
        assert await w.minutes(60) == []
        answer(database_url, lead)
        assert await w.minutes(60) == []


async def test_many_schedulers_take_each_step_once(redis_url: str, database_url: str):
    for number in range(30):
        waiting(database_url, f"e{number}", "pmo compliance security_eng")
    async with world(redis_url, database_url) as w:
        for _ in range(3):
            age(database_url, 6)
            for _ in range(4):
                await asyncio.gather(*(w.escalator(number).look() for number in range(6)))

        ids = [entry["id"] for entry in w.published]
        assert len(ids) == 90
        assert len(set(ids)) == 90


@pytest.mark.parametrize("original_is_recorded", [True, False])
async def test_an_escalation_whose_step_is_not_written_down_belongs_to_its_event_all_the_same(
    redis_url: str, database_url: str, original_is_recorded: bool
):
    lead = notification_id(STREAM, "e1", "pmo")
    if original_is_recorded:
        waiting(database_url, "e1", "pmo")
        answer(database_url, lead)
    # Its process died between publishing and commit.
    waiting(database_url, f"escalation:{lead}:1", "devops", event_type="notifier.escalation")
    async with world(redis_url, database_url) as w:
        assert await w.minutes(6) == []
        assert await w.minutes(6) == []

    assert (rows(database_url, VIEW) == []) is original_is_recorded


async def test_redis_away_delays_a_step_and_a_broken_answer_repeats_it_under_the_same_id(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        w.faults = 1
        with pytest.raises(StreamError):
            await w.minutes(6)
        assert w.published == []
        w.faults, w.fault_after = 1, True
        with pytest.raises(StreamError):
            await w.minutes(0)
        await w.minutes(0)

        # Intake drops the second: the same event id.
        assert [entry["id"] for entry in w.published] == [f"escalation:{lead}:1"] * 2
        assert [
            row["step"] for row in rows(database_url, "SELECT * FROM teams_escalations")
        ] == [1]


async def test_what_was_there_before_the_scheduler_wakes_nobody(
    redis_url: str, database_url: str
):
    waiting(database_url, "e1", "pmo")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE teams_notifications SET escalation_check_at = NULL")
    async with world(redis_url, database_url) as w:
        assert await w.minutes(60) == []


def test_the_scheduler_s_queries_go_by_index(database_url: str):
    queries = load_queries("escalations.sql")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status,"
            " sent_at, escalation_check_at) SELECT gen_random_uuid(), 's', '1', n::text, 'c', 't', 'sre',"
            " CASE n %% 5 WHEN 0 THEN 'HIGH' ELSE 'INFO' END, 'delivered', now(), CASE n %% 10 WHEN 0 THEN NULL ELSE now() END"
            " FROM generate_series(1, 20000) n", ()
        )  # fmt: skip
        connection.execute("ANALYZE teams_notifications")
        plan = connection.execute(b"EXPLAIN " + queries["due"], {"limit": 100}).fetchall()
        keys = {"streams": ["s"] * 100, "event_ids": [str(number) for number in range(100)]}
        members = connection.execute(b"EXPLAIN " + queries["originals"], keys).fetchall()

    assert "teams_notifications_escalation_due_idx" in str(plan)
    assert "teams_notifications_event_id_idx" in str(members)
    assert "Seq Scan on teams_notifications" not in str(plan) + str(members)


async def test_a_critical_event_goes_before_all_others_that_became_due_earlier(
    redis_url: str, database_url: str
):
    for number in range(150):
        waiting(database_url, f"m{number}", "runtime_eng", priority="MEDIUM")
    age(database_url, 240)
    [lead] = waiting(database_url, "e1", "pmo")
    age(database_url, 6)

    async with world(redis_url, database_url) as w:
        assert await w.escalator().look()
        assert w.published[0]["id"] == f"escalation:{lead}:1"
        await w.minutes(0)
        assert len(w.published) == 151


async def test_a_new_event_is_looked_at_once_for_all_its_channels_and_when_it_is_due(
    database_url: str,
):
    both = await recorded(
        database_url,
        {"event_id": "e1", "channel": "sre"},
        {"event_id": "e1", "channel": "pmo"},
        {"event_id": "m1", "channel": "sre", "priority": "MEDIUM"},
        {"event_id": "l1", "channel": "sre", "priority": "LOW"},
        {"event_id": "i1", "channel": "sre", "priority": "INFO"},
        {"event_id": "escalation:x:1", "channel": "sre", "event_type": "notifier.escalation"},
    )
    looks = {name: seconds_to_look(row) for name, row in both.items()}
    opening = looks.pop("l1 sre")
    told = looks.pop("escalation:x:1 sre")

    assert sorted([looks.pop("e1 sre"), looks.pop("e1 pmo")], key=str) == [300, None]
    assert looks == {"m1 sre": 7200, "i1 sre": None}
    assert opening is not None
    assert opening > 0
    # Its event may have been answered meanwhile.
    assert told is not None
    assert told < 60

    later = await recorded(database_url, {"event_id": "e1", "channel": "devops"})
    assert seconds_to_look(later["e1 devops"]) is None


@pytest.mark.parametrize("days", [-30, 30])
@pytest.mark.parametrize("wrong", ["daemon", "redis"])
async def test_no_clock_that_is_wrong_decides_since_when_an_event_waits(
    database_url: str, wrong: str, days: int
):
    now = datetime.now(UTC)
    away = now + timedelta(days=days)
    sent = {"sent_at": away.isoformat()} if wrong == "daemon" else {}

    found = await recorded(
        database_url,
        {"event_id": "e1", "channel": "sre", **sent},
        arrived=away if wrong == "redis" else now,
    )

    assert abs(found["e1 sre"]["waiting_since"] - now) < timedelta(minutes=1)
    assert abs(found["e1 sre"]["escalation_check_at"] - now) < timedelta(minutes=6)


async def test_a_daemon_whose_clock_is_wrong_escalates_in_time_and_ends_nothing(
    redis_url: str, database_url: str
):
    [lead] = waiting(database_url, "e1", "pmo")
    async with world(redis_url, database_url) as w:
        w.ahead = timedelta(days=30)
        assert await w.minutes(4.5) == []
        assert await w.minutes(1) == [(f"escalation:{lead}:1", "nphies_integration")]
        await w.minutes(8 * 24 * 60)
        assert [row["escalation_check_at"] is None for row in rows(database_url)] == [False]

        w.ahead = timedelta()
        await w.minutes(61)
        assert [row["escalation_check_at"] is None for row in rows(database_url)] == [True]


async def test_shorter_times_hold_for_events_that_wait_already(
    redis_url: str, database_url: str
):
    found = await recorded(
        database_url,
        *({"event_id": f"m{n}", "channel": "sre", "priority": "MEDIUM"} for n in range(3)),
    )
    assert {seconds_to_look(row) for row in found.values()} == {7200}
    age(database_url, 30)
    async with world(redis_url, database_url) as w:
        shorter = w.config.escalation.MEDIUM.model_copy(update={"after_seconds": 600})
        escalator = w.escalator()
        await escalator.turn()
        assert w.published == []

        changed = w.config.escalation.model_copy(
            update={"MEDIUM": shorter, "poll_seconds": 0.05}
        )
        w.config = w.config.model_copy(update={"escalation": changed})
        for _ in range(9):
            await escalator.turn()
        assert len(w.published) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        "sent_at = '-infinity'",
        "sent_at = '20000-01-01', created_at = '20000-01-01'",
    ],
)
async def test_a_row_that_cannot_be_is_left_and_the_others_escalate(
    redis_url: str, database_url: str, spoil: str
):
    for number in range(5):
        waiting(database_url, f"e{number}", "pmo")
    age(database_url, 6)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"UPDATE teams_notifications SET {spoil} WHERE event_id = 'e2'".encode()
        )
    async with world(redis_url, database_url) as w:
        escalator = w.escalator()
        await escalator.look()
        assert len(w.published) == 4
        first = put_off_seconds(database_url)
        assert first > 0
        age(database_url, 1)
        await escalator.look()
        assert put_off_seconds(database_url) > 2 * first
        assert len(w.published) == 4


def put_off_seconds(database_url: str) -> float:
    query = "SELECT extract(epoch FROM escalation_check_at - now())::float8 AS seconds FROM teams_notifications WHERE event_id = 'e2'"
    return float(rows(database_url, query)[0]["seconds"])


async def test_of_all_rows_that_the_version_before_has_looked_at_one_drives_the_event(
    redis_url: str, database_url: str
):
    waiting(database_url, "e1", "pmo compliance security_eng")
    async with world(redis_url, database_url) as w:
        await w.minutes(0)

    assert [row["escalation_check_at"] is None for row in rows(database_url)].count(False) == 1


FAST = """
[escalation]
poll_seconds = 0.2
CRITICAL = { after_seconds = 1.5, chain = ["nphies_integration", "devops"] }
"""


async def start(daemons: Daemons, tmp_path: Path, text: str = FAST, **env: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    settings = public(env)
    for _ in range(2):
        await daemons.start("--config", str(path), **settings)


def event(daemons: Daemons, **fields: str) -> None:
    xadd(
        daemons.redis_url,
        {
            "type": "a.b",
            "priority": "CRITICAL",
            "stakeholders": "sre",
            "correlation_id": "corr-9",
        }
        | fields,
    )


async def test_escalation_card_acknowledges_the_original_and_nothing_is_left_open(
    daemons: Daemons, tmp_path: Path
):
    await start(daemons, tmp_path)
    event(daemons)
    requests = await daemons.receiver.wait_for(2)

    assert [request.path for request in requests[:2]] == ["/sre", "/nphies_integration"]
    assert requests[1].headers["X-Priority"] == "CRITICAL"
    assert requests[1].headers["X-Correlation-ID"] == "corr-9"
    url = links_on(requests[1].body)["Acknowledge"]
    assert "a.b" in (await get(url))[1]
    assert (await post(url, who="Sara"))[0] == 200
    original = links_on(requests[0].body)["Acknowledge"]
    assert "Sara" in (await get(original))[1]

    def all_answered() -> bool:
        found = rows(daemons.database_url)
        return len(found) == len(daemons.receiver.requests) and all(
            row["acknowledged_by"] == "Sara" for row in found
        )

    await until(all_answered)
    assert rows(daemons.database_url, VIEW) == []


@pytest.mark.parametrize("days", [-30, 30])
async def test_on_a_machine_whose_clock_is_wrong_events_escalate_in_time_and_readyz_warns(
    daemons: Daemons, tmp_path: Path, days: int
):
    path = tmp_path / "mine.toml"
    path.write_text(FAST)
    ahead = str(days * 86_400)
    await daemons.start(
        "--config", str(path), program="tests.support.wrong_clock", CLOCK_AHEAD=ahead
    )
    event(daemons)

    requests = await daemons.receiver.wait_for(3)
    assert [request.path for request in requests] == ["/sre", "/nphies_integration", "/devops"]
    state = await readiness(daemons)
    assert state["status"] == 200
    assert "clock" in state["warnings"]
    # Its id says when it was added, by Redis' clock.
    await until(lambda: len(rows(daemons.database_url)) == 3)
    happened = min(row["event_time"] for row in rows(daemons.database_url))
    assert abs(happened.timestamp() - time.time()) < 600


async def test_escalating_by_hand_tells_the_next_channel_at_once_and_it_can_acknowledge(
    daemons: Daemons, tmp_path: Path
):
    slow = FAST.replace("1.5", "3000")
    await start(daemons, tmp_path, slow, TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS="1")
    event(daemons, type="system.redis.connection_lost", service="redis")
    [request] = await daemons.receiver.wait_for(1)
    found = links_on(request.body)
    await until(lambda: len(rows(daemons.database_url)) == 1)

    assert (await post(found["Escalate"], who="Omar"))[0] == 200
    requests = await daemons.receiver.wait_for(3)
    [told] = [each for each in requests if each.path == "/nphies_integration"]
    assert "Escalated by Omar" in told.body.decode()
    url = links_on(told.body)["Acknowledge"]
    assert (await post(url, who="Sara"))[0] == 200
    assert (await post(found["Acknowledge"], who="Lina"))[0] == 409

    def by_channel() -> dict[str, tuple[str, str]]:
        return {
            row["channel"]: (row["acknowledged_by"], row["action_taken"])
            for row in rows(daemons.database_url)
            if row["priority"] == "CRITICAL"
        }

    expected = {"sre": ("Omar", "escalate"), "nphies_integration": ("Sara", "acknowledge")}
    await until(lambda: by_channel() == expected)
    assert rows(daemons.database_url, VIEW) == []
    [step] = rows(daemons.database_url, "SELECT * FROM teams_escalations")
    assert (step["cause"], step["who"], step["step"]) == ("by_hand", "Omar", 1)


async def test_what_was_escalated_by_hand_can_be_acknowledged_on_the_same_card_once(
    daemons: Daemons, tmp_path: Path
):
    slow = FAST.replace("1.5", "3000")
    await start(daemons, tmp_path, slow, TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS="0")
    event(daemons, type="system.redis.connection_lost", service="redis")
    [request] = await daemons.receiver.wait_for(1)
    found = links_on(request.body)
    await until(lambda: len(rows(daemons.database_url)) == 1)
    assert (await post(found["Escalate"], who="Omar", note="not ours"))[0] == 200
    await until(lambda: len(rows(daemons.database_url)) == 2)

    status, html = await get(found["Acknowledge"])
    assert (status, "Omar" in html, "NPHIES Integration" in html, "<form" in html) == (
        200,
        True,
        True,
        True,
    )
    assert (await post(found["Escalate"], who="Lina"))[0] == 409
    assert (await post(found["Acknowledge"], who="Sara", note="ours after all"))[0] == 200
    assert (await post(found["Acknowledge"], who="Lina"))[0] == 409

    def settled() -> list[tuple[str, str]]:
        return sorted(
            (row["acknowledged_by"], row["action_taken"])
            for row in rows(daemons.database_url)
            if row["acknowledged_by"]
        )

    await until(lambda: settled() == [("Sara", "acknowledge")] * 2)
    [data] = [
        row["action_data"] for row in rows(daemons.database_url) if row["channel"] == "sre"
    ]
    assert data["note"] == "ours after all"
    assert (data["escalated"]["who"], data["escalated"]["note"]) == ("Omar", "not ours")
    assert rows(daemons.database_url, VIEW) == []
    assert [
        row["step"] for row in rows(daemons.database_url, "SELECT * FROM teams_escalations")
    ] == [1]


@pytest.mark.parametrize("by_hand", [True, False])
async def test_an_answered_escalation_leaves_no_card_of_its_event_unanswered(
    redis_url: str, database_url: str, by_hand: bool
):
    [lead, _] = record(database_url, "e1", "pmo compliance")
    if by_hand:
        answer(database_url, lead, "escalate")
    else:  # its channel takes no posts, so it is not recorded yet
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM teams_notifications WHERE id = %s", (lead,))
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        [told] = waiting(database_url, event_id, channel, event_type="notifier.escalation")
        ledger = Ledger(w.connections[1])
        await ledger.accept(
            [Action(told, "acknowledge", "Sara", "", "page", datetime.now(UTC))]
        )
        async with ledger.waiting_action() as held:
            assert held is not None
            action, work = held
            assert await work.apply(action)

    assert rows(database_url, VIEW) == []


async def test_an_acknowledgement_whose_entry_was_dropped_is_brought_to_postgres_all_the_same(
    redis_url: str, database_url: str
):
    [lead, _] = record(database_url, "e1", "pmo compliance")
    async with world(redis_url, database_url) as w:
        await w.actions.take(
            Action(lead, "escalate", "Omar", "", Via.PAGE, datetime.now(UTC)), None
        )
        await w.actions.take(
            Action(lead, "acknowledge", "Sara", "", Via.PAGE, datetime.now(UTC)), None
        )
        answer(database_url, lead, "escalate")

        assert await w.minutes(6) == []

    [kept] = rows(database_url, "SELECT * FROM teams_actions")
    assert (kept["who"], kept["action"]) == ("Sara", "acknowledge")


async def test_an_escalation_by_hand_whose_entry_was_dropped_is_brought_to_postgres_all_the_same(
    redis_url: str, database_url: str
):
    [lead, _] = record(database_url, "e1", "pmo compliance")
    async with world(redis_url, database_url) as w:
        await w.actions.take(
            Action(lead, "escalate", "Omar", "", Via.PAGE, datetime.now(UTC)), None
        )
        assert await w.minutes(6) == []

    [kept] = rows(database_url, "SELECT * FROM teams_actions")
    assert (str(kept["notification_id"]), kept["who"], kept["action"]) == (
        lead,
        "Omar",
        "escalate",
    )


async def test_a_killed_daemon_s_escalations_are_taken_up_by_the_next(
    daemons: Daemons, tmp_path: Path
):
    path = tmp_path / "mine.toml"
    path.write_text(FAST)
    first = await daemons.start("--config", str(path))
    event(daemons, id=str(uuid.uuid4()))
    await until(lambda: len(rows(daemons.database_url)) == 1)
    first.kill()
    await first.wait()

    await daemons.start("--config", str(path))
    requests = await daemons.receiver.wait_for(3)
    assert [request.path for request in requests[-3:]] == [
        "/sre",
        "/nphies_integration",
        "/devops",
    ]
