"""The console in a real browser, over a real daemon, Redis and Postgres: what an operator sees and does."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
import redis
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from tests.browser.test_channel_pages import page
from tests.integration.conftest import daemons
from tests.integration.daemons import Daemons
from tests.integration.test_pipeline import rows, until, xadd
from tests.integration.test_replay import actions, letters

__all__ = ["daemons", "page"]
pytestmark = pytest.mark.browser

TOKEN = re.compile(r"[0-9a-f]{32}\.[0-9]\.[0-9]{9,}\.")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"


@dataclass
class Console:
    """The console of a daemon with something to show."""

    url: str
    daemons: Daemons

    @property
    def letter_address(self) -> str:
        """The page of the newest dead letter."""
        return f"{self.url}/dead-letters/letter?id={letters(self.daemons)[-1][0]}&stream=teams:events"


@pytest.fixture
async def console(daemons: Daemons) -> Console:
    await daemons.start(TEAMS_PUBLIC__URL="https://notify.example", TEAMS_ESCALATION__ENABLED="true")  # fmt: skip
    return Console(f"{daemons.admin_urls[0]}/console", daemons)


async def delivered(console: Console, **fields: str) -> list[dict[str, Any]]:
    """Publish an event and return its rows once they are recorded."""
    before = len(rows(console.daemons.database_url))
    count = len(fields.get("stakeholders", "a,b,c").split(","))
    xadd(console.daemons.redis_url, fields)
    await until(lambda: len(rows(console.daemons.database_url)) == before + count)
    return rows(console.daemons.database_url)


async def refused(console: Console, count: int = 1, **fields: str) -> None:
    """Let notifications end as dead letters: the workflow answers 400."""
    before = len(letters(console.daemons))
    console.daemons.receiver.answer(400, times=count)
    for _ in range(count):
        xadd(console.daemons.redis_url, {"type": "backup.failed", "stakeholders": "sre", "service": "db", "patient_id": "PAT-12345"} | fields)  # fmt: skip
    await until(lambda: len(letters(console.daemons)) == before + count)
    await until(lambda: len([r for r in rows(console.daemons.database_url) if r["status"] == "dead_lettered"]) >= before + count)  # fmt: skip


async def something_of_everything(console: Console) -> None:
    await refused(console, 3)
    xadd(
        console.daemons.redis_url,
        {"type": "no.route", "note": "A shift note that nobody routes. " * 8},
    )
    xadd(
        console.daemons.redis_url,
        {"event": '{"type": "a.b", "data": {"patient_id": "PAT-12345"}', "id": "broken"},
    )
    await until(lambda: len(letters(console.daemons)) == 5)
    await delivered(console, type="nphies.claim.rejected", claim_id="CLM-2026-000123", rejection_code="INV-001", rejection_reason="The service is not covered.", lang="ar", patient_id="PAT-12345", payer="التعاونية", stakeholders="pmo")  # fmt: skip
    await delivered(console, type="nphies.api.error", error_type="api", http_status="503", operation="claim submission", error_message="Service unavailable", correlation_id="corr-" + "7f" * 40, stakeholders="nphies_integration,devops,sre")  # fmt: skip
    await delivered(console, type="vault.seal.detected", node="vault-2", cluster_id="c1", impact="No secret can be read.", stakeholders="security_eng,sre")  # fmt: skip
    with psycopg.connect(console.daemons.database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET acknowledged_by = 'Sara Al-Qahtani', acknowledged_at = now(), action_taken = 'acknowledge',"
            ' action_data = \'{"via": "page", "note": "on it"}\' WHERE event_type = \'vault.seal.detected\' AND channel = \'sre\''
        )


def addresses(console: Console) -> dict[str, str]:
    found = rows(console.daemons.database_url)
    by_type = {row["event_type"]: row for row in found}
    died = {fields["reason"]: entry for entry, fields in letters(console.daemons)}
    query = f"do=replay&letter={died['rejected']}+teams:events&letter={died['unroutable']}+teams:events"
    letter = f"{console.url}/dead-letters/letter?stream=teams:events&id="
    return {
        "overview": console.url,
        "critical": f"{console.url}/critical",
        "dead-letters": f"{console.url}/dead-letters",
        "dead-letters-none": f"{console.url}/dead-letters?reason=poison",
        "dead-letters-problem": f"{console.url}/dead-letters?since=yesterday",
        "letter": f"{letter}{died['rejected']}",
        "letter-invalid": f"{letter}{died['invalid_event']}",
        "letter-gone": f"{letter}1-1",
        "confirm": f"{console.url}/dead-letters/confirm?{query}",
        "confirm-discard": f"{console.url}/dead-letters/confirm?{query.replace('replay', 'discard')}",
        "nothing-selected": f"{console.url}/dead-letters/confirm?do=replay",
        "notifications": f"{console.url}/notifications",
        "notification": f"{console.url}/notifications/{by_type['nphies.api.error']['id']}",
        "notification-arabic": f"{console.url}/notifications/{by_type['nphies.claim.rejected']['id']}",
        "notification-dead": f"{console.url}/notifications/{by_type['backup.failed']['id']}",
        "search": f"{console.url}/search?q={by_type['nphies.api.error']['correlation_id']}",
        "search-nothing": f"{console.url}/search?q=CLM-nowhere",
        "missing": f"{console.url}/nowhere",
    }


async def faults_of(page: Page, name: str) -> list[str]:
    """Return what axe-core finds, and whether the page is wider than the window; keeps a picture when a folder is named."""
    if "/notifications/" in page.url:
        card = page.frame_locator("iframe").locator(".ac-adaptiveCard")
        await card.wait_for()
        # The frame becomes as high as its card.
        high = await card.evaluate("(card) => card.offsetHeight")
        await page.wait_for_function("(high) => Math.abs(document.querySelector('iframe').clientHeight - high) < 40", arg=high)  # fmt: skip
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    found = await Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})  # fmt: skip
    wrong = [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]
    width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return wrong + (
        [f"the page is {width[0]} wide in {width[1]}"] if width[0] > width[1] else []
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_every_page_is_accessible_and_fits(
    page: Page, console: Console, theme: Any, width: int
):
    faults: list[str] = []
    page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)  # fmt: skip
    page.on("pageerror", lambda error: faults.append(str(error)))
    await something_of_everything(console)
    await page.emulate_media(color_scheme=theme)
    await page.set_viewport_size({"width": width, "height": 800})
    wrong: dict[str, list[str]] = {}
    for name, address in addresses(console).items():
        await page.goto(address)
        wrong[name] = await faults_of(page, f"{name}-{theme}-{width}")

    assert {name: found for name, found in wrong.items() if found} == {}
    assert faults == []


async def test_operator_finds_a_dead_letter_replays_it_with_a_reason_and_sees_it_delivered(
    page: Page, console: Console
):
    await refused(console)
    await page.goto(console.url)
    await (
        page.get_by_role("listitem")
        .filter(has_text="Dead letters")
        .get_by_role("link", name="See them")
        .click()
    )
    await page.get_by_label("Reason").select_option("rejected")
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name="Replay selected…").click()
    await page.get_by_role("heading", name="Replay 1 dead letter?").wait_for()
    assert len(letters(console.daemons)) == 1

    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_label("Why").fill("the flow is on again")
    await page.get_by_role("button", name="Replay 1 dead letter").click()
    await page.get_by_role("heading", name="Replayed 1 of 1").wait_for()

    await until(lambda: rows(console.daemons.database_url)[0]["status"] == "delivered")
    assert letters(console.daemons) == []
    [record] = actions(console.daemons)
    assert (record["action"], record["who"], record["why"]) == ("replay", "Sara", "the flow is on again")  # fmt: skip
    await page.get_by_role("link", name="Notifications").click()
    await page.get_by_role("row").filter(has_text="Delivered").get_by_role("link").click()
    text = await page.locator("main").inner_text()
    assert "202" in text
    assert "400" in text


async def test_discarding_wants_a_reason_and_keeps_the_letter_in_the_record(
    page: Page, console: Console
):
    await refused(console)
    await page.goto(console.letter_address)
    assert "PAT-12345" not in await page.content()
    assert "***345" in await page.locator("pre").inner_text()
    await page.get_by_role("button", name="Discard…").click()
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_label("Why").fill("  ")
    await page.get_by_role("button", name="Discard 1 dead letter").click()
    await page.get_by_role("alert").wait_for()
    assert len(letters(console.daemons)) == 1
    assert await page.get_by_label("Your name").input_value() == "Sara"

    await page.get_by_label("Why").fill("a test event")
    await page.get_by_role("button", name="Discard 1 dead letter").click()
    await page.get_by_role("heading", name="Discarded 1 of 1").wait_for()

    assert letters(console.daemons) == []
    [record] = actions(console.daemons)
    assert (record["action"], record["who"], record["why"]) == ("discard", "Sara", "a test event")  # fmt: skip
    assert record["letter"]["reason"] == "rejected"
    assert "PAT-12345" not in json.dumps(record, default=str)
    assert len(console.daemons.receiver.requests) == 1


async def test_all_that_match_a_filter_are_replayed_and_no_others(page: Page, console: Console):
    await refused(console, 3)
    await refused(console, 1, type="celery.task.failed", task_name="t")
    await page.goto(f"{console.url}/dead-letters?type=backup.failed")
    await page.get_by_role("button", name="Replay all that match…").click()
    await page.get_by_role("heading", name="Replay 3 dead letters?").wait_for()
    # What dies while the form is open was not counted, so it is not meant.
    await refused(console)
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_role("button", name="Replay 3 dead letters").click()
    await page.get_by_role("heading", name="Replayed 3 of 3").wait_for()

    left = [fields["event_type"] for _, fields in letters(console.daemons)]
    assert left == ["celery.task.failed", "backup.failed"]


async def test_a_second_click_and_a_reload_change_nothing(page: Page, console: Console):
    await refused(console)
    await page.goto(console.letter_address)
    await page.get_by_role("button", name="Replay…").click()
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_role("button", name="Replay 1 dead letter").dblclick()
    await page.get_by_role("heading", name=re.compile("Replayed . of 1")).wait_for()
    await until(lambda: rows(console.daemons.database_url)[0]["status"] == "delivered")
    await page.reload()
    await page.get_by_text("had been dealt with before").wait_for()

    assert "by Sara" in await page.locator("main").inner_text()
    assert len(console.daemons.receiver.requests) == 2
    [record] = actions(console.daemons)
    assert record["who"] == "Sara"


async def test_forms_of_other_pages_and_browsers_are_refused(page: Page, console: Console):
    await refused(console)
    await page.goto(console.letter_address)
    await page.get_by_role("button", name="Discard…").click()
    fields = {
        name: await page.locator(f"[name={name}]").get_attribute("value")
        for name in ("seal", "letter")
    }
    cookie = {each["name"]: each for each in await page.context.cookies()}["notifier_form"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    form = {**fields, "who": "Mallory", "why": "for fun"}
    url = f"{console.url}/dead-letters/discard"
    own = {"Cookie": f"notifier_form={cookie['value']}"}
    tries: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "no cookie": (form, {}),
        "another browser's cookie": (form, {"Cookie": "notifier_form=" + "a" * 43}),
        "no seal": ({**form, "seal": ""}, own),
        "another seal": ({**form, "seal": "0" * 64}, own),
        "another origin": (form, {**own, "Origin": "https://evil.example"}),
        "another site": (form, {**own, "Sec-Fetch-Site": "cross-site"}),
        "another host": (form, {**own, "Host": "evil.example"}),
    }
    async with aiohttp.ClientSession() as session:
        for name, (data, headers) in tries.items():
            async with session.post(url, data=data, headers=headers) as answer:
                assert answer.status in (403, 421), name
        async with session.get(url) as answer:
            assert answer.status == 404
        assert len(letters(console.daemons)) == 1
        assert actions(console.daemons) == []
        async with session.post(url, data=form, headers=own) as answer:
            assert answer.status == 200
    assert letters(console.daemons) == []


async def test_keyboard_alone_is_enough(page: Page, console: Console):
    await refused(console)
    await page.goto(f"{console.url}/dead-letters")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert await page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    await page.keyboard.press("Enter")

    async def tab_to(selector: str) -> None:
        for _ in range(40):
            await page.keyboard.press("Tab")
            outline = await page.evaluate(
                "getComputedStyle(document.activeElement).outlineStyle"
            )
            assert outline != "none", await page.evaluate(
                "document.activeElement.outerHTML.slice(0, 200)"
            )
            if await page.evaluate("(at) => document.activeElement.matches(at)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached")

    await tab_to("[type=checkbox]")
    await page.keyboard.press("Space")
    await tab_to("button[value=discard]")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Discard 1 dead letter?").wait_for()
    await tab_to("#who")
    await page.keyboard.type("Sara")
    await page.keyboard.press("Tab")
    await page.keyboard.type("a test event")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Discarded 1 of 1").wait_for()


async def test_it_works_without_scripts(page: Page, console: Console):
    await refused(console)
    await delivered(console, type="backup.failed", service="db", stakeholders="sre")
    assert page.context.browser is not None
    context = await page.context.browser.new_context(java_script_enabled=False)
    plain = await context.new_page()
    await plain.goto(console.letter_address)
    await plain.get_by_role("button", name="Replay…").click()
    await plain.get_by_label("Your name").fill("Sara")
    await plain.get_by_role("button", name="Replay 1 dead letter").click()
    await plain.get_by_role("heading", name="Replayed 1 of 1").wait_for()
    await plain.goto(
        f"{console.url}/notifications/{rows(console.daemons.database_url)[0]['id']}"
    )
    await plain.frame_locator("iframe").get_by_text("Backup failed").wait_for()
    await context.close()


async def test_card_is_drawn_and_nobody_can_act_with_what_the_page_holds(
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


async def test_search_by_claim_id_shows_the_whole_way(page: Page, console: Console):
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


async def test_critical_events_show_who_is_told_next(page: Page, console: Console):
    await delivered(console, type="nphies.api.error", error_type="api", stakeholders="nphies_integration")  # fmt: skip
    await page.goto(f"{console.url}/critical")
    text = await page.locator(".case").inner_text()
    assert "DevOps is told in" in text
    with psycopg.connect(console.daemons.database_url) as connection:
        connection.execute("UPDATE teams_notifications SET acknowledged_by = 'Sara', acknowledged_at = now(), action_taken = 'acknowledge'")  # fmt: skip
    await page.reload()
    await page.get_by_text("Somebody has answered every critical event.").wait_for()


async def test_pages_are_never_kept_and_load_nothing_from_elsewhere(
    page: Page, console: Console
):
    await something_of_everything(console)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name, address in addresses(console).items():
        answer = await page.goto(address)
        assert answer is not None
        assert answer.headers["cache-control"] == "no-store", name
        assert "default-src 'none'" in answer.headers["content-security-policy"], name
        assert console.daemons.receiver.url("sre") not in await answer.text(), name
    assert {url for url in asked if not url.startswith((console.url, "data:"))} == set()


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
    await page.get_by_text("Postgres is away").wait_for()
    assert "Ready" in await page.get_by_role("table").inner_text()
    await page.goto(f"{console.url}/notifications")
    await page.get_by_text("Postgres cannot be asked now.").wait_for()
    await page.goto(console.letter_address)
    await page.get_by_role("button", name="Discard…").click()
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_label("Why").fill("a test event")
    await page.get_by_role("button", name="Discard 1 dead letter").click()
    await page.get_by_text("1 could not be done now.").wait_for()
    assert len(letters(console.daemons)) == 1


async def test_without_redis_the_console_shows_what_postgres_knows(
    page: Page, console: Console
):
    await delivered(console, type="backup.failed", service="db", stakeholders="sre")
    with redis.Redis.from_url(console.daemons.redis_url) as client:
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            await page.goto(console.url)
            await page.get_by_text("Redis is away").wait_for()
            await page.goto(f"{console.url}/dead-letters")
            await page.get_by_text("Redis cannot be asked now.").wait_for()
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


async def test_overview_says_what_holds_a_channel_back(page: Page, daemons: Daemons):
    await daemons.start(
        TEAMS_WEBHOOK_PMO="placeholder", TEAMS_RATE_LIMIT_REQUESTS="60", TEAMS_BREAKER__FAILURES="2", TEAMS_RETRY_FACTOR="1",
    )  # fmt: skip
    daemons.receiver.answer(429, headers={"Retry-After": "300"}, times=1)
    xadd(daemons.redis_url, {"type": "a.b", "stakeholders": "sre", "priority": "HIGH"})
    await daemons.receiver.wait_for(1)
    daemons.receiver.answer(404, times=1)
    xadd(daemons.redis_url, {"type": "a.b", "stakeholders": "devops"})
    await daemons.receiver.wait_for(2)
    daemons.receiver.answer(500)
    xadd(daemons.redis_url, {"type": "a.b", "stakeholders": "cloudops"})
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
    await page.goto(console.letter_address)
    await page.get_by_role("button", name="Replay…").click()
    assert await page.get_by_label("Your name").count() == 0
    await page.get_by_text("You are signed in as sara@example.com").wait_for()
    # A form that was made for one operator is no good for another.
    await page.set_extra_http_headers({"X-Forwarded-User": "mallory@example.com"})
    await page.get_by_role("button", name="Replay 1 dead letter").click()
    await page.get_by_role("heading", name="This form is out of date").wait_for()
    assert len(letters(daemons)) == 1
    await page.set_extra_http_headers({"X-Forwarded-User": "sara@example.com"})
    await page.goto(console.letter_address)
    await page.get_by_role("button", name="Replay…").click()
    await page.get_by_role("button", name="Replay 1 dead letter").click()
    await page.get_by_role("heading", name="Replayed 1 of 1").wait_for()

    [record] = actions(daemons)
    assert record["who"] == "sara@example.com"


async def test_the_check_itself_finds_faults(page: Page, console: Console):
    await page.goto(f"{console.url}/search")
    await page.evaluate(
        """() => {
          document.querySelector("label").remove();
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("h1{color:#ccc} main{width:3000px}");
          document.adoptedStyleSheets = [sheet];
        }"""
    )
    found = "\n".join(await faults_of(page, "broken"))
    for what in ("label", "color-contrast", "wide in"):
        assert what in found
