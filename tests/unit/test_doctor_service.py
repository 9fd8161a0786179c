"""The findings of `notifier doctor` about units, services and files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from notifier.config import Config, load_config
from notifier.ops.doctor.files import check_files
from notifier.ops.doctor.systemd import (
    check_service,
    find_units,
    running_units,
    service_findings,
    unit_findings,
)
from notifier.telemetry.findings import Finding, Level


def config(**env: str) -> Config:
    return load_config(None, env)


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level.value for finding in findings]


UNIT = """[Service]
EnvironmentFile=-/nowhere/optional
EnvironmentFile={folder}/environment
ExecStart={folder}/bin/notifier run --config {folder}/config.toml
LoadCredential=teams:{folder}/credentials
WatchdogSec={watchdog}
TimeoutStopSec=40
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    for name in ("bin", "units", "credentials"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin" / "notifier").touch(0o755)
    (tmp_path / "environment").touch(0o600)
    text = UNIT.format(folder=tmp_path, watchdog="2min")
    (tmp_path / "units" / "notifier.service").write_text(text)
    return tmp_path


async def test_a_unit_that_fits_is_ok_and_a_shell_without_its_credentials_is_reported(
    installed: Path,
):
    folders = [installed / "units"]
    found = await check_service(config(), {"CREDENTIALS_DIRECTORY": "/x"}, folders=folders)
    assert levels(found) == ["ok"]

    [finding] = [
        each
        for each in await check_service(config(), {}, folders=folders)
        if "this shell" in each.message
    ]
    assert f"-p LoadCredential=teams:{installed}/credentials" in finding.fix
    assert finding.fix.endswith(
        f"{installed}/bin/notifier doctor --config {installed}/config.toml"
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
async def test_what_systemd_says_against_a_unit_is_reported(installed: Path):
    with (installed / "units" / "notifier.service").open("a") as unit:
        unit.write("PrivateTemp=yes\n")
    env = {"CREDENTIALS_DIRECTORY": "/x"}
    [finding] = await check_service(config(), env, folders=[installed / "units"])

    assert "PrivateTemp" in finding.message
    assert "systemctl daemon-reload" in finding.fix


async def test_without_a_unit_nothing_is_said_against_it(tmp_path: Path):
    assert levels(await check_service(config(), {}, folders=[tmp_path])) == ["ok"]


def test_a_unit_whose_files_are_gone_or_that_is_too_impatient_is_reported(installed: Path):
    (installed / "credentials").rmdir()
    drop_in = installed / "units" / "notifier.service.d"
    drop_in.mkdir()
    (drop_in / "mine.conf").write_text("[Service]\nWatchdogSec=30\nTimeoutStopSec=10s\n")
    [unit] = find_units([installed / "units"])

    found = {each.message: each.level.value for each in unit_findings(unit, config())}

    [gone] = [what for what, level in found.items() if level == "fault"]
    assert str(installed / "credentials") in gone
    assert any("WatchdogSec is 30" in what for what in found)
    assert any("TimeoutStopSec is 10" in what for what in found)


def test_a_drop_in_counts_whatever_folder_it_is_in(installed: Path, tmp_path: Path):
    drop_ins = tmp_path / "etc" / "notifier.service.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "mine.conf").write_text("[Service]\nWatchdogSec=30\n")

    [unit] = find_units([tmp_path / "etc", installed / "units"])

    assert unit.watchdog_seconds == 30


def test_a_service_that_is_off_because_instances_work_is_no_fault():
    off = {"ActiveState": "inactive", "UnitFileState": "disabled"}
    on = {"ActiveState": "active", "UnitFileState": "enabled"}

    assert running_units({"notifier.service": off}) == {"notifier.service": off}
    assert set(running_units({"notifier.service": off, "notifier@a.service": on})) == {
        "notifier@a.service"
    }
    failed = {"ActiveState": "failed", "UnitFileState": "enabled"}
    assert "notifier.service" in running_units(
        {"notifier.service": failed, "notifier@a.service": on}
    )


def test_a_service_that_stopped_or_was_restarted_is_reported():
    assert service_findings("n", {"ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "0"}) == []  # fmt: skip
    failed = {"ActiveState": "failed", "Result": "watchdog", "UnitFileState": "disabled", "NRestarts": "3"}  # fmt: skip
    assert levels(service_findings("n", failed)) == ["fault", "warning", "warning"]
    assert "watchdog" in service_findings("n", failed)[0].message


def test_files_with_secrets_that_others_may_read_are_reported(installed: Path):
    folders = [installed / "units"]
    (installed / "credentials").chmod(0o755)
    (installed / "credentials" / "webhook_sre").touch(0o640)
    (installed / "credentials" / "webhook_pmo").write_text("https://x.example/canary")
    (installed / "credentials" / "webhook_pmo").chmod(0o644)
    mine = installed / "config.toml"
    mine.write_text('[database]\nurl = "postgresql://n:canary@h/d"\n')
    mine.chmod(0o644)

    found = check_files(load_config(mine, {}), {}, mine, folders=folders)

    assert [each.fix for each in found] == [
        f"chmod o-rwx {installed}/credentials/webhook_pmo",
        f"chmod o-rwx {mine}",
    ]
    assert "canary" not in str(found)
    (installed / "credentials").chmod(0o700)
    mine.chmod(0o600)
    assert levels(check_files(load_config(mine, {}), {}, mine, folders=folders)) == ["ok"]


def test_tls_files_that_are_not_there_are_named():
    given = config(REDIS_URL="rediss://h/0", TEAMS_REDIS__TLS_CA_FILE="/nowhere/ca.pem")
    [found] = check_files(given, {}, None, folders=[])

    assert (found.level, "redis.tls_ca_file" in found.message) == (Level.FAULT, True)
