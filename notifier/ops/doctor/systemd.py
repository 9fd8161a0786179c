"""Check the systemd units of the daemon: settings, files and services."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from notifier.config import Config
from notifier.telemetry.findings import Finding, fault, ok, warning

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
NAME = "service"
_COMMAND_SECONDS = 8.0
_MANAGED = Path("/run/systemd/system")
"""There when systemd runs this machine (sd_booted(3))."""
_WAITS_FOR_POSTGRES = 2
"""A step may wait for a connect and two statements, so the watchdog must wait longer."""


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
    """Return the daemon's units with their drop-ins.

    Of each name the first folder's file counts (systemd.unit(5)).
    """
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
            # An empty assignment clears the earlier ones.
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


async def check_service(
    config: Config, env: Mapping[str, str], *, folders: Sequence[Path] = FOLDERS
) -> list[Finding]:
    """Check the unit files and, where systemd runs, the services."""
    units = await asyncio.to_thread(find_units, folders)
    services = [unit for unit in units if unit.watchdog_seconds is not None]
    if not services:
        return [ok(NAME, "not installed as a systemd service here (make install does that)")]
    found = []
    for unit in units:
        found += await asyncio.to_thread(unit_findings, unit, config)
        found += await _verified(unit)
    for name, state in (await _states(services)).items():
        found += service_findings(name, state)
    for unit in services:
        found += _credentials_missing_here(unit, env)
    return found or [ok(NAME, f"installed: {', '.join(unit.path.name for unit in units)}")]


def unit_findings(unit: UnitFile, config: Config) -> list[Finding]:
    """Judge a unit by the settings and by the files that it names."""
    found = []
    name = unit.path.name
    least = _WAITS_FOR_POSTGRES * config.database.statement_timeout_seconds
    if unit.watchdog_seconds is not None and unit.watchdog_seconds <= least:
        what = f"{name}: WatchdogSec is {unit.watchdog_seconds:g}; a slow statement of Postgres may take that long, and the daemon would be restarted"
        fix = f"set WatchdogSec above {least:g}, or lower database.statement_timeout_seconds"
        found.append(warning(NAME, what, fix))
    if (
        unit.stop_seconds is not None
        and unit.stop_seconds <= config.delivery.stop_timeout_seconds
    ):
        what = f"{name}: TimeoutStopSec is {unit.stop_seconds:g}: posts in flight are cut off when it stops, and come twice"
        fix = f"set TimeoutStopSec well above delivery.stop_timeout_seconds ({config.delivery.stop_timeout_seconds:g})"
        found.append(warning(NAME, what, fix))
    wanted = [path for _, path in unit.credentials]
    wanted += [path for path, optional in unit.environment_files if not optional]
    wanted += [Path(unit.program)] if unit.program.startswith("/") else []
    found += [
        fault(
            NAME,
            f"{name} needs {path}, which is not there",
            f"create it, or correct {unit.path}",
        )
        for path in wanted
        if not path.exists()
    ]
    return found


def _credentials_missing_here(unit: UnitFile, env: Mapping[str, str]) -> list[Finding]:
    if not unit.credentials or env.get("CREDENTIALS_DIRECTORY"):
        return []
    options = [f"-p LoadCredential={name}:{path}" for name, path in unit.credentials]
    options += [f"-p EnvironmentFile={path}" for path, _ in unit.environment_files]
    what = f"this shell lacks the credentials of {unit.path.name}, so doctor may report secrets as missing that the service has"
    fix = f"systemd-run --pipe --wait -p DynamicUser=yes {' '.join(options)} {unit.program or 'notifier'} doctor{unit.config_option}"
    return [warning(NAME, what, fix)]


async def _verified(unit: UnitFile) -> list[Finding]:
    output = await _output("systemd-analyze", "verify", "--man=no", str(unit.path))
    # It verifies what the unit needs, too; only what it says of ours counts.
    said = [line for line in (output or "").splitlines() if unit.path.name in line]
    return [
        warning(NAME, line.strip()[:300], f"correct {unit.path}, then: systemctl daemon-reload")
        for line in said[:5]
    ]


async def _states(services: Sequence[UnitFile]) -> dict[str, dict[str, str]]:
    """Return the state of each service that should run, by systemctl."""
    if not await asyncio.to_thread(_MANAGED.exists):
        return {}
    templates = [unit.path.name.replace("@.", "@*.") for unit in services]
    listed = await _output(
        "systemctl", "list-units", "--all", "--plain", "--no-legend", *templates
    )
    names = {line.split()[0] for line in (listed or "").splitlines() if line.strip()}
    names |= {unit.path.name for unit in services if "@" not in unit.path.name}
    states = {}
    for name in sorted(names):
        asked = ("systemctl", "show", name, "-p", "ActiveState,UnitFileState,NRestarts,Result")
        said = (await _output(*asked) or "").splitlines()
        states[name] = dict(line.split("=", 1) for line in said if "=" in line)
    return running_units(states)


def running_units(states: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Leave out a disabled service if instances of the template run."""
    instances = any("@" in name for name in states)
    return {
        name: state
        for name, state in states.items()
        if "@" in name
        or not instances
        or state.get("UnitFileState") != "disabled"
        or state.get("ActiveState") != "inactive"
    }


def service_findings(name: str, state: Mapping[str, str]) -> list[Finding]:
    """Judge what systemctl says of a service."""
    found = []
    active = state.get("ActiveState", "active")
    if active != "active":
        what = f"{name} is {active} ({state.get('Result', '')})"
        found.append(fault(NAME, what, f"journalctl -u {name} -n 50; systemctl start {name}"))
    if state.get("UnitFileState", "enabled") == "disabled":
        what = f"{name} does not start with the machine"
        found.append(warning(NAME, what, f"systemctl enable {name}"))
    restarts = state.get("NRestarts", "0")
    if restarts not in ("", "0"):
        what = f"{name} was restarted {restarts} times since it was started"
        found.append(warning(NAME, what, f"journalctl -u {name} -p warning"))
    return found


async def _output(*command: str) -> str | None:
    """Return the output of a program; None if it is missing or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_COMMAND_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
    return output.decode(errors="replace")
