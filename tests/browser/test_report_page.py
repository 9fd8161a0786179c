"""The report in a real browser: light, dark, on a phone, without a network."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from notifier.ops.report.figures import (
    Acknowledged,
    Count,
    Figures,
    Latency,
    Slot,
    Unacknowledged,
)
from notifier.ops.report.page import report_page
from tests.support.browser import MARKS
from tests.support.report_figures import PERIOD, figures

pytestmark = MARKS

PALE = """
() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((value) => { const part = value / 255; return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent).join("").trim();
    if (!text) continue;
    const [light, dark] = [luminance(channels(getComputedStyle(element).color)), luminance(background(element))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${text}`);
  }
  return found;
}
"""


def busy() -> Figures:
    starts = PERIOD.starts()
    trend = tuple(
        Slot(start, 40 + number, 40 + number - number % 3, 0.8 + number / 30, 200.0 + number * 9)
        for number, start in enumerate(starts)
    )  # fmt: skip
    counts = tuple(
        Count(name, 900 - place * 90, 880 - place * 90, 12)
        for place, name in enumerate(("nphies_integration", "compliance", "x" * 64))
    )
    latency = Latency("", 2_400, 0.41, 2.3, 4.2)
    return figures(
        all=Count("", 2_430, 2_370, 36),
        by_event_type=counts, by_channel=counts, by_priority=counts, dead_letters=(("rejected", 50), ("card_error", 10)),
        latency=latency, latency_by_channel=(Latency("nphies_integration", 900, 0.4, 1.2, 1.9),),
        acknowledged=(Acknowledged("CRITICAL", 40, 412, 300, 1_300, (5, 20, 31, 38, 39, 40)),),
        unacknowledged=Unacknowledged(12, 5_400.0), actions=(("acknowledge", 40),), escalations=(("unanswered", 9),),
        dead_letter_actions=(("replay", 12),), trend=trend,
    )  # fmt: skip


@pytest.fixture
def address(tmp_path: Path) -> str:
    file = tmp_path / "report.html"
    file.write_text(report_page(busy()), "utf-8")
    return file.as_uri()


async def opened(page: Page, address: str) -> list[str]:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text))
    page.on("request", lambda asked: faults.append(asked.url) if asked.url != address else None)
    await page.goto(address)
    return faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_everything_can_be_read_and_nothing_is_fetched(
    page: Page, address: str, scheme: Any, width: int
):
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    faults = await opened(page, address)
    await page.evaluate("document.querySelector('details').open = true")

    assert await page.evaluate(PALE) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 23, 27)") == (scheme == "dark")
    assert faults == []


async def test_targets_are_told_by_words_and_charts_have_their_figures_beside_them(
    page: Page, address: str
):
    await opened(page, address)

    cards = page.locator(".card")
    assert await cards.count() == 5
    assert "missed" in await cards.nth(0).inner_text()
    assert "not measured" in await cards.nth(2).inner_text()
    assert await page.get_by_text("0 of 4 measured targets are met.").is_visible()
    drawings = page.get_by_role("img")
    assert await drawings.count() == 3
    table = page.get_by_role("region", name="Trend per hour")
    assert not await table.is_visible()
    await page.locator("summary").focus()
    await page.keyboard.press("Enter")
    assert await table.is_visible()
    assert await table.locator("tbody tr").count() == len(PERIOD.starts())


async def test_columns_are_drawn_where_something_ended(page: Page, address: str):
    await opened(page, address)
    boxes = await page.evaluate(
        """() => [...document.querySelectorAll("figure:first-child rect.good")].map((column) => column.getBoundingClientRect().height)"""
    )
    assert len(boxes) == len(PERIOD.starts())
    assert boxes[-1] > boxes[0] > 20
    assert PERIOD.until - PERIOD.since == timedelta(days=2)


async def test_axe_finds_nothing_to_mend(page: Page, address: str):
    await page.goto(address)
    await page.evaluate("document.querySelector('details').open = true")
    found = await Axe().run(page)
    assert found.response["violations"] == []
