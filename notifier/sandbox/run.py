"""Run the sandbox: servers, a local Teams, the daemon and sample events."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import typer

from notifier.broker.streams import Streams, open_streams
from notifier.config import assets, load_config
from notifier.errors import SandboxError, StreamError
from notifier.sandbox.environment import (
    Addresses,
    daemon_environment,
    shell_text,
    write_private,
)
from notifier.sandbox.local_teams import LocalTeams, listen, parse_faults
from notifier.sandbox.servers import data_folder, free_port, start_postgres, start_redis
from notifier.store.migrations import migrate_up

DEFAULT_PORT = 8765
_TRY_AGAIN_SECONDS = 1.0
_READY_SECONDS = 30.0
_DAEMON_STOP_SECONDS = 30.0
_END_WITH_PARENT = Path(__file__).with_name("end_with_parent.py")


@dataclass(frozen=True, slots=True)
class _Options:
    events: int
    """How many sample events to publish; 0: without end."""
    rate: float
    """Sample events per second."""
    as_json: bool


def run_sandbox(
    *,
    port: int | None,
    data_dir: Path | None,
    events: int,
    rate: float,
    as_json: bool,
    faults: str,
) -> int:
    """Run until Ctrl-C or SIGTERM; returns the exit code.

    Args:
        port: Port of the local Teams; None: 8765, or the next one that is free.
        data_dir: The folder for the data of both servers; None: a temporary one.
        events: How many sample events to publish; 0: without end.
        rate: Sample events per second.
        as_json: Print one line of JSON with the addresses, and nothing else.
        faults: Shares of requests that the local Teams refuses, such as `429:0.1,500:0.05`.

    Raises:
        FaultsError: `faults` cannot be parsed.
        SandboxError: A server or the daemon does not start; the message says how to fix it.
    """
    picked, options = parse_faults(faults), _Options(events, rate, as_json)
    # Report a wrong option or port before two servers start.
    with ExitStack() as stack, listen(port, first=DEFAULT_PORT) as listener:
        # SIGTERM must also end servers that have started before asyncio runs.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        folder = data_folder(data_dir) if data_dir else _temporary_folder(stack)
        if port is None and (taken := listener.getsockname()[1]) != DEFAULT_PORT:
            _say(as_json, f"port {DEFAULT_PORT} is taken: the local Teams listens on {taken}")
        _say(as_json, "starting Redis and Postgres …")
        redis = stack.enter_context(start_redis(folder / "redis"))
        postgres = stack.enter_context(start_postgres(folder / "postgres"))
        migrate_up(postgres.url)
        channels = {
            name: channel.title for name, channel in load_config(None, {}).channels.items()
        }
        teams = LocalTeams(channels, picked)
        teams_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        admin_url = f"http://127.0.0.1:{free_port()}"
        addresses = Addresses(redis.url, postgres.url, teams_url, admin_url)
        return asyncio.run(
            _run(teams, listener, addresses, folder.resolve() / "env.sh", options)
        )


def _temporary_folder(stack: ExitStack) -> Path:
    made = tempfile.TemporaryDirectory(prefix="notifier-", ignore_cleanup_errors=True)
    folder = Path(stack.enter_context(made))
    folder.chmod(0o755)  # Postgres may run as another account
    return folder


async def _run(
    teams: LocalTeams,
    listener: socket.socket,
    addresses: Addresses,
    shell_file: Path,
    options: _Options,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        await teams.start(listener)
        stack.push_async_callback(teams.stop)
        webhooks = {name: teams.webhook_url(name) for name in teams.channels}
        public = f"127.0.0.1:{free_port()}"
        env = daemon_environment(os.environ, addresses, webhooks, public)
        write_private(shell_file, shell_text(env, os.environ, Path(sys.executable).parent))
        # Its ports and its key are valid only for this run, also when the data stay.
        stack.callback(shell_file.unlink, missing_ok=True)
        daemon = await _start_daemon(env)
        stack.push_async_callback(_stop_daemon, daemon)
        await _until_ready(daemon, addresses.admin_url)
        _announce(addresses, shell_file, options.as_json)
        publishing = asyncio.create_task(_publish_samples(addresses.redis_url, teams, options))
        await _until_stopped(daemon, stop, publishing)
    return 0


async def _until_stopped(
    daemon: asyncio.subprocess.Process, stop: asyncio.Event, publishing: asyncio.Task[None]
) -> None:
    """Wait for `stop`; raises SandboxError if the daemon ends before."""
    ended, stopped = asyncio.create_task(daemon.wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({ended, stopped, publishing}, return_when=asyncio.FIRST_COMPLETED)
        if publishing.done() and not ended.done() and not stopped.done():
            publishing.result()
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (publishing, stopped):
            task.cancel()
        await asyncio.gather(publishing, stopped, return_exceptions=True)
    if ended.done():
        raise SandboxError(
            f"the daemon ended with exit code {daemon.returncode}; its log is above"
        )


async def _start_daemon(env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start the ordinary daemon in the environment of the sandbox."""
    wrapper = [str(_END_WITH_PARENT), str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1"]
    return await asyncio.create_subprocess_exec(
        sys.executable, *wrapper, sys.executable, "-m", "notifier", "run", "--instance", "sandbox",
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


async def _publish_samples(redis_url: str, teams: LocalTeams, options: _Options) -> None:
    settings = load_config(None, {"REDIS_URL": redis_url}).redis
    live = not options.as_json and sys.stdout.isatty()
    async with open_streams(settings) as streams:
        for number, event in enumerate(sample_events(), start=1):
            await publish_sample(streams, event)
            if live:
                typer.echo(
                    f"\r{number} events published, {teams.received} cards received ", nl=False
                )
            if number == options.events:
                _say(
                    options.as_json,
                    f"\npublished {number} sample events; publish your own, or end with Ctrl-C",
                )
                return
            await asyncio.sleep(1 / options.rate)


async def publish_sample(streams: Streams, event: str) -> None:
    """Publish an event; try again while Redis refuses it."""
    said = False
    while True:
        try:
            await streams.add("teams:events", {"event": event})
        except StreamError as exc:
            if not said:
                typer.echo(f"sample events wait: {exc}", err=True)
            said = True
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        else:
            return


def _announce(addresses: Addresses, shell_file: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**asdict(addresses), "env_file": str(shell_file)}))
        sys.stdout.flush()
        return
    typer.echo(
        f"""
  Teams channels   {addresses.teams_url}
  Redis            {addresses.redis_url}
  Postgres         {addresses.database_url}
  Console          {addresses.admin_url}/console
  Health           {addresses.admin_url}/readyz

In another terminal, let notifier find this sandbox, then publish an event of your own:

  . {shlex.quote(str(shell_file))}
  notifier publish nphies.claim.rejected --field claim_id=CLM-1 --field rejection_code=INV-001
  notifier trace CLM-1        (also: doctor, top, dlq, report, …)

Any Redis client publishes too:

  redis-cli -u {addresses.redis_url} XADD teams:events '*' type nphies.claim.rejected claim_id CLM-1 rejection_code INV-001

Sample events follow. Ctrl-C ends everything.
"""
    )


def _say(as_json: bool, words: str) -> None:
    if not as_json:
        typer.echo(words)


def sample_events() -> Iterator[str]:
    """Return the samples as JSON, endlessly, with the current time.

    The events that notifier publishes itself are left out.
    """
    paths = sorted(
        (
            path
            for path in (assets.cards_dir() / "samples").glob("*.json")
            if not path.stem.startswith("notifier.")
        ),
        key=lambda path: ("claim" not in path.stem, path.stem),
    )
    samples = [json.loads(path.read_bytes()) for path in paths]
    for sample in itertools.cycle(samples):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        yield json.dumps({**sample, "time": now}, ensure_ascii=False)
