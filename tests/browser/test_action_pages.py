"""Action pages in a real browser: sizes, colours, languages, keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page

from notifier.escalation.acknowledge import ActionService
from notifier.events.action import Action, Via
from notifier.events.signing import action_token
from notifier.web.http.clients import Clients
from notifier.web.http.limits import RequestLimit
from notifier.web.public.app import PublicDependencies, create_public_app
from tests.support.action_memory import FACTS, ID, NOW, Memory
from tests.support.browser import MARKS, errors_of, faults_of

pytestmark = MARKS

SECRET = "a key for the pages of this test"
EXPIRES = int((NOW + timedelta(days=1)).timestamp())
LONG = (
    "CRITICAL: NPHIES API error 503 during claim submission. "
    + "Operation-of-one-long-unbroken-word" * 4
)
FACTS_BY_LANG = {
    "en": replace(FACTS, priority="CRITICAL", event_type="nphies.api.error", summary=LONG, correlation_id="corr-" + "7f" * 60),
    "ar": replace(FACTS, lang="ar", priority="HIGH", event_type="nphies.claim.rejected", summary="أولوية عالية: رُفضت المطالبة CLM-2026-000123 من شركة التعاونية (7001071327)."),
}  # fmt: skip

SMALL = """
() => [...document.querySelectorAll("input,textarea,button")].map((each) => each.getBoundingClientRect().height).filter((height) => height < 44)
"""
"""Heights of fields and buttons that a finger misses."""


@dataclass
class Site:
    """The real pages over remembered actions."""

    url: str
    memory: Memory

    def link(self, action: str = "acknowledge", *, expires_at: int = EXPIRES) -> str:
        token = action_token(SECRET, notification_id=ID, action=action, expires_at=expires_at)
        return f"{self.url}/a/{token}"

    def take(self, who: str) -> None:
        self.memory.first[ID] = Action(ID, "acknowledge", who, "", Via.PAGE, NOW)


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    memory = Memory()
    parts = PublicDependencies(
        lambda: [SECRET], ActionService(memory, memory), lambda: Clients([], ""), RequestLimit(1000, lambda: 0.0),
        lambda: {"sre": "SRE"}, lambda: ZoneInfo("Asia/Riyadh"), lambda: False, lambda: NOW,
    )  # fmt: skip
    runner = web.AppRunner(create_public_app(parts))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Site(f"http://127.0.0.1:{runner.addresses[0][1]}", memory)
    await runner.cleanup()


@pytest.mark.parametrize(
    ("lang", "theme", "width"),
    [("en", "light", 320), ("en", "dark", 1100), ("ar", "dark", 320), ("ar", "light", 1100)],
)
async def test_every_page_is_readable_labelled_and_fits(
    page: Page, site: Site, lang: str, theme: Any, width: int
):
    errors = errors_of(page)
    await page.set_extra_http_headers({"Accept-Language": lang})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await page.set_viewport_size({"width": width, "height": 800})
    site.memory.known = {ID: FACTS_BY_LANG[lang]}
    wrong: dict[str, list[Any]] = {}

    async def look(name: str, address: str = "") -> None:
        if address:
            await page.goto(address)
        wrong[name] = await faults_of(page, f"{lang}-{name}-{theme}-{width}")
        wrong[name] += await page.evaluate(SMALL)

    await look("escalate", site.link("escalate"))
    await page.goto(site.link())
    await page.locator("#who").fill(" ")
    await page.locator("#note").fill("ملاحظة note")
    await page.locator("button").click()
    await look("problem")
    await page.locator("#who").fill("عبدالله الحربي" if lang == "ar" else "Sara " + "x" * 90)
    await page.locator("button").click()
    await look("done")
    await look("acknowledged", site.link())
    site.memory.first.clear()
    site.memory.postgres_away = True
    await look("no facts", site.link())
    await look("expired", site.link(expires_at=1))

    assert {name: found for name, found in wrong.items() if found} == {}
    assert [each for each in errors if "Failed to load resource" not in each] == []
    direction = await page.evaluate("document.documentElement.dir")
    assert direction == ("rtl" if lang == "ar" else "ltr")


async def test_keyboard_alone_is_enough_and_the_focus_goes_to_the_fault(page: Page, site: Site):
    await page.goto(site.link())
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.id") == "who"
    await page.keyboard.type(" ")
    await page.keyboard.press("Enter")
    await page.locator("[role=alert]").wait_for()

    assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert (await page.title()).startswith("Error:")
    assert await page.locator("#who").get_attribute("aria-invalid") == "true"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    # The link in the summary leads to the field; Chromium goes on from there.
    await page.locator("#who").focus()
    await page.keyboard.type("Sara")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Recorded").wait_for()
    assert site.memory.first[ID].who == "Sara"


async def test_it_works_without_scripts_and_never_submits_alone(page: Page, site: Site):
    assert page.context.browser is not None
    context = await page.context.browser.new_context(java_script_enabled=False)
    plain = await context.new_page()
    await plain.goto(site.link("retry_task"))
    assert site.memory.first == {}
    await plain.get_by_label("Your name").fill("Sara")
    await plain.get_by_role("button").click()
    await plain.get_by_role("heading", name="Recorded").wait_for()
    await context.close()

    assert [request["requested_by"] for request in site.memory.requests] == ["Sara"]


async def test_a_scanner_that_clicks_everything_does_nothing(page: Page, site: Site):
    """Link scanners run scripts and press buttons, but type nothing."""
    await page.goto(site.link())
    await page.evaluate(
        "() => { for (const element of document.querySelectorAll('button,a,input')) element.click(); }"
    )
    await page.evaluate("() => document.forms[0].submit()")
    await page.locator("[role=alert]").wait_for()

    assert site.memory.first == {}
