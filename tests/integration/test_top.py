"""`notifier top` as an operator runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from typing import Any

import pytest
import redis

from notifier.broker.keys import Keys
from notifier.broker.stats import event_stream_stats
from notifier.config import load_config
from tests.support.commands import notifier
from tests.support.reading import open_consumer
from tests.support.terminal import terminal

KEYS = Keys("teams:events")
SRE = KEYS.lane("sre", urgent=False)
CHANNELS = tuple(load_config(None, {}).channels)
NO_POSTGRES = "postgresql://127.0.0.1:1/none"


def fill(client: redis.Redis, lane: str, count: int) -> None:
    pipeline = client.pipeline()
    for _ in range(count):
        pipeline.xadd(lane, {"x": "1"})
    pipeline.execute()


def test_once_says_what_waits_where_while_postgres_is_away(redis_url: str):
    with redis.Redis.from_url(redis_url) as client:
        fill(client, SRE, 7)
        fill(client, KEYS.lane("pmo", urgent=True), 2)
        fill(client, KEYS.dead, 3)
        client.set("teams:pause:pmo", "1", px=600_000)
        client.xadd("teams:events", {"type": "a.b"})
        client.xgroup_create("teams:events", "notifier", id="0")
        client.xreadgroup("notifier", "one", {"teams:events": ">"})

    # Not a terminal, so it prints once.
    done = notifier("top", REDIS_URL=redis_url, DATABASE_URL=NO_POSTGRES, COLUMNS="80")

    assert done.returncode == 0, done.stderr
    rows = {
        line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()
    }
    assert rows["intake"][0] == "1"
    assert rows["delivery"][0] == "9"
    assert rows["dead"][:2] == ["letters", "3"]
    assert rows["sre"][:1] == ["·"]
    assert "7" in rows["sre"]
    assert rows["pmo"][0] == "2"
    assert "paused" in rows["pmo"]


def test_json_is_for_programs(redis_url: str):
    with redis.Redis.from_url(redis_url) as client:
        fill(client, SRE, 7)
    done = notifier("top", "--json", REDIS_URL=redis_url)

    [stream] = json.loads(done.stdout)["streams"]
    assert stream["stream"] == "teams:events"
    assert stream["delivery"]["waiting"] == 7
    [sre] = [row for row in stream["channels"] if row["channel"] == "sre"]
    assert (sre["normal"]["waiting"], sre["normal"]["in_hand"]) == (7, 0)


def test_redis_away_is_exit_4_without_a_password():
    done = notifier("top", "--once", REDIS_URL="redis://:topsecret@127.0.0.1:1/0")

    assert done.returncode == 4
    assert "check redis.url" in done.stderr
    assert "topsecret" not in done.stderr


@pytest.mark.parametrize("waiting", [0, 3_000])
async def test_a_look_costs_redis_the_same_however_much_waits(redis_url: str, waiting: int):
    async with open_consumer(redis_url) as streams:
        with redis.Redis.from_url(redis_url) as admin:
            fill(admin, SRE, waiting)
            await event_stream_stats(streams, "teams:events", CHANNELS)
            admin.config_resetstat()
            overview = await event_stream_stats(streams, "teams:events", CHANNELS)
            commands: dict[str, Any] = admin.info("commandstats")

    assert overview.lanes["sre", "normal"].waiting == waiting
    assert commands["cmdstat_evalsha"]["calls"] == 1
    looked = sum(
        stats["calls"] for name, stats in commands.items() if name not in ("cmdstat_info", "cmdstat_config")
    )  # fmt: skip
    assert looked <= 60


@contextmanager
def on_a_terminal(*arguments: str, **env: str) -> Iterator[tuple[Popen[bytes], int]]:
    """Run a command at a terminal of 80 by 24; yield process and terminal."""
    ours, theirs = terminal()
    given = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = Popen(
        [sys.executable, "-m", "notifier", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env=given | env, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def shown_until(terminal: int, wanted: str) -> str:
    """Return all that was shown once `wanted` is among it."""
    os.set_blocking(terminal, False)
    shown, deadline = "", time.monotonic() + 60
    while wanted not in shown:
        assert time.monotonic() < deadline, shown
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.05)
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return shown


@pytest.mark.parametrize("end", ["q", "ctrl-c"])
def test_live_view_follows_what_happens_and_ends_at_once(redis_url: str, end: str):
    with (
        redis.Redis.from_url(redis_url) as client,
        on_a_terminal("top", "--interval", "0.3", REDIS_URL=redis_url) as (process, terminal),
    ):
        shown_until(terminal, "nphies_integration")
        fill(client, SRE, 4321)
        shown_until(terminal, "4,321")
        if end == "q":
            os.write(terminal, b"q")
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_live_view_says_that_redis_is_away_and_goes_on(redis_url: str):
    with on_a_terminal("top", "--interval", "0.3", REDIS_URL="redis://127.0.0.1:1/0") as (
        process,
        terminal,
    ):
        assert "check redis.url" in " ".join(shown_until(terminal, "server is up").split())
        assert process.poll() is None
        os.write(terminal, b"q")
        assert process.wait(30) == 0
