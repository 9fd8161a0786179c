"""Which settings of a Redis server lose what it has accepted."""

from __future__ import annotations

import pytest

from notifier.broker.server import ServerInfo
from notifier.ops.doctor.redis import settings_findings
from notifier.telemetry.findings import Level

SOUND = {
    "version": "7.2.4",
    "maxmemory_policy": "noeviction",
    "appendonly": True,
    "appendfsync": "everysec",
}


@pytest.mark.parametrize("appendfsync", ["everysec", "always", None])
@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.0.1", "10.1"])
def test_a_server_that_keeps_everything_has_no_findings(version: str, appendfsync: str | None):
    assert (
        settings_findings(
            ServerInfo(**SOUND | {"version": version, "appendfsync": appendfsync})
        )
        == []  # type: ignore[arg-type]
    )


def test_a_server_that_says_nothing_is_not_accused():
    assert settings_findings(ServerInfo()) == []


@pytest.mark.parametrize(
    ("change", "setting", "fix"),
    [
        ({"version": "6.0.16"}, "version", "upgrade"),
        ({"version": "5.0.7"}, "version", "upgrade"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy", "noeviction"),
        ({"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy", "noeviction"),
        ({"appendonly": False}, "appendonly", "appendonly yes"),
        ({"appendfsync": "no"}, "appendfsync", "everysec or always"),
    ],
)
def test_each_bad_setting_is_named_with_its_fix(
    change: dict[str, object], setting: str, fix: str
):
    [finding] = settings_findings(ServerInfo(node="10.0.0.1:6379", **SOUND | change))  # type: ignore[arg-type]

    assert finding.message.startswith(f"{setting} is ")
    assert fix in finding.fix
    assert "10.0.0.1:6379" in str(finding)
    assert (finding.level is Level.FAULT) is (setting == "version")


def test_what_is_never_written_is_not_blamed_for_how_it_is_synced():
    server = ServerInfo(**SOUND | {"appendonly": False, "appendfsync": "no"})  # type: ignore[arg-type]

    assert [finding.message.split()[0] for finding in settings_findings(server)] == [
        "appendonly"
    ]


def test_a_user_that_may_not_ask_is_told_which_right_is_missing():
    [finding] = settings_findings(ServerInfo(refused=True))

    assert "+info" in finding.fix
