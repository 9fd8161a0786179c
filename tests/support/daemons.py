"""Real daemons as processes, with their log kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from notifier.config import load_config
from tests.support import state
from tests.support.ports import quiet_port
from tests.support.processes import Process, start

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"


@dataclass
class Daemons:
    """Starts `notifier run` against the test's own servers."""

    redis_url: str
    database_url: str
    receiver: Any
    folder: Path
    processes: list[Process] = field(default_factory=list)
    admin_urls: list[str] = field(default_factory=list)

    async def start(
        self,
        *arguments: str,
        ready: bool = True,
        program: str = "notifier",
        **env: str,
    ) -> Process:
        """Start one daemon; with `ready`, return when /readyz answers 200."""
        port = quiet_port()
        number = len(self.processes)
        with (self.folder / f"{number}.log").open("wb") as log:
            process = start(
                "run",
                "--instance",
                f"test{number}",
                *arguments,
                program=program,
                env=self._env(port) | env,
                output=log,
            )
        self.processes.append(process)
        self.admin_urls.append(f"http://127.0.0.1:{port}")
        if ready:
            await self._until_ready(process, f"http://127.0.0.1:{port}/readyz")
        return process

    async def all_ready(self) -> None:
        """Return when /readyz of every process answers 200.

        Raises:
            AssertionError: A process has ended.
        """
        for process, url in zip(self.processes, self.admin_urls, strict=True):
            await self._until_ready(process, f"{url}/readyz")

    async def stop(self) -> None:
        """End whatever still runs."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def publish(self, **fields: str) -> str:
        """Add an event for `sre` to the event stream; return its entry id."""
        return self.add({"type": "a.b", "stakeholders": "sre"} | fields)

    def add(self, fields: Mapping[Any, Any]) -> str:
        """Add an entry to the event stream; return its id."""
        return state.xadd(self.redis_url, dict(fields))

    def rows(self, query: str = state.NOTIFICATIONS) -> list[dict[str, Any]]:
        return state.rows(self.database_url, query)

    def dead_letters(self) -> list[dict[str, str]]:
        return state.dead(self.redis_url)

    def dead_entries(self) -> list[tuple[str, dict[str, str]]]:
        """Return id and fields of each dead letter."""
        return state.dead_entries(self.redis_url)

    def dead_letter_actions(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM teams_dead_letter_actions ORDER BY at")

    def lane_length(self) -> int:
        """Count what waits for `sre` and is not urgent."""
        return state.lane_length(self.redis_url)

    def left_over(self) -> dict[str, int]:
        """Count entries in lanes and outcomes, and pending events."""
        return state.left_over(self.redis_url)

    async def readiness(self) -> dict[str, Any]:
        """Return what /readyz of the first process says, with its status."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.admin_urls[0]}/readyz") as answer,
        ):
            return {**(await answer.json()), "status": answer.status}

    async def until_state(self, wanted: Callable[[Any], bool]) -> Any:
        """Return the first answer of /readyz that is as wanted."""
        async with asyncio.timeout(60):
            while not wanted(found := await self.readiness()):
                await asyncio.sleep(0.1)
        return found

    def log(self) -> str:
        """Return what all daemons wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def environment(self) -> dict[str, str]:
        """Return the environment of a command beside the daemons."""
        return self._env(0)

    def _env(self, port: int) -> dict[str, str]:
        channels = load_config(None, {}).channels
        return {
            "PATH": os.environ["PATH"],
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "TEAMS_ADMIN__BIND": f"127.0.0.1:{port}",
            "TEAMS_HMAC_SECRET_KEY": SECRET,
            "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
            "TEAMS_RATE_LIMIT_REQUESTS": "0",
            "TEAMS_REDIS__BLOCK_SECONDS": "0.2",
            "TEAMS_LOGGING__LEVEL": "debug",
            # A card about what somebody did would come at any time, beside those that a test counts.
            "TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS": "0",
            **{f"TEAMS_WEBHOOK_{name.upper()}": self.receiver.url(name) for name in channels},
        }

    async def _until_ready(self, process: Process, url: str) -> None:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                if process.returncode is not None:
                    raise AssertionError(
                        f"daemon ended with {process.returncode}:\n{self.log()}"
                    )
                try:
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectorError:
                    pass
                await asyncio.sleep(0.05)


DaemonsAt = Callable[..., Daemons]
"""Makes daemons on the Redis of this URL, and maybe on another Postgres; they end with the test."""
