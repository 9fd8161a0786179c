"""Migrations: by command, beside another, after a kill, without rights."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from notifier.config import assets
from notifier.errors import StoreError
from notifier.sandbox.servers import Server
from notifier.store.migrations import (
    TABLES,
    migrate_down,
    migrate_up,
    required_migrations,
    status,
)
from tests.support.commands import notifier
from tests.support.processes import Process, start
from tests.support.terminal import answered

SLOW = "9998.slow"
ALL = required_migrations()


@pytest.fixture
def own_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped migrations in a folder of the test's own."""
    folder = tmp_path / "migrations"
    shutil.copytree(assets.migrations_dir(), folder)
    monkeypatch.setattr(assets, "migrations_dir", lambda: folder)
    return folder


def applied(url: str) -> list[str]:
    return [item.id for item in status(url) if item.applied_at]


def waits_for(url: str, query: str) -> None:
    deadline = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(query.encode()).fetchone() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def held_up(url: str) -> tuple[psycopg.Connection, Process]:
    """A `migrate up` that waits, within its last migration, for a lock."""
    migrate_down(url)
    blocker = psycopg.connect(url)
    blocker.execute(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE".encode())
    with open(os.devnull, "wb") as nothing:
        env = {"DATABASE_URL": url, "PATH": os.environ["PATH"]}
        process = start("migrate", "up", env=env, output=nothing)
    waits_for(
        url,
        "SELECT FROM pg_stat_activity WHERE application_name = 'notifier migrate' AND wait_event_type = 'Lock'"
        " AND datname = current_database()",
    )
    return blocker, process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_migration_that_was_killed_is_done_by_the_next(
    database_url: str, how: signal.Signals
):
    blocker, process = await asyncio.to_thread(held_up, database_url)
    process.send_signal(how)
    await process.wait()
    blocker.close()

    done = await asyncio.to_thread(notifier, "migrate", "up", DATABASE_URL=database_url)

    assert done.returncode == 0, done.stderr
    assert await asyncio.to_thread(applied, database_url) == ALL


async def test_of_two_that_migrate_one_waits_and_says_so(database_url: str):
    blocker, process = await asyncio.to_thread(held_up, database_url)

    with pytest.raises(StoreError, match="another process"):
        await asyncio.to_thread(migrate_up, database_url, others_seconds=0)
    waiting = asyncio.create_task(asyncio.to_thread(migrate_up, database_url))
    blocker.close()
    await process.wait()

    assert await waiting == []


def test_the_lock_row_that_an_older_version_left_holds_up_nobody(empty_database_url: str):
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "CREATE TABLE yoyo_lock (locked int DEFAULT 1 PRIMARY KEY, ctime timestamp, pid int NOT NULL)"
        )
        connection.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")

    migrate_up(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT FROM yoyo_lock").fetchall() == []


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(
    empty_database_url: str, own_migrations: Path
):
    broken = own_migrations / "9999.broken.sql"
    broken.write_text("CREATE TABLE teams_half (id int);\nSELECT 1 / 0;\n")

    with pytest.raises(StoreError):
        migrate_up(empty_database_url)

    assert applied(empty_database_url) == ALL
    broken.write_text("CREATE TABLE teams_half (id int);\n")
    assert migrate_up(empty_database_url) == ["9999.broken"]


def test_a_migration_outside_of_a_transaction_runs_statement_by_statement(
    empty_database_url: str, own_migrations: Path
):
    migrate_up(empty_database_url)
    (own_migrations / f"{SLOW}.sql").write_text(
        "-- transactional: false\n-- why\nCREATE TABLE teams_half (id int);\nCREATE INDEX CONCURRENTLY half_idx ON teams_half (id);\n"
    )
    (own_migrations / f"{SLOW}.rollback.sql").write_text("DROP TABLE teams_half;\n")

    assert migrate_up(empty_database_url) == [SLOW]
    assert migrate_down(empty_database_url) == [SLOW]


def test_no_migration_holds_up_the_writers_behind_a_lock_that_lasts(
    empty_database_url: str, own_migrations: Path
):
    migrate_up(empty_database_url)
    migrate_down(empty_database_url, steps=len(ALL) - ALL.index("0010.escalation_due"))
    path = own_migrations / "0010.escalation_due.sql"
    path.write_text(path.read_text().replace("'10s'", "'50ms'"))

    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT FROM teams_notifications")
        with pytest.raises(StoreError, match="lock"):
            migrate_up(empty_database_url, statement_seconds=20)

    assert migrate_up(empty_database_url)[0] == "0010.escalation_due"


@pytest.fixture
def guest(postgres_server: Server, empty_database_url: str) -> Iterator[str]:
    """The empty database as a role that owns nothing, as in Postgres 15."""
    name = empty_database_url.rpartition("/")[2]
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE guest_{name} LOGIN".encode())
        yield empty_database_url.replace("//notifier@", f"//guest_{name}@")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name}".encode())
        admin.execute(f"DROP ROLE guest_{name}".encode())


