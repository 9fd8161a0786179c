"""Load config.toml and the environment into the settings model."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from notifier.config import assets
from notifier.config.messages import describe
from notifier.config.models import Config
from notifier.config.urls import mask_url
from notifier.errors import ConfigError

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
    "VAULT_ADDR": ("vault", "url"),
    "VAULT_NAMESPACE": ("vault", "namespace"),
    "VAULT_CACERT": ("vault", "ca_file"),
    "TEAMS_WEBHOOK_VAULT_PATH": ("vault", "webhooks_path"),
    "TEAMS_EVENT_TTL": ("intake", "event_ttl_seconds"),
    "TEAMS_AUDIT_RETENTION_DAYS": ("audit", "retention_days"),
}
"""Names of the earlier integration, and usual ones; each sets one setting."""

_OVERRIDE = re.compile(r"TEAMS_([A-Z_]+?)__([A-Z0-9_]+)")


def load_config(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the shipped defaults; `path`, then the environment override them.

    Args:
        path: The operator's TOML file, or None for the shipped one alone.
        env: Usually os.environ.

    Raises:
        ConfigError: A file cannot be read, or a key or value is wrong; names each of them.
    """
    shipped = _read_toml(assets.config_file())
    merged = _merge(shipped, {} if path is None else _read_toml(path))
    for name, keys, text in overrides(env):
        _apply(merged, name, keys, text)
    try:
        return Config.model_validate(merged)
    except ValidationError as exc:
        sources = {keys: name for name, keys, _ in overrides(env)}
        faults = describe(exc.errors(include_input=False), shipped, sources)
        raise ConfigError(
            "configuration is not usable:\n" + "\n".join(f"  {fault}" for fault in faults)
        ) from None


def overrides(env: Mapping[str, str]) -> list[tuple[str, tuple[str, str], str]]:
    """List the variables that set something: (name, (section, key), text)."""
    found = [(name, keys, env[name]) for name, keys in SEED_NAMES.items() if name in env]
    for name in sorted(env):
        match = _OVERRIDE.fullmatch(name)
        if match:
            found.append((name, (match[1].lower(), match[2].lower()), env[name]))
    return found


def environment_names() -> list[str]:
    """Return every environment variable that can set something."""
    sections = ((name, Config.model_fields[name].annotation) for name in _sections())
    return [
        *SEED_NAMES,
        *(
            f"TEAMS_{name.upper()}__{key.upper()}"
            for name, model in sections
            if isinstance(model, type) and issubclass(model, BaseModel)
            for key in model.model_fields
        ),
    ]


def masked(config: Config) -> dict[str, JsonValue]:
    """Return all settings as plain data, with masked passwords in URLs."""
    data: dict[str, JsonValue] = config.model_dump(mode="json")
    for name, section in data.items():
        if not isinstance(section, dict):
            continue
        for key, value in section.items():
            servers = name in {"redis", "database"} and key == "url"
            if isinstance(value, str) and (servers or ("://" in value and "@" in value)):
                section[key] = mask_url(value)
    return data


def _read_toml(path: Path) -> dict[str, JsonValue]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found; name an existing file with --config") from None
    except OSError as exc:
        raise ConfigError(
            f"{path}: cannot be read: {exc.strerror}; check its permissions"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{path}: not valid TOML: {exc}; fix it") from None


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
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # Bytes that are not UTF-8 become lone surrogates in the environment.
            raise ConfigError(f"{name}: not UTF-8 text; encode it as UTF-8") from None
    section, key = keys
    table = merged.get(section)
    if not isinstance(table, dict) or section in {"channels", "routes"}:
        raise ConfigError(
            f"{name}: unknown section [{section}]; sections are {', '.join(_sections())}"
        )
    default = table.get(key)
    if key not in table:
        raise ConfigError(
            f"{name}: unknown key {key} of [{section}]; its keys are {', '.join(table)}"
        )
    if isinstance(default, list):
        merged[section] = {**table, key: _as_list(text)}
    elif isinstance(default, bool):
        merged[section] = {**table, key: text or "false"}
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
