"""Every command with --json prints one JSON document with these fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from notifier.broker.keys import Keys
from notifier.cli import COMMANDS
from notifier.cli.lazy import leaves_of
from tests.support.commands import SAMPLE, notifier
from tests.support.terminal import answered

KEYS = Keys("teams:events")
FINDINGS = {"faults", "warnings", "findings"}
FIELDS: dict[str, tuple[str, set[str]]] = {
    "publish": ("nphies.claim.rejected", {"stream", "dry_run", "events", "refused", "warnings"}),
    "migrate up": ("", {"applied"}),
    "migrate down": ("--yes", {"rolled_back"}),
    "migrate status": ("", {"id", "applied_at"}),
    "dlq list": ("", {"id", "reason", "stream"}),
    "dlq show": ("1-1", {"id", "reason", "stream"}),
    "dlq replay": ("--all --dry-run", {"dry_run", "replayed", "failed", "gone", "dead_letters"}),
    "dlq discard": ("--all --why x", {"dry_run", "discarded", "failed", "gone", "dead_letters"}),
    "lanes list": ("", {"stream", "channel", "urgent", "normal", "delivered"}),
    "lanes drain": ("billing --why x", {"channel", "dry_run", "dead_letters", "in_flight"}),
    "replay": ("--since 1h", {"dry_run", "replayed", "left_alone"}),
    "trace": ("event-1", {"query", "journeys", "published", "letters", "revivals", "more", "looked", "causes"}),
    "report": ("", {"period", "success_metrics"}),
    "prune": ("", {"deleted"}),
    "backup": ("{folder}/backup", {"file", "rows", "tables"}),
    "cards list": ("", {"card", "event_types"}),
    "cards check": ("", FINDINGS | {"sound", "cards"}),
    "cards new": ("refund --out {folder}/cards", {"files", "directory", "route"}),
    "cards preview": ("--out {folder}/cards.html", {"file", "cards"}),
    "cards render": (f"claim_rejected --event {SAMPLE}", {"type", "body"}),
    "schema": ("", {"title", "properties"}),
    "config check": ("", FINDINGS | {"sound", "routes", "cards", "channels", "overrides", "key_ids"}),
    "config show": ("", {"streams", "redis", "database"}),
    "doctor": ("", FINDINGS),
    "top": ("", {"streams", "actions", "paused_seconds"}),
    "keys new": ("", {"id", "key"}),
    "keys list": ("", {"id", "signs"}),
    "version": ("", {"version"}),
}  # fmt: skip
"""By command: arguments, and the fields that programs may rely on."""
ELSEWHERE = {"run": "has no --json", "sandbox": "test_sandbox", "restore": "test_backup"}


@pytest.fixture
def env(redis_url: str, database_url: str) -> dict[str, str]:
    """An event, a dead letter, and a lane of a removed channel."""
    with redis.Redis.from_url(redis_url) as client:
        client.xadd("teams:events", {"event": '{"type": "a.b", "id": "event-1"}'})
        client.hset(KEYS.channels, "billing", "1")
        client.xadd(KEYS.lane("billing", urgent=False), {"x": "1"})
        client.xadd(KEYS.dead, {"reason": "rejected"}, id="1-1")
    return {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "TEAMS_ADMIN__BIND": "127.0.0.1:0",
        "TEAMS_HMAC_SECRET_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    }


@pytest.mark.parametrize("command", FIELDS)
def test_each_command_prints_one_document(command: str, env: dict[str, str], tmp_path: Path):
    arguments, fields = FIELDS[command]
    words = [*command.split(), *arguments.format(folder=tmp_path).split()]

    done = notifier(*words, "--json", **env)

    document: Any = json.loads(done.stdout)
    first = document[0] if isinstance(document, list) else document
    assert fields - first.keys() == set(), done.stdout


def test_a_finding_has_the_same_fields_in_every_command(env: dict[str, str], tmp_path: Path):
    (tmp_path / "mine.json").write_text(
        '{"type": "AdaptiveCard", "body": [{"text": "${nope(1)}"}]}'
    )

    commands = (("doctor",), ("cards", "check", str(tmp_path)), ("config", "check"))
    shown = [notifier(*each, "--json", **env, TEAMS_MAX_RETRYS="1") for each in commands]

    for done in shown:
        finding, *_ = json.loads(done.stdout)["findings"]
        assert finding.keys() == {"check", "level", "where", "what", "fix"}


def test_a_configuration_that_is_refused_is_a_document_too():
    done = notifier("config", "check", "--json", TEAMS_MAX_RETRIES="many")

    document = json.loads(done.stdout)
    assert (done.returncode, document["sound"], document["faults"]) == (3, False, 1)
    assert "TEAMS_MAX_RETRIES" in document["findings"][0]["what"]


def test_quiet_prints_errors_only(env: dict[str, str]):
    assert notifier("publish", "nphies.claim.rejected", "-q", **env).stdout == ""
    refused = notifier("publish", "a b", "-q", **env)
    assert (refused.returncode, refused.stdout.strip()) == (1, "")
    assert "type:" in refused.stderr


@pytest.mark.parametrize(
    "command", ["dlq discard --all --why x", "lanes drain billing --why x", "prune"]
)
def test_a_command_that_destroys_asks_at_a_terminal_and_yes_skips_it(
    command: str, env: dict[str, str]
):
    refused = answered(*command.split(), answer="n", **env)
    with redis.Redis.from_url(env["REDIS_URL"]) as client:
        assert client.xlen(KEYS.dead) == client.xlen(KEYS.lane("billing", urgent=False)) == 1

    assert (refused.returncode, refused.stdout.strip()) == (1, "")
    assert answered(*command.split(), "-y", answer="n", **env).returncode == 0


def test_no_command_is_left_out():
    known = {name for each in COMMANDS for name, _ in leaves_of(each.load(), each.name)}

    assert known == FIELDS.keys() | ELSEWHERE.keys()
