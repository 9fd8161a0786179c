"""The sandbox: starts everything, feeds it sample events, and ends it all together."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import typer

from notifier.config import load_config
from notifier.errors import SandboxError
from notifier.sandbox.faults import parse_faults
from notifier.sandbox.local_teams import LocalTeams
from notifier.sandbox.samples import sample_events
from notifier.sandbox.servers import free_port, redis_program, start_postgres, start_redis
from notifier.store.migrations import migrate_up
from notifier.streams.connection import connect
from notifier.streams.group import ConsumerGroup

_READY_SECONDS = 30.0
_DAEMON_STOP_SECONDS = 30.0
_LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is."""

    redis_url: str
    database_url: str
    teams_url: str
    admin_url: str


def run_sandbox(
    *, port: int, data_dir: Path | None, events: int, rate: float, as_json: bool, faults: str
) -> int:
    """Run until Ctrl-C or SIGTERM; returns the exit code.

    Raises:
        SandboxError: Something does not start; says what and what to do.
    """
    picked = parse_faults(faults)
    with ExitStack() as stack:
        # SIGTERM ends what has started so far too, not only what asyncio runs later.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        folder = data_dir or Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="notifier-", ignore_cleanup_errors=True)
            )
        )
        if data_dir is None:
            folder.chmod(0o755)  # Postgres may run as another account
        _say(as_json, "starting Redis and Postgres …")
        redis = stack.enter_context(start_redis(folder / "redis"))
        postgres = stack.enter_context(start_postgres(folder / "postgres"))
        migrate_up(postgres.url)
        channels = {
            name: channel.title for name, channel in load_config(None, {}).channels.items()
        }
        teams = LocalTeams(channels, picked)
        addresses = Addresses(redis.url, postgres.url, "", f"http://127.0.0.1:{free_port()}")
        return asyncio.run(_run(teams, port, addresses, events, rate, as_json))


async def _run(
    teams: LocalTeams, port: int, partly: Addresses, events: int, rate: float, as_json: bool
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        await teams.start(port)
        stack.push_async_callback(teams.stop)
        addresses = Addresses(
            partly.redis_url, partly.database_url, teams.url, partly.admin_url
        )
        daemon = await _start_daemon(addresses, teams)
        stack.push_async_callback(_stop_daemon, daemon)
        await _until_ready(daemon, addresses.admin_url)
        _announce(addresses, as_json)
        feeding = asyncio.create_task(_feed(addresses.redis_url, events, rate, teams, as_json))
        ended = asyncio.create_task(daemon.wait())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({ended, stopped, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done() and not ended.done() and not stopped.done():
                feeding.result()
                await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (feeding, stopped):
                task.cancel()
            await asyncio.gather(feeding, stopped, return_exceptions=True)
        if ended.done():
            raise SandboxError(
                f"the daemon ended with exit code {daemon.returncode}; its log is above"
            )
    return 0


async def _start_daemon(addresses: Addresses, teams: LocalTeams) -> asyncio.subprocess.Process:
    """Start the production daemon, unchanged; only its environment is the sandbox's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("TEAMS_WEBHOOK_", "TEAMS_HMAC_", "VAULT_", "CREDENTIALS_DIRECTORY")
        )
    }
    env = kept | {
        "REDIS_URL": addresses.redis_url,
        "DATABASE_URL": addresses.database_url,
        "TEAMS_HMAC_SECRET_KEY": secrets.token_hex(32),
        "TEAMS_ADMIN__BIND": addresses.admin_url.removeprefix("http://"),
        "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
        **{f"TEAMS_WEBHOOK_{name.upper()}": teams.webhook_url(name) for name in teams.channels},
    }
    if "TEAMS_PUBLIC__BIND" not in env:
        public = f"127.0.0.1:{free_port()}"
        env |= {"TEAMS_PUBLIC__BIND": public, "TEAMS_PUBLIC__URL": f"http://{public}"}
    env.setdefault("TEAMS_LOGGING__LEVEL", "warning")
    leash = [str(_LEASH), str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1"]
    return await asyncio.create_subprocess_exec(
        sys.executable, *leash, sys.executable, "-m", "notifier", "run", "--instance", "sandbox",
        env=env, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


async def _stop_daemon(daemon: asyncio.subprocess.Process) -> None:
    if daemon.returncode is None:
        daemon.terminate()
        try:
            async with asyncio.timeout(_DAEMON_STOP_SECONDS):
                await daemon.wait()
        except TimeoutError:
            daemon.kill()
            await daemon.wait()


async def _until_ready(daemon: asyncio.subprocess.Process, admin_url: str) -> None:
    try:
        async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
            while daemon.returncode is None:
                try:
                    async with session.get(f"{admin_url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise SandboxError(
            f"the daemon is not ready after {_READY_SECONDS:g} s; see {admin_url}/readyz and the log above"
        ) from None
    raise SandboxError(f"the daemon ended with exit code {daemon.returncode}; its log is above")


async def _feed(
    redis_url: str, events: int, rate: float, teams: LocalTeams, as_json: bool
) -> None:
    settings = load_config(None, {"REDIS_URL": redis_url}).redis
    client = connect(settings)
    group = ConsumerGroup(client, settings, "sandbox")
    live = not as_json and sys.stdout.isatty()
    try:
        for number, event in enumerate(sample_events(), start=1):
            await group.add("teams:events", {"event": event})
            if live:
                typer.echo(
                    f"\r{number} events published, {teams.received} cards received ", nl=False
                )
            if number == events:
                _say(
                    as_json,
                    f"\npublished {number} sample events; publish your own, or end with Ctrl-C",
                )
                return
            await asyncio.sleep(1 / rate)
    finally:
        await client.aclose()


def _announce(addresses: Addresses, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(addresses)))
        sys.stdout.flush()
        return
    typer.echo(
        f"""
  Teams channels   {addresses.teams_url}
  Redis            {addresses.redis_url}
  Postgres         {addresses.database_url}
  Console          {addresses.admin_url}/console
  Health           {addresses.admin_url}/readyz

Publish an event of your own from another terminal:

  {redis_program("redis-cli")} -u {addresses.redis_url} XADD teams:events '*' type nphies.claim.rejected claim_id CLM-1 rejection_code INV-001

Sample events follow. Ctrl-C ends everything.
"""
    )


def _say(as_json: bool, words: str) -> None:
    if not as_json:
        typer.echo(words)
