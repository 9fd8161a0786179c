"""Check that other users cannot read the files with secrets."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from notifier.config import Config
from notifier.ops.doctor.systemd import FOLDERS, find_units
from notifier.telemetry.findings import Finding, fault, ok, warning

NAME = "files"
_OTHERS = stat.S_IRWXO
_MOST_FILES = 500


def check_files(
    config: Config,
    env: Mapping[str, str],
    config_file: Path | None,
    *,
    folders: Sequence[Path] = FOLDERS,
) -> list[Finding]:
    """Return the files with secrets that others may read or that are missing."""
    secret: list[Path] = []
    for unit in find_units(folders):
        secret += [path for _, path in unit.credentials]
        secret += [path for path, _ in unit.environment_files]
    if env.get("CREDENTIALS_DIRECTORY"):
        secret.append(Path(env["CREDENTIALS_DIRECTORY"]))
    if config.redis.tls_key_file:
        secret.append(Path(config.redis.tls_key_file))
    if config_file is not None and _holds_password(config, env):
        secret.append(config_file)
    found = [finding for path in dict.fromkeys(secret) for finding in _open_to_others(path)]
    needed = {
        "redis.tls_ca_file": config.redis.tls_ca_file,
        "redis.tls_cert_file": config.redis.tls_cert_file,
        "redis.tls_key_file": config.redis.tls_key_file,
        "vault.ca_file": config.vault.ca_file,
    }
    found += [
        fault(NAME, f"{setting}: there is no file {path}", f"create it, or correct {setting}")
        for setting, path in needed.items()
        if path and not Path(path).is_file()
    ]
    return found or [
        ok(NAME, f"{len(secret)} files and folders with secrets, none readable by others")
    ]


def _open_to_others(path: Path) -> list[Finding]:
    """Return findings for a file that others may read, or for its folder."""
    try:
        if not path.exists():
            return []
        if path.is_dir():
            if not path.stat().st_mode & stat.S_IXOTH:
                return []
            files = sorted(path.iterdir())[:_MOST_FILES]
            return [finding for file in files for finding in _open_to_others(file)]
        mode = stat.S_IMODE(path.stat().st_mode)
    except PermissionError:
        return []
    if not mode & _OTHERS:
        return []
    return [
        warning(NAME, f"every user of this machine can read {path} ({mode:04o})", f"chmod o-rwx {path}")
    ]  # fmt: skip


def _holds_password(config: Config, env: Mapping[str, str]) -> bool:
    """Tell whether a server's password is in the file and not overridden."""
    urls = {"REDIS_URL": config.redis.url, "DATABASE_URL": config.database.url}
    return any(name not in env and bool(urlsplit(url).password) for name, url in urls.items())
