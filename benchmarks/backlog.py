"""Measure the daemon's memory and urgent notifications during a backlog.

Run: `make bench-backlog`. Servers, receiver and one daemon with all stages run on this machine. One channel answers 503 while
events come for it, another one works; then the first one is back. Finally a noisy producer fills the event stream at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import redis.asyncio
from aiohttp import web

from notifier.broker.keys import Keys
from notifier.config import load_config
from notifier.events.notification import notification_id
from notifier.sandbox.servers import Server, start_postgres, start_redis
from notifier.store.migrations import migrate_up

STREAM, OWN = "teams:events", "teams:urgent"
KEYS = Keys(STREAM)
RESULTS = Path(__file__).resolve().parent / "results" / "backlog.json"
DOWN, UP = "pmo", "sre"
ACCEPTED = web.HTTPAccepted.status_code


@dataclass
class Receiver:
    """Answer 503 on a channel that is down, else 202, and note arrivals."""

    down: set[str] = field(default_factory=set)
    awaited: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    accepted: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Answer one post."""
        await request.read()
        if request.match_info["channel"] in self.down:
            return web.Response(status=503)
        self.accepted += 1
        came = self.awaited.pop(request.headers["webhook-id"], None)
        if came is not None and not came.done():
            came.set_result(time.perf_counter())
        return web.Response(status=ACCEPTED)


