"""Escalation by whole daemons: cards, pages, clocks and kills."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from notifier.escalation.repository import EscalationRepository
from notifier.events.action import Action, Via
from tests.support.action_pages import get, links_on, post, public
from tests.support.daemons import Daemons
from tests.support.escalation import acknowledge, record
from tests.support.schedulers import VIEW, waiting, world
from tests.support.state import rows
from tests.support.waiting import until

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
    daemons.add(
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
        found = daemons.rows()
        return len(found) == len(daemons.receiver.requests) and all(
            row["acknowledged_by"] == "Sara" for row in found
        )

    await until(all_answered)
    assert daemons.rows(VIEW) == []


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
    state = await daemons.readiness()
    assert state["status"] == 200
    assert "clock" in state["warnings"]
    # Its id says when it was added, by Redis' clock.
    await until(lambda: len(daemons.rows()) == 3)
    happened = min(row["event_time"] for row in daemons.rows())
    assert abs(happened.timestamp() - time.time()) < 600


async def test_escalating_by_hand_tells_the_next_channel_at_once_and_it_can_acknowledge(
    daemons: Daemons, tmp_path: Path
):
    slow = FAST.replace("1.5", "3000")
    await start(daemons, tmp_path, slow, TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS="1")
    event(daemons, type="system.redis.connection_lost", service="redis")
    [request] = await daemons.receiver.wait_for(1)
    found = links_on(request.body)
    await until(lambda: len(daemons.rows()) == 1)

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
            for row in daemons.rows()
            if row["priority"] == "CRITICAL"
        }

    expected = {"sre": ("Omar", "escalate"), "nphies_integration": ("Sara", "acknowledge")}
    await until(lambda: by_channel() == expected)
    assert daemons.rows(VIEW) == []
    [step] = daemons.rows("SELECT * FROM teams_escalations")
    assert (step["cause"], step["who"], step["step"]) == ("by_hand", "Omar", 1)


async def test_what_was_escalated_by_hand_can_be_acknowledged_on_the_same_card_once(
    daemons: Daemons, tmp_path: Path
):
    slow = FAST.replace("1.5", "3000")
    await start(daemons, tmp_path, slow, TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS="0")
    event(daemons, type="system.redis.connection_lost", service="redis")
    [request] = await daemons.receiver.wait_for(1)
    found = links_on(request.body)
    await until(lambda: len(daemons.rows()) == 1)
    assert (await post(found["Escalate"], who="Omar", note="not ours"))[0] == 200
    await until(lambda: len(daemons.rows()) == 2)

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
            for row in daemons.rows()
            if row["acknowledged_by"]
        )

    await until(lambda: settled() == [("Sara", "acknowledge")] * 2)
    [data] = [row["action_data"] for row in daemons.rows() if row["channel"] == "sre"]
    assert data["note"] == "ours after all"
    assert (data["escalated"]["who"], data["escalated"]["note"]) == ("Omar", "not ours")
    assert daemons.rows(VIEW) == []
    assert [row["step"] for row in daemons.rows("SELECT * FROM teams_escalations")] == [1]


@pytest.mark.parametrize("by_hand", [True, False])
async def test_an_acknowledged_escalation_acknowledges_its_event(
    redis_url: str, database_url: str, by_hand: bool
):
    [lead, _] = record(database_url, "e1", "pmo compliance")
    if by_hand:
        acknowledge(database_url, lead, "escalate")
    else:  # its channel takes no posts, so it is not recorded yet
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM teams_notifications WHERE id = %s", (lead,))
    async with world(redis_url, database_url) as w:
        [(event_id, channel)] = await w.minutes(6)
        [told] = waiting(database_url, event_id, channel, event_type="notifier.escalation")
        repository = EscalationRepository(w.connections[1])
        await repository.accept(
            [Action(told, "acknowledge", "Sara", "", "page", datetime.now(UTC))]
        )
        async with repository.pending_action() as held:
            assert held is not None
            pending, event, transaction = held
            assert await transaction.apply(pending.action, event)

    assert rows(database_url, VIEW) == []


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_an_action_whose_entry_was_dropped_is_brought_to_postgres_all_the_same(
    redis_url: str, database_url: str, acknowledged: bool
):
    [lead, _] = record(database_url, "e1", "pmo compliance")
    actions = [("escalate", "Omar"), ("acknowledge", "Sara")][: 1 + acknowledged]
    async with world(redis_url, database_url) as w:
        for action, who in actions:
            accepted = Action(lead, action, who, "", Via.PAGE, datetime.now(UTC))
            await w.actions.accept(accepted, None)
        if acknowledged:
            acknowledge(database_url, lead, "escalate")

        assert await w.minutes(6) == []

    [kept] = rows(database_url, "SELECT * FROM teams_actions")
    assert str(kept["notification_id"]) == lead
    assert (kept["action"], kept["who"]) == actions[-1]
