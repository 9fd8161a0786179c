"""The contents of the console's pages, and who may see them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import psycopg
import redis
from playwright.async_api import Page

from tests.support.browser import MARKS, faults_of
from tests.support.console import Console, delivered, refused
from tests.support.daemons import Daemons

pytestmark = MARKS
TOKEN = re.compile(r"[0-9a-f]{32}\.[0-9]\.[0-9]{9,}\.")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


async def test_card_is_rendered_and_its_page_holds_nothing_to_act_with(
    page: Page, console: Console
):
    [row, *_] = await delivered(console, type="nphies.claim.rejected", claim_id="CLM-1", rejection_code="INV-001", rejection_reason=HOSTILE, stakeholders="pmo")  # fmt: skip
    assert TOKEN.search(json.dumps(row["card_payload"])), "the card has signed links"
    held: list[str] = []

    async def keep(answer: Any) -> None:
        if answer.url.startswith(console.url):
            held.append(await answer.text())

    page.on("response", keep)
    await page.goto(f"{console.url}/notifications/{row['id']}")
    card = page.frame_locator("iframe")
    await card.locator(".ac-adaptiveCard").wait_for()
    await page.wait_for_load_state("networkidle")

    text = await card.locator("body").inner_text()
    assert "CLM-1" in text
    assert "HIGH" in text
    assert "onerror=" in text, text
    assert await card.locator("button", has_text="Acknowledge").is_disabled()
    assert await card.locator("a").count() == 0
    assert len(held) == 2
    for each in held:
        assert not TOKEN.search(each)
        assert "notify.example" not in each
    assert "owned" not in [await page.title(), await card.locator("html").evaluate("() => document.title")]  # fmt: skip
    # The frame has no origin, so it reaches neither the console nor its cookies.
    origin = await card.locator("html").evaluate("() => self.origin")
    assert origin == "null"
    headers = (await page.goto(f"{console.url}/notifications/{row['id']}/card")).headers  # type: ignore[union-attr]
    assert "sandbox allow-scripts" in headers["content-security-policy"]


async def test_search_by_claim_id_shows_the_timeline(page: Page, console: Console):
    await delivered(console, type="nphies.claim.rejected", claim_id="CLM-77", stakeholders="pmo", correlation_id="corr-77")  # fmt: skip
    await page.goto(console.url)
    await page.get_by_role("link", name="Search").click()
    await page.get_by_label("Id").fill("CLM-77")
    await page.keyboard.press("Enter")
    text = await page.locator(".case").inner_text()
    for step in ("PMO", "Delivered", "Published", "Attempt 1", "Recorded"):
        assert step in text
    assert await faults_of(page, "search") == []
    await page.get_by_role("link", name="PMO").click()
    await page.get_by_role("link", name="corr-77").click()
    await page.locator(".case").wait_for()
    await page.get_by_label("Id").fill("CLM-nowhere")
    await page.keyboard.press("Enter")
    await page.get_by_text("Nothing was found for CLM-nowhere").wait_for()
    assert await faults_of(page, "search-nothing") == []


async def test_critical_events_show_the_next_channel(page: Page, console: Console):
    await delivered(console, type="nphies.api.error", error_type="api", stakeholders="nphies_integration")  # fmt: skip
    await page.goto(f"{console.url}/critical")
    text = await page.locator(".case").inner_text()
    assert "DevOps in" in text
    with psycopg.connect(console.daemons.database_url) as connection:
        connection.execute("UPDATE teams_notifications SET acknowledged_by = 'Sara', acknowledged_at = now(), action_taken = 'acknowledge'")  # fmt: skip
    await page.reload()
    await page.get_by_text("Every critical event is acknowledged.").wait_for()


async def test_half_of_the_console_works_while_the_other_server_is_away(
    page: Page, console: Console, redis_server: Any, postgres_server: Any
):
    await refused(console)
    name = console.daemons.database_url.rpartition("/")[2]
    admin = postgres_server.url.removesuffix("/notifier") + "/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))  # fmt: skip
    await page.goto(console.url)
    await page.get_by_text("Postgres is unavailable").wait_for()
    assert "Ready" in await page.get_by_role("table").inner_text()
    await page.goto(f"{console.url}/notifications")
    await page.get_by_text("Postgres does not answer.").wait_for()
    await page.goto(console.dead_letter_address)
    await page.get_by_role("button", name="Discard…").click()
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_label("Why").fill("a test event")
    await page.get_by_role("button", name="Discard 1 dead letter").click()
    await page.get_by_text("1 could not be done now.").wait_for()
    assert len(console.daemons.dead_entries()) == 1


async def test_without_redis_the_console_shows_the_audit_trail(page: Page, console: Console):
    await delivered(console, type="backup.failed", service="db", stakeholders="sre")
    with redis.Redis.from_url(console.daemons.redis_url) as client:
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            await page.goto(console.url)
            await page.get_by_text("Redis is unavailable").wait_for()
            await page.goto(f"{console.url}/dead-letters")
            await page.get_by_text("Redis does not answer.").wait_for()
            await page.goto(f"{console.url}/notifications")
            assert "backup.failed" in await page.get_by_role("table").inner_text()
        finally:
            client.config_set("maxclients", 10_000)


async def test_refreshing_is_asked_for_and_can_be_stopped(page: Page, console: Console):
    await page.goto(console.url)
    assert await page.locator("meta[http-equiv=refresh]").count() == 0
    await page.get_by_role("link", name="5 s", exact=True).click()
    await page.locator("meta[http-equiv=refresh]").wait_for(state="attached")
    await refused(console)
    await page.locator(".tile", has_text="Dead letters").get_by_text("1", exact=True).wait_for()
    await page.get_by_role("link", name="Stop").click()
    assert await page.locator("meta[http-equiv=refresh]").count() == 0


async def test_overview_says_why_a_channel_waits(page: Page, daemons: Daemons):
    await daemons.start(
        TEAMS_WEBHOOK_PMO="placeholder", TEAMS_RATE_LIMIT_REQUESTS="60", TEAMS_BREAKER__FAILURES="2", TEAMS_RETRY_FACTOR="1",
    )  # fmt: skip
    daemons.receiver.answer(429, headers={"Retry-After": "300"}, times=1)
    daemons.publish(priority="HIGH")
    await daemons.receiver.wait_for(1)
    daemons.receiver.answer(404, times=1)
    daemons.publish(stakeholders="devops")
    await daemons.receiver.wait_for(2)
    daemons.receiver.answer(500)
    daemons.publish(stakeholders="cloudops")
    await daemons.receiver.wait_for(4)

    expected = {"PMO": "No webhook", "SRE": "Paused", "DevOps": "Misconfigured", "CloudOps": "Failing", "Compliance Office": "Ready"}  # fmt: skip
    async with asyncio.timeout(60):
        states: dict[str, str] = {}
        while states != expected:
            await page.goto(f"{daemons.admin_urls[0]}/console")
            states = {
                channel: await row.locator(".badge").inner_text()
                for channel in expected
                for row in [page.get_by_role("row").filter(has_text=channel).first]
            }
    sre = await page.get_by_role("row").filter(has_text="SRE").first.inner_text()
    assert "60 in 60 s" in sre
    assert "9 of 10" in sre or "10 of 10" in sre
    assert await faults_of(page, "overview-troubled") == []


async def test_operator_logs_in_with_the_token_and_out_again(page: Page, daemons: Daemons):
    token = "5b4c3d2e1f00f1e2d3c4b5a697887960"
    await daemons.start(TEAMS_ADMIN_TOKEN=token)
    await page.goto(f"{daemons.admin_urls[0]}/console/search")
    await page.get_by_label("Admin token").fill(token)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Search").wait_for()
    assert token not in await page.content()
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_label("Admin token").wait_for()
    await page.goto(f"{daemons.admin_urls[0]}/console")
    await page.get_by_label("Admin token").wait_for()


async def test_name_comes_from_single_sign_on_and_cannot_be_typed(page: Page, daemons: Daemons):
    await daemons.start(
        TEAMS_ADMIN__USER_HEADER="X-Forwarded-User", TEAMS_ADMIN__TRUSTED_PROXIES="127.0.0.1"
    )
    console = Console(f"{daemons.admin_urls[0]}/console", daemons)
    await refused(console)
    await page.set_extra_http_headers({"X-Forwarded-User": "sara@example.com"})
    await page.goto(console.dead_letter_address)
    await page.get_by_role("button", name="Replay…").click()
    assert await page.get_by_label("Your name").count() == 0
    await page.get_by_text("You are signed in as sara@example.com").wait_for()
    await page.get_by_role("button", name="Replay 1 dead letter").click()
    await page.get_by_role("heading", name="Replayed 1 of 1").wait_for()

    [record] = daemons.dead_letter_actions()
    assert record["who"] == "sara@example.com"
