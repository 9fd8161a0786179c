"""Run one daemon in this process, from start to stop, with all its work."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import psycopg
import redis.asyncio
import structlog
from msgspec.structs import replace
from typing_extensions import override

from notifier.broker.entries import ALONE
from notifier.broker.keys import ACCEPTED, Keys
from notifier.config import load_config
from notifier.daemon import app, periodic
from notifier.daemon.action_links import LinkClock
from notifier.daemon.snapshot import Blueprint
from notifier.errors import InternalError
from notifier.events.action import Action, Via
from notifier.events.notification import encode, notification_id
from tests.support.daemons import SECRET
from tests.support.escalation import record
from tests.support.ports import quiet_port
from tests.support.receiver import WebhookReceiver
from tests.support.stages import ONE
from tests.support.walking import CHANNELS, Walk

daemon_run: Any = app
STREAM = "teams:events"
KEYS = Keys(STREAM)
STAGES = frozenset({"intake", "delivery", "recorder"})
SECONDS = 20.0


class _NoLastResort:
    def arm(self, seconds: float) -> None:
        """Let the process of the test live."""


class _Lines(logging.Handler):
    """Keeps the logged exceptions of libraries, such as aiohttp's."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__()
        self._lines = lines

    @override
    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        self._lines.append({"event": record.msg, "where": kind.__name__ if kind else ""})


