"""Notify systemd of the state of the daemon."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping

import structlog

from notifier.telemetry.health import Health

_CHECKS_PER_WATCHDOG = 4

log = structlog.get_logger(__name__)


class SystemdNotifier:
    """Sends states to the service manager (sd_notify(3)), if there is one."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._address = env.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _watchdog_seconds(env)

    def ready(self) -> None:
        """Report that the daemon works, at start and after a reload."""
        self._send("READY=1\nSTATUS=working; /readyz shows the state of each component")

    def reloading(self) -> None:
        """Report that settings are read again, until `ready`."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon drains."""
        self._send("STOPPING=1\nSTATUS=finishing deliveries in flight")

    @property
    def watches(self) -> bool:
        """Tell whether the service manager wants keep-alives."""
        return self._watchdog_seconds > 0

    async def watch(self, health: Health) -> None:
        """Send keep-alives while every loop makes progress, until cancelled.

        If a loop hangs, none is sent, and systemd restarts the daemon.
        """
        while self.watches:
            stalled = health.stalled(time.monotonic(), self._watchdog_seconds)
            if stalled:
                log.error("loops_hang", parts=stalled, fix="systemd restarts the daemon")
            else:
                self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / _CHECKS_PER_WATCHDOG)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ means the abstract namespace, which Linux writes as NUL.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.setblocking(False)
                notify.sendto(message.encode(), address)
        except OSError as exc:
            log.warning("systemd_not_told", reason=exc.strerror)


def _watchdog_seconds(env: Mapping[str, str]) -> float:
    """Return WatchdogSec of the unit; 0 without one (sd_watchdog_enabled(3)).

    It is also 0 if WATCHDOG_PID is another process.
    """
    if env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = env.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() else 0.0
