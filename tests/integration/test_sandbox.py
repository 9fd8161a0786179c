"""The sandbox from start to end; it leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from notifier.sandbox.local_teams import Faults, LocalTeams, listen
from notifier.sandbox.run import DEFAULT_PORT
from tests.support.commands import notifier
from tests.support.waiting import until


def alive_in(folder: Path) -> list[str]:
    """Return the command lines of processes that mention the folder."""
    return [line for line in command_lines() if str(folder) in line]


def command_lines() -> Iterator[str]:
    """Yield those of all other processes that have not ended."""
    if not Path("/proc/self/stat").exists():  # macOS; a bare Debian has no ps
        listed = subprocess.run(
            ["ps", "-axww", "-o", "stat=,command="], capture_output=True, text=True, check=True
        )
        yield from (line for line in listed.stdout.splitlines() if not line.startswith("Z"))
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z":
                yield line.decode(errors="replace")


async def start(
    folder: Path, *arguments: str
) -> tuple[asyncio.subprocess.Process, dict[str, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier", "sandbox", "--json", "--port", "0", "--data-dir", str(folder), *arguments,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
    return process, json.loads(line)


async def channels(url: str) -> dict[str, int]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/channels") as answer:
        return {item["name"]: item["count"] for item in (await answer.json())["channels"]}


async def test_sample_events_reach_every_channel_and_the_table_and_ctrl_c_leaves_nothing(
    open_folder: Path,
):
    process, addresses = await start(open_folder, "--events", "36", "--rate", "50")
    names = {"redis_url", "database_url", "teams_url", "admin_url", "env_file"}
    assert set(addresses) == names

    def delivered() -> bool:
        with psycopg.connect(addresses["database_url"]) as connection:
            row = connection.execute(
                "SELECT count(DISTINCT event_type) FROM teams_notifications WHERE status = 'delivered'"
            ).fetchone()
        return row is not None and row[0] == 36

    await until(delivered, 90)
    assert all(count > 0 for count in (await channels(addresses["teams_url"])).values())
    await acknowledges_from_a_card(addresses)

    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    await until(lambda: alive_in(open_folder) == [])


@pytest.fixture
def in_another_terminal() -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Run a command in a shell that has read the file of the sandbox."""
    outer = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"}
    # A shell with a real daemon's settings, as an operator's may be.
    outer |= {"VAULT_ADDR": "http://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1"}

    def run(env_file: str, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", '. "$0" && ' + command, env_file],
            capture_output=True, text=True, env=outer, timeout=60, check=False,
        )  # fmt: skip

    return run


