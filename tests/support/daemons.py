"""Real daemons as processes, with their log kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from notifier.config import load_config
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
        from_nothing: bool = False,
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
                from_nothing=from_nothing,
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


@asynccontextmanager
async def running(
    url: str, database_url: str, receiver: Any, folder: Path
) -> AsyncIterator[Daemons]:
    daemons = Daemons(url, database_url, receiver, folder)
    try:
        yield daemons
    finally:
        await daemons.stop()
