"""What the pages of the console work with, and what they say when a server is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from notifier.broker.consumer import Consumer
from notifier.config import Config
from notifier.errors import NotifierError
from notifier.events.masking import Masking
from notifier.events.routing import Catalogue
from notifier.ops.trace import TraceSearch
from notifier.store.patience import within
from notifier.telemetry.health import Readiness
from notifier.web.console.repository import ConsoleRepository

_SERVER_SECONDS = 4.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConsoleDependencies:
    """What a reload can change is asked for each time."""

    instance: str
    readiness: Callable[[], Awaitable[Readiness]]
    group: Consumer
    store: ConsoleRepository
    finder: TraceSearch
    config: Callable[[], Config]
    masking: Callable[[], Masking]
    catalogue: Callable[[], Catalogue]
    has_login: Callable[[], bool]
    """Whether one can log out."""
    now: Callable[[], datetime]
    clock: Callable[[], float]
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Away:
    """What cannot be shown now, and why."""

    server: str
    why: str


async def known(server: str, reading: Awaitable[T]) -> T | Away:
    """Return what is read, or that its server is away; a page shows the rest all the same."""
    try:
        return await within(_SERVER_SECONDS, reading)
    except TimeoutError:
        return Away(server, f"{server} did not answer within {_SERVER_SECONDS:g} seconds.")
    except NotifierError as exc:
        return Away(server, str(exc))