async def test_another_terminal_speaks_to_the_sandbox(
    open_folder: Path,
    in_another_terminal: Callable[[str, str], subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    folder = open_folder / "it's here"
    process, addresses = await start(folder, "--events", "1")
    file = Path(addresses["env_file"])
    assert file.parent == folder
    assert file.stat().st_mode & 0o777 == 0o600

    async def traced() -> bool:
        done = await asyncio.to_thread(
            in_another_terminal, str(file), "notifier trace CLM-45678 --json"
        )
        return done.returncode == 0 and '"state": "delivered"' in done.stdout

    published = await asyncio.to_thread(
        in_another_terminal,
        str(file),
        'notifier publish nphies.claim.rejected --data \'{"claim_id": "CLM-45678", "rejection_code": "INV-001"}\'',
    )
    assert published.returncode == 0, published.stderr
    await until(traced, 30)
    looked = await asyncio.to_thread(in_another_terminal, str(file), "notifier doctor --json")
    found = json.loads(looked.stdout)
    assert (looked.returncode, found["faults"]) == (0, 0), looked.stdout
    assert "sandbox on" in looked.stdout

    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    assert not file.exists()


def refused(*arguments: str) -> str:
    """Return what a sandbox that cannot start says."""
    done = notifier("sandbox", "--json", *arguments)
    assert done.returncode in (1, 2), done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_port_that_is_taken_is_said_before_a_server_is_started(open_folder: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        said = refused("--port", str(port), "--data-dir", str(open_folder / "data"))

    assert f"port {port}" in said
    assert "--port" in said.partition(str(port))[2]
    assert not list(open_folder.glob("data/*/*"))


async def test_default_port_that_is_taken_gives_way_to_the_next_free_one(open_folder: Path):
    with listen(None, first=DEFAULT_PORT):  # taken by this, if it was free
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "notifier", "sandbox", "--json", "--data-dir", str(open_folder), "--events", "1",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(60):
            addresses = json.loads(await process.stdout.readline())

        port = int(addresses["teams_url"].rpartition(":")[2])
        assert port > DEFAULT_PORT
        assert (await channels(addresses["teams_url"])).keys()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


def test_folder_that_cannot_hold_data_is_named(open_folder: Path):
    file = open_folder / "file"
    file.write_text("")
    inside = open_folder / "data"
    inside.mkdir()
    (inside / "redis").write_text("")

    for path, named in ((Path("/dev/null/x"), "/dev/null/x"), (file, str(file)), (inside, str(inside / "redis"))):  # fmt: skip
        said = refused("--port", "0", "--data-dir", str(path))
        assert named in said
        assert "--data-dir" in said
    assert [path.name for path in inside.rglob("*")] == ["redis"]


@pytest.mark.parametrize(
    ("faults", "advice"),
    [
        ("429:2", "a share is a number from 0 to 1"),
        ("429:-0.1", "a share is a number from 0 to 1"),
        ("429", "a share is a number from 0 to 1"),
        ("foo", "unknown fault foo; kinds are 429, 500, timeout"),
        ("429:0.6,500:0.6", "more than 1"),
    ],
)
def test_faults_that_make_no_sense_are_wrong_usage(faults: str, advice: str):
    done = notifier("sandbox", "--faults", faults)

    assert done.returncode == 2
    assert advice in done.stderr


async def acknowledges_from_a_card(addresses: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{addresses['teams_url']}/api/channels/sre?after=0") as answer:
            cards = [message["card"] for message in (await answer.json())["messages"]]
        [link, *_] = [
            each["url"]
            for card in cards
            for each in card["actions"]
            if each["title"] == "Acknowledge"
        ]
        async with session.get(link) as page:
            assert page.status == 200
        own = {"Sec-Fetch-Site": "same-origin"}
        async with session.post(link, data={"who": "Sara"}, headers=own) as page:
            assert page.status == 200

    def acknowledged() -> bool:
        with psycopg.connect(addresses["database_url"]) as connection:
            query = "SELECT acknowledged_by FROM teams_notifications WHERE acknowledged_by IS NOT NULL"
            return connection.execute(query).fetchall() == [("Sara",)]

    await until(acknowledged)


async def test_killed_sandbox_leaves_no_process_behind(open_folder: Path):
    process, addresses = await start(open_folder)
    assert alive_in(open_folder)

    process.kill()
    await process.wait()

    await until(lambda: alive_in(open_folder) == [])
    async with aiohttp.ClientSession() as session:

        async def daemon_gone() -> bool:
            try:
                async with session.get(f"{addresses['admin_url']}/healthz"):
                    return False
            except aiohttp.ClientConnectionError:
                return True

        await until(daemon_gone)


CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [{"type": "TextBlock", "text": "hello"}],
}


def message(card: object = CARD) -> dict[str, object]:
    content_type = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}],
    }


@pytest.fixture
async def teams() -> AsyncIterator[LocalTeams]:
    server = LocalTeams({"sre": "SRE"}, Faults())
    await server.start(listen(0, first=0))
    yield server
    await server.stop()


async def post(teams: LocalTeams, body: object) -> tuple[int, str | None]:
    url = teams.webhook_url("sre")
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, answer.headers.get("Retry-After")


async def test_local_teams_takes_a_message_with_an_empty_202_and_refuses_others(
    teams: LocalTeams,
):
    assert await post(teams, message()) == (202, None)
    assert (await post(teams, {"text": "no card"}))[0] == 400
    assert (await post(teams, message({"type": "Other"})))[0] == 400
    assert teams.received == 1


async def test_local_teams_throttles_the_fifth_request_of_a_second(teams: LocalTeams):
    answers = [await post(teams, message()) for _ in range(5)]

    assert [status for status, _ in answers] == [202, 202, 202, 202, 429]
    assert answers[-1][1] == "1"


async def test_local_teams_takes_a_large_card_and_then_does_not_show_it(teams: LocalTeams):
    large = {**CARD, "body": [{"type": "TextBlock", "text": "x" * 30_000}]}

    assert (await post(teams, message(large)))[0] == 202
    assert teams.channels["sre"].messages[0].card is None


async def test_local_teams_fails_on_demand(teams: LocalTeams):
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{teams.url}/faults", data="500:1") as answer:
            assert answer.status == 200
        async with session.post(f"{teams.url}/faults", data="nonsense") as answer:
            assert answer.status == 400
            assert "429:0.1" in await answer.text()

    assert (await post(teams, message()))[0] == 500
