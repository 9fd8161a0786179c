"""`notifier doctor` as an operator runs it, with real failures."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from notifier.broker.keys import Keys
from notifier.config import load_config
from notifier.sandbox.servers import Server, start_redis
from tests.support.commands import notifier
from tests.support.daemons import SECRET, Daemons
from tests.support.ports import silent_port
from tests.support.state import rows

CANARY = "canary-secret-path"
CHANNELS = tuple(load_config(None, {}).channels)
Examined = Callable[..., "Examination"]


class Examination:
    """What one run said."""

    def __init__(self, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.printed = stdout + stderr
        self.findings: list[dict[str, str]] = json.loads(stdout)["findings"]

    def of(self, check: str) -> list[tuple[str, str, str]]:
        return [
            (each["level"], each["what"], each["fix"])
            for each in self.findings
            if each["check"] == check
        ]

    def faults(self) -> list[str]:
        return [each["check"] for each in self.findings if each["level"] == "fault"]


@pytest.fixture
def examine(redis_url: str, database_url: str, webhook_receiver: Any) -> Examined:
    def run(**env: str) -> Examination:
        given = {
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            "TEAMS_HMAC_SECRET_KEY": SECRET,
            "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
            "TEAMS_ADMIN__BIND": "127.0.0.1:0",
            **{f"TEAMS_WEBHOOK_{name.upper()}": webhook_receiver.url(name) for name in CHANNELS},
        }  # fmt: skip
        done = notifier("doctor", "--json", **(given | env))
        return Examination(done.returncode, done.stdout, done.stderr)

    return run


async def test_a_daemon_at_work_has_no_fault_and_looking_changes_nothing(
    daemons: Daemons, examine: Examined, redis_url: str
):
    await daemons.start()
    with redis.Redis.from_url(redis_url) as client:
        before = sorted(client.keys())

        done = examine(TEAMS_ADMIN__BIND=daemons.admin_urls[0].removeprefix("http://"))

        assert sorted(client.keys()) == before
    assert done.faults() == []
    assert done.returncode == 0
    assert [level for level, _, _ in done.of("redis rights")] == ["ok"]
    assert [level for level, _, _ in done.of("stages")] == ["ok"] * 3
    assert done.of("old lanes")[0][0] == done.of("dead letters")[0][0] == "ok"
    assert done.of("daemon")[0][1].endswith("is ready")
    assert daemons.receiver.requests == []
    assert str(daemons.receiver.url("sre")) not in done.printed


async def test_a_daemon_that_is_down_is_missed_although_nothing_waits(
    daemons: Daemons, examine: Examined, redis_url: str
):
    process = await daemons.start()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0

    stages = examine().of("stages")

    assert [(level, what) for level, what, _ in stages] == [
        ("warning", f"no process runs the stage {stage} of teams:events")
        for stage in ("intake", "delivery", "recorder")
    ]
    assert all("systemctl start notifier" in fix for _, _, fix in stages)


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[Server]:
    words = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru", "--maxmemory", "1100kb"]
    with start_redis(tmp_path / "redis", extra_args=words) as server:
        yield server


def test_a_redis_set_up_as_a_cache_is_found_with_the_settings_to_change(
    examine: Examined, careless: Server
):
    found = {
        what: (level, fix) for level, what, fix in examine(REDIS_URL=careless.url).of("redis")
    }

    [policy] = [value for what, value in found.items() if "allkeys-lru" in what]
    assert policy == ("warning", "set maxmemory-policy noeviction")
    [persistence] = [value for what, value in found.items() if what.startswith("appendonly")]
    assert persistence == ("warning", "set appendonly yes")
    [(level, fix)] = [value for what, value in found.items() if "of maxmemory is used" in what]
    assert level in ("warning", "fault")
    assert "raise maxmemory" in fix


def test_a_user_without_the_rights_is_told_which_and_the_command_for_them(
    examine: Examined, tmp_path: Path
):
    acl = (
        "ACL SETUSER half on >topsecret ~teams:events ~{teams:events}:* ~teams:rate:* ~teams:actions ~{teams:actions}:* "
        "+@all -xadd -xgroup|create -xautoclaim -info"
    )
    with start_redis(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command(*acl.replace("-xgroup|create ", "").split())
        done = examine(REDIS_URL=server.url.replace("//", "//half:topsecret@"))

    [(level, what, fix)] = done.of("redis rights")
    assert level == "fault"
    assert what == "this user lacks ~teams:pause:* +info +xadd"
    assert fix.startswith("ACL SETUSER <user> ~teams:pause:* +info +xadd")
    assert any("+info" in fix for _, _, fix in done.of("redis"))
    assert done.returncode == 1
    assert "topsecret" not in done.printed


def test_a_database_without_schema_names_the_command_that_mends_it(
    examine: Examined, empty_database_url: str
):
    done = examine(DATABASE_URL=empty_database_url)

    [lacks] = [(level, fix) for level, what, fix in done.of("postgres") if "0001" in what]
    assert lacks == ("fault", "run: notifier migrate up")
    assert done.returncode == 1


def test_a_database_user_without_rights_is_told_what_to_grant(
    examine: Examined, database_url: str
):
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS doctor_half")
        admin.execute("CREATE ROLE doctor_half LOGIN")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO doctor_half")
        admin.execute(
            "GRANT INSERT, UPDATE ON teams_notifications, teams_actions TO doctor_half"
        )
        admin.execute("GRANT INSERT ON teams_escalations TO doctor_half")
        done = examine(DATABASE_URL=database_url.replace("notifier@", "doctor_half@"))
        admin.execute("DROP OWNED BY doctor_half")
        admin.execute("DROP ROLE doctor_half")

    [fault] = [(what, fix) for level, what, fix in done.of("postgres") if level == "fault"]
    assert fault == (
        "this user may not INSERT on teams_notification_attempts",
        "GRANT INSERT ON teams_notification_attempts TO <user>",
    )
    [dlq] = [what for level, what, _ in done.of("postgres") if level == "warning"]
    assert "DELETE on teams_notifications" in dlq


def test_servers_that_never_answer_end_in_findings_and_keep_nothing_else_from_being_looked_at(
    examine: Examined,
):
    with silent_port() as port:
        done = examine(
            REDIS_URL=f"redis://:topsecret@127.0.0.1:{port}/0",
            DATABASE_URL=f"postgresql://u:topsecret@127.0.0.1:{port}/x",
            VAULT_ADDR=f"http://127.0.0.1:{port}",
            VAULT_TOKEN="topsecret",
        )

    assert {"redis", "postgres", "vault"} <= set(done.faults())
    for level, what, _ in done.of("stages") + done.of("channels"):
        assert (level, what[:12]) == ("warning", "not checked:")
    assert done.of("cards")[0][0] == done.of("routes")[0][0] == "ok"
    assert "topsecret" not in done.printed


def test_webhooks_are_judged_without_posting_and_without_showing_a_url(
    examine: Examined, webhook_receiver: Any
):
    done = examine(
        TEAMS_WEBHOOK_SRE=f"http://127.0.0.1:1/{CANARY}",
        TEAMS_WEBHOOK_PMO="placeholder",
        TEAMS_WEBHOOK_DEVOPS="",
        TEAMS_WEBHOOK_CLOUDOPS=f"https://evil.example/{CANARY}",
        TEAMS_WEBHOOK_COMPLIANCE=webhook_receiver.url("cloudops"),
        TEAMS_WEBHOOK_SECURITY_ENG=webhook_receiver.url("cloudops"),
        TEAMS_WEBHOOK_SREE=f"https://x.logic.azure.com/{CANARY}",
    )

    reached = done.of("webhooks")
    assert [what for level, what, _ in reached if level == "fault"] == [
        "could not connect to 127.0.0.1: Connection refused: sre"
    ]
    assert any(
        "compliance" in what and "security_eng" in what and "same URL" in what
        for _, what, _ in reached
    )
    channels = {what.split(";")[0]: level for level, what, _ in done.of("channels")}
    assert channels["the webhook of pmo is a placeholder"] == "warning"
    assert [
        level
        for level, what, _ in done.of("channels")
        if "evil.example" in what and "allowed_hosts" in what
    ] == ["fault"]
    secrets = [what for _, what, _ in done.of("secrets")]
    assert any("TEAMS_WEBHOOK_SREE belongs to no channel" in what for what in secrets)
    assert any("pmo" in what for _, what, _ in done.of("escalation"))
    assert CANARY not in done.printed
    assert webhook_receiver.requests == []


def test_what_waits_where_nobody_looks_is_found(examine: Examined, redis_url: str):
    keys = Keys("teams:events")
    with redis.Redis.from_url(redis_url) as client:
        client.xadd("teams:events", {"type": "a.b"})
        client.hset(keys.channels, "billing", "1")
        client.xadd(keys.lane("billing", urgent=False), {"x": "1"})
        client.xadd(keys.dead, {"reason": "rejected"})
    done = examine()

    stages = done.of("stages")
    assert (
        "fault",
        "no process has ever run the stage intake of teams:events, 1 entry waits",
    ) in [each[:2] for each in stages]
    assert any("systemctl start notifier" in fix for _, _, fix in stages)
    [(level, what, fix)] = done.of("old lanes")
    assert (level, what[:33]) == ("warning", "1 notification waits in teams:eve")
    assert "notifier lanes drain billing" in fix
    [(level, what, fix)] = done.of("dead letters")
    assert (level, what[:19]) == ("warning", "1 in teams:events, ")
    assert "notifier dlq list" in fix


def test_settings_that_cannot_be_read_are_findings_too():
    done = notifier("doctor", "--json", TEAMS_MAX_RETRIES="many")

    assert done.returncode == 1
    [finding] = json.loads(done.stdout)["findings"]
    assert (finding["check"], finding["level"]) == ("settings", "fault")
    assert "TEAMS_MAX_RETRIES" in finding["what"]


def test_an_operator_reads_level_finding_and_fix(redis_url: str, database_url: str):
    done = notifier(
        "doctor",
        REDIS_URL=redis_url,
        DATABASE_URL=database_url,
        TEAMS_ADMIN__BIND="127.0.0.1:0",
    )

    lines = done.stdout.splitlines()
    [at] = [number for number, line in enumerate(lines) if "sre has no webhook" in line]
    assert lines[at].startswith("fault    channels")
    assert "→ put the workflow's URL into environment TEAMS_WEBHOOK_SRE" in lines[at + 1]
    assert lines[-1].endswith("warnings")
    assert done.returncode == 1


def send_test(receiver: Any, channel: str, **env: str) -> Any:
    given = {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "TEAMS_HMAC_SECRET_KEY": SECRET,
        "TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "1",
        "TEAMS_WEBHOOK_SRE": receiver.url(CANARY),
    }
    return notifier("doctor", "--send-test", channel, **(given | env))


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


async def test_test_card_is_posted_once_as_a_test_even_while_redis_and_postgres_are_away(
    webhook_receiver: Any,
):
    done = await in_thread(lambda: send_test(webhook_receiver, "sre"))

    assert done.returncode == 0, done.stderr
    [request] = webhook_receiver.requests
    card = json.loads(request.body)["attachments"][0]["content"]
    assert card["body"][0]["text"] == "This is a test"
    assert "actions" not in card
    assert request.headers["X-HMAC-Signature"]
    said = " ".join(done.stdout.split())
    assert "sre answered HTTP 202 after" in said
    assert "look at the channel" in said
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "Who can trigger the flow"), (404, "deleted or switched off"), (429, "four a second"), (503, "try again in a minute")],
)  # fmt: skip
async def test_an_answer_that_refuses_is_a_fault_with_what_to_do_and_is_not_repeated(
    webhook_receiver: Any, status: int, advice: str
):
    webhook_receiver.answer(status)
    done = await in_thread(lambda: send_test(webhook_receiver, "sre"))

    assert done.returncode == 1
    assert len(webhook_receiver.requests) == 1
    said = " ".join(done.stdout.split())
    assert f"sre answered HTTP {status} after" in said
    assert advice in said


async def test_test_card_leaves_no_trace(
    webhook_receiver: Any, redis_url: str, database_url: str
):
    servers = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    await in_thread(lambda: send_test(webhook_receiver, "sre", **servers))

    assert rows(database_url) == []
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == []


@pytest.mark.parametrize(
    ("channel", "said"),
    [("nobody", "channels are security_eng"), ("pmo", "webhook of pmo is missing")],
)
async def test_test_card_to_nowhere_is_refused(webhook_receiver: Any, channel: str, said: str):
    done = await in_thread(lambda: send_test(webhook_receiver, channel))

    assert done.returncode == 3
    assert said in done.stderr
    assert webhook_receiver.requests == []
