"""Take the pictures of the documents: `make pictures` (needs Chromium)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import redis
from playwright.sync_api import Locator, Page, sync_playwright

FOLDER = Path(__file__).parent
WAIT_SECONDS = 120.0
SAMPLES = 36
"""One event of each type."""
SANDBOX = [sys.executable, "-m", "notifier", "sandbox", "--json", "--port=0", f"--events={SAMPLES}", "--rate=20"]  # fmt: skip
SETTINGS = {
    "TEAMS_LINKS__CLAIMS_APP": "https://claims.example",
    "TEAMS_LINKS__REJECTION_GUIDE": "https://guide.example",
    "TEAMS_LINKS__NPHIES_STATUS": "https://status.example",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")  # fmt: skip
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
LOOK: dict[str, Any] = {"color_scheme": "light", "reduced_motion": "reduce", "locale": "en-US", "timezone_id": "Asia/Riyadh"}  # fmt: skip
MARGIN = 12
BACKUP = {"type": "backup.failed", "stakeholders": ["compliance"], "data": {"service": "PostgreSQL"}}  # fmt: skip
BACKLOG = {"type": "celery.queue.backlog", "stakeholders": ["runtime_eng"], "data": {"queue": "claims"}}  # fmt: skip


class Sandbox:
    """A running sandbox: publish to it, and wait for what follows."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.teams_url = addresses["teams_url"]
        self.console_url = f"{addresses['admin_url']}/console"
        self._redis = redis.Redis.from_url(addresses["redis_url"])
        self._database_url = addresses["database_url"]

    def publish(self, event: dict[str, Any]) -> str:
        """Publish an event and return its id."""
        entry_id: Any = self._redis.xadd("teams:events", {"event": json.dumps(event)})
        return str(entry_id.decode())

    def deliver(self, event: dict[str, Any]) -> None:
        """Publish an event and wait until each of its notifications has ended."""
        where, channels = f"WHERE event_id = '{self.publish(event)}'", event["stakeholders"]
        until(lambda: self.recorded("count(*)", where) == len(channels))

    def recorded(self, figure: str, where: str = "") -> int:
        """Return a figure of the audit trail."""
        with psycopg.connect(self._database_url) as connection:
            query = f"SELECT {figure} FROM teams_notifications {where}"
            [(found,)] = connection.execute(query.encode()).fetchall()
        return int(found)

    def is_idle(self) -> bool:
        """Tell whether no notification waits or is in flight."""
        lanes = self._redis.scan_iter("{teams:events}:lane:*", _type="stream")
        return not any(map(self._redis.xlen, [*lanes, "{teams:events}:outcomes"]))

    def refuse(self, shares: str) -> None:
        """Let the local Teams refuse these shares of the posts."""
        urlopen(f"{self.teams_url}/faults", shares.encode()).close()


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Start a sandbox; end it, whatever happens."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = os.environ | SETTINGS
    with subprocess.Popen(SANDBOX, stdout=subprocess.PIPE, text=True, env=environment) as process:  # fmt: skip
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield Sandbox(json.loads(line or sys.exit("the sandbox did not start; see above")))
        finally:
            process.terminate()


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"what a picture needs did not come within {WAIT_SECONDS:g} s")
        time.sleep(0.1)


def take(page: Page, last: Locator, name: str) -> None:
    """Write a picture of a page, down to just below the element `last`."""
    last.wait_for()
    bottom = last.evaluate("(element) => scrollY + element.getBoundingClientRect().bottom")
    clip: Any = {"x": 0, "y": 0, "width": page.evaluate("innerWidth"), "height": bottom + MARGIN}  # fmt: skip
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True, clip=clip, animations="disabled", caret="hide")  # fmt: skip


def make(box: Sandbox, page: Page, phone: Page) -> None:
    """Bring about something to see, and take its pictures."""
    until(lambda: box.recorded("count(DISTINCT event_type)") == SAMPLES and box.is_idle())
    box.refuse("500:1")
    box.deliver(BACKUP)
    box.refuse("")
    for event in json.loads((FOLDER / "events.json").read_text(encoding="utf-8")):
        box.deliver(event)

    page.set_viewport_size({"width": 960, "height": 900})
    page.goto(f"{box.teams_url}/channel/nphies_integration")
    messages = page.locator(".message")
    take(page, messages.nth(2), "channel")
    with page.expect_popup() as popup:
        messages.first.get_by_text("Acknowledge", exact=True).click()
    phone.goto(popup.value.url)
    phone.get_by_label("Your name").fill("Sara Al-Qahtani")
    phone.get_by_label("Note").fill("The gateway team is on it.")
    button = phone.get_by_role("button", name="Acknowledge")
    take(phone, button, "acknowledge")
    button.click()
    until(lambda: box.recorded("count(acknowledged_at)") == 1)

    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto(f"{box.console_url}/search?q=outage-0042")
    take(page, page.locator("footer"), "trace")
    for _ in range(30):
        box.publish(BACKLOG)
    crowded = page.get_by_text("At its limit")
    until(lambda: page.goto(box.console_url) is not None and crowded.is_visible())
    take(page, page.locator("section[aria-labelledby=lanes]"), "console")


def main() -> None:
    """Make all pictures."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit("there is no Chromium or Chrome on PATH; install one, then run make pictures")
    with sandbox() as box, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        phone = browser.new_page(viewport={"width": 390, "height": 700}, device_scale_factor=2, **LOOK)  # fmt: skip
        make(box, browser.new_page(**LOOK), phone)
        browser.close()


if __name__ == "__main__":
    main()
