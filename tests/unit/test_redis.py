"""Redis by its clock, its errors, its rights and its settings."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Never

import pytest
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)
from typing_extensions import override

import notifier
from notifier.broker.consumer import RedisClock
from notifier.broker.errors import reason
from notifier.broker.rights import COMMANDS
from notifier.broker.server import ServerInfo
from notifier.config import load_config
from notifier.errors import StreamError
from notifier.ops.doctor.checklist import SharedAnswers
from notifier.ops.doctor.redis import settings_findings
from notifier.ops.top.rows import SnapshotReader
from notifier.ops.top.view import read_in_time
from notifier.telemetry.findings import Level

STREAM = "teams:events"


@pytest.fixture
def clock() -> RedisClock:
    return RedisClock(most_ahead_seconds=5)


def test_the_first_time_is_no_leap(clock: RedisClock):
    assert clock.latest_ms(STREAM, 100.0) == 0
    assert not clock.leapt(STREAM, 10**12, 100.0)


@pytest.mark.parametrize(
    ("told_ms", "leapt"),
    [(20_000, False), (24_999, False), (26_000, True), (-3_600_000, False)],
)
def test_only_more_time_than_has_passed_is_a_leap(clock: RedisClock, told_ms: int, leapt: bool):
    clock.leapt(STREAM, 10_000, 100.0)

    assert clock.leapt(STREAM, told_ms, 110.0) is leapt


def test_after_a_leap_time_goes_on_from_there(clock: RedisClock):
    clock.leapt(STREAM, 10_000, 100.0)
    clock.leapt(STREAM, 4_000_000, 110.0)

    assert not clock.leapt(STREAM, 4_010_000, 120.0)


def test_each_stream_has_its_own_clock(clock: RedisClock):
    clock.leapt(STREAM, 10_000, 100.0)

    assert not clock.leapt("another", 9_000_000, 101.0)


def test_entry_is_free_when_it_was_seen_ahead_all_the_time(clock: RedisClock):
    for now in (100.0, 105.0, 110.0):
        clock.note_ahead(STREAM, ["1-0"], now)
        assert clock.free(STREAM, 15, now) == []
    clock.note_ahead(STREAM, ["1-0", "2-0"], 115.0)

    assert clock.free(STREAM, 15, 115.0) == ["1-0"]


def test_entry_that_was_renewed_meanwhile_is_not_free(clock: RedisClock):
    clock.note_ahead(STREAM, ["1-0"], 100.0)
    clock.note_ahead(STREAM, [], 105.0)
    clock.note_ahead(STREAM, ["1-0"], 110.0)

    assert clock.free(STREAM, 15, 115.0) == []


REPLICA = "You can't write against a read only replica."


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (ReadOnlyError(REPLICA, status_code="READONLY"), "is a replica"),
        (ResponseError(f"Error running script (call to f_1): @user_script:3: @user_script: 3: -READONLY {REPLICA}"), "is a replica"),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots, but it is not able to"), "cannot save its data"),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (MasterDownError("Link with MASTER is down", status_code="MASTERDOWN"), "lost its master"),
        (ResponseError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."), "busy with a script"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "reading its data"),
        (ConnectionError("max number of clients reached"), "maxclients"),
        (ResponseError("The stream has exhausted the last possible ID, unable to add more items"), "last id of its stream is used up"),
        (NoPermissionError("this user lacks +xdel", status_code="NOPERM"), "lacks +xdel"),
        (ResponseError("ACL failure in script: User notifier has no permissions to run the 'xadd' command"), "refuses: ACL failure in script"),
        (ResponseError("The user executing the script can't run this command or subcommand"), "can't run this command"),
    ],
)  # fmt: skip
def test_the_cause_is_named(exc: Exception, words: str):
    assert words in reason(exc).what


ROOT = Path(__file__).parents[2]


def test_every_command_of_a_script_is_among_the_rights_that_are_tried():
    used = set()
    for script in Path(notifier.__file__).parent.rglob("*.lua"):
        text = script.read_text(encoding="utf-8")
        calls = re.findall(r"(?:redis\.p?call|try)\('([A-Z]+)'(?:, '([A-Z]+)')?", text)
        used |= {
            f"{command}|{sub}" if command in ("XINFO", "XGROUP") else command
            for command, sub in calls
        }

    assert len(used) > 15
    assert {name.lower() for name in used} <= COMMANDS.keys()


def test_every_right_of_the_daemon_in_the_documents_is_tried_and_no_other():
    [line] = re.findall(
        r"^ACL SETUSER notifier .*\+evalsha.*$", (ROOT / "docs" / "how-to" / "redis.md").read_text(), re.MULTILINE
    )  # fmt: skip
    granted = set(re.findall(r"\+(\S+)", line))

    assert granted == set(COMMANDS)


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


URL = "redis://u:topsecret@redis.example:6379/0"
LATE_CONFIG = load_config(None, {"REDIS_URL": URL})
SAID = "Redis at redis://u:***@redis.example:6379/0 does not answer in time; check host and port in redis.url"


class LateReader(SnapshotReader):
    """Its time is up."""

    def __init__(self) -> None:
        pass

    @override
    async def read(self) -> Never:
        raise TimeoutError


class LateAnswers(SharedAnswers):
    """Likewise."""

    @override
    async def _connected(self, look: Any) -> Never:
        raise TimeoutError


async def test_the_view_says_why_it_shows_nothing():
    with pytest.raises(StreamError) as raised:
        await read_in_time(LateReader(), LATE_CONFIG)

    assert str(raised.value).startswith(SAID)


async def test_the_doctor_says_why_it_did_not_look():
    with pytest.raises(StreamError) as raised:
        await asyncio.wait_for(LateAnswers(LATE_CONFIG, {}).redis_server(), timeout=10)

    assert str(raised.value).startswith(SAID)
