"""The documented rights are those that daemon, commands, doctor need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from notifier.ops.doctor.postgres import inspect
from notifier.sandbox.servers import Server
from tests.support.action_pages import get, links_on, post, public
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.databases import reading
from tests.support.docblocks import ROOT, blocks
from tests.support.waiting import until

FOR_DAEMON, FOR_COMMANDS = (
    block.text
    for block in blocks(ROOT / "docs" / "how-to" / "postgres.md")
    if block.language == "sql" and block.elsewhere and "test_postgres_rights" in block.elsewhere
)


def grant(url: str, role: str, *texts: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        for text in texts:
            admin.execute(text.replace(" TO daemon", f" TO {role}").encode())


@pytest.fixture
def least(postgres_server: Server, database_url: str) -> Iterator[str]:
    """The role of a daemon that owns nothing."""
    role = f"least_{uuid4().hex}"
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        yield role
        with psycopg.connect(database_url, autocommit=True) as inside:
            inside.execute(f"DROP OWNED BY {role}".encode())
        admin.execute(f"DROP ROLE {role}".encode())


async def test_a_daemon_works_with_the_rights_of_the_documents(
    daemons: Daemons, least: str, tmp_path: Path
):
    grant(daemons.database_url, least, FOR_DAEMON)
    settings = tmp_path / "fast.toml"
    settings.write_text(
        '[escalation]\npoll_seconds = 0.2\nCRITICAL = { after_seconds = 1, chain = ["devops"] }\n'
    )
    own = daemons.database_url.replace("//notifier@", f"//{least}@")
    assert (await inspect(reading(own), now=time.time)).daemon_lacks == ()
    await daemons.start("--config", str(settings), **public({"DATABASE_URL": own}))
    daemons.publish(type="backup.failed", service="x", priority="CRITICAL")

    [request, *_] = await daemons.receiver.wait_for(2)
    await until(lambda: len(daemons.rows()) == 2)
    url = links_on(request.body)["Acknowledge"]
    assert (await get(url))[0] == 200
    assert (await post(url, who="Sara"))[0] == 200
    await until(lambda: {row["acknowledged_by"] for row in daemons.rows()} == {"Sara"})  # fmt: skip

    status, page = await get(f"{daemons.admin_urls[0]}/readyz")
    assert status == 200, page
    status, page = await get(f"{daemons.admin_urls[0]}/metrics")
    assert "teams_unacknowledged_critical_notifications{" in page
    assert "does not allow" not in daemons.log()


async def test_commands_work_with_the_rights_of_the_documents(
    daemons: Daemons, least: str, tmp_path: Path
):
    grant(daemons.database_url, least, FOR_DAEMON, FOR_COMMANDS)
    own = daemons.database_url.replace("//notifier@", f"//{least}@")
    assert (await inspect(reading(own), now=time.time)).commands_lack == ()
    env = daemons.environment() | {"DATABASE_URL": own}
    daemons.add({"type": "a.b"})

    for command in (
        ["prune"], ["report"], ["trace", "C1"], ["migrate", "status"], ["backup", str(tmp_path / "x.backup")],
    ):  # fmt: skip
        done = await asyncio.to_thread(notifier, *command, **env)
        assert "does not allow" not in done.stderr, command
        assert done.returncode in (0, 1), (command, done.stderr)
