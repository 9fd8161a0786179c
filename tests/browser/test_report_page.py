"""The report in a real browser: light, dark, on a phone, offline."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
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
from tests.support.browser import MARKS, errors_of, faults_of
from tests.support.report_figures import PERIOD, figures

pytestmark = MARKS


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


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1280)])
async def test_everything_can_be_read_and_nothing_is_fetched(
    page: Page, address: str, scheme: Any, width: int
):
    errors, fetched = errors_of(page), list[str]()
    page.on("request", lambda asked: fetched.append(asked.url))
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    await page.goto(address)
    await page.evaluate("document.querySelector('details').open = true")

    assert await faults_of(page, f"report-{scheme}-{width}") == []
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 23, 27)") == (scheme == "dark")
    assert (errors, fetched) == ([], [address])


async def test_targets_have_words_and_charts_have_their_figures_beside_them(
    page: Page, address: str
):
    await page.goto(address)

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
    await page.goto(address)
    boxes = await page.evaluate(
        """() => [...document.querySelectorAll("figure:first-child rect.good")].map((column) => column.getBoundingClientRect().height)"""
    )
    assert len(boxes) == len(PERIOD.starts())
    assert boxes[-1] > boxes[0] > 20
    assert PERIOD.until - PERIOD.since == timedelta(days=2)
