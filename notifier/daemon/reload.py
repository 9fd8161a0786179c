"""Reload on SIGHUP and when Vault has something new: build the new snapshot aside, then swap it in whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import structlog

from notifier.config import Config
from notifier.daemon.components import Daemon
from notifier.daemon.observing import start_series
from notifier.daemon.snapshot import Blueprint, Snapshot
from notifier.errors import NotifierError, place_of
from notifier.telemetry.durations import duration

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
"""What a reload cannot change: connections, listeners, and how log lines look."""

_BUILD_SECONDS = 60.0
_NEVER_SECONDS = 86_400.0

log = structlog.get_logger(__name__)


class Reloader:
    """Does one reload at a time, in the background."""

    def __init__(self, daemon: Daemon, blueprint: Blueprint) -> None:
        self._daemon = daemon
        self._blueprint = blueprint
        self._asked = asyncio.Event()
        self._building: threading.Thread | None = None

    def request(self) -> None:
        """Ask for a reload of everything; several requests at once are one reload."""
        self._asked.set()

    async def run(self) -> None:
        """Reload when asked, read Vault again when it is time, until cancelled."""
        self._note_vault(self._daemon.snapshot)
        while True:
            if await self._asked_within(self._refresh_seconds()):
                await self.reload()
            else:
                await self.refresh()

    async def reload(self) -> None:
        """Read settings, secrets and cards anew and go on with them; refused whole when anything is wrong."""
        for announce in self._daemon.before_reload:
            announce()
        running = self._daemon.snapshot
        try:
            new = await self._aside(lambda: self._blueprint.build(running))
        except NotifierError as exc:
            self._refuse("configuration", exc)
        else:
            for part in ("configuration", "secrets"):
                self._daemon.health.warn(part, None)
            self._swap(new)
        for announce in self._daemon.after_reload:
            announce()

    async def refresh(self) -> None:
        """Read Vault again and go on with what changed; while it is away, with what there is."""
        running = self._daemon.snapshot
        try:
            new = await self._aside(lambda: self._blueprint.with_fresh_secrets(running))
        except NotifierError as exc:
            self._refuse("secrets", exc)
            return
        self._daemon.health.warn("secrets", None)
        if new.secrets == running.secrets:
            self._daemon.snapshot = replace(
                running, vault_away=new.vault_away, vanished=new.vanished
            )
            self._note_vault(new)
        else:
            self._swap(new)

    def _swap(self, new: Snapshot) -> None:
        """Put the new snapshot in force; without an await, so that nothing ever sees a half of it."""
        old = self._daemon.snapshot
        config, restart = keep_connections(old.config, new.config)
        self._daemon.snapshot = new = replace(new, config=config)
        for intake in self._daemon.intakes:
            intake.use(
                catalogue=new.catalogue,
                masking=new.masking,
                settings=config.intake,
                signers=new.signers,
            )
        for recorder in self._daemon.recorders:
            recorder.use(config.recorder)
        if self._daemon.channels is not None and not self._daemon.stop.is_set():
            self._daemon.channels.use(new)
        start_series(config)
        self._note_vault(new)
        log.info("reloaded", **_changes(old, new), restart_needed=restart)
        if restart:
            log.warning(
                "restart_needed",
                settings=restart,
                fix="they changed too, but only a restart takes them up",
            )

    def _refuse(self, part: str, exc: NotifierError) -> None:
        faults = [line.strip() for line in str(exc).splitlines() if line.strip()]
        why = f"refused, the earlier ones stay in force: {'; '.join(faults)}"
        # What was asked for is always answered; what Vault holds is read again and again.
        if self._daemon.health.warn(part, why) or part == "configuration":
            log.error(
                "reload_refused",
                part=part,
                faults=faults,
                fix="mend them and reload; what was in force before stays in force",
            )

    def _note_vault(self, snapshot: Snapshot) -> None:
        away = snapshot.vault_away
        why = f"{away}; going on with the secrets that were read before" if away else None
        if self._daemon.health.warn("vault", why) and why:
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
        if self._daemon.health.warn("secrets_vanished", why) and why:
            fix = "write it again, or `placeholder` if it is not to be used"
            log.error("secrets_vanished", where=list(kept), hours=hours, fix=fix)

    def _refresh_seconds(self) -> float:
        vault = self._daemon.snapshot.vault
        return _NEVER_SECONDS if vault is None else vault.next_refresh_seconds

    async def _asked_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _aside(self, work: Callable[[], Result]) -> Result:
        """Run blocking work in a thread that nobody has to wait for at exit; raises ReloadError when it hangs or fails unforeseen."""
        if self._building is not None and self._building.is_alive():
            raise ReloadError("the attempt before still waits for a file or for Vault")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def finish(set_it: Callable[[], None]) -> None:
            if not future.done():
                set_it()

        def run() -> None:
            try:
                result = work()
            except NotifierError as exc:
                refused: NotifierError = exc
                _tell(loop, lambda: finish(lambda: future.set_exception(refused)))
            except Exception as exc:
                # Whatever a file holds, the daemon goes on with what it has. The error's own text may hold a secret.
                failed = ReloadError(f"failed unforeseen ({place_of(exc)}); report this line")
                _tell(loop, lambda: finish(lambda: future.set_exception(failed)))
            else:
                _tell(loop, lambda: finish(lambda: future.set_result(result)))

        self._building = threading.Thread(target=run, name="reload", daemon=True)
        self._building.start()
        try:
            async with asyncio.timeout(_BUILD_SECONDS):
                return await future
        except TimeoutError:
            raise ReloadError(f"reading took more than {_BUILD_SECONDS:g} s") from None


class ReloadError(NotifierError):
    """A reload could not be done."""


def keep_connections(old: Config, new: Config) -> tuple[Config, list[str]]:
    """Return the new settings with those that only a restart can change as they are, and the names of these that differ."""
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


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the daemon has ended meanwhile
        loop.call_soon_threadsafe(what)
