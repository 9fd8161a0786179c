"""The console in a real browser, over a real daemon, Redis and Postgres: what an operator finds and does."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
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
