from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.support.console import Console
from tests.support.daemons import Daemons
from tests.support.receiver import WebhookReceiver

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_program() -> str:
    """Return the path of Chromium or Chrome, or skip; in CI, fail."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    if os.path.exists(mac):
        return mac
    if os.environ.get("CI"):
        pytest.fail("CI needs Chromium")
    pytest.skip("Chromium is not installed")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    program = chromium_program()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """A page with its own profile: no cookie, storage or cache of another."""
    context = await chromium.new_context()
    yield await context.new_page()
    await context.close()


# As those of the other tests, but in the event loop of the browser.
@pytest_asyncio.fixture(loop_scope="session")
async def webhook_receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver.listening() as receiver:
        yield receiver


@pytest_asyncio.fixture(loop_scope="session")
async def daemons(
    redis_url: str, database_url: str, webhook_receiver: WebhookReceiver, tmp_path: Path
) -> AsyncIterator[Daemons]:
    started = Daemons(redis_url, database_url, webhook_receiver, tmp_path)
    yield started
    await started.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def console(daemons: Daemons) -> Console:
    await daemons.start(
        TEAMS_PUBLIC__URL="https://notify.example", TEAMS_ESCALATION__ENABLED="true"
    )
    return Console(f"{daemons.admin_urls[0]}/console", daemons)
