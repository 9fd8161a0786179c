"""The settings: config.toml and the environment as one checked model."""

from notifier.config.escalation import (
    BusinessHoursSettings,
    EscalationRule,
    EscalationSettings,
)
from notifier.config.listeners import AdminSettings, PublicSettings
from notifier.config.load import (
    SEED_NAMES,
    environment_names,
    load_config,
    masked,
    overrides,
)
from notifier.config.models import (
    AuditSettings,
    BreakerSettings,
    CardSettings,
    Channel,
    Config,
    DatabaseSettings,
    DeliverySettings,
    HttpSettings,
    IntakeSettings,
    LinkSettings,
    LoggingSettings,
    MaskingSettings,
    RateLimitSettings,
    RecorderSettings,
    RedisSettings,
    RetrySettings,
    Route,
    TracingSettings,
    VaultSettings,
)
from notifier.config.redis_url import RedisAddress, RedisKind, parse_redis_url
from notifier.config.urls import mask_url

__all__ = [
    "SEED_NAMES",
    "AdminSettings",
    "AuditSettings",
    "BreakerSettings",
    "BusinessHoursSettings",
    "CardSettings",
    "Channel",
    "Config",
    "DatabaseSettings",
    "DeliverySettings",
    "EscalationRule",
    "EscalationSettings",
    "HttpSettings",
    "IntakeSettings",
    "LinkSettings",
    "LoggingSettings",
    "MaskingSettings",
    "PublicSettings",
    "RateLimitSettings",
    "RecorderSettings",
    "RedisAddress",
    "RedisKind",
    "RedisSettings",
    "RetrySettings",
    "Route",
    "TracingSettings",
    "VaultSettings",
    "environment_names",
    "load_config",
    "mask_url",
    "masked",
    "overrides",
    "parse_redis_url",
]
