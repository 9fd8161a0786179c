"""Reload settings, secrets and cards on SIGHUP or a change in Vault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import structlog

from notifier.config import Config
from notifier.daemon.dependencies import CurrentSnapshot
from notifier.daemon.gauges import start_series
from notifier.daemon.snapshot import Blueprint, Snapshot
from notifier.errors import NotifierError, place_of
from notifier.telemetry.clock import duration
from notifier.telemetry.health import Health

Result = TypeVar("Result")

RESTART_SETTINGS = (
    "streams",
    "redis",
    "database",
    "logging",
    "tracing",
    "admin",
    "public.bind",
)
"""Settings that need a restart: connections, listeners, and the form of log lines."""

_BUILD_SECONDS = 60.0
_NEVER_SECONDS = 86_400.0

log = structlog.get_logger(__name__)


class Reloader:
    """Does one reload at a time, in the background."""

    def __init__(
        self,
        current: CurrentSnapshot,
        blueprint: Blueprint,
        health: Health,
        *,
        use: Sequence[Callable[[Snapshot], None]],
        before: Callable[[], None],
        after: Sequence[Callable[[], None]],
    ) -> None:
        """Prepare reloads.

        Args:
            current: Holds the snapshot in force.
            blueprint: Builds the next one.
            health: Gets the warnings.
            use: Each is called with a new snapshot that is in force.
            before: Called when a reload begins.
            after: Each is called when a reload has ended, also when it was refused.
        """
        self._current = current
        self._blueprint = blueprint
        self._health = health
        self._use = use
        self._before = before
        self._after = after
        self._requested = asyncio.Event()
        self._building: threading.Thread | None = None

    def request(self) -> None:
        """Ask for a reload of everything; several requests at once are one reload."""
        self._requested.set()

    async def run(self) -> None:
        """Reload on request, and read Vault at intervals, until cancelled."""
        self._note_vault(self._current.snapshot)
        while True:
            if await self._requested_within(self._refresh_seconds()):
                await self.reload()
            else:
                await self.refresh()

    async def reload(self) -> None:
        """Read settings, secrets and cards again; refuse all if one is wrong."""
        self._before()
        running = self._current.snapshot
        try:
            new = await self._aside(lambda: self._blueprint.build(running))
        except NotifierError as exc:
            self._refuse("configuration", exc)
        else:
            for component in ("configuration", "secrets"):
                self._health.warn(component, None)
            self._swap(new)
        for notify in self._after:
            notify()

    async def refresh(self) -> None:
        """Read Vault again; while it is away, keep the current secrets."""
        running = self._current.snapshot
        try:
            new = await self._aside(lambda: self._blueprint.with_fresh_secrets(running))
        except NotifierError as exc:
            self._refuse("secrets", exc)
            return
        self._health.warn("secrets", None)
        if new.secrets == running.secrets:
            self._current.snapshot = replace(
                running, vault_away=new.vault_away, vanished=new.vanished
            )
            self._note_vault(new)
        else:
            self._swap(new)

    def _swap(self, new: Snapshot) -> None:
        """Put the new snapshot in force at once: no task may see half of it."""
        old = self._current.snapshot
        config, restart = keep_connections(old.config, new.config)
        self._current.snapshot = new = replace(new, config=config)
        for use in self._use:
            use(new)
        start_series(config)
        self._note_vault(new)
        log.info("reloaded", **_changes(old, new), restart_needed=restart)
        if restart:
            log.warning(
                "restart_needed",
                settings=restart,
                fix="restart: a reload does not change them",
            )

    def _refuse(self, component: str, exc: NotifierError) -> None:
        faults = [line.strip() for line in str(exc).splitlines() if line.strip()]
        why = f"refused, the earlier ones stay in force: {'; '.join(faults)}"
        # A requested reload always gets its answer; Vault is read again and again.
        if self._health.warn(component, why) or component == "configuration":
            log.error(
                "reload_refused",
                part=component,
                faults=faults,
                fix="fix them and reload; the earlier ones stay in force",
            )

    def _note_vault(self, snapshot: Snapshot) -> None:
        away = snapshot.vault_away
        why = f"{away}; the last secrets stay in use" if away else None
        if self._health.warn("vault", why) and why:
            log.warning("vault_away", reason=why)
        self._note_vanished(snapshot)

    def _note_vanished(self, snapshot: Snapshot) -> None:
        kept = snapshot.vanished
        hours = snapshot.config.vault.keep_vanished_seconds / 3600
        why = (
            f"{', '.join(kept)} vanished; the last value is used for {duration(3600 * hours)}"
            if kept
            else None
        )
        if self._health.warn("secrets_vanished", why) and why:
            fix = "write it again, or `placeholder` if it is not to be used"
            log.error("secrets_vanished", where=list(kept), hours=hours, fix=fix)

    def _refresh_seconds(self) -> float:
        vault = self._current.snapshot.vault
        return _NEVER_SECONDS if vault is None else vault.next_refresh_seconds

    async def _requested_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._requested.wait()
        except TimeoutError:
            return False
        self._requested.clear()
        return True

    async def _aside(self, work: Callable[[], Result]) -> Result:
        """Run blocking work in a thread that may outlive the loop.

        Raises:
            ReloadError: It hangs, or failed unforeseen.
        """
        if self._building is not None and self._building.is_alive():
            raise ReloadError(
                "the attempt before still waits for a file or for Vault; try again later"
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result | NotifierError] = loop.create_future()

        def finish(outcome: Result | NotifierError) -> None:
            if not future.done():
                future.set_result(outcome)

        def run() -> None:
            outcome: Result | NotifierError
            try:
                outcome = work()
            except NotifierError as exc:
                outcome = exc
            except Exception as exc:
                # A file must not end the daemon. The text of the error may hold a secret.
                outcome = ReloadError(f"failed unforeseen ({place_of(exc)}); report this line")
            with suppress(RuntimeError):  # the daemon has ended meanwhile
                loop.call_soon_threadsafe(finish, outcome)

        self._building = threading.Thread(target=run, name="reload", daemon=True)
        self._building.start()
        try:
            async with asyncio.timeout(_BUILD_SECONDS):
                outcome = await future
        except TimeoutError:
            raise ReloadError(f"reading took more than {_BUILD_SECONDS:g} s") from None
        if isinstance(outcome, NotifierError):
            raise outcome
        return outcome


class ReloadError(NotifierError):
    """A reload could not be done."""


def keep_connections(old: Config, new: Config) -> tuple[Config, list[str]]:
    """Return the new settings without changes that need a restart."""
    kept: dict[str, object] = {}
    changed: list[str] = []
    for name in RESTART_SETTINGS:
        section, _, key = name.partition(".")
        before, after = getattr(old, section), getattr(new, section)
        if key:
            if getattr(before, key) == getattr(after, key):
                continue
            before = after.model_copy(update={key: getattr(before, key)})
        if before != after:
            kept[section] = before
            changed.append(name)
    return new.model_copy(update=kept), changed


def _changes(old: Snapshot, new: Snapshot) -> dict[str, list[str]]:
    names = [
        name
        for name in type(new.config).model_fields
        if getattr(old.config, name) != getattr(new.config, name)
    ]
    before, after = old.secrets.webhooks, new.secrets.webhooks
    webhooks = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    return {
        "changed": names,
        "channels_added": sorted(set(new.config.channels) - set(old.config.channels)),
        "channels_removed": sorted(set(old.config.channels) - set(new.config.channels)),
        "webhooks_changed": sorted(webhooks),
        "key_ids": list(new.secrets.keys.ids) if new.secrets.keys else [],
    }
