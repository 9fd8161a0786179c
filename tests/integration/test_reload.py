"""SIGHUP: changes apply without a restart, and wrong settings are refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from pathlib import Path

import pytest
import redis

from notifier.broker.keys import Keys
from notifier.config import assets
from tests.support.daemons import Daemons
from tests.support.service import Service, paths
from tests.support.waiting import until


async def test_new_route_is_used_by_the_next_event(service: Service, daemons: Daemons):
    await service.start()

    line = await service.reload('[routes]\n"made.up" = { stakeholders = ["pmo"] }\n')
    daemons.add({"type": "made.up"})

    await daemons.receiver.wait_for(1)
    assert paths(daemons) == ["/pmo"]
    assert line["changed"] == ["routes"]
    assert line["restart_needed"] == []


async def test_masking_and_limits_follow_a_reload(service: Service, daemons: Daemons):
    daemons.receiver.answer(500)
    await service.start("[retry]\nmax_retries = 0\n")
    daemons.publish(nickname="canary-123")
    await until(lambda: len(daemons.dead_letters()) == 1)
    assert b"canary-123" in daemons.receiver.requests[0].body

    await service.reload(
        '[retry]\nmax_retries = 1\nmax_delay_seconds = 0.05\n[masking]\nfields = ["nickname"]\n'
        "[breaker]\nfailures = 100\n[delivery]\nin_flight = 3\n"
    )
    daemons.publish(nickname="canary-123")
    await until(lambda: len(daemons.dead_letters()) == 2)

    assert [letter["attempts"] for letter in daemons.dead_letters()] == ["1", "2"]
    assert all(b"canary-123" not in sent.body for sent in daemons.receiver.requests[1:])


async def test_broken_reload_is_refused_whole_with_every_fault_and_the_old_one_delivers(
    service: Service, daemons: Daemons, tmp_path: Path
):
    cards = tmp_path / "cards"
    shutil.copytree(assets.cards_dir(), cards)
    settings = f'[cards]\ndirectory = "{cards}"\n'
    await service.start(settings)
    card = (cards / "generic.json").read_text()
    (cards / "generic.json").write_text(
        '{"type": "AdaptiveCard", "body": [{"type": "Nonsense"}]}'
    )
    service.credential("teams_webhook_sre", "https://evil.example/w?sig=canary")

    refused = await service.reload(
        f'{settings}[routes]\n"made.up" = {{ stakeholders = ["pmo"] }}\n', refused=True
    )
    daemons.add({"type": "made.up"})
    daemons.publish()
    await until(lambda: len(daemons.dead_letters()) == 1)
    await daemons.receiver.wait_for(1)

    assert any("generic.json" in fault for fault in refused["faults"])
    assert any(
        "TEAMS_WEBHOOK_SRE has host evil.example" in fault for fault in refused["faults"]
    )
    assert paths(daemons) == ["/sre"]
    state = await daemons.readiness()
    assert state["status"] == 200
    assert "evil.example" in state["warnings"]["configuration"]

    (cards / "generic.json").write_text(card)
    (service.credentials / "teams_webhook_sre").unlink()
    await service.reload()
    assert (await daemons.readiness())["warnings"] == {}
    assert "canary" not in daemons.log()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("[retry\n", "not valid TOML"),
        ("[retry]\nmax_retries = -1\n", "retry.max_retries"),
        ('[routes]\n"a.b" = { stakeholders = ["sre"], card = "nowhere" }\n', "no nowhere.json"),
        ('[public]\nbind = "127.0.0.1:0"\n', "TEAMS_HMAC_SECRET_KEY"),
    ],
)
async def test_fault_of_a_reload_is_named(service: Service, settings: str, words: str):
    await service.start(TEAMS_HMAC_SECRET_KEY="")

    refused = await service.reload(settings, refused=True)

    assert words in " ".join(refused["faults"])
    assert service.process.returncode is None


async def test_new_webhook_is_posted_to_and_what_is_in_flight_finishes_where_it_began(
    service: Service, daemons: Daemons
):
    daemons.receiver.answer(202, delay=2, times=1)
    await service.start()
    daemons.publish(id="before")
    await daemons.receiver.wait_for(1)

    service.credential("teams_webhook_sre", daemons.receiver.url("elsewhere"))
    line = await service.reload()
    daemons.publish(id="after")
    await until(lambda: len(daemons.rows()) == 2)

    assert paths(daemons) == ["/sre", "/elsewhere"]
    assert {(row["status"], row["retry_count"]) for row in daemons.rows()} == {("delivered", 0)}
    assert line["webhooks_changed"] == ["sre"]
    assert "elsewhere" not in json.dumps(line)


async def test_mended_webhook_helps_what_is_being_tried_already(
    service: Service, daemons: Daemons
):
    service.credential("teams_webhook_sre", "http://127.0.0.1:9/dead")
    await service.start("[retry]\nmax_retries = 20\nmax_delay_seconds = 2\n")
    daemons.publish()
    await until(lambda: service.lines("attempt_failed"))

    service.credential("teams_webhook_sre", daemons.receiver.url("mended"))
    await service.reload()
    await until(lambda: len(daemons.rows()) == 1)

    assert paths(daemons) == ["/mended"]
    assert daemons.rows()[0]["status"] == "delivered"


async def test_webhook_that_is_taken_away_ends_the_retries_with_a_dead_letter(
    service: Service, daemons: Daemons
):
    service.credential("teams_webhook_sre", "http://127.0.0.1:9/dead")
    await service.start("[breaker]\nfailures = 1\nopen_seconds = 0.2\n")
    daemons.publish()
    await until(lambda: service.lines("attempt_failed"))

    service.credential("teams_webhook_sre", "placeholder")
    await service.reload()
    await until(lambda: len(daemons.dead_letters()) == 1)

    assert daemons.dead_letters()[0]["reason"] == "not_configured"


async def test_channel_comes_goes_with_its_backlog_kept_and_comes_again(
    service: Service, daemons: Daemons
):
    lane = Keys("teams:events").lane("billing", urgent=False)
    with_billing = '[channels]\nbilling = { title = "Billing" }\n'
    limits = "[breaker]\nfailures = 1\nopen_seconds = 0.2\n"
    await service.start(limits)
    service.credential("teams_webhook_billing", daemons.receiver.url("billing"))

    line = await service.reload(limits + with_billing)
    daemons.publish(stakeholders="billing", id="first")
    await until(lambda: len(daemons.rows()) == 1)
    assert line["channels_added"] == ["billing"]

    daemons.receiver.answer(503)
    for number in range(5):
        daemons.publish(stakeholders="billing", id=f"e{number}")
    await daemons.receiver.wait_for(2)
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(lambda: client.xlen(lane) == 5)
        line = await service.reload(limits)
        assert line["channels_removed"] == ["billing"]
        daemons.publish(stakeholders="billing", id="late")
        await until(lambda: len(daemons.dead_letters()) == 1)
        assert daemons.dead_letters()[0]["reason"] == "unknown_channel"
        assert client.xlen(lane) == 5
        await daemons.until_state(
            lambda state: "delivery teams:events billing" not in state["parts"]
        )

        daemons.receiver.recover()
        await service.reload(limits + with_billing)
        await until(lambda: len(daemons.rows()) == 6, 60)

        assert {row["status"] for row in daemons.rows()} == {"delivered"}
        await until(lambda: client.xlen(lane) == 0)
    service.process.send_signal(signal.SIGTERM)
    assert await service.process.wait() == 0


async def test_stop_finishes_the_posts_of_a_channel_that_was_just_removed(
    service: Service, daemons: Daemons
):
    lane = Keys("teams:events").lane("billing", urgent=False)
    daemons.receiver.answer(202, delay=1, channel="billing")
    service.credential("teams_webhook_billing", daemons.receiver.url("billing"))
    await service.start('[channels]\nbilling = { title = "Billing" }\n')
    daemons.publish(stakeholders="billing")
    await daemons.receiver.wait_for(1)

    await service.reload("")
    service.process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(service.process.wait(), 20) == 0
    with redis.Redis.from_url(daemons.redis_url) as client:
        assert client.xlen(lane) == 0
    assert len(daemons.receiver.requests) == 1


async def test_what_needs_a_restart_is_named_and_everything_else_is_taken(
    service: Service, daemons: Daemons
):
    await service.start()

    line = await service.reload(
        'streams = ["teams:events", "teams:more"]\n[redis]\nlease_seconds = 20\n'
        '[public]\nlink_ttl_seconds = 60\n[routes]\n"made.up" = { stakeholders = ["pmo"] }\n'
    )
    daemons.add({"type": "made.up"})

    await daemons.receiver.wait_for(1)
    assert line["restart_needed"] == ["streams", "redis"]
    assert sorted(line["changed"]) == ["public", "routes"]


async def test_many_reloads_under_load_lose_and_repeat_nothing(
    service: Service, daemons: Daemons
):
    daemons.receiver.answer(202, delay=0.05)
    await service.start()
    for number in range(200):
        daemons.publish(stakeholders="sre,pmo", id=f"e{number}")
        if number % 25 == 0:
            service.credential("teams_webhook_sre", daemons.receiver.url(f"sre{number}"))
            await service.reload(f"[delivery]\nin_flight = {2 + number % 5}\n")
    await until(lambda: len(daemons.rows()) == 400, 60)

    assert {row["status"] for row in daemons.rows()} == {"delivered"}
    assert len(daemons.receiver.requests) == 400
    assert daemons.dead_letters() == []
