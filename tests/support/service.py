"""One daemon with a settings file and credentials that a test can change."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.support.daemons import Daemons
from tests.support.waiting import until


class Service:
    """One daemon with a settings file and credentials that a test can change."""

    def __init__(self, daemons: Daemons, folder: Path) -> None:
        self.daemons = daemons
        self.file = folder / "mine.toml"
        self.credentials = folder / "credentials"
        self.credentials.mkdir()
        self.process: Any = None

    async def start(self, settings: str = "", **env: str) -> None:
        self.file.write_text(settings)
        self.process = await self.daemons.start(
            "--config", str(self.file), CREDENTIALS_DIRECTORY=str(self.credentials), **env
        )

    def credential(self, name: str, value: str) -> None:
        (self.credentials / name).write_text(value)

    async def reload(
        self, settings: str | None = None, *, refused: bool = False
    ) -> dict[str, Any]:
        """Send SIGHUP; returns the log line that says how it went."""
        event = "reload_refused" if refused else "reloaded"
        before = len(self.lines(event))
        if settings is not None:
            self.file.write_text(settings)
        self.process.send_signal(signal.SIGHUP)
        await until(lambda: len(self.lines(event)) > before)
        return self.lines(event)[-1]

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = [
            json.loads(line) for line in self.daemons.log().splitlines() if line.startswith("{")
        ]
        return [line for line in found if line["event"] == event]


def paths(daemons: Daemons) -> list[str]:
    return [request.path for request in daemons.receiver.requests]
