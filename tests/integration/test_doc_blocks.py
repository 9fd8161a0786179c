"""Every block of the documents is run as written, or says why not."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from notifier.broker.keys import Keys
from notifier.config import load_config
from notifier.sandbox.servers import Server, postgres_program, redis_server_program
from tests.support.daemons import Daemons
from tests.support.docblocks import PAGES, ROOT, Block, blocks
from tests.support.program import program
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)
BLOCK_SECONDS = 90
DEAD = "{teams:events}:dead"
CURL = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[-1], timeout=30)
except urllib.error.HTTPError as exc:
    answer = exc
print(answer.read().decode())
"""
"""`curl --silent URL`, for machines without it."""
NUMBERED = "1769854500000"
"""Milliseconds in the ids that the runbook speaks of."""
TRACED = {
    "id": "rejected-1",
    "type": "nphies.claim.rejected",
    "data": '{"claim_id": "CLM-77", "rejection_code": "INV-001"}',
}


class Page:
    """A page's servers, daemon and folder, for its blocks in their order."""

    def __init__(self, daemons: Daemons, folder: Path) -> None:
        self.daemons = daemons
        self.folder = folder
        self.pid = 0
        self.programs = folder / "bin"
        self.work = folder / "work"

    async def prepare(self) -> None:
        self.programs.mkdir()
        self.work.mkdir()
        for name in ("cards", "examples"):
            shutil.copytree(ROOT / name, self.work / name)
        cli = shutil.which("redis-cli") or str(self.programs / "stand-in-for-redis-cli")
        self._program(
            "redis-cli",
            f'case " $* " in *" -u "* | *" -s "*) exec {cli} "$@" ;; *) exec {cli} -u "$REDIS_URL" "$@" ;; esac',
        )
        self._program("redis-server", f'exec {shlex.quote(redis_server_program())} "$@"')
        self._program("sudo", 'exec "$@"')
        if shutil.which("curl") is None:
            self._program(
                "curl", f'exec {shlex.quote(sys.executable)} -c {shlex.quote(CURL)} "$@"'
            )
        process = await self.daemons.start()
        self.pid = process.pid

    async def run(self, block: Block) -> str | None:
        """Run a block; returns what went wrong."""
        match block.language:
            case "sh":
                return await self._command(block, "sh", "-eu", "-c", self._here(block.text))
            case "python":
                return await self._command(block, sys.executable, "-c", self._here(block.text))
            case "sql":
                return self._query(block)
            case "toml":
                file = self.folder / "block.toml"
                file.write_text(block.text)
                load_config(file, {})
            case "env":
                for line in block.text.splitlines():
                    load_config(None, dict([line.split("=", 1)]))
            case "json":
                json.loads(block.text)
            case other:
                return f"{block.place}: a block of {other or 'no language'} is neither run nor marked"
        return None

    def _here(self, text: str) -> str:
        return text.replace("redis://127.0.0.1:6379/0", self.daemons.redis_url).replace(
            "http://127.0.0.1:9464", self.daemons.admin_urls[0]
        )

    async def _command(self, block: Block, *command: str) -> str | None:
        environment = self.daemons.environment() | {
            "PATH": f"{self.programs}:{postgres_program('psql').parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PID": str(self.pid),
        }
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.work,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), BLOCK_SECONDS)
        except TimeoutError:
            process.kill()
            return f"{block.place}: still running after {BLOCK_SECONDS} s"
        if process.returncode != 0:
            return f"{block.place}: exit {process.returncode}\n{said.decode(errors='replace')[-1500:]}"
        return None

    def _query(self, block: Block) -> str | None:
        try:
            with psycopg.connect(self.daemons.database_url) as connection:
                connection.execute(block.text.encode())
        except psycopg.Error as exc:
            return f"{block.place}: {exc}"
        return None

    def _program(self, name: str, line: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)


@pytest.fixture
def no_restored_copy(postgres_server: Server, tmp_path: Path) -> Iterator[None]:
    """Remove the servers of the page on restoring, also after a failure."""
    yield
    for socket in tmp_path.glob("work/**/redis.sock"):
        with redis.Redis(unix_socket_path=str(socket)) as client, suppress(redis.RedisError):
            client.shutdown(nosave=True, force=True)
    admin = postgres_server.url.removesuffix("/notifier") + "/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")


async def given(page: Page, name: str) -> None:
    """Bring about what a page takes for granted."""
    if name != "runbook.md":
        return
    (page.work / "event.json").write_text('{"type": "a.b", "stakeholders": ["sre"]}')
    with redis.Redis.from_url(page.daemons.redis_url) as client:
        client.xadd("teams:events", TRACED, id=f"{NUMBERED}-0")
        await until(lambda: len(page.daemons.rows()) == 3)
        page.daemons.receiver.answer(400, times=1)
        client.xadd("teams:events", {"type": "a.b", "stakeholders": "sre"})
        client.xadd("teams:events", {"claim_id": "an entry without a type"})
        await until(lambda: len(page.daemons.dead_letters()) == 2)
        letters = {fields[b"reason"]: fields for _, fields in client.xrange(DEAD)}
        client.delete(DEAD)
        waiting = json.loads(letters[b"rejected"][b"event"])
        waiting |= {"id": str(uuid.uuid4()), "event_id": "another", "channel": "night"}
        client.xadd("{teams:events}:lane:night:normal", {"notification": json.dumps(waiting)})
        client.hset(Keys("teams:events").channels, "night", "1")
        for number, reason in enumerate((b"rejected", b"invalid_event", b"rejected")):
            client.xadd(DEAD, letters[reason], id=f"{NUMBERED}-{number}")


def to_run(path: Path) -> list[Block]:
    """Return the blocks of a page that have to work here."""
    return [
        block
        for block in blocks(path)
        if not block.marked and block.language != "text" and block.make_targets is None
    ]


@pytest.mark.parametrize(
    "path", list(filter(to_run, PAGES)), ids=lambda path: str(path.relative_to(ROOT))
)
async def test_what_a_page_shows_works(
    path: Path, daemons: Daemons, tmp_path: Path, no_restored_copy: None
):
    page = Page(daemons, tmp_path)
    await page.prepare()
    with (
        program(page.programs / "notifier"),
        program(page.programs / "stand-in-for-redis-cli", "tests.support.redis_cli"),
    ):
        await given(page, path.name)

        faults = [fault for block in to_run(path) if (fault := await page.run(block))]

    assert not faults, "\n\n".join(faults)
