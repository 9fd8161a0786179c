"""Marks and Chromium for all tests in a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

MARKS = [
    pytest.mark.browser,
    # One Chromium serves them all, and it belongs to one event loop.
    pytest.mark.asyncio(loop_scope="session"),
]
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def errors_of(page: Page) -> list[str]:
    """Collect errors of scripts and of the content policy, from now on."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    return errors


async def faults_of(page: Page, name: str) -> list[str]:
    """Return faults that axe-core finds, and whether the page is too wide.

    Keeps a picture if the variable SCREENSHOTS names a folder.
    """
    found = await Axe().run(page, options={"runOnly": AXE_RULES})
    wrong = [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]
    width, window = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    return wrong + ([f"the page is {width} wide in {window}"] if width > window else [])