def as_owner(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        for statement in statements:
            admin.execute(statement.encode())


def test_the_grant_that_is_missing_is_named_and_helps(guest: str, empty_database_url: str):
    role = guest.partition("//")[2].partition("@")[0]
    as_owner(empty_database_url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    grant = f"GRANT CREATE ON SCHEMA public TO {role}"

    done = notifier("migrate", "up", DATABASE_URL=guest)
    seen = notifier("doctor", DATABASE_URL=guest, REDIS_URL="redis://127.0.0.1:1")

    assert done.returncode == 4
    assert grant in done.stderr
    assert "migrate up" not in done.stderr
    assert grant in seen.stdout

    as_owner(empty_database_url, grant)
    assert migrate_up(guest) == ALL


def test_a_user_without_a_schema_is_told_which_to_make(guest: str, empty_database_url: str):
    as_owner(empty_database_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC")

    with pytest.raises(StoreError, match="CREATE SCHEMA"):
        migrate_up(guest)


def test_tables_of_another_are_named_with_their_owner(guest: str, empty_database_url: str):
    migrate_up(empty_database_url)
    migrate_down(empty_database_url)
    as_owner(
        empty_database_url,
        f"GRANT ALL ON SCHEMA public TO {guest.partition('//')[2].partition('@')[0]}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {guest.partition('//')[2].partition('@')[0]}",
    )

    with pytest.raises(StoreError, match="belong to notifier"):
        migrate_up(guest)


def test_migrate_goes_up_and_down_and_says_where_it_stands(empty_database_url: str):
    assert notifier("migrate", "status", DATABASE_URL=empty_database_url).returncode == 5
    assert "applied 0001" in notifier("migrate", "up", DATABASE_URL=empty_database_url).stdout
    done = notifier("migrate", "status", "--json", DATABASE_URL=empty_database_url)
    assert done.returncode == 0
    latest = json.loads(done.stdout)[-1]
    assert latest["applied_at"]
    down = notifier("migrate", "down", "--yes", DATABASE_URL=empty_database_url)
    assert f"rolled back {latest['id']}" in down.stdout


def test_migrate_down_drops_nothing_that_nobody_agreed_to(database_url: str):
    before = applied(database_url)

    done = notifier("migrate", "down", stdin="y\n", DATABASE_URL=database_url)

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert before[-1] in done.stderr
    assert applied(database_url) == before


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_migrate_down_asks_at_a_terminal_and_names_what_goes(
    database_url: str, answer: str, code: int
):
    before = applied(database_url)

    done = answered("migrate", "down", "--steps", "2", answer=answer, DATABASE_URL=database_url)

    assert done.returncode == code
    assert f"{before[-1]}, {before[-2]}" in done.stderr
    assert applied(database_url) == (before if answer == "n" else before[:-2])


def test_migrate_down_asks_nothing_when_there_is_nothing_to_roll_back(empty_database_url: str):
    done = notifier("migrate", "down", DATABASE_URL=empty_database_url)

    assert done.returncode == 0
    assert "nothing to roll back" in done.stdout


def test_migrate_takes_several_hosts_as_the_daemon_does(empty_database_url: str):
    several = empty_database_url.replace("@", "@127.0.0.1:1,")
    assert "," in several

    done = notifier("migrate", "up", DATABASE_URL=several)

    assert "applied 0001" in done.stdout, done.stderr


@pytest.mark.parametrize("password", ["topsecret#x", "topsecret/x", "topsecret?x"])
def test_migrate_shows_no_part_of_a_password(password: str):
    url = f"postgresql://u:{password}@127.0.0.1:1/n"

    done = notifier("migrate", "up", DATABASE_URL=url)

    assert done.returncode in (3, 4)
    assert "topsecret" not in done.stdout + done.stderr
