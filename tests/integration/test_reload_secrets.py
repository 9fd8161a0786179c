"""Keys, tokens and webhooks change with a reload, also in Vault."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from notifier.events.signing import key_id
from tests.support.action_pages import actions
from tests.support.daemons import SECRET, Daemons
from tests.support.ports import quiet_port
from tests.support.service import Service, paths
from tests.support.vault_server import ROOT_TOKEN, running_vault
from tests.support.waiting import until

NEW_KEY = "9a8b7c6d5e4f30219a8b7c6d5e4f3021"


async def card_link(daemons: Daemons, number: int) -> tuple[str, Any]:
    """Publish an event; returns the acknowledge link on its card and the post."""
    daemons.publish(type="backup.failed", service="x")
    requests = await daemons.receiver.wait_for(number)
    await until(lambda: len(daemons.rows()) == number)
    card = json.loads(requests[number - 1].body)["attachments"][0]["content"]
    [url] = [action["url"] for action in actions(card) if action["title"] == "Acknowledge"]
    return url, requests[number - 1]


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as page:
        return page.status


async def test_key_is_rotated_without_breaking_a_posted_link(
    service: Service, daemons: Daemons
):
    bind = f"127.0.0.1:{quiet_port()}"
    await service.start(TEAMS_PUBLIC__BIND=bind, TEAMS_PUBLIC__URL=f"http://{bind}")
    before, _ = await card_link(daemons, 1)

    service.credential("teams_hmac_secret_key", NEW_KEY)
    service.credential("teams_hmac_secret_key_previous", SECRET)
    line = await service.reload()
    after, post = await card_link(daemons, 2)

    assert line["key_ids"] == [key_id(NEW_KEY), key_id(SECRET)]
    assert [await status_of(url) for url in (before, after)] == [200, 200]
    assert after.rpartition("/")[2].startswith(key_id(NEW_KEY))
    for key in (SECRET, NEW_KEY):
        Webhook(key.encode()).verify(post.body, dict(post.headers))

    (service.credentials / "teams_hmac_secret_key_previous").write_text("")
    await service.reload()
    assert [await status_of(url) for url in (before, after)] == [404, 200]
    assert NEW_KEY not in daemons.log()
    assert SECRET not in daemons.log()


async def test_callback_and_its_limit_follow_a_reload(service: Service, daemons: Daemons):
    bind = f"127.0.0.1:{quiet_port()}"
    await service.start(TEAMS_PUBLIC__BIND=bind, TEAMS_PUBLIC__URL=f"http://{bind}")

    async def called() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{bind}/callback") as answer,
        ):
            return answer.status

    assert await called() == 404

    service.credential(
        "teams_outgoing_webhook_token", base64.b64encode(b"sixteen bytes or").decode()
    )
    line = await service.reload("[public]\nposts_per_minute = 2\n")
    assert line["restart_needed"] == []
    assert [await called() for _ in range(3)] == [401, 401, 429]

    service.credential("teams_outgoing_webhook_token", "placeholder")
    await service.reload()
    assert await called() == 404


async def test_vault_is_followed_and_its_outage_is_survived(service: Service, daemons: Daemons):
    url: Callable[[str], str] = daemons.receiver.url
    with running_vault() as vault:
        vault.secrets["secret/teams/webhooks"] = {"sre": url("one") + "?sig=canary"}
        await service.start(
            "[vault]\nrefresh_seconds = 1\ntimeout_seconds = 1\n",
            VAULT_ADDR=vault.url,
            VAULT_TOKEN=ROOT_TOKEN,
            TEAMS_WEBHOOK_SRE="placeholder",
        )
        daemons.publish()
        await daemons.receiver.wait_for(1)

        vault.secrets["secret/teams/webhooks"] = {"sre": url("two") + "?sig=canary"}
        await until(lambda: service.lines("reloaded"))
        daemons.publish()
        await daemons.receiver.wait_for(2)

        vault.secrets["secret/teams/webhooks"] = {"pmo": url("pmo") + "?sig=canary"}
        await until(lambda: service.lines("secrets_vanished"))
        daemons.publish()
        await daemons.receiver.wait_for(3)
        shown = (await daemons.readiness())["warnings"]["secrets_vanished"]
        assert "Vault secret/teams/webhooks key sre" in shown

        vault.secrets["secret/teams/webhooks"] = {"sre": "https://evil.example/?sig=canary"}
        await until(lambda: service.lines("reload_refused"))
        assert "evil.example" in (await daemons.readiness())["warnings"]["secrets"]
        vault.secrets["secret/teams/webhooks"] = {"sre": url("two") + "?sig=canary"}

        vault.sealed = True
        await until(lambda: service.lines("vault_away"))
        await service.reload(
            '[routes]\n"made.up" = { stakeholders = ["sre"] }\n[vault]\nrefresh_seconds = 1\n'
        )
        daemons.add({"type": "made.up"})
        await daemons.receiver.wait_for(4)
        state = await daemons.readiness()
        assert state["status"] == 200
        assert "sealed" in state["warnings"]["vault"]

        vault.sealed = False
        await daemons.until_state(lambda state: not state["warnings"])
    assert paths(daemons) == ["/one", "/two", "/two", "/two"]
    everything = daemons.log() + json.dumps(daemons.rows(), default=str)
    assert "canary" not in everything


async def test_vault_away_at_start_is_an_exit_with_the_reason(daemons: Daemons):
    process = await daemons.start(
        ready=False, VAULT_ADDR="http://127.0.0.1:9", VAULT_TOKEN="hvs.canary"
    )

    assert await process.wait() == 4
    assert "Vault at 127.0.0.1:9" in daemons.log()
    assert "canary" not in daemons.log()


async def test_an_unusable_webhook_stops_no_other_channel(service: Service, daemons: Daemons):
    await service.start(TEAMS_WEBHOOK_PMO="https://evil.example/?sig=canary")
    daemons.publish(stakeholders="pmo,sre")
    await daemons.receiver.wait_for(1)
    await until(lambda: daemons.dead_entries())

    state = await daemons.readiness()
    assert (state["status"], state["channels"]["pmo"]["webhook"]) == (200, "unusable")
    assert [letter["channel"] for _, letter in daemons.dead_entries()] == ["pmo"]
    assert [line["channel"] for line in service.lines("channel_webhook_unusable")] == ["pmo"]
    assert "canary" not in daemons.log()
