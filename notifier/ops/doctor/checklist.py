"""All that is looked at, in the order in which it is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from notifier.broker.client import Client, close, connect
from notifier.broker.errors import stream_error
from notifier.broker.streams import Streams
from notifier.cards.library import card_folders, layered
from notifier.config import Config
from notifier.config.secrets import (
    Secrets,
    VaultSource,
    open_vault,
    secret_sources,
    survey_secrets,
)
from notifier.errors import NotifierError, VaultError
from notifier.ops.doctor.cards import NAME as CARDS
from notifier.ops.doctor.cards import check_cards
from notifier.ops.doctor.examination import Check
from notifier.ops.doctor.files import NAME as FILES
from notifier.ops.doctor.files import check_files
from notifier.ops.doctor.names import NAME as SECRETS
from notifier.ops.doctor.names import (
    SETTINGS,
    check_settings,
    credentials_in,
    name_findings,
    secret_findings,
)
from notifier.ops.doctor.pages import (
    ADMIN,
    KEYS,
    LINKS,
    PUBLIC,
    check_admin,
    check_keys,
    check_links,
    check_public_pages,
)
from notifier.ops.doctor.postgres import NAME as POSTGRES
from notifier.ops.doctor.postgres import check_postgres
from notifier.ops.doctor.redis import NAME as REDIS
from notifier.ops.doctor.redis import RIGHTS, check_redis, check_redis_rights
from notifier.ops.doctor.routing import (
    CHANNELS,
    ESCALATION,
    ROUTES,
    check_channels,
    check_escalation,
    check_routes,
)
from notifier.ops.doctor.running import NAME as DAEMON
from notifier.ops.doctor.running import check_daemon
from notifier.ops.doctor.stages import LANES, check_lanes, check_stages
from notifier.ops.doctor.stages import NAME as STAGES
from notifier.ops.doctor.units import NAME as SERVICE
from notifier.ops.doctor.units import check_units
from notifier.ops.doctor.vault import NAME as VAULT
from notifier.ops.doctor.vault import vault_findings
from notifier.ops.doctor.webhooks import NAME as WEBHOOKS
from notifier.ops.doctor.webhooks import check_webhooks
from notifier.telemetry.findings import Finding, ok, warning

_FIRST_ANSWER_SECONDS = 7.0
"""Less than a check may take, so that those that lean on it can say why they were not made."""

OnRedis = Callable[[Client, Config], Awaitable[Sequence[Finding]]]
OnSecrets = Callable[[Secrets], Sequence[Finding] | Awaitable[Sequence[Finding]]]


def checklist(config: Config, env: Mapping[str, str], config_file: Path | None) -> list[Check]:
    """Return every check; those that need Redis or the secrets wait for one answer and share it."""
    ground = Ground(config, env)

    def pure(look: Callable[[Config], list[Finding]]) -> Callable[[], Awaitable[list[Finding]]]:
        async def looked() -> list[Finding]:
            return look(config)

        return looked

    async def routes() -> list[Finding]:
        files = await asyncio.to_thread(layered, card_folders(config), "*.json")
        return check_routes(config, [path.stem for path in files.values()])

    return [
        Check(SETTINGS, pure(partial(check_settings, env=env))),
        Check(REDIS, partial(ground.redis_itself)),
        Check(RIGHTS, partial(ground.on_redis, RIGHTS, check_redis_rights)),
        Check(STAGES, partial(ground.on_redis, STAGES, check_stages)),
        Check(LANES, partial(ground.on_redis, LANES, check_lanes)),
        Check(POSTGRES, partial(check_postgres, config.database)),
        Check(VAULT, ground.vault_itself),
        Check(SECRETS, ground.names),
        Check(KEYS, partial(ground.on_secrets, KEYS, check_keys)),
        Check(CHANNELS, partial(ground.on_secrets, CHANNELS, partial(check_channels, config))),
        Check(WEBHOOKS, partial(ground.on_secrets, WEBHOOKS, partial(check_webhooks, config))),
        Check(CARDS, partial(check_cards, config)),
        Check(ROUTES, routes),
        Check(ESCALATION, partial(ground.on_secrets, ESCALATION, partial(check_escalation, config))),
        Check(LINKS, pure(check_links)),
        Check(PUBLIC, partial(ground.on_secrets, PUBLIC, partial(check_public_pages, config))),
        Check(ADMIN, partial(ground.on_secrets, ADMIN, partial(check_admin, config))),
        Check(DAEMON, ground.daemon),
        Check(SERVICE, partial(check_units, config, env)),
        Check(FILES, partial(check_files, config, env, config_file)),
    ]  # fmt: skip


def find_secrets(config: Config, env: Mapping[str, str]) -> tuple[Secrets, list[str]]:
    """Return the secrets as the daemon would find them, and what is wrong with them; raises VaultError. Blocks."""
    vault = open_vault(config.vault, env, clock=time.monotonic)
    if vault is not None:
        vault.refresh()
    return survey_secrets(config, secret_sources(env, vault))


class Ground:
    """What several checks stand on: each is asked once, and its fault is told once."""

    def __init__(self, config: Config, env: Mapping[str, str]) -> None:
        self._config = config
        self._env = env
        self._vault_lock, self._redis_lock = asyncio.Lock(), asyncio.Lock()
        self._vault: VaultSource | None = None
        self._vault_asked = False
        self._vault_fault: NotifierError | None = None
        self._redis_asked = False
        self._redis_fault: NotifierError | None = None

    async def redis_itself(self) -> Sequence[Finding]:
        """Look at the server; raises StreamError when it is away."""
        await self._ask_redis()
        if self._redis_fault is not None:
            raise self._redis_fault
        return await self._connected(look_at_redis_of)

    async def on_redis(self, name: str, look: OnRedis) -> Sequence[Finding]:
        """Look at something in Redis, unless it is away."""
        await self._ask_redis()
        if self._redis_fault is not None:
            return [_not_looked_at(name, "Redis does not answer")]
        return await self._connected(look)

    async def vault_itself(self) -> Sequence[Finding]:
        """Look at Vault; raises VaultError or SecretsError."""
        await self._ask_vault()
        if self._vault_fault is not None:
            raise self._vault_fault
        if self._vault is None:
            return [ok(VAULT, "not used")]
        return vault_findings(self._vault)

    async def names(self) -> Sequence[Finding]:
        """Look for secrets that cannot be used and for names that mean nothing."""
        await self._ask_vault()
        if self._vault_fault is not None:
            return [_not_looked_at(SECRETS, "Vault cannot be read")]
        _, faults = self._survey()
        unknown = name_findings(
            self._config,
            variables=self._env,
            credentials=credentials_in(self._env.get("CREDENTIALS_DIRECTORY")),
            vault=self._vault.keys if self._vault is not None else {},
        )
        return secret_findings(faults, unknown)

    async def on_secrets(self, name: str, look: OnSecrets) -> Sequence[Finding]:
        """Look at something that needs the secrets, unless Vault has them and is away."""
        await self._ask_vault()
        if self._vault_fault is not None:
            return [_not_looked_at(name, "Vault cannot be read")]
        secrets, _ = self._survey()
        found = look(secrets)
        return await found if isinstance(found, Awaitable) else found

    async def daemon(self) -> Sequence[Finding]:
        """Look at the daemon on this machine, which may have other secrets than this command finds."""
        await self._ask_vault()
        secrets = None if self._vault_fault is not None else self._survey()[0]
        return await check_daemon(self._config, secrets)

    def _survey(self) -> tuple[Secrets, list[str]]:
        return survey_secrets(self._config, secret_sources(self._env, self._vault))

    async def _ask_vault(self) -> None:
        async with self._vault_lock:
            if self._vault_asked:
                return
            self._vault_asked = True
            try:
                async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                    vault = open_vault(self._config.vault, self._env, clock=time.monotonic)
                    if vault is not None:
                        await asyncio.to_thread(vault.refresh)
                    self._vault = vault
            except TimeoutError:
                self._vault_fault = VaultError(
                    f"Vault does not answer within {_FIRST_ANSWER_SECONDS:g} s; check vault.url"
                )
            except NotifierError as exc:
                self._vault_fault = exc

    async def _ask_redis(self) -> None:
        async with self._redis_lock:
            if self._redis_asked:
                return
            self._redis_asked = True
            try:
                async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                    await self._connected(_answers)
            except TimeoutError as exc:
                self._redis_fault = stream_error(self._config.redis.url, exc)
            except NotifierError as exc:
                self._redis_fault = exc

    async def _connected(self, look: OnRedis) -> Sequence[Finding]:
        client = connect(self._config.redis)
        try:
            return await look(client, self._config)
        finally:
            await close(client)


async def look_at_redis_of(client: Client, config: Config) -> Sequence[Finding]:
    """Look at the server of these settings."""
    return await check_redis(client, config.redis)


async def _answers(client: Client, config: Config) -> Sequence[Finding]:
    await Streams(client, config.redis).ping()
    return []


def _not_looked_at(name: str, why: str) -> Finding:
    return warning(name, f"not looked at: {why}", "fix that first")
