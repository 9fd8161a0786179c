"""The console in a real browser, over a real daemon and servers."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest
from playwright.async_api import Page

from tests.support.browser import MARKS, errors_of, faults_of
from tests.support.console import Console, delivered, refused
from tests.support.waiting import until

pytestmark = MARKS


async def something_of_everything(console: Console) -> None:
    await refused(console, 3)
    console.daemons.add({"type": "no.route", "note": "A shift note that nobody routes. " * 8})
    console.daemons.add(
        {"event": '{"type": "a.b", "data": {"patient_id": "PAT-12345"}', "id": "broken"},
    )
    await until(lambda: len(console.daemons.dead_entries()) == 5)
    await delivered(console, type="nphies.claim.rejected", claim_id="CLM-2026-000123", rejection_code="INV-001", rejection_reason="The service is not covered.", lang="ar", patient_id="PAT-12345", payer="التعاونية", stakeholders="pmo")  # fmt: skip
    await delivered(console, type="nphies.api.error", error_type="api", http_status="503", operation="claim submission", error_message="Service unavailable", correlation_id="corr-" + "7f" * 40, stakeholders="nphies_integration,devops,sre")  # fmt: skip
    await delivered(console, type="vault.seal.detected", node="vault-2", cluster_id="c1", impact="No secret can be read.", stakeholders="security_eng,sre")  # fmt: skip
    with psycopg.connect(console.daemons.database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET acknowledged_by = 'Sara Al-Qahtani', acknowledged_at = now(), action_taken = 'acknowledge',"
            ' action_data = \'{"via": "page", "note": "on it"}\' WHERE event_type = \'vault.seal.detected\' AND channel = \'sre\''
        )


def addresses(console: Console) -> dict[str, str]:
    found = console.daemons.rows()
    by_type = {row["event_type"]: row for row in found}
    died = {fields["reason"]: entry for entry, fields in console.daemons.dead_entries()}
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


async def card_is_shown(page: Page) -> None:
    """Wait until a notification's card is rendered in a frame of its height."""
    card = page.frame_locator("iframe").locator(".ac-adaptiveCard")
    await card.wait_for()
    high = await card.evaluate("(card) => card.offsetHeight")
    await page.wait_for_function("(high) => Math.abs(document.querySelector('iframe').clientHeight - high) < 40", arg=high)  # fmt: skip


@pytest.mark.slow  # axe-core takes half a second of processor time a page
@pytest.mark.parametrize(("theme", "width"), [("light", 320), ("dark", 1280)])
async def test_every_page_is_accessible_fits_and_loads_nothing_from_elsewhere(
    page: Page, console: Console, theme: Any, width: int
):
    errors, loaded = errors_of(page), list[str]()
    page.on("request", lambda request: loaded.append(request.url))
    await something_of_everything(console)
    # Without motion: colours that fade into each other are too pale half way.
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await page.set_viewport_size({"width": width, "height": 800})
    wrong: dict[str, list[str]] = {}
    for name, address in addresses(console).items():
        answer = await page.goto(address)
        if "/notifications/" in address:
            await card_is_shown(page)
        wrong[name] = await faults_of(page, f"{name}-{theme}-{width}")
        assert answer is not None
        assert answer.headers["cache-control"] == "no-store", name
        assert "default-src 'none'" in answer.headers["content-security-policy"], name
        assert console.daemons.receiver.url("sre") not in await answer.text(), name

    assert {name: found for name, found in wrong.items() if found} == {}
    assert [each for each in errors if "404" not in each and "422" not in each] == []
    assert [url for url in loaded if not url.startswith((console.url, "data:"))] == []


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
    assert len(console.daemons.dead_entries()) == 1

    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_label("Why").fill("the flow is on again")
    await page.get_by_role("button", name="Replay 1 dead letter").click()
    await page.get_by_role("heading", name="Replayed 1 of 1").wait_for()

    await until(lambda: console.daemons.rows()[0]["status"] == "delivered")
    assert console.daemons.dead_entries() == []
    [record] = console.daemons.dead_letter_actions()
    assert (record["action"], record["who"], record["why"]) == ("replay", "Sara", "the flow is on again")  # fmt: skip
    await page.get_by_role("link", name="Notifications").click()
    await page.get_by_role("row").filter(has_text="Delivered").get_by_role("link").click()
    text = await page.locator("main").inner_text()
    assert "202" in text
    assert "400" in text


async def test_discarding_needs_a_reason_and_keeps_the_dead_letter_in_the_record(
    page: Page, console: Console
):
    await refused(console)
    await page.goto(console.dead_letter_address)
    assert "PAT-12345" not in await page.content()
    assert "***345" in await page.locator("pre").inner_text()
    await page.get_by_role("button", name="Discard…").click()
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_label("Why").fill("  ")
    await page.get_by_role("button", name="Discard 1 dead letter").click()
    await page.get_by_role("alert").wait_for()
    assert len(console.daemons.dead_entries()) == 1
    assert await page.get_by_label("Your name").input_value() == "Sara"

    await page.get_by_label("Why").fill("a test event")
    await page.get_by_role("button", name="Discard 1 dead letter").click()
    await page.get_by_role("heading", name="Discarded 1 of 1").wait_for()

    assert console.daemons.dead_entries() == []
    [record] = console.daemons.dead_letter_actions()
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
    # A dead letter that comes while the form is open was not counted, so it is left alone.
    await refused(console)
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_role("button", name="Replay 3 dead letters").click()
    await page.get_by_role("heading", name="Replayed 3 of 3").wait_for()

    left = [fields["event_type"] for _, fields in console.daemons.dead_entries()]
    assert left == ["celery.task.failed", "backup.failed"]


async def test_a_second_click_and_a_reload_change_nothing(page: Page, console: Console):
    await refused(console)
    await page.goto(console.dead_letter_address)
    await page.get_by_role("button", name="Replay…").click()
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_role("button", name="Replay 1 dead letter").dblclick()
    await page.get_by_role("heading", name=re.compile("Replayed . of 1")).wait_for()
    await until(lambda: console.daemons.rows()[0]["status"] == "delivered")
    await page.reload()
    await page.get_by_text("1 was replayed or discarded before.").wait_for()

    assert "by Sara" in await page.locator("main").inner_text()
    assert len(console.daemons.receiver.requests) == 2
    [record] = console.daemons.dead_letter_actions()
    assert record["who"] == "Sara"


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
    await plain.goto(console.dead_letter_address)
    await plain.get_by_role("button", name="Replay…").click()
    await plain.get_by_label("Your name").fill("Sara")
    await plain.get_by_role("button", name="Replay 1 dead letter").click()
    await plain.get_by_role("heading", name="Replayed 1 of 1").wait_for()
    await plain.goto(f"{console.url}/notifications/{console.daemons.rows()[0]['id']}")
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