@dataclass
class Stage:
    """Where daemons are run, one after the other."""

    walk: Walk
    redis_url: str
    database_url: str
    receiver: WebhookReceiver

    def __post_init__(self) -> None:
        self._daemon: Any = None
        self._lines: list[dict[str, Any]] = []
        self._admin, self._public = quiet_port(), quiet_port()
        logging.getLogger().addHandler(_Lines(self._lines))
        periodic._HOUSEKEEPING_SECONDS = 0.2
        serve = daemon_run._serve

        async def caught(dependencies: Any, *rest: Any) -> None:
            self._daemon = dependencies
            await serve(dependencies, *rest)

        daemon_run._serve = caught
        daemon_run.LastResort = _NoLastResort  # type: ignore[assignment,misc]
        daemon_run._relax_garbage_collector = lambda: None
        structlog.configure(
            processors=[structlog.processors.add_log_level, self._keep],
            logger_factory=structlog.ReturnLoggerFactory(),
        )
        self._blueprint = Blueprint(
            lambda: load_config(None, self._env),
            {**os.environ, **self._env},
            clock=lambda: 0.0,
            now=time.time,
        )
        self._snapshot = self._blueprint.build(None)

    @property
    def _env(self) -> dict[str, str]:
        names = load_config(None, {}).channels
        return {
            "REDIS_URL": self.redis_url, "DATABASE_URL": self.database_url,
            "TEAMS_ADMIN__BIND": f"127.0.0.1:{self._admin}",
            "TEAMS_PUBLIC__BIND": f"127.0.0.1:{self._public}", "TEAMS_PUBLIC__URL": "https://notifier.example.com",
            "TEAMS_HMAC_SECRET_KEY": SECRET, "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
            "TEAMS_RATE_LIMIT__MIN_INTERVAL_SECONDS": "0", "TEAMS_REDIS__BLOCK_SECONDS": "0.2", "TEAMS_REDIS__LEASE_SECONDS": "3",
            "TEAMS_MAX_RETRY_DELAY": "0.05", "TEAMS_ESCALATION__POLL_SECONDS": "1",
            "TEAMS_DELIVERY__STOP_TIMEOUT_SECONDS": "5",
            **{f"TEAMS_WEBHOOK_{name.upper()}": self.receiver.url(name) for name in names},
        }  # fmt: skip

    def _keep(self, _logger: Any, _method: str, event: Any) -> Any:
        self._lines.append(dict(event))
        raise structlog.DropEvent

    async def run(self, point: str, *, after: bool) -> list[str]:
        """Raise at this point once; return what went wrong besides."""
        self._lines.clear()
        self.receiver.requests.clear()
        self.receiver._answers.clear()
        self.receiver.answer(503, times=1, channel=CHANNELS[1])
        self.walk.arm(point, after=after)
        async with redis.asyncio.Redis.from_url(self.redis_url) as client:
            await client.flushall()
            await self._publish(client)
            wrong = await self._run(client)
            if self.walk.fired and not self._told():
                wrong.append("nothing in the log says where it failed")
            return wrong

    def _told(self) -> bool:
        return any("WalkedError" in json.dumps(line, default=str) for line in self._lines)

    async def _run(self, client: Any) -> list[str]:
        wrong: list[str] = []
        code = await self._once(client, wrong)
        letters = await self._letters(client)
        if code:
            # It may end, if it says so. Whoever starts next delivers the rest.
            self.walk.arm("", after=False)
            if not isinstance(code, InternalError):
                wrong.append(f"ends with {code!r}")
            if rest := await self._once(client, wrong):
                wrong.append(f"ends again with {rest!r}")
            letters = await self._letters(client)
            self.walk.fired = True
        arrived = self._arrived()
        reasons = [letter["reason"] for letter in letters]
        if any(reason != "internal_error" for reason in reasons) or len(reasons) > 1:
            wrong.append(f"dead letters {reasons}")
        lacking = set(CHANNELS) - arrived
        if len(lacking) > len(letters):
            wrong.append(f"no card in {sorted(lacking)}, dead letters {reasons}")
        return wrong

    async def _once(self, client: Any, wrong: list[str]) -> BaseException | None:
        """Run one daemon until all is done, then stop it; returns its failure."""
        self._daemon = None
        main = asyncio.create_task(
            daemon_run._main(
                daemon_run.Launch(
                    self._snapshot, self._blueprint, "walked", STAGES, LinkClock()
                )
            )
        )
        done = await self._until(lambda: self._settled(client), main)
        if not done and not main.done():
            wrong.append(
                f"not all is done: {await self._left(client)}, parts {self._failing()}"
            )
        if done:
            await self._look()
            if self.walk.armed.startswith(("daemon.reload", "daemon.channels")):
                os.kill(os.getpid(), signal.SIGHUP)
                await self._until(self._reloaded, main)
        if not main.done() and self._daemon is not None:
            os.kill(os.getpid(), signal.SIGTERM)
        ended, _ = await asyncio.wait({main}, timeout=SECONDS)
        if not ended:
            wrong.append("does not end on SIGTERM")
            main.cancel()
            await asyncio.wait({main}, timeout=SECONDS)
        if main.done() and not main.cancelled() and (exc := main.exception()) is not None:
            return exc if isinstance(exc, Exception) else None
        return None

    async def _look(self) -> None:
        """Ask the listener what operators ask it."""
        async with aiohttp.ClientSession() as session:
            for page in ("readyz", "metrics"):
                with suppress(aiohttp.ClientError):
                    await (await session.get(f"http://127.0.0.1:{self._admin}/{page}")).read()

    async def _reloaded(self) -> bool:
        ends = {"reloaded", "reload_refused", "loop_failed", "task_failed"}
        return any(line.get("event") in ends for line in self._lines)

    def _failing(self) -> dict[str, str]:
        parts = self._daemon.health.components if self._daemon is not None else {}
        return {name: state for name, state in parts.items() if state != "ok"}

    async def _until(self, condition: Callable[[], Any], main: asyncio.Task[None]) -> bool:
        try:
            async with asyncio.timeout(SECONDS):
                while not await condition():
                    if main.done():
                        return False
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True

    async def _settled(self, client: Any) -> bool:
        """Tell whether nothing waits anywhere and every part works."""
        daemon = self._daemon
        return (
            daemon is not None
            and all(state == "ok" for state in daemon.health.components.values())
            and not any((await self._left(client)).values())
        )

    async def _left(self, client: Any) -> dict[str, int]:
        lanes = [
            KEYS.lane(name, urgent=urgent) for name in CHANNELS for urgent in (True, False)
        ]
        left = {key: await client.xlen(key) for key in (*lanes, KEYS.outcomes, ACCEPTED)}
        accounted = len(self._arrived()) + len(await self._letters(client))
        left["events"] = max(0, len(CHANNELS) - accounted)
        left["rows"] = await asyncio.to_thread(self._rows_left)
        return left

    def _rows_left(self) -> int:
        """Count what nobody has escalated or taken in Postgres yet."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM teams_notifications WHERE event_id = 'taken' AND acknowledged_at IS NULL)"
                " + (SELECT 1 - least(1, count(*)) FROM teams_escalations WHERE event_id = 'old')"
            ).fetchone()
        return int(row[0]) if row else 0

    def _arrived(self) -> set[str]:
        return {
            name
            for name in CHANNELS
            for request in self.receiver.requests
            if request.status == 202
            and request.path == f"/{name}"
            and f"CLM-{name}" in request.body.decode()
        }

    async def _letters(self, client: Any) -> list[dict[str, str]]:
        return [
            {name.decode(): value.decode() for name, value in fields.items()}
            for _, fields in await client.xrange(KEYS.dead)
        ]

    async def _publish(self, client: Any) -> None:
        now = datetime.now(UTC)
        with psycopg.connect(self.database_url) as connection:
            for table in ("teams_notifications", "teams_actions", "teams_escalations"):
                connection.execute(f"DELETE FROM {table}".encode())
        record(self.database_url, "old", "compliance", at=now - timedelta(hours=1))
        [taken] = record(self.database_url, "taken", "compliance", at=now)
        action = Action(taken, "acknowledge", "Sara", "", Via.PAGE, now)
        await client.xadd(ACCEPTED, action.fields())
        alone, late, fresh = CHANNELS
        await client.xadd(STREAM, _event(alone))
        await self._die_of(client, STREAM)
        for name in (late, fresh):
            await client.xadd(STREAM, _event(name))
        lane = KEYS.lane(fresh, urgent=False)
        again = replace(ONE,
            id=notification_id(STREAM, "again", fresh), event_id="again", channel=fresh, data={"claim_id": "again"},
        )  # fmt: skip
        await client.xadd(lane, {"notification": encode(again)})
        await self._die_of(client, lane)

    async def _die_of(self, client: Any, stream: str) -> None:
        """Leave what is in a stream as if several processes had died of it."""
        group = self._snapshot.config.redis.group
        await client.xgroup_create(stream, group, id="0", mkstream=True)
        read = await client.xreadgroup(group, "dead", {stream: ">"})
        ids = [entry_id for _, entries in read for entry_id, _ in entries]
        await client.xclaim(stream, group, "dead", 0, ids, idle=10**9, retrycount=ALONE)


def _event(name: str) -> dict[str, str]:
    data = json.dumps({"claim_id": f"CLM-{name}"})
    return {"type": "a.b", "id": name, "stakeholders": name, "data": data}
