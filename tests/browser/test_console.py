"""The console in a real browser, over a real daemon and servers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.browser import MARKS, errors_of, faults_of
from tests.support.console import (
    Console,
    addresses,
    card_is_shown,
    delivered,
    refused,
    something_of_everything,
)
from tests.support.waiting import until

pytestmark = MARKS


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
