"""Messages about unusable servers: the reason and the fix, no secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from notifier.errors import StreamError
from notifier.escalation.actions import Actions
from notifier.sandbox.servers import Server
from tests.support.commands import notifier
from tests.support.ports import silent_port
from tests.support.reading import open_consumer

UNKNOWN = "no-such-host.invalid"


@pytest.fixture
def login(postgres_server: Server) -> Iterator[str]:
    """Yield host and port of a Postgres that wants the password of `limited`."""
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        row = admin.execute("SHOW hba_file").fetchone()
        assert row is not None
        hba = Path(row[0])
        before = hba.read_text()
        admin.execute("CREATE ROLE limited LOGIN PASSWORD 'right'")
        hba.write_text(f"host all limited all scram-sha-256\n{before}")
        admin.execute("SELECT pg_reload_conf()")
        yield postgres_server.url.rpartition("@")[2].partition("/")[0]
        hba.write_text(before)
        admin.execute("SELECT pg_reload_conf()")
        admin.execute("DROP ROLE limited")


@pytest.mark.parametrize(
    ("url", "what", "fix"),
    [
        (f"postgresql://u:topsecret@{UNKNOWN}/db", "its host name is unknown", "correct the host in database.url"),
        ("postgresql://u:topsecret@127.0.0.1:1/db", "refuses connections", "check database.url and that the server is up"),
        ("postgresql://limited:topsecret@{there}/notifier", "refuses the login", "check user name and password in database.url"),
        ("postgresql://nobody:topsecret@{there}/notifier", "refuses the login", "check user name and password in database.url"),
        ("postgresql://notifier:topsecret@{there}/topsecret2", "has no database of this name", "create it"),
        ("postgresql://notifier:topsecret@{there}/notifier?sslmode=require", "agree on TLS", "sslmode"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["migrate status", "prune --dry-run"])
def test_a_postgres_that_cannot_be_used_says_why_and_what_to_do(
    login: str, command: str, url: str, what: str, fix: str
):
    done = notifier(*command.split(), DATABASE_URL=url.format(there=login))

    assert done.returncode == 4
    assert what in done.stderr
    assert fix in done.stderr
    assert "topsecret@" not in done.stderr
    assert ":topsecret" not in done.stderr
    assert "FATAL" not in done.stderr
    assert "OperationalError" not in done.stderr


def test_every_command_that_asks_postgres_gives_the_reason(redis_url: str):
    away = {"REDIS_URL": redis_url, "DATABASE_URL": f"postgresql://u:topsecret@{UNKNOWN}/db"}
    for command in ("migrate up", "prune", "report", "trace CLM-1", "doctor"):
        done = notifier(*command.split(), **away)

        said = done.stdout + done.stderr
        assert "host name is unknown" in " ".join(said.split()), command
        assert "topsecret" not in said
        assert "migrate up" not in done.stderr


def test_a_postgres_that_never_answers_is_late():
    with silent_port() as port:
        done = notifier("migrate", "status", DATABASE_URL=f"postgresql://u:topsecret@127.0.0.1:{port}/db")  # fmt: skip

    assert done.returncode == 4
    assert "does not answer in time" in done.stderr


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_pruning_a_database_without_tables_is_the_exit_of_an_old_schema(
    empty_database_url: str, options: tuple[str, ...]
):
    done = notifier("prune", *options, DATABASE_URL=empty_database_url)

    assert done.returncode == 5
    assert "older schema" in done.stderr
    assert "run: notifier migrate up" in done.stderr


@pytest.mark.parametrize(
    ("url", "what", "fix"),
    [
        (f"redis://:topsecret@{UNKNOWN}/0", "its host name is unknown", "correct the host in redis.url"),
        (f"redis+cluster://:topsecret@{UNKNOWN}", "its host name is unknown", "correct the host in redis.url"),
        ("redis://:topsecret@127.0.0.1:1/0", "refuses connections", "check redis.url and that the server is up"),
        ("redis+cluster://:topsecret@127.0.0.1:1", "refuses connections", "check redis.url and that the server is up"),
        ("redis://limited:topsecret@{there}/0", "refuses the login", "check user name and password in redis.url"),
        ("redis://{there}/4711", "no database of this number", "correct the number"),
        ("unix:///nowhere/redis.sock", "no such socket", "check redis.url"),
    ],
)  # fmt: skip
def test_a_redis_that_cannot_be_used_says_why_and_what_to_do(
    redis_url: str, url: str, what: str, fix: str
):
    there = redis_url.removeprefix("redis://").partition("/")[0]
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "on", ">right", "+@all", "~*")
        done = notifier("dlq", "list", REDIS_URL=url.format(there=there))
        client.execute_command("ACL", "DELUSER", "limited")

    assert done.returncode == 4
    assert what in done.stderr
    assert fix in done.stderr
    assert "topsecret" not in done.stderr


async def test_what_people_do_fails_for_the_reason_that_commands_give():
    async with open_consumer("redis://:topsecret@127.0.0.1:1/0") as streams:
        with pytest.raises(StreamError) as raised:
            await Actions(streams, remember_seconds=1).actions_on(["n-1"])

    assert str(raised.value) == (
        "Redis at redis://:***@127.0.0.1:1/0 refuses connections; check redis.url and that the server is up"
    )


def test_a_redis_that_never_answers_is_late():
    with silent_port() as port:
        done = notifier("dlq", "list", REDIS_URL=f"redis://127.0.0.1:{port}/0", TEAMS_REDIS__BLOCK_SECONDS="0.01")  # fmt: skip
    assert done.returncode == 4
    assert "does not answer in time" in done.stderr
