"""Dead letters of removed or unknown channels go to another one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.commands import dlq
from tests.support.daemons import Daemons
from tests.support.waiting import until


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
