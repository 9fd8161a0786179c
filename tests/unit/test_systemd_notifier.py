from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from notifier.daemon.systemd import SystemdNotifier
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
