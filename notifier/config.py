"""Settings: config.toml and the environment become one frozen, checked model."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from notifier import assets
from notifier.errors import ConfigError
from notifier.events import Priority

SEED_NAMES = {
    "REDIS_URL": ("redis", "url"),
    "DATABASE_URL": ("database", "url"),
    "TEAMS_RATE_LIMIT_REQUESTS": ("rate_limit", "requests"),
    "TEAMS_RATE_LIMIT_PERIOD": ("rate_limit", "period_seconds"),
    "TEAMS_RATE_LIMIT_BURST": ("rate_limit", "burst"),
    "TEAMS_MAX_RETRIES": ("retry", "max_retries"),
    "TEAMS_RETRY_FACTOR": ("retry", "factor"),
    "TEAMS_MAX_RETRY_DELAY": ("retry", "max_delay_seconds"),
    "TEAMS_CONNECTION_TIMEOUT": ("http", "connection_timeout_seconds"),
    "TEAMS_TOTAL_CONNECTIONS": ("http", "total_connections"),
    "TEAMS_CONNECTIONS_PER_HOST": ("http", "connections_per_host"),
    "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": ("http", "allow_loopback_webhooks"),
    "TEAMS_EVENT_TTL": ("intake", "event_ttl_seconds"),
    "TEAMS_AUDIT_RETENTION_DAYS": ("audit", "retention_days"),
}
"""Environment names of the earlier integration that stand for one setting each."""

_OVERRIDE = re.compile(r"TEAMS_([A-Z_]+?)__([A-Z0-9_]+)")

PositiveSeconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_bind(bind: str) -> str:
    host, _, port = bind.rpartition(":")
    if bind and not (host and port.isdigit() and int(port) < 65536):
        raise ValueError('must be host:port such as "127.0.0.1:9464", or empty for off')
    return bind


def _check_web_url(url: str) -> str:
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://, or be empty")
    return url.rstrip("/")


class RedisSettings(_Section):
    """How to reach Redis and how entries in hand are leased."""

    url: str
    group: Annotated[str, Field(min_length=1, max_length=100)]
    block_seconds: Annotated[float, Field(ge=0.01, le=60)]
    connect_timeout_seconds: PositiveSeconds
    lease_seconds: Annotated[float, Field(ge=1, le=3600)]
    max_deliveries: Annotated[int, Field(ge=2)]

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: str) -> str:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return url


class DatabaseSettings(_Section):
    """How to reach Postgres."""

    url: str
    connect_timeout_seconds: Annotated[int, Field(ge=1, le=300)]
    statement_timeout_seconds: PositiveSeconds

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: str) -> str:
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return url


class IntakeSettings(_Section):
    """Bounds of the first stage."""

    batch: Annotated[int, Field(ge=1, le=10_000)]
    event_ttl_seconds: Annotated[int, Field(ge=1)]
    max_event_bytes: Annotated[int, Field(ge=1024)]
    retention_seconds: PositiveSeconds


class DeliverySettings(_Section):
    """Bounds of the second stage."""

    in_flight: Annotated[int, Field(ge=1, le=1000)]
    stop_timeout_seconds: PositiveSeconds
    max_card_bytes: Annotated[int, Field(ge=1024)]
    digest_threshold: Annotated[int, Field(ge=0)]
    digest_size: Annotated[int, Field(ge=2, le=200)]


class RetrySettings(_Section):
    """How transient failures are retried."""

    max_retries: Annotated[int, Field(ge=0, le=20)]
    factor: Annotated[float, Field(ge=1, le=10)]
    max_delay_seconds: PositiveSeconds


class RateLimitSettings(_Section):
    """How often one channel may be posted to, over all processes."""

    requests: Annotated[int, Field(ge=0)]
    period_seconds: PositiveSeconds
    burst: Annotated[int, Field(ge=1)]
    min_interval_seconds: Annotated[float, Field(ge=0, le=60)]


class BreakerSettings(_Section):
    """When a failing channel is left alone."""

    failures: Annotated[int, Field(ge=1)]
    open_seconds: PositiveSeconds


class HttpSettings(_Section):
    """Connections to webhooks."""

    connection_timeout_seconds: PositiveSeconds
    total_connections: Annotated[int, Field(ge=1)]
    connections_per_host: Annotated[int, Field(ge=1)]
    allowed_hosts: tuple[str, ...]
    allow_loopback_webhooks: bool


class RecorderSettings(_Section):
    """Bounds of the third stage."""

    batch: Annotated[int, Field(ge=1, le=10_000)]
    store_cards: bool


class AuditSettings(_Section):
    """How long the audit trail is kept."""

    retention_days: Annotated[int, Field(ge=1, le=36_500)]
    critical_retention_days: Annotated[int, Field(ge=1, le=36_500)]

    @model_validator(mode="after")
    def _critical_longer(self) -> AuditSettings:
        if self.critical_retention_days < self.retention_days:
            raise ValueError("critical_retention_days must not be less than retention_days")
        return self


class MaskingSettings(_Section):
    """Which data members identify a person."""

    fields: tuple[str, ...]
    exempt: tuple[str, ...]


class CardSettings(_Section):
    """Where card templates are."""

    directory: str


class LinkSettings(_Section):
    """Base URLs of links on cards; an empty one leaves its links out."""

    claims_app: str
    rejection_guide: str
    grafana: str
    flower: str
    logs: str
    nphies_portal: str
    nphies_status: str
    nphies_docs: str
    runbooks: str

    @field_validator("*")
    @classmethod
    def _web(cls, url: str) -> str:
        return _check_web_url(url)


class LoggingSettings(_Section):
    """What the log looks like."""

    format: Literal["auto", "json", "console"]
    level: Literal["debug", "info", "warning", "error"]


class AdminSettings(_Section):
    """The listener for operators and their tools."""

    bind: str

    _host_port = field_validator("bind")(_check_bind)


class PublicSettings(_Section):
    """The listener for people who act from a card."""

    bind: str
    url: str
    link_ttl_seconds: PositiveSeconds

    _host_port = field_validator("bind")(_check_bind)

    @field_validator("url")
    @classmethod
    def _web(cls, url: str) -> str:
        return _check_web_url(url)


class Channel(_Section):
    """One Teams channel; its webhook URL is a secret and is not here."""

    title: Annotated[str, Field(min_length=1, max_length=80)]


class Route(_Section):
    """Who sees an event type, how urgent it is, and on which card."""

    priority: Priority = Priority.INFO
    stakeholders: tuple[str, ...] = ()
    card: Name = "generic"
    aliases: tuple[str, ...] = ()

    @field_validator("priority", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class Config(_Section):
    """Every setting, checked."""

    streams: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^{}\s]{1,200}$")], ...], Field(min_length=1)
    ]
    redis: RedisSettings
    database: DatabaseSettings
    intake: IntakeSettings
    delivery: DeliverySettings
    retry: RetrySettings
    rate_limit: RateLimitSettings
    breaker: BreakerSettings
    http: HttpSettings
    recorder: RecorderSettings
    audit: AuditSettings
    masking: MaskingSettings
    cards: CardSettings
    links: LinkSettings
    logging: LoggingSettings
    admin: AdminSettings
    public: PublicSettings
    channels: dict[Name, Channel]
    routes: dict[str, Route]

    @model_validator(mode="after")
    def _routes_are_sound(self) -> Config:
        owners: dict[str, str] = {}
        for event_type, route in self.routes.items():
            for channel in route.stakeholders:
                if channel not in self.channels:
                    known = ", ".join(self.channels)
                    raise ValueError(
                        f'routes."{event_type}".stakeholders: no channel "{channel}"; channels are {known}'
                    )
            for name in (event_type, *route.aliases):
                if name in owners:
                    raise ValueError(
                        f'routes: "{name}" is named by "{owners[name]}" and by "{event_type}"; keep one'
                    )
                owners[name] = event_type
        return self


def load_config(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the shipped defaults, lay `path` and then the environment over them.

    Args:
        path: The operator's TOML file, or None for the shipped one alone.
        env: Usually os.environ.

    Raises:
        ConfigError: A file cannot be read, or a key or value is wrong; names each of them.
    """
    merged = _read_toml(assets.config_file())
    if path is not None:
        merged = _merge(merged, _read_toml(path))
    for name, keys, text in overrides(env):
        _apply(merged, name, keys, text)
    try:
        return Config.model_validate(merged)
    except ValidationError as exc:
        faults = [
            _describe(error["loc"], error["type"], error["msg"], env)
            for error in exc.errors(include_input=False)
        ]
        raise ConfigError(
            "configuration is not usable:\n" + "\n".join(f"  {fault}" for fault in faults)
        ) from None


