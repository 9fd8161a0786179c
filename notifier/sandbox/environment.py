"""The environment of the sandbox's daemon, also for other terminals."""

from __future__ import annotations

import os
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from notifier.config.load import SEED_NAMES
from notifier.errors import SandboxError

_WITHHELD = ("TEAMS_WEBHOOK_", "TEAMS_HMAC_", "VAULT_", "CREDENTIALS_DIRECTORY")
"""Outer variables that the daemon does not get: the sandbox must not post with real webhooks."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the sandbox."""

    redis_url: str
    database_url: str
    teams_url: str
    admin_url: str


def daemon_environment(
    outer: Mapping[str, str],
    addresses: Addresses,
    webhooks: Mapping[str, str],
    public_bind: str,
) -> dict[str, str]:
    """Return the environment of the daemon: the outer one, with our servers.

    Args:
        outer: The environment of the sandbox itself.
        addresses: The addresses of its servers.
        webhooks: URL by channel.
        public_bind: Address of the action pages, unless the outer environment sets one.
    """
    env = {name: value for name, value in outer.items() if not name.startswith(_WITHHELD)} | {
        "REDIS_URL": addresses.redis_url,
        "DATABASE_URL": addresses.database_url,
        "TEAMS_HMAC_SECRET_KEY": secrets.token_hex(32),
        "TEAMS_ADMIN__BIND": addresses.admin_url.removeprefix("http://"),
        "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
        **{f"TEAMS_WEBHOOK_{name.upper()}": url for name, url in webhooks.items()},
    }
    if "TEAMS_PUBLIC__BIND" not in env:
        env |= {"TEAMS_PUBLIC__BIND": public_bind, "TEAMS_PUBLIC__URL": f"http://{public_bind}"}
    env.setdefault("TEAMS_LOGGING__LEVEL", "warning")
    return env


def shell_text(env: Mapping[str, str], outer: Mapping[str, str], programs: Path) -> str:
    """Return lines for `sh`, after which commands use this environment.

    Args:
        env: The environment of the daemon.
        outer: The environment of the sandbox itself; its withheld variables are unset.
        programs: The folder of the `notifier` program.
    """
    ours = sorted(name for name in env if _is_setting(name))
    foreign = sorted(
        name for name in outer if name.startswith(_WITHHELD) and _NAME.fullmatch(name)
    )
    lines = [
        "# The environment of the sandbox's daemon; it has a key, and is removed with the sandbox."
    ]
    lines += [f"unset {name}" for name in foreign]
    lines += [f'export PATH={shlex.quote(str(programs))}:"$PATH"']
    lines += [f"export {name}={shlex.quote(env[name])}" for name in ours]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only this account can read; raises SandboxError."""
    try:
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise SandboxError(
            f"{path} cannot be written: {exc.strerror}; choose another folder with --data-dir"
        ) from None


def _is_setting(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and (
        name.startswith(("TEAMS_", "NOTIFIER_")) or name in SEED_NAMES
    )
