"""What all tests in a real browser share: their marks, and Chromium as they need it."""

from __future__ import annotations

import os
import shutil

import pytest

MARKS = [
    pytest.mark.browser,
    # One Chromium serves them all, and it belongs to one event loop.
    pytest.mark.asyncio(loop_scope="session"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_program() -> str:
    """Return the path of Chromium or Chrome; without one the tests are skipped, in CI they fail."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    if os.path.exists(mac):
        return mac
    if os.environ.get("CI"):
        pytest.fail("CI needs Chromium")
    pytest.skip("Chromium is not installed")
