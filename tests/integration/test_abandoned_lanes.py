"""Lanes of removed channels are reported, drained and sent elsewhere."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from notifier.broker.keys import Keys
from notifier.sandbox.servers import Server, start_redis
from tests.support.commands import command, dlq
from tests.support.daemons import Daemons, DaemonsAt
from tests.support.waiting import until

KEYS = Keys("teams:events")
URGENT, NORMAL = (KEYS.lane("night", urgent=urgent) for urgent in (True, False))
NIGHT = '[channels]\nnight = { title = "Night" }\n'


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "night.toml"
    path.write_text(NIGHT)
    return path


async def fill(daemons: Daemons, settings: Path) -> None:
    """Let three notifications wait for `night`, and end its process."""
    intake = await daemons.start("--stages", "intake", NOTIFIER_CONFIG=str(settings))
    for number, priority in enumerate(("HIGH", "INFO", "INFO")):
        event = {"type": "a.b", "stakeholders": "night", "id": f"e{number}", "note": "kept"}
        daemons.add(event | {"priority": priority})
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(lambda: client.xlen(URGENT) + client.xlen(NORMAL) == 3)
    intake.terminate()
    await intake.wait()


async def run(daemons: Daemons, *words: str) -> str:
    return await asyncio.to_thread(command, daemons, *words)


async def test_lanes_of_a_removed_channel_are_warned_of_drained_and_sent_elsewhere(
    daemons: Daemons, settings: Path
):
    await fill(daemons, settings)
    process = await daemons.start()
    daemons.admin_urls.pop(0)

    state = await daemons.until_state(lambda state: "lanes" in state["warnings"])
    assert state["status"] == 200
    assert "3 notifications wait in teams:events for night" in state["warnings"]["lanes"]
    assert "lanes_without_channel" in daemons.log()
    listed = json.loads(await run(daemons, "lanes", "list", "--json"))
    [lane] = [lane for lane in listed if lane["channel"] == "night"]
    assert (lane["urgent"], lane["normal"], lane["delivered"]) == (1, 2, False)
    words = ("lanes", "drain", "night", "--why", "it is gone", "--by", "ops")
    assert "3 would become" in await run(daemons, *words, "--dry-run")
    assert daemons.rows() == []

    assert "3 are dead letters now" in await run(daemons, *words)

    letters = daemons.dead_letters()
    assert [letter["event_id"] for letter in letters] == ["e0", "e1", "e2"]
    assert {letter["reason"] for letter in letters} == {"unknown_channel"}
    assert all("by ops: it is gone" in letter["detail"] for letter in letters)
    await until(lambda: len(daemons.rows()) == 3)
    assert {row["status"] for row in daemons.rows()} == {"dead_lettered"}
    assert "0 are dead letters now" in await run(daemons, *words)
    process.send_signal(signal.SIGHUP)
    await daemons.until_state(lambda state: "lanes" not in state["warnings"])

    moved = await asyncio.to_thread(
        dlq, daemons, "replay", "--channel", "night", "--to", "sre", "--rate", "0"
    )
    assert moved.returncode == 0, moved.stderr
    await until(lambda: len(daemons.rows()) == 6)
    await until(lambda: not daemons.left_over())
    assert [request.path for request in daemons.receiver.requests] == ["/sre"] * 3
    assert all(b"kept" in request.body for request in daemons.receiver.requests)


async def test_a_channel_that_a_reload_takes_away_is_warned_of_at_once(
    daemons: Daemons, settings: Path
):
    process = await daemons.start("--stages", "intake,recorder", NOTIFIER_CONFIG=str(settings))
    daemons.publish(stakeholders="night", id="e0")
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(lambda: client.xlen(NORMAL) == 1)
    assert "lanes" not in (await daemons.readiness())["warnings"]
    settings.write_text("")

    process.send_signal(signal.SIGHUP)

    state = await daemons.until_state(lambda state: "lanes" in state["warnings"])
    assert "notifier lanes drain night" in state["warnings"]["lanes"]


async def test_a_channel_of_the_configuration_is_not_drained(daemons: Daemons):
    daemons.add({"type": "a.b"})

    done = await asyncio.to_thread(drain_sre, daemons)

    assert "[channels]" in done


def drain_sre(daemons: Daemons) -> str:
    with pytest.raises(AssertionError) as caught:
        command(daemons, "lanes", "drain", "sre", "--why", "test")
    return str(caught.value)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Server]:
    words = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]
    with start_redis(tmp_path / "redis", extra_args=words) as server:
        yield server


async def test_a_redis_set_up_as_a_cache_is_warned_of(cache: Server, daemons_at: DaemonsAt):
    daemons = daemons_at(cache.url)
    await daemons.start()
    state = await daemons.until_state(lambda state: "redis settings" in state["warnings"])

    assert state["status"] == 200
    assert "set maxmemory-policy noeviction" in state["warnings"]["redis settings"]
    assert "set appendonly yes" in state["warnings"]["redis settings"]
    assert "redis_settings_unsafe" in daemons.log()


async def test_many_dead_letters_are_warned_of(daemons: Daemons):
    with redis.Redis.from_url(daemons.redis_url) as client:
        for _ in range(3):
            client.xadd(KEYS.dead, {"reason": "rejected", "event": "{}"})
    await daemons.start(TEAMS_DEAD_LETTERS__WARN_ABOVE="3")
    await daemons.start(TEAMS_DEAD_LETTERS__WARN_ABOVE="2")
    enough, many = daemons.admin_urls

    daemons.admin_urls = [many]
    state = await daemons.until_state(lambda state: "dead letters" in state["warnings"])
    assert "notifier dlq list" in state["warnings"]["dead letters"]
    assert state["status"] == 200
    daemons.admin_urls = [enough]
    assert "dead letters" not in (await daemons.readiness())["warnings"]


@pytest.fixture
def night(tmp_path: Path) -> dict[str, str]:
    """Settings with one channel more, which has no webhook."""
    settings = tmp_path / "night.toml"
    settings.write_text('[channels]\nnight = { title = "Night" }\n')
    return {"NOTIFIER_CONFIG": str(settings)}


async def test_the_letter_of_a_channel_that_was_removed_stays_and_may_go_to_another(
    daemons: Daemons, night: dict[str, str]
):
    await daemons.start(**night)
    daemons.publish(stakeholders="night", id="e0")
    daemons.publish(stakeholders="night,sre", id="e1")
    await until(lambda: len(daemons.dead_entries()) == 2)
    await until(lambda: len(daemons.rows()) == 3)
    by_event = {fields["event_id"]: letter_id for letter_id, fields in daemons.dead_entries()}

    gone = await asyncio.to_thread(dlq, daemons, "replay", "--all", "--rate", "0")
    assert gone.returncode == 1
    assert gone.stderr.count("not replayed: channel: night is not in the configuration") == 2
    assert "--to CHANNEL" in gone.stderr
    assert len(daemons.dead_entries()) == 2
    assert daemons.dead_letter_actions() == []
    unknown = await asyncio.to_thread(dlq, daemons, "replay", "--all", "--to", "nobody")
    assert unknown.returncode == 2
    assert "unknown channel nobody" in unknown.stderr

    moved = await asyncio.to_thread(
        dlq, daemons, "replay", "--all", "--rate", "0", "--to", "sre"
    )
    assert moved.returncode == 1
    assert (
        f"{by_event['e1']}: not replayed: channel: has had this event already" in moved.stderr
    )
    await until(lambda: len(daemons.rows()) == 4)
    assert [fields["event_id"] for _, fields in daemons.dead_entries()] == ["e1"]
    assert [request.path for request in daemons.receiver.requests] == ["/sre", "/sre"]
    found = {(row["event_id"], row["channel"]): row["status"] for row in daemons.rows()}
    assert found == {
        ("e0", "night"): "dead_lettered", ("e0", "sre"): "delivered",
        ("e1", "night"): "dead_lettered", ("e1", "sre"): "delivered",
    }  # fmt: skip


async def test_an_event_for_an_unknown_channel_may_go_to_another(daemons: Daemons):
    await daemons.start()
    daemons.publish(stakeholders="nobody", id="e0")
    await until(lambda: len(daemons.dead_entries()) == 1)

    assert (
        "unknown channel nobody"
        in (await asyncio.to_thread(dlq, daemons, "replay", "--all")).stderr
    )
    moved = await asyncio.to_thread(dlq, daemons, "replay", "--all", "--to", "pmo")

    assert moved.returncode == 0, moved.stderr
    await until(lambda: len(daemons.rows()) == 1)
    assert [request.path for request in daemons.receiver.requests] == ["/pmo"]
    assert daemons.dead_entries() == []
