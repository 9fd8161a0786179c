"""Run checks at the same time, each for a limited time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from notifier.errors import NotifierError
from notifier.telemetry.findings import Finding, fault, fault_of, warning

CHECK_SECONDS = 10.0
_CLOCK_WARNING_SECONDS = 2.0
_CLOCK_FAULT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check by its name."""

    name: str
    run: Callable[[], Awaitable[Sequence[Finding]]]
    """May raise NotifierError, which becomes a finding; blocking work goes to a thread (asyncio.to_thread)."""


def run_checks(checks: Sequence[Check], *, seconds: float = CHECK_SECONDS) -> list[Finding]:
    """Return the findings of all checks in order, soon after `seconds`."""

    async def together() -> list[Finding]:
        # A look-up of a name, or a file system that hangs, cannot be cancelled: such a thread is left behind.
        asyncio.get_running_loop().set_default_executor(_Unjoined())
        found = await asyncio.gather(*(_findings_of(check, seconds) for check in checks))
        return [finding for findings in found for finding in findings]

    return asyncio.run(together())


async def _findings_of(check: Check, seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await check.run()
    except TimeoutError:
        what = f"no result within {seconds:g} s"
        fix = "check whether the server is overloaded, or a firewall drops packets silently"
        return [fault(check.name, what, fix)]
    except NotifierError as exc:
        return [fault_of(check.name, line) for line in str(exc).splitlines() if line.strip()]
    except Exception as exc:
        # A driver's text may hold a URL or data; the class says enough.
        what = f"the check itself failed: {type(exc).__name__}"
        return [fault(check.name, what, "report it")]


def clock_findings(check: str, server: str, ahead_seconds: float) -> list[Finding]:
    """Judge the clock of a server: waits, leases and links use both clocks."""
    away = abs(ahead_seconds)
    if away < _CLOCK_WARNING_SECONDS:
        return []
    which = "ahead of" if ahead_seconds > 0 else "behind"
    what = f"the clock of {server} is {away:.0f} s {which} this machine's"
    fix = "synchronise both with NTP; see: timedatectl timesync-status"
    return [(fault if away >= _CLOCK_FAULT_SECONDS else warning)(check, what, fix)]


class _Unjoined(ThreadPoolExecutor):
    """A thread for each call, left behind at exit if it still hangs."""

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as exc:
                future.set_exception(exc)
            else:
                future.set_result(result)

        threading.Thread(target=run, daemon=True).start()
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass
