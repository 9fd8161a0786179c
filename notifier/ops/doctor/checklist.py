"""All checks of `notifier doctor`, in the order of its output."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from notifier.broker.errors import stream_error
from notifier.broker.streams import Streams, open_streams
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
from notifier.ops.doctor import (
    daemon,
    files,
    pages,
    postgres,
    redis,
    routes,
    secrets,
    stages,
    systemd,
    webhooks,
)
from notifier.ops.doctor.checks import Check
from notifier.telemetry.findings import Finding, fault_of, ok, warning

_FIRST_ANSWER_SECONDS = 7.0
"""Less than a check may take, so that dependent checks can say why they were skipped."""

Answer = TypeVar("Answer")
OnRedis = Callable[[Streams, Config], Awaitable[Sequence[Finding]]]
OnSecrets = Callable[[Secrets], Sequence[Finding] | Awaitable[Sequence[Finding]]]


def checklist(config: Config, env: Mapping[str, str], config_file: Path | None) -> list[Check]:
    """Return every check, in order; Redis and Vault are asked once for all."""
    shared = SharedAnswers(config, env)

    def check_routes() -> list[Finding]:
        cards = layered(card_folders(config), "*.json").values()
        return routes.check_routes(config, [path.stem for path in cards])

    return [
        Check(
            secrets.SETTINGS, partial(asyncio.to_thread, secrets.check_settings, config, env)
        ),
        Check(redis.NAME, shared.redis_server),
        shared.on_redis(redis.RIGHTS, redis.check_redis_rights),
        shared.on_redis(stages.NAME, stages.check_stages),
        shared.on_redis(stages.LANES, stages.check_lanes),
        Check(postgres.NAME, partial(postgres.check_postgres, config.database)),
        Check(secrets.VAULT, shared.vault_server),
        Check(secrets.SECRETS, shared.names),
        shared.on_secrets(pages.KEYS, pages.check_keys),
        shared.on_secrets(routes.CHANNELS, partial(routes.check_channels, config)),
        shared.on_secrets(webhooks.NAME, partial(webhooks.check_webhooks, config)),
        Check(routes.CARDS, partial(asyncio.to_thread, routes.check_cards, config)),
        Check(routes.ROUTES, partial(asyncio.to_thread, check_routes)),
        shared.on_secrets(routes.ESCALATION, partial(routes.check_escalation, config)),
        Check(pages.LINKS, partial(asyncio.to_thread, pages.check_links, config)),
        shared.on_secrets(pages.PUBLIC, partial(pages.check_public_pages, config)),
        shared.on_secrets(pages.ADMIN, partial(pages.check_admin, config)),
        Check(daemon.NAME, shared.daemon),
        Check(systemd.NAME, partial(systemd.check_service, config, env)),
        Check(
            files.NAME, partial(asyncio.to_thread, files.check_files, config, env, config_file)
        ),
    ]


def find_secrets(config: Config, env: Mapping[str, str]) -> tuple[Secrets, list[str]]:
    """Return the secrets that the daemon would find, and their faults.

    Blocks.

    Raises:
        VaultError: Vault does not answer.
    """
    return survey_secrets(config, secret_sources(env, _read_vault(config, env)))


def _read_vault(config: Config, env: Mapping[str, str]) -> VaultSource | None:
    vault = open_vault(config.vault, env, clock=time.monotonic)
    if vault is not None:
        vault.refresh()
    return vault


class _Once(Generic[Answer]):
    """Asks once, for a limited time; every check gets the same answer."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Answer]],
        late: Callable[[TimeoutError], NotifierError],
    ) -> None:
        """Take `late` to make the error for no answer in time."""
        self._ask, self._late = ask, late
        self._task: asyncio.Task[Answer] | None = None

    async def answer(self) -> Answer:
        """Return the answer; raises NotifierError."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._asked())
        return await asyncio.shield(self._task)

    async def _asked(self) -> Answer:
        try:
            async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                return await self._ask()
        except TimeoutError as exc:
            raise self._late(exc) from None


class SharedAnswers:
    """Redis and Vault for several checks: a fault of either is one finding."""

    def __init__(self, config: Config, env: Mapping[str, str]) -> None:
        self._config = config
        self._env = env
        self._redis = _Once(
            lambda: self._connected(_ping), lambda exc: stream_error(config.redis.url, exc)
        )
        self._vault = _Once(
            lambda: asyncio.to_thread(_read_vault, config, env),
            lambda _: VaultError(
                f"Vault does not answer within {_FIRST_ANSWER_SECONDS:g} s; check vault.url"
            ),
        )

    async def redis_server(self) -> Sequence[Finding]:
        """Check the server; raises StreamError if it is away."""
        await self._redis.answer()
        return await self._connected(redis.check_redis)

    def on_redis(self, name: str, check: OnRedis) -> Check:
        """Return a check of something in Redis, which is skipped if Redis is away."""

        async def run() -> Sequence[Finding]:
            try:
                await self._redis.answer()
            except NotifierError:
                return [_skipped(name, "Redis does not answer")]
            return await self._connected(check)

        return Check(name, run)

    async def vault_server(self) -> Sequence[Finding]:
        """Check Vault; raises VaultError or SecretsError."""
        vault = await self._vault.answer()
        return (
            [ok(secrets.VAULT, "not used")] if vault is None else secrets.vault_findings(vault)
        )

    async def names(self) -> Sequence[Finding]:
        """Check for secrets that cannot be used, and for unknown names."""
        try:
            vault = await self._vault.answer()
        except NotifierError:
            return [_skipped(secrets.SECRETS, "Vault cannot be read")]
        _, faults = survey_secrets(self._config, secret_sources(self._env, vault))
        unknown = secrets.name_findings(
            self._config,
            variables=self._env,
            credentials=secrets.credentials_in(self._env.get("CREDENTIALS_DIRECTORY")),
            vault=vault.keys if vault is not None else {},
        )
        found = [*(fault_of(secrets.SECRETS, text) for text in faults), *unknown]
        return found or [ok(secrets.SECRETS, "all that were found can be used")]

    def on_secrets(self, name: str, check: OnSecrets) -> Check:
        """Return a check of secrets, which is skipped if Vault cannot be read."""

        async def run() -> Sequence[Finding]:
            try:
                known = await self._secrets()
            except NotifierError:
                return [_skipped(name, "Vault cannot be read")]
            found = check(known)
            return await found if isinstance(found, Awaitable) else found

        return Check(name, run)

    async def daemon(self) -> Sequence[Finding]:
        """Check the daemon here; it may have other secrets than this command."""
        try:
            known = await self._secrets()
        except NotifierError:
            known = None
        return await daemon.check_daemon(self._config, known)

    async def _secrets(self) -> Secrets:
        vault = await self._vault.answer()
        return survey_secrets(self._config, secret_sources(self._env, vault))[0]

    async def _connected(self, check: OnRedis) -> Sequence[Finding]:
        async with open_streams(self._config.redis) as streams:
            return await check(streams, self._config)


async def _ping(streams: Streams, _: Config) -> Sequence[Finding]:
    await streams.ping()
    return []


def _skipped(name: str, why: str) -> Finding:
    return warning(name, f"not checked: {why}", "fix that first")
