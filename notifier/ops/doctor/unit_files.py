"""What a systemd unit file says that matters here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = tuple(
    Path(folder)
    for folder in (
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    )
)
_UNITS_OF_TIME = {"": 1.0, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_CONFIG = re.compile(r" --config[ =]\S+")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One unit; what it does not say is empty or None."""

    path: Path
    credentials: tuple[tuple[str, Path], ...] = ()
    """LoadCredential: name, and file or folder."""
    environment_files: tuple[tuple[Path, bool], ...] = ()
    """File, and whether it may be missing."""
    watchdog_seconds: float | None = None
    stop_seconds: float | None = None
    program: str = ""
    config_option: str = ""
    """The daemon's --config with its file, a space before it."""


def find_units(folders: Sequence[Path]) -> list[UnitFile]:
    """Return the daemon's units, of each name the one that counts, with its drop-ins from all folders (systemd.unit(5))."""
    found: dict[str, UnitFile] = {}
    for folder in folders:
        for path in sorted(folder.glob("notifier*.service")):
            if path.name not in found and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                drop_ins = _drop_ins(path.name, folders)
                more = [each.read_text(encoding="utf-8", errors="replace") for each in drop_ins]
                found[path.name] = read_unit(path, "\n".join([text, *more]))
    return list(found.values())


def _drop_ins(name: str, folders: Sequence[Path]) -> list[Path]:
    # Of files of one name the first folder's counts; they apply in the order of their names.
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / f"{name}.d").glob("*.conf")):
            found.setdefault(path.name, path)
    return [found[each] for each in sorted(found)]


def read_unit(path: Path, text: str) -> UnitFile:
    """Read a unit with its drop-ins behind it."""
    lines = [line.strip().partition("=") for line in text.splitlines()]
    said: dict[str, list[str]] = {}
    for key, equals, value in lines:
        if equals and not key.startswith(("#", ";")):
            # An empty assignment takes back what was said before.
            said[key] = [*said.get(key, []), value] if value else []
    credentials = [value.partition(":") for value in said.get("LoadCredential", [])]
    files = said.get("EnvironmentFile", [])
    start = next(iter(said.get("ExecStart", [])), "")
    config = _CONFIG.search(start)
    return UnitFile(
        path,
        tuple((name, Path(where)) for name, colon, where in credentials if colon),
        tuple((Path(file.removeprefix("-")), file.startswith("-")) for file in files),
        _seconds(said.get("WatchdogSec", [])),
        _seconds(said.get("TimeoutStopSec", [])),
        start.partition(" ")[0],
        config[0] if config else "",
    )


def _seconds(values: Sequence[str]) -> float | None:
    match = _TIME.fullmatch(values[-1]) if values else None
    unit = _UNITS_OF_TIME.get(match[2]) if match else None
    return None if match is None or unit is None else float(match[1]) * unit