@dataclass
class Bench:
    """Everything a measurement needs."""

    client: redis.asyncio.Redis
    receiver: Receiver
    process: asyncio.subprocess.Process

    def memory_mb(self) -> tuple[float, float]:
        """Return the daemon's resident memory now and its highest, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return tuple(int(sizes[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]

    async def fill(self, count: int, prefix: str) -> int:
        """Publish events for the channel that is down; return the bytes of one."""
        text = (
            "Provider portal answered slowly while the batch was checked; see the log of the worker. "
            * 4
        )
        size = 0
        for start in range(0, count, 1000):
            pipeline = self.client.pipeline(transaction=False)
            for number in range(start, min(start + 1000, count)):
                fields = {
                    "type": "followup.batch.status", "stakeholders": DOWN, "id": f"{prefix}{number}", "priority": "INFO",
                    "data": json.dumps({"batch_no": f"B-{number}", "branch": "Riyadh", "status": "open", "note": text}),
                }  # fmt: skip
                size = sum(len(key) + len(value) for key, value in fields.items())
                pipeline.xadd(STREAM, fields)  # type: ignore[arg-type]
            await pipeline.execute()
        return size

    async def urgent_seconds(
        self, name: str, channel: str, stream: str = STREAM, within: float = 900
    ) -> float:
        """Publish one CRITICAL event; returns the seconds until it was posted."""
        came: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.receiver.awaited[notification_id(stream, name, channel)] = came
        start = time.perf_counter()
        await self.client.xadd(
            stream,
            {"type": "system.redis.connection_lost", "stakeholders": channel, "id": name, "service": "redis"},
        )  # fmt: skip
        ended = asyncio.create_task(self.process.wait())
        await asyncio.wait({came, ended}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not came.done():
            raise SystemExit(
                f"{name} was not posted; the daemon's exit code: {self.process.returncode}"
            )
        return came.result() - start

    async def until_routed(self, count: int) -> float:
        """Wait until intake has read all; return the highest memory in MB."""
        lane = KEYS.lane(DOWN, urgent=False)
        highest = 0.0
        while await self.client.xlen(lane) < count:
            highest = max(highest, self.memory_mb()[0])
            if self.process.returncode is not None:
                raise SystemExit("the daemon ended")
            await asyncio.sleep(0.2)
        return highest


@asynccontextmanager
async def bench(redis_server: Server, database: Server) -> AsyncIterator[Bench]:
    """Start a receiver and a daemon on an empty Redis."""
    settings = Path(tempfile.gettempdir()) / f"notifier-bench-{os.getpid()}.toml"
    settings.write_text(f"streams = {json.dumps([STREAM, OWN])}\n")
    client = redis.asyncio.Redis.from_url(redis_server.url, socket_timeout=300)
    await client.flushall()
    receiver = Receiver({DOWN})
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/{channel}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier", "run", "--config", str(settings), env=_environment(redis_server, database, base),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Bench(client, receiver, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await runner.cleanup()
        await client.aclose()
        settings.unlink()


def _environment(redis_server: Server, database: Server, base: str) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    webhooks = {
        f"TEAMS_WEBHOOK_{name.upper()}": f"{base}/{name}"
        for name in load_config(None, {}).channels
    }
    return {
        "PATH": os.environ["PATH"], "REDIS_URL": redis_server.url, "DATABASE_URL": database.url, "TEAMS_ADMIN__BIND": f"127.0.0.1:{port}",
        "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1", "TEAMS_RATE_LIMIT_REQUESTS": "0", "TEAMS_LOGGING__LEVEL": "error", "TEAMS_BREAKER__OPEN_SECONDS": "2",
        "TEAMS_MAX_RETRIES": "1", "TEAMS_HMAC_SECRET_KEY": secrets.token_hex(32), **webhooks,
    }  # fmt: skip


async def measure_backlog(
    redis_server: Server, database: Server, count: int
) -> dict[str, object]:
    """Let `count` notifications wait for a failing channel, then restore it."""
    async with bench(redis_server, database) as it:
        await it.urgent_seconds("first", UP)
        idle = it.memory_mb()[0]
        start = time.perf_counter()
        size = await it.fill(count, "e")
        # A handful end as dead letters before the breaker opens.
        routing = await it.until_routed(count - 50)
        routed = time.perf_counter() - start
        waits = [await it.urgent_seconds(f"other{number}", UP) for number in range(50)]
        waiting = it.memory_mb()[0]
        it.receiver.down.clear()
        urgent = await it.urgent_seconds("same", DOWN)
        accepted, start = it.receiver.accepted, time.perf_counter()
        lane = KEYS.lane(DOWN, urgent=False)
        while time.perf_counter() - start < 20 and await it.client.xlen(lane):
            await asyncio.sleep(0.1)
        posts = (it.receiver.accepted - accepted) / (time.perf_counter() - start)
        info = await it.client.info("memory")
        return {
            "waiting": count, "event_bytes": size, "daemon_idle_mb": round(idle, 1), "daemon_while_routing_mb": round(routing, 1),
            "daemon_while_waiting_mb": round(waiting, 1), "daemon_highest_mb": round(it.memory_mb()[1], 1),
            "redis_highest_mb": round(info["used_memory_peak"] / 2**20), "routed_per_second": round(count / routed),
            "urgent_other_channel_ms": {"median": round(statistics.median(waits) * 1000, 1), "highest": round(max(waits) * 1000, 1)},
            "urgent_same_channel_when_back_s": round(urgent, 2), "posts_per_second_when_back": round(posts),
        }  # fmt: skip


async def measure_noise(
    redis_server: Server, database: Server, count: int
) -> dict[str, object]:
    """Add `count` events at once, and urgent ones behind them."""
    async with bench(redis_server, database) as it:
        await it.urgent_seconds("first", UP)
        quiet = [await it.urgent_seconds(f"quiet{number}", UP) for number in range(20)]
        # The daemon is stopped meanwhile, so that all of them wait when it continues.
        it.process.send_signal(signal.SIGSTOP)
        await it.fill(count, "n")
        it.process.send_signal(signal.SIGCONT)
        start = time.perf_counter()
        lane = KEYS.lane(DOWN, urgent=False)
        behind = [asyncio.create_task(it.urgent_seconds("behind", UP))]
        own = [asyncio.create_task(it.urgent_seconds("own", UP, OWN))]
        # A handful end as dead letters before the breaker opens.
        while await it.client.xlen(lane) < count - 50:
            await asyncio.sleep(0.2)
            number = len(own)
            behind.append(asyncio.create_task(it.urgent_seconds(f"behind{number}", UP)))
            own.append(asyncio.create_task(it.urgent_seconds(f"own{number}", UP, OWN)))
        read = time.perf_counter() - start
        waits = await asyncio.gather(*behind)
        return {
            "events": count, "all_read_after_s": round(read, 1), "urgent_quiet_ms": round(statistics.median(quiet) * 1000, 1),
            "urgent_behind_all_s": round(waits[0], 2), "urgent_meanwhile_s": _spread(waits[1:], 1, 3),
            "urgent_in_own_stream_ms": _spread(await asyncio.gather(*own), 1000, 1),
        }  # fmt: skip


def _spread(waits: Sequence[float], factor: float, digits: int) -> dict[str, float]:
    return {
        "count": len(waits),
        "median": round(statistics.median(waits) * factor, digits),
        "highest": round(max(waits) * factor, digits),
    }


async def _run(sizes: list[int], noise: list[int], path: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        fast = ("-c", "fsync=off", "-c", "full_page_writes=off")
        with start_redis(folder / "redis", extra_args=["--appendonly", "no"]) as server, start_postgres(
            folder / "postgres", extra_args=fast
        ) as database:  # fmt: skip
            migrate_up(database.url)
            backlogs = []
            for size in sizes:
                backlogs.append(await measure_backlog(server, database, size))
                print(json.dumps(backlogs[-1]), flush=True)
            noisy = []
            for size in noise:
                noisy.append(await measure_noise(server, database, size))
                print(json.dumps(noisy[-1]), flush=True)
    if path is not None:
        record = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "python": platform.python_version(), "cpus": os.cpu_count(),
            "backlog": backlogs, "noise": noisy,
        }  # fmt: skip
        path.write_text(json.dumps(record, indent=2) + "\n")


def main() -> int:
    """Measure and print one line of JSON each; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure what a backlog costs.")
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--noise", default="100000,1000000")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    sizes = [int(part) for part in given.sizes.split(",") if part]
    noise = [int(part) for part in given.noise.split(",") if part]
    asyncio.run(_run(sizes, noise, RESULTS if given.write else None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
