"""The servers and daemons of a run, and how each is hit.

Daemons and Redis get SIGKILL, Postgres an immediate shutdown.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from time import time
from typing import TypeVar

from notifier.errors import SandboxError
from notifier.sandbox import end_with_parent
from notifier.sandbox.servers import Server, redis_server_program, start_postgres, start_redis
from notifier.store.migrations import migrate_up
from tests.chaos.journal import Journal
from tests.chaos.network import Network
from tests.chaos.plan import CHANNELS, ESCALATION, FAULTS, Action, Fault, Settings, Target, Way
from tests.chaos.receiver import ChaosReceiver
from tests.support.ports import quiet_port

IN_FLIGHT = 5
"""Posts in flight of one channel in one daemon."""
_START_TRIES = 20
_TICK_SECONDS = 0.2
_STALL_SECONDS = 1.0
_KNOBS = {
    "TEAMS_DELIVERY__IN_FLIGHT": str(IN_FLIGHT),
    "TEAMS_RATE_LIMIT_REQUESTS": "0",
    "TEAMS_REDIS__LEASE_SECONDS": "5",
    "TEAMS_REDIS__BLOCK_SECONDS": "0.5",
    "TEAMS_MAX_RETRY_DELAY": "0.5",
    "TEAMS_BREAKER__OPEN_SECONDS": "1",
    "TEAMS_CONNECTION_TIMEOUT": "3",
    "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
    "TEAMS_HMAC_SECRET_KEY": "6b1f8c0d5e2a9743b7f04c1e8d3a6952f0b8e71c4d9a2635",
    "TEAMS_LOGGING__LEVEL": "warning",
    "TEAMS_LOGGING__FORMAT": "json",
}

_Result = TypeVar("_Result")


class BrokenOffError(Exception):
    """The run cannot continue; its figures would mean nothing."""


class World:
    """Everything that runs; `hits` is the journal of what was killed and when."""

    def __init__(
        self, settings: Settings, folder: Path, receiver: ChaosReceiver, hits: Journal
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._receiver = receiver
        self._hits = hits
        # One thread: a server ends with the thread that started it (PR_SET_PDEATHSIG).
        self._thread = ThreadPoolExecutor(1)
        self._daemons: dict[int, asyncio.subprocess.Process] = {}
        self._locks = {
            (target, which): asyncio.Lock()
            for target in Target
            for which in range(max(settings.daemons, len(CHANNELS), len(FAULTS)))
        }
        # Another Redis on the same data may start empty: 6.2 does not see where 7 keeps its AOF.
        self._redis_program = redis_server_program()
        self._ports: dict[int, int] = {}
        self._stack = AsyncExitStack()
        self._network: Network
        self.redis: Server
        self.postgres: Server

    async def start(self) -> None:
        """Start servers and daemons on the data of an earlier run, if any."""
        self.redis = await self._blocking(lambda: self._start_redis(quiet_port()))
        self.postgres = await self._blocking(
            lambda: start_postgres(self._folder / "postgres", port=quiet_port())
        )
        await self._blocking(lambda: migrate_up(self.postgres.url))
        (self._folder / "settings.toml").write_text(ESCALATION)
        self._network = Network(
            {
                Way.REDIS: self.redis.url,
                Way.POSTGRES: self.postgres.url,
                Way.RECEIVER: self._receiver.url(CHANNELS[0]),
            }
        )
        await self._stack.enter_async_context(self._network.serving())
        for which in range(self._settings.daemons):
            await self._start_daemon(which)

    async def stop(self) -> None:
        """End everything."""
        for process in self._daemons.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        for name in ("redis", "postgres"):
            server: Server | None = getattr(self, name, None)
            if server is not None:
                await self._blocking(server.stop)
        await self._stack.aclose()
        self._thread.shutdown()

    def readiness_urls(self) -> dict[int, str]:
        """Return where each daemon that was started says whether it is ready."""
        return {
            which: f"http://127.0.0.1:{self._ports[which]}/readyz" for which in self._daemons
        }

    async def hit(self, action: Action) -> None:
        """Do a planned hit, restore the target, and return when it is back."""
        async with self._locks[action.target, action.which]:
            match action.target:
                case Target.DAEMON:
                    await self._hit_daemon(action)
                case Target.REDIS:
                    self._note(action, self._settings.daemons * IN_FLIGHT * len(CHANNELS))
                    await self._blocking(self.redis.kill)
                    await asyncio.sleep(action.seconds)
                    self.redis = await self._again(lambda: self._start_redis(self.redis.port))
                case Target.POSTGRES:
                    self._note(action, 0)
                    self.postgres.process.send_signal(signal.SIGQUIT)
                    await self._blocking(self.postgres.stop)
                    await asyncio.sleep(action.seconds)
                    data, port = self._folder / "postgres", self.postgres.port
                    self.postgres = await self._again(lambda: start_postgres(data, port=port))
                case Target.CHANNEL:
                    await self._receiver.outage(action.which, action.seconds)
                case Target.NETWORK:
                    await self._disturb(action)
        if action.target is not Target.NETWORK:
            self._hits.write(done=action.number)

    async def watch(self) -> None:
        """Raise when a daemon ends that nobody has killed."""
        while True:
            await asyncio.sleep(1)
            for which, process in self._daemons.items():
                lock = self._locks[Target.DAEMON, which]
                if process.returncode is not None and not lock.locked():
                    raise BrokenOffError(
                        f"daemon {which} ended with {process.returncode}; its log is in {self._folder}"
                    )

    async def notice_stalls(self) -> None:
        """Note when this process and its network stopped; until cancelled."""
        while True:
            before = time()
            await asyncio.sleep(_TICK_SECONDS)
            if time() - before - _TICK_SECONDS > _STALL_SECONDS:
                in_flight = self._settings.daemons * IN_FLIGHT * len(CHANNELS)
                self._hits.write(kill="stall", at=before, until=time(), in_flight=in_flight)

    async def _hit_daemon(self, action: Action) -> None:
        process = self._daemons[action.which]
        self._note(action, IN_FLIGHT * len(CHANNELS))
        process.kill()
        await process.wait()
        await asyncio.sleep(action.seconds)
        await self._start_daemon(action.which)

    async def _disturb(self, action: Action) -> None:
        way, fault = FAULTS[action.which]
        async with self._network.disturbed(way, fault):
            ends_posts = (
                fault in (Fault.BREAK, Fault.CUT, Fault.HANG) and way is not Way.POSTGRES
            )
            in_flight = self._settings.daemons * IN_FLIGHT * len(CHANNELS) if ends_posts else 0
            self._note(action, in_flight, way=way.value, fault=fault.value)
            await asyncio.sleep(action.seconds)
            self._hits.write(done=action.number)

    def _note(self, action: Action, in_flight: int, **more: str) -> None:
        self._hits.write(
            kill=action.target.value, number=action.number, in_flight=in_flight, which=action.which, seconds=round(action.seconds, 2), **more,
        )  # fmt: skip

    async def _start_daemon(self, which: int) -> None:
        # The port of the one before may not be free yet.
        self._ports[which] = quiet_port()
        settings = str(self._folder / "settings.toml")
        command = [
            sys.executable, "-m", "notifier", "run", "--instance", f"chaos{which}", "--config", settings,
        ]  # fmt: skip
        tied = [
            sys.executable, end_with_parent.__file__, str(os.getpid()), str(int(signal.SIGKILL)), "-1", "-1", *command,
        ]  # fmt: skip
        env = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": self._network.through(Way.REDIS, self.redis.url),
            "DATABASE_URL": self._network.through(Way.POSTGRES, self.postgres.url),
            "TEAMS_ADMIN__BIND": f"127.0.0.1:{self._ports[which]}",
            **_KNOBS,
            **{
                f"TEAMS_WEBHOOK_{name.upper()}": self._network.through(
                    Way.RECEIVER, self._receiver.url(name)
                )
                for name in CHANNELS
            },
        }
        with (self._folder / f"daemon{which}.log").open("ab") as log:
            self._daemons[which] = await asyncio.create_subprocess_exec(
                *tied, env=env, stdout=log, stderr=log
            )
        self._hits.write(started=which)

    def _start_redis(self, port: int) -> Server:
        if redis_server_program() != self._redis_program:
            raise BrokenOffError(
                f"{self._redis_program} is gone; begin again with another --folder"
            )
        sync = ["--appendfsync", self._settings.appendfsync]
        return start_redis(self._folder / "redis", port=port, extra_args=sync)

    async def _again(self, start: Callable[[], Server]) -> Server:
        """Start a server again; traces of the old one may take a moment to go."""
        for _ in range(_START_TRIES):
            try:
                return await self._blocking(start)
            except SandboxError:
                await asyncio.sleep(0.5)
        return await self._blocking(start)

    async def _blocking(self, call: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
