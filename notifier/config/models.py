"""The settings model: every section of config.toml, frozen and checked."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from notifier.config.escalation import BusinessHoursSettings, EscalationSettings
from notifier.config.listeners import AdminSettings, PublicSettings
from notifier.config.postgres_url import check_postgres_url
from notifier.config.redis_url import check_redis_url, parse_redis_url
from notifier.config.section import NAME, STREAM, PositiveSeconds, Section
from notifier.config.urls import check_collector_url, check_proxy_url, check_web_url
from notifier.events.entry import Priority

WebUrl = Annotated[str, AfterValidator(check_web_url)]
Name = Annotated[str, Field(pattern=NAME)]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_PATTERN = re.compile(
    rf"(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}(?::[0-9]{{1,4}}|:[1-5][0-9]{{4}})?"
)
_MOUNTED = re.compile(r"[^/\s]+(?:/[^/\s]+)+")


class RedisSettings(Section):
    """How to reach Redis and how entries in flight are leased."""

    url: Annotated[str, AfterValidator(check_redis_url)]
    group: Annotated[str, Field(min_length=1, max_length=100)]
    block_seconds: Annotated[float, Field(ge=0.01, le=30)]
    connect_timeout_seconds: PositiveSeconds
    lease_seconds: Annotated[float, Field(ge=1, le=3600)]
    max_deliveries: Annotated[int, Field(ge=2)]
    tls_ca_file: str
    tls_cert_file: str
    tls_key_file: str

    @model_validator(mode="after")
    def _tls_is_sound(self) -> RedisSettings:
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("tls_cert_file and tls_key_file go together: set both or neither")
        if (self.tls_ca_file or self.tls_cert_file) and not parse_redis_url(self.url).tls:
            raise ValueError(
                "tls_ca_file and tls_cert_file need TLS: write rediss in the url for redis"
            )
        return self


class DatabaseSettings(Section):
    """How to reach Postgres."""

    url: Annotated[str, AfterValidator(check_postgres_url)]
    connect_timeout_seconds: Annotated[int, Field(ge=1, le=300)]
    statement_timeout_seconds: PositiveSeconds


class IntakeSettings(Section):
    """Bounds of the first stage."""

    batch: Annotated[int, Field(ge=1, le=10_000)]
    event_ttl_seconds: Annotated[int, Field(ge=1, le=3650 * 86400)]
    max_event_bytes: Annotated[int, Field(ge=1024, le=2**20)]
    retention_seconds: PositiveSeconds
    require_signature: bool


class DeliverySettings(Section):
    """Bounds of the second stage."""

    in_flight: Annotated[int, Field(ge=1, le=1000)]
    stop_timeout_seconds: PositiveSeconds
    max_card_bytes: Annotated[int, Field(ge=1024)]
    digest_threshold: Annotated[int, Field(ge=0)]
    digest_size: Annotated[int, Field(ge=2, le=200)]


class RetrySettings(Section):
    """How transient failures are retried."""

    max_retries: Annotated[int, Field(ge=0, le=20)]
    factor: Annotated[float, Field(ge=1, le=10)]
    max_delay_seconds: PositiveSeconds


class RateLimitSettings(Section):
    """How often one channel may be posted to, over all processes."""

    requests: Annotated[int, Field(ge=0)]
    period_seconds: PositiveSeconds
    burst: Annotated[int, Field(ge=1)]
    min_interval_seconds: Annotated[float, Field(ge=0, le=60)]


class BreakerSettings(Section):
    """When a failing channel is not posted to."""

    failures: Annotated[int, Field(ge=1)]
    open_seconds: PositiveSeconds


class HttpSettings(Section):
    """Connections to webhooks."""

    connection_timeout_seconds: PositiveSeconds
    connect_timeout_seconds: PositiveSeconds
    total_connections: Annotated[int, Field(ge=1)]
    connections_per_host: Annotated[int, Field(ge=1)]
    allowed_hosts: tuple[str, ...]
    allow_loopback_webhooks: bool
    proxy: Annotated[str, AfterValidator(check_proxy_url)]

    @field_validator("allowed_hosts")
    @classmethod
    def _host_patterns(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST_PATTERN.fullmatch(host.lower()):
                raise ValueError(
                    'each must be a host name such as "hooks.example.com" or "*.example.com", with ":port" if it is not 443'
                )
        return hosts


class VaultSettings(Section):
    """HashiCorp Vault (KV v2) as a source of secrets."""

    url: WebUrl
    auth: Literal["token", "approle", "kubernetes"]
    role: str
    auth_mount: str
    namespace: str
    mount: str
    webhooks_path: str
    config_path: str
    ca_file: str
    kubernetes_token_file: str
    timeout_seconds: Annotated[float, Field(gt=0, le=60)]
    refresh_seconds: Annotated[float, Field(ge=1, le=86400)]
    keep_vanished_seconds: Annotated[float, Field(ge=0, le=31_536_000)]

    @field_validator("webhooks_path", "config_path")
    @classmethod
    def _mounted(cls, path: str) -> str:
        if not _MOUNTED.fullmatch(path.strip("/")):
            raise ValueError('must be mount and path, such as "secret/teams/webhooks"')
        return path.strip("/")

    @model_validator(mode="after")
    def _complete(self) -> VaultSettings:
        if self.url and self.auth != "token" and not self.role:
            raise ValueError(
                f"role: is needed for auth = {self.auth} (AppRole: the role_id; Kubernetes: the role's name)"
            )
        for path in (self.webhooks_path, self.config_path):
            if self.mount and not path.startswith(f"{self.mount}/"):
                raise ValueError(
                    "webhooks_path and config_path must begin with the mount and a slash"
                )
        return self


class RecorderSettings(Section):
    """Bounds of the third stage."""

    batch: Annotated[int, Field(ge=1, le=10_000)]
    store_cards: bool


class AuditSettings(Section):
    """How long the audit trail is kept."""

    retention_days: Annotated[int, Field(ge=1, le=36_500)]
    critical_retention_days: Annotated[int, Field(ge=1, le=36_500)]

    @model_validator(mode="after")
    def _critical_longer(self) -> AuditSettings:
        if self.critical_retention_days < self.retention_days:
            raise ValueError("critical_retention_days must not be less than retention_days")
        return self


class DeadLetterSettings(Section):
    """How many dead letters cause a warning."""

    warn_above: Annotated[int, Field(ge=0)]


class MaskingSettings(Section):
    """The data members that identify a person."""

    fields: tuple[str, ...]
    exempt: tuple[str, ...]


class CardSettings(Section):
    """Where card templates are."""

    directory: str


class LinkSettings(Section):
    """Base URLs of links on cards; cards have no link for an empty one."""

    claims_app: WebUrl
    rejection_guide: WebUrl
    grafana: WebUrl
    flower: WebUrl
    logs: WebUrl
    nphies_portal: WebUrl
    nphies_status: WebUrl
    nphies_docs: WebUrl
    runbooks: WebUrl


class LoggingSettings(Section):
    """Form and level of log lines."""

    format: Literal["auto", "json", "console"]
    level: Literal["debug", "info", "warning", "error"]


class TracingSettings(Section):
    """Spans for a collector of OpenTelemetry."""

    enabled: bool
    endpoint: Annotated[str, AfterValidator(check_collector_url)]


class Channel(Section):
    """One Teams channel; its webhook URL is a secret, not a setting."""

    title: Annotated[str, Field(min_length=1, max_length=80)]


class Route(Section):
    """The channels, priority and card of an event type."""

    priority: Priority = Priority.INFO
    stakeholders: tuple[str, ...] = ()
    card: Name = "generic"
    aliases: tuple[str, ...] = ()

    @field_validator("priority", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class Config(Section):
    """Every setting, checked."""

    streams: Annotated[tuple[Annotated[str, Field(pattern=STREAM)], ...], Field(min_length=1)]
    redis: RedisSettings
    database: DatabaseSettings
    intake: IntakeSettings
    delivery: DeliverySettings
    retry: RetrySettings
    rate_limit: RateLimitSettings
    breaker: BreakerSettings
    http: HttpSettings
    vault: VaultSettings
    recorder: RecorderSettings
    audit: AuditSettings
    dead_letters: DeadLetterSettings
    masking: MaskingSettings
    cards: CardSettings
    links: LinkSettings
    logging: LoggingSettings
    tracing: TracingSettings
    admin: AdminSettings
    public: PublicSettings
    escalation: EscalationSettings
    business_hours: BusinessHoursSettings
    channels: dict[Name, Channel]
    routes: dict[str, Route]

    @property
    def stop_fault(self) -> str | None:
        """Return why a stop may interrupt a post; None if it may not.

        It is not an error: the settings work, but such a post is posted twice.
        """
        post, stop = self.http.connection_timeout_seconds, self.delivery.stop_timeout_seconds
        if stop > post:
            return None
        return (
            f"delivery.stop_timeout_seconds ({stop:g}) is not more than http.connection_timeout_seconds ({post:g}): a stop interrupts a slow post, "
            f"which is then posted twice; set stop_timeout_seconds to {post + 5:g} or more, and TimeoutStopSec of the unit to {post + 30:g} or more"
        )

    @model_validator(mode="after")
    def _chains_are_sound(self) -> Config:
        for priority in ("CRITICAL", "HIGH", "MEDIUM", "LOW"):
            for channel in getattr(self.escalation, priority).chain:
                if channel not in self.channels:
                    known = ", ".join(self.channels)
                    raise ValueError(
                        f'escalation.{priority}.chain: unknown channel "{channel}"; channels are {known}'
                    )
        return self

    @model_validator(mode="after")
    def _routes_are_sound(self) -> Config:
        owners: dict[str, str] = {}
        for event_type, route in self.routes.items():
            for channel in route.stakeholders:
                if channel not in self.channels:
                    known = ", ".join(self.channels)
                    raise ValueError(
                        f'routes."{event_type}".stakeholders: unknown channel "{channel}"; channels are {known}'
                    )
            for name in (event_type, *route.aliases):
                if name in owners:
                    raise ValueError(
                        f'routes: both "{owners[name]}" and "{event_type}" name "{name}"; keep one'
                    )
                owners[name] = event_type
        return self
