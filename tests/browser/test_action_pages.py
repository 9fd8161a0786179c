"""Action pages in a real browser: on a phone and a desktop, light and dark, in English and Arabic, with a keyboard, without scripts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any, Literal
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
from tests.support.browser import MARKS

pytestmark = MARKS

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
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

CHECKS = """
() => {
  const found = [];
  const tell = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((value) => { const part = value / 255; return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const ratio = (one, other) => { const [a, b] = [luminance(one), luminance(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  if (document.documentElement.scrollWidth > innerWidth) found.push(`page is ${document.documentElement.scrollWidth} wide in ${innerWidth}`);
  if (!document.documentElement.lang || !document.documentElement.dir) found.push("html has no lang or dir");
  if (!document.title.trim()) found.push("no title");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) found.push("an id twice");
  if (document.querySelector("script,[style],[onclick],[onload]")) found.push("script or inline style");
  for (const element of document.querySelectorAll("input,textarea,button,a")) {
    const box = element.getBoundingClientRect();
    if (element.matches("input,textarea") && !(element.labels && element.labels[0] && element.labels[0].innerText.trim())) tell("no label", element);
    if (element.matches("button,a") && !element.innerText.trim()) tell("no name", element);
    if (!element.matches("a") && box.height < 44) tell(`only ${box.height} high`, element);
    for (const id of (element.getAttribute("aria-describedby") || "").split(" ").filter(Boolean))
      if (!document.getElementById(id)) tell(`describes by missing ${id}`, element);
    if (element.matches("input,textarea") && ratio(channels(getComputedStyle(element).borderTopColor), background(element.parentElement)) < 3) tell("pale border", element);
  }
  for (const element of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (box.width && (box.right > innerWidth + 1 || box.left < -1)) tell("outside the page", element);
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent).join("").trim();
    if (!text) continue;
    const contrast = ratio(channels(style.color), background(element));
    if (contrast < 4.5) tell(`contrast ${contrast.toFixed(2)}`, element);
    if (parseFloat(style.fontSize) < 14) tell("small text", element);
  }
  return found;
}
"""


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


async def looked_at(page: Page, name: str) -> list[Any]:
    """Return what is wrong with the page in both themes and widths; keeps pictures when a folder for them is named."""
    found: list[Any] = []
    for theme, width in product(THEMES, (320, 1100)):
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        await page.set_viewport_size({"width": width, "height": 800})
        found += [f"{theme} {width}: {fault}" for fault in await page.evaluate(CHECKS)]
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            shot = Path(folder) / f"{name}-{theme}-{width}.png"
            await page.screenshot(path=shot, full_page=True)
    return found


@pytest.mark.parametrize("lang", ["en", "ar"])
async def test_every_page_is_readable_labelled_and_fits(page: Page, site: Site, lang: str):
    faults: list[str] = []
    page.on(
        "console",
        lambda line: faults.append(line.text) if "Content Security" in line.text else None,
    )
    await page.set_extra_http_headers({"Accept-Language": lang})
    site.memory.known = {ID: FACTS_BY_LANG[lang]}
    shot = lang
    wrong: dict[str, list[Any]] = {}
    for action in ("acknowledge", "escalate", "retry_task", "discard_task", "poll_nphies"):
        await page.goto(site.link(action))
        wrong[action] = await looked_at(page, f"{shot}-{action}")
    await page.goto(site.link())
    await page.locator("#who").fill(" ")
    await page.locator("#note").fill("ملاحظة note")
    await page.locator("button").click()
    wrong["problem"] = await looked_at(page, f"{shot}-problem")
    await page.locator("#who").fill("عبدالله الحربي" if lang == "ar" else "Sara " + "x" * 90)
    await page.locator("button").click()
    wrong["done"] = await looked_at(page, f"{shot}-done")
    await page.goto(site.link())
    wrong["taken"] = await looked_at(page, f"{shot}-taken")
    site.memory.first.clear()
    site.memory.postgres_away = True
    await page.goto(site.link())
    wrong["no facts"] = await looked_at(page, f"{shot}-no-facts")
    for name, address in (("expired", site.link(expires_at=1)), ("invalid", f"{site.url}/a/x")):
        await page.goto(address)
        wrong[name] = await looked_at(page, f"{shot}-{name}")

    assert {name: found for name, found in wrong.items() if found} == {}
    assert faults == []
    direction = await page.evaluate("document.documentElement.dir")
    assert direction == ("rtl" if lang == "ar" else "ltr")


async def test_the_check_itself_finds_faults(page: Page, site: Site):
    await page.goto(site.link())
    await page.evaluate(
        """() => {
          document.querySelector("label").remove();
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("h1{color:#ccc}@media (prefers-color-scheme:dark){h1{color:#333}} dl{width:3000px}");
          document.adoptedStyleSheets = [sheet];
        }"""
    )
    found = "\n".join(await page.evaluate(CHECKS))
    for what in ("no label", "contrast", "wide in", "outside the page"):
        assert what in found


async def test_keyboard_alone_is_enough_and_the_focus_goes_to_what_is_wrong(
    page: Page, site: Site
):
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


async def test_screen_reader_hears_names_and_descriptions(page: Page, site: Site):
    await page.goto(site.link())
    tree = await page.locator("main").aria_snapshot()
    assert 'heading "Acknowledge" [level=1]' in tree
    assert 'textbox "Your name"' in tree
    assert 'textbox "Note (optional)"' in tree
    assert 'button "Acknowledge"' in tree


async def test_it_works_without_scripts_and_never_submits_itself(page: Page, site: Site):
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


async def test_double_click_and_reload_are_harmless(page: Page, site: Site):
    await page.goto(site.link("retry_task"))
    await page.get_by_label("Your name").fill("Sara")
    await page.get_by_role("button").dblclick()
    await page.get_by_role("heading", name="Recorded").wait_for()
    await page.reload()
    await page.get_by_role("heading", name="Recorded").wait_for()

    assert len(site.memory.requests) == 1


async def test_page_cannot_be_framed_and_sends_no_referrer(page: Page, site: Site):
    await page.goto(site.link())
    framed = await page.evaluate(
        """async (url) => {
          const frame = document.createElement("iframe");
          document.body.append(frame);
          frame.src = url;
          await new Promise((next) => { frame.onload = next; setTimeout(next, 5000); });
          try { return frame.contentDocument ? frame.contentDocument.title : "blocked"; } catch { return "blocked"; }
        }""",
        site.link(),
    )
    assert framed in ("", "blocked")
    assert await page.evaluate("document.referrer") == ""