def overrides(env: Mapping[str, str]) -> list[tuple[str, tuple[str, str], str]]:
    """List the environment variables that set something: (name, (section, key), text)."""
    found = [(name, keys, env[name]) for name, keys in SEED_NAMES.items() if name in env]
    for name in sorted(env):
        match = _OVERRIDE.fullmatch(name)
        if match:
            found.append((name, (match[1].lower(), match[2].lower()), env[name]))
    return found


def masked(config: Config) -> dict[str, JsonValue]:
    """Return all settings as plain data with passwords in URLs replaced by ***."""
    data: dict[str, JsonValue] = config.model_dump(mode="json")
    for section in ("redis", "database"):
        settings = data[section]
        assert isinstance(settings, dict)  # noqa: S101 - for the type checker
        settings["url"] = mask_url(str(settings["url"]))
    return data


def mask_url(url: str) -> str:
    """Return the URL without its password and query, which may hold one."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    netloc = f"{user}{':***' if colon else ''}{at}{host}"
    return urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", ""))


def _read_toml(path: Path) -> dict[str, JsonValue]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; name an existing one with --config"
        ) from None
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: is not valid TOML: {exc}") from None


def _merge(base: dict[str, JsonValue], over: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged


def _apply(merged: dict[str, JsonValue], name: str, keys: tuple[str, str], text: str) -> None:
    section, key = keys
    table = merged.get(section)
    if not isinstance(table, dict) or section in {"channels", "routes"}:
        raise ConfigError(
            f"{name}: there is no section [{section}]; sections are {', '.join(_sections())}"
        )
    default = table.get(key)
    if key not in table:
        raise ConfigError(
            f"{name}: [{section}] has no key {key}; its keys are {', '.join(table)}"
        )
    if isinstance(default, list):
        merged[section] = {**table, key: _as_list(text)}
    elif isinstance(default, bool):
        merged[section] = {**table, key: _as_bool(name, text)}
    else:
        merged[section] = {**table, key: text}


def _sections() -> list[str]:
    return [
        name for name in Config.model_fields if name not in {"streams", "channels", "routes"}
    ]


def _as_list(text: str) -> list[JsonValue]:
    if text.lstrip().startswith("["):
        try:
            parsed: JsonValue = json.loads(text)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            return parsed
    return [part.strip() for part in text.split(",") if part.strip()]


def _as_bool(name: str, text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ConfigError(f"{name}: write 1 or 0 (also true, false, yes, no, on, off)")


def _describe(
    loc: tuple[int | str, ...], kind: str, message: str, env: Mapping[str, str]
) -> str:
    # The value at fault is left out on purpose: it may be a URL with a password.
    key = ".".join(str(part) for part in loc)
    source = next(
        (f" (from {name})" for name, keys, _ in overrides(env) if keys == loc[:2]), ""
    )
    if kind == "extra_forbidden":
        return f"{key}: there is no such setting; see config.toml for all of them{source}"
    if kind == "missing":
        return f"{key}: is missing"
    text = message.removeprefix("Value error, ")
    return f"{key}: {text}{source}" if key else text
