"""Every card in a real browser: each language, colour and size."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from notifier.cards.gallery import GalleryCard, gallery_page, render_samples
from notifier.cards.library import load_cards
from notifier.config import assets, load_config
from tests.support.browser import MARKS, errors_of

pytestmark = MARKS

FAULTS = """
() => {
  const found = [];
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
  for (const frame of document.querySelectorAll(".frame")) {
    const box = frame.getBoundingClientRect();
    const tell = (what, element) => found.push(`${frame.dataset.card} (${frame.className}): ${what}: ${element.textContent.slice(0, 60)}`);
    for (const element of frame.querySelectorAll("*")) {
      const own = element.getBoundingClientRect();
      if (own.width === 0) continue;
      const style = getComputedStyle(element);
      if (own.right > box.right + 1 || own.left < box.left - 1) tell("is wider than its card", element);
      if (style.overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1) tell("is cut", element);
      if (style.overflowY === "hidden" && element.scrollHeight > element.clientHeight + 2) tell("is cut below", element);
      const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent).join("").trim();
      if (!text) continue;
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const [light, dark] = [luminance(channels(style.color)), luminance(background(element))].sort((a, b) => b - a);
      const contrast = (light + 0.05) / (dark + 0.05);
      if (contrast < (large ? 3 : 4.5)) tell(`contrast is ${contrast.toFixed(2)}`, element);
    }
    const words = frame.innerText;
    for (const leftover of ["${", "undefined", "[object", "NaN", "null"]) if (words.includes(leftover)) tell(`shows ${leftover}`, frame);
    if (words.trim().length < 20) tell("is empty", frame);
  }
  return found;
}
"""


@functools.cache
def shown() -> list[GalleryCard]:
    folder = assets.cards_dir()
    return list(render_samples(folder, load_config(None, {}), load_cards(folder)))


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("gallery") / "cards.html"
    path.write_text(gallery_page(shown()), "utf-8")
    return path.as_uri()


async def opened(page: Page, address: str) -> list[str]:
    errors = errors_of(page)
    await page.goto(address)
    await page.locator("body[data-shown]").wait_for()
    return errors


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", ["narrow", "wide"])
async def test_no_card_overflows_is_cut_or_is_hard_to_read(
    page: Page, gallery: str, theme: str, width: str
):
    await page.set_viewport_size({"width": 760, "height": 900})
    faults = await opened(page, f"{gallery}#theme={theme}&width={width}")
    count = await page.locator(".frame").count()
    assert count == len(shown())
    found: list[Any] = await page.evaluate(FAULTS)
    assert found == []
    assert faults == []


async def test_the_check_itself_finds_bad_cards(page: Page, gallery: str):
    await opened(page, f"{gallery}#theme=light&width=narrow&card=generic")
    await page.evaluate(
        """() => {
          const frame = document.querySelector(".frame");
          frame.insertAdjacentHTML("beforeend", '<p style="color:#ccc">pale words</p><p style="width:900px">broad words</p>'
            + '<p style="overflow:hidden;white-space:nowrap">cut words ' + "x".repeat(300) + "</p><p>${left}</p>");
        }"""
    )
    found = "\n".join(await page.evaluate(FAULTS))
    for what in (
        "contrast is 1",
        "wider than its card: broad",
        "is cut: cut words",
        "shows ${",
    ):
        assert what in found


async def test_the_filters_choose_the_cards(page: Page, gallery: str):
    await opened(page, gallery)
    everything = await page.locator(".frame").count()
    assert everything == len(shown()) * 4
    await page.get_by_label("Language").select_option("ar")
    await page.get_by_label("Theme").select_option("dark")
    await page.get_by_label("Width").select_option("narrow")
    arabic = [each for each in shown() if each.lang == "ar"]
    assert await page.locator(".frame").count() == len(arabic)
    assert await page.locator(".frame .ac-adaptiveCard[dir=rtl]").count() == len(arabic)
    assert await page.locator("#count").inner_text() == f"{len(arabic)} of {len(shown())} shown"


async def test_text_of_an_event_cannot_leave_the_page_s_data(page: Page, tmp_path: Path):
    hostile = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    card = {
        "type": "AdaptiveCard", "version": "1.5",
        "body": [{"type": "TextBlock", "text": hostile, "wrap": True}],
    }  # fmt: skip
    path = tmp_path / "cards.html"
    path.write_text(
        gallery_page([GalleryCard("generic", "a.b", "en", "LOW", 1, card)]), "utf-8"
    )
    await opened(page, path.as_uri())
    assert await page.title() == "Cards"
    assert hostile in await page.locator(".frame").first.inner_text()
