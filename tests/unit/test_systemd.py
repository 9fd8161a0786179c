"""What systemd hears from the daemon, and the units as it reads them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from notifier.config import load_config
from notifier.daemon.systemd import SystemdNotifier
from notifier.errors import ConfigError
from notifier.telemetry.health import Health


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def received(manager: socket.socket) -> dict[str, str]:
    lines = manager.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_systemd_hears_of_ready_reloading_and_stopping(manager: socket.socket):
    notifier = SystemdNotifier({"NOTIFY_SOCKET": manager.getsockname()})

    notifier.ready()
    notifier.reloading()
    notifier.stopping()

    assert received(manager)["READY"] == "1"
    reloading = received(manager)
    assert reloading["RELOADING"] == "1"
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert received(manager)["STOPPING"] == "1"


async def watched(health: Health, manager: socket.socket, **env: str) -> None:
    notifier = SystemdNotifier(
        {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000", **env}
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await notifier.watch(health)


async def test_watchdog_is_fed_while_every_loop_gets_on(manager: socket.socket):
    health = Health()
    health.beat("intake", float("inf"))

    await watched(health, manager)

    assert received(manager) == {"WATCHDOG": "1"}


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_PID": "1"}])
async def test_watchdog_is_not_fed_for_a_hung_loop_or_another_process(
    manager: socket.socket, env: dict[str, str]
):
    health = Health()
    health.beat("recorder", float("inf"))
    health.beat("delivery sre", 0.0 if not env else float("inf"))

    await watched(health, manager, **env)

    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


def test_without_systemd_nothing_is_sent():
    SystemdNotifier({}).ready()
    assert "NOTIFY_SOCKET" not in os.environ


UNITS = Path(__file__).parents[2] / "systemd"
MOST_EXPOSURE = 1.5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that is there, as after an installation."""
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/notifier/current/bin/notifier", "/bin/true")
        (tmp_path / unit.name.replace("@", "@one")).write_text(text)
    return tmp_path


@needs_systemd
def test_systemd_takes_every_unit_without_a_complaint(units: Path):
    names = sorted(str(path) for path in units.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if "notifier" in line]
    assert complaints == []


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
@needs_systemd
def test_service_is_hardly_exposed(units: Path, unit: str):
    path = units / unit.replace("@", "@one")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(path)],
        capture_output=True,
        text=True,
    )
    score = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert score, done.stderr
    assert float(score[1]) <= MOST_EXPOSURE


@pytest.mark.parametrize("setting", ["TEAMS_REDIS__BLOCK_SECONDS", "TEAMS_ESCALATION__POLL_SECONDS"])  # fmt: skip
def test_no_wait_that_the_settings_allow_looks_hung_to_the_watchdog(setting: str):
    watchdog = min(
        int(found[1])
        for unit in UNITS.glob("notifier*.service")
        if (found := re.search(r"^WatchdogSec=(\d+)$", unit.read_text(), re.MULTILINE))
    )

    with pytest.raises(ConfigError, match="may be at most"):
        load_config(None, {setting: str(watchdog / 2)})


def test_a_batch_that_postgres_answers_as_late_as_it_may_is_not_hung():
    settings = load_config(None, {}).database
    turn = settings.connect_timeout_seconds + 2 * settings.statement_timeout_seconds
    for unit in ("notifier.service", "notifier@.service"):
        watchdog = re.search(r"^WatchdogSec=(\d+)$", (UNITS / unit).read_text(), re.MULTILINE)
        assert watchdog
        assert int(watchdog[1]) > turn
