"""Read and check settings, secrets and cards, at start and on reload."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from notifier.cards.check.folder import refuse_broken
from notifier.cards.library import (
    CHECKED_CARD_BYTES,
    CardLibrary,
    card_folders,
    check_routes,
    load_cards,
    sealed,
)
from notifier.cards.renderer import CardRenderer
from notifier.config import Config
from notifier.config.secrets import (
    Secrets,
    VanishedSecrets,
    VaultSource,
    load_secrets,
    open_vault,
    secret_sources,
    signers,
)
from notifier.daemon.action_links import action_link
from notifier.errors import CardError, ConfigError, SecretsError, VaultError
from notifier.events.masking import Masking
from notifier.events.producer_signature import Signers
from notifier.events.routing import Catalogue


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Settings, secrets and cards that belong together."""

    config: Config
    secrets: Secrets
    cards: CardLibrary
    catalogue: Catalogue
    masking: Masking
    renderer: CardRenderer
    vault: VaultSource | None = field(repr=False)
    vault_away: str | None = None
    """Why Vault could not be read, if its last values are used."""
    vanished: tuple[str, ...] = ()
    """Former places of vanished secrets that are still used."""

    @property
    def signers(self) -> Signers:
        """Return the signers whose events are accepted."""
        return signers(self.config, self.secrets)


class Blueprint:
    """Builds snapshots; every call blocks on files and Vault: use a thread."""

    def __init__(
        self,
        load: Callable[[], Config],
        env: Mapping[str, str],
        *,
        clock: Callable[[], float],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take `clock` for monotonic seconds and `now` for Unix seconds."""
        self._load = load
        self._env = env
        self._clock = clock
        self._now = now
        self._vanished = VanishedSecrets(clock)

    def build(self, running: Snapshot | None) -> Snapshot:
        """Read and check everything; if Vault is away, use its last values.

        Raises:
            ConfigError: Settings, secrets or cards are not usable; names the faults of secrets and cards together.
            VaultError: Vault is away and there are no earlier values.
        """
        config = self._load()
        vault, away = self._read_vault(config, running)
        faults: list[str] = []
        secrets: Secrets | None = None
        try:
            secrets = self._secrets(config, vault, running)
        except SecretsError as exc:
            faults.append(str(exc))
        cards: CardLibrary | None = None
        try:
            cards = _load_checked_cards(config)
        except CardError as exc:
            faults.append(str(exc))
        if faults or secrets is None or cards is None:
            raise ConfigError("\n".join(faults))
        return Snapshot(
            config,
            secrets,
            cards,
            Catalogue(config.routes, config.channels),
            Masking.of(config.masking.fields, config.masking.exempt),
            CardRenderer(cards, config, action_link(config, secrets, self._now)),
            vault,
            away,
            self._vanished.kept,
        )

    def with_fresh_secrets(self, running: Snapshot) -> Snapshot:
        """Read Vault again; returns the same snapshot if nothing changed.

        Raises:
            SecretsError: The new values in Vault are not usable.
        """
        vault = running.vault
        if vault is None:
            return running
        usable = vault.values
        try:
            vault.refresh()
            secrets = self._secrets(running.config, vault, running)
        except VaultError as exc:
            return replace(running, vault_away=str(exc))
        except SecretsError:
            # If Vault is away later, a reload needs usable values.
            vault.restore(usable)
            raise
        return replace(
            running,
            secrets=secrets,
            renderer=CardRenderer(
                running.cards, running.config, action_link(running.config, secrets, self._now)
            ),
            vault_away=None,
            vanished=self._vanished.kept,
        )

    def _secrets(
        self, config: Config, vault: VaultSource | None, running: Snapshot | None
    ) -> Secrets:
        places = secret_sources(self._env, vault)
        keep_seconds = config.vault.keep_vanished_seconds
        self._vanished.check(config.channels, places, keep_seconds=keep_seconds)
        secrets = load_secrets(config, [self._vanished, *places] if running else places)
        if running is not None:
            # A working channel keeps its old webhook until the new one is usable.
            worse = [
                fault
                for channel, fault in secrets.webhook_faults.items()
                if channel in running.secrets.webhooks
            ]
            if worse:
                raise SecretsError("\n".join(worse))
        if config.public.bind and secrets.keys is None:
            raise SecretsError(
                "public.bind: action links need a key; set TEAMS_HMAC_SECRET_KEY (make one with: notifier keys new)"
            )
        self._vanished.remember(config.channels, places)
        return secrets

    def _read_vault(
        self, config: Config, running: Snapshot | None
    ) -> tuple[VaultSource | None, str | None]:
        vault = open_vault(config.vault, self._env, clock=self._clock)
        if vault is None:
            return None, None
        try:
            vault.refresh()
        except VaultError as exc:
            known = running.vault if running is not None else None
            if known is None or not known.same_places(config.vault):
                raise
            return known, str(exc)
        return vault, None


def _load_checked_cards(config: Config) -> CardLibrary:
    """Load cards, and check them unless their folder is sealed."""
    folders = card_folders(config)
    before = sealed(*folders)
    if before is not None and config.delivery.max_card_bytes >= CHECKED_CARD_BYTES:
        cards = CardLibrary.on_demand(before.templates)
        check_routes(config, cards)
        return cards
    cards = load_cards(*folders)
    check_routes(config, cards)
    refuse_broken(folders[-1], config, base=folders[0] if len(folders) > 1 else None)
    return cards
