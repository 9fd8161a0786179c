"""Run all checks at the same time, each for a limited time; one that fails or hangs keeps no other from its result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from notifier.errors import NotifierError
from notifier.telemetry.findings import Finding, fault, fault_of

CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]
    """May raise NotifierError, which becomes a finding; blocking work goes to a thread (asyncio.to_thread)."""


def examine(checks: Sequence[Check], *, seconds: float = CHECK_SECONDS) -> list[Finding]:
    """Return what the checks found, in their order; takes little longer than `seconds`, whatever hangs."""

    async def together() -> list[Finding]:
        # Looking a name up cannot be cut short, and neither can a file system that hangs: nobody waits for such a thread.
        asyncio.get_running_loop().set_default_executor(_Unjoined())
        found = await asyncio.gather(*(_looked(check, seconds) for check in checks))
        return [finding for findings in found for finding in findings]

    return asyncio.run(together())


async def _looked(check: Check, seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await check.look()
    except TimeoutError:
        return [
            fault(
                check.name,
                f"no result within {seconds:g} s",
                "see whether what it asks is overloaded, or whether a firewall drops packets silently",
            )
        ]
    except NotifierError as exc:
        return [fault_of(check.name, line) for line in str(exc).splitlines() if line.strip()]
    except Exception as exc:
        # A driver's text may hold a URL or data; the class says enough.
        return [
            fault(check.name, f"the check itself failed: {type(exc).__name__}", "report it")
        ]


class _Unjoined(ThreadPoolExecutor):
    """A thread for each call, left behind at exit if it still hangs; an event loop takes nothing but this base class."""

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
