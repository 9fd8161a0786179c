"""The judgement behind `notifier doctor`."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from notifier.broker.server import ServerInfo
from notifier.broker.stats import EventStreamStats, StreamStats
from notifier.config import Config, assets, load_config
from notifier.config.secrets import Secrets, load_secrets, secret_sources
from notifier.errors import StreamError
from notifier.ops.doctor.checks import Check, clock_findings, run_checks
from notifier.ops.doctor.daemon import differences, ready_findings
from notifier.ops.doctor.pages import check_admin, check_keys, check_links, check_public_pages
from notifier.ops.doctor.redis import load_findings
from notifier.ops.doctor.routes import (
    check_cards,
    check_channels,
    check_escalation,
    check_routes,
)
from notifier.ops.doctor.secrets import check_settings, name_findings
from notifier.ops.doctor.stages import stage_findings
from notifier.ops.doctor.webhooks import Endpoint, check_webhooks, unreachable_reason
from notifier.telemetry.findings import Finding, Level, ok

KEY = {"TEAMS_HMAC_SECRET_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"}


EVERYWHERE = {
    f"TEAMS_WEBHOOK_{name.upper()}": f"https://prod-1.environment.api.powerplatform.com/{name}"
    for name in load_config(None, {}).channels
}


CARDS = [path.stem for path in assets.cards_dir().glob("*.json")]


def config(**env: str) -> Config:
    return load_config(None, env)


def secrets(**env: str) -> Secrets:
    return load_secrets(config(), secret_sources(EVERYWHERE | KEY | env, None))


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level.value for finding in findings]


def test_a_check_that_fails_or_hangs_keeps_no_other_from_its_result():
    def hang() -> None:
        threading.Event().wait(60)

    async def hangs() -> list[Finding]:
        await asyncio.to_thread(hang)
        return []

    async def breaks() -> list[Finding]:
        raise ZeroDivisionError("https://x.example/canary")

    async def away() -> list[Finding]:
        raise StreamError("Redis is away; start it")

    async def works() -> list[Finding]:
        return [ok("works", "well")]

    began = time.monotonic()
    found = run_checks(
        [Check("hangs", hangs), Check("breaks", breaks), Check("away", away), Check("works", works)],
        seconds=0.5,
    )  # fmt: skip

    assert time.monotonic() - began < 30
    assert [(each.check, each.level) for each in found] == [
        ("hangs", Level.FAULT),
        ("breaks", Level.FAULT),
        ("away", Level.FAULT),
        ("works", Level.OK),
    ]
    assert (found[2].message, found[2].fix) == ("Redis is away", "start it")
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("ahead", "level"), [(0.4, None), (-1.9, None), (2.5, "warning"), (-2.5, "warning"), (-61, "fault"), (3600, "fault")]
)  # fmt: skip
def test_clocks_that_differ_are_told_with_their_direction(ahead: float, level: str | None):
    found = clock_findings("redis", "Redis", ahead)

    assert levels(found) == ([level] if level else [])
    assert not found or ("ahead of" if ahead > 0 else "behind") in found[0].message


@pytest.mark.parametrize(
    ("server", "level", "words"),
    [
        (ServerInfo("", 0.0, used_bytes=70, max_bytes=100), None, ""),
        (ServerInfo("", 0.0, used_bytes=70, max_bytes=0), None, ""),
        (ServerInfo("", None), None, ""),
        (
            ServerInfo("h:1", 0.0, used_bytes=81, max_bytes=100),
            "warning",
            "81% of maxmemory is used on h:1",
        ),
        (ServerInfo("", 0.0, used_bytes=96, max_bytes=100), "fault", "96% of maxmemory"),
        (ServerInfo("", 0.0, writes_fail=True), "fault", "could not write to its disk"),
        (ServerInfo("", 0.0, role="slave"), "fault", "replica"),
        (ServerInfo("", 0.0, clients=27, max_clients=30), "warning", "27 of 30 connections"),
        (ServerInfo("", 90.0), "fault", "90 s ahead"),
    ],
)
def test_redis_in_trouble_is_reported(server: ServerInfo, level: str | None, words: str):
    found = load_findings(server)

    assert levels(found) == ([level] if level else [])
    assert not found or words in found[0].message


QUIET = StreamStats(0, 0.0, 0, True, 1, 5.0, None, 0)


def overview(**streams: StreamStats) -> EventStreamStats:
    lanes = {("sre", "urgent"): streams.get("lane", QUIET)}
    return EventStreamStats(
        "teams:events",
        streams.get("events", QUIET),
        streams.get("outcomes", QUIET),
        streams.get("dead", QUIET),
        lanes,
    )


def test_streams_at_rest_are_fine():
    assert levels(stage_findings(overview())) == ["ok"] * 4


@pytest.mark.parametrize(
    ("streams", "level", "words"),
    [
        ({"events": replace(QUIET, group=False)}, "warning", "no process has ever run the stage intake"),
        ({"events": replace(QUIET, group=False, waiting=3)}, "fault", "3 entries wait"),
        ({"outcomes": replace(QUIET, waiting=9, oldest_seconds=70, silent_seconds=65)}, "fault", "no process runs the stage recorder"),
        ({"outcomes": replace(QUIET, waiting=9, oldest_seconds=70, silent_seconds=None)}, "fault", "no process runs the stage recorder"),
        ({"outcomes": replace(QUIET, waiting=9, oldest_seconds=600, silent_seconds=1)}, "warning", "recorder of teams:events is behind"),
        ({"events": replace(QUIET, consumers=0, silent_seconds=None)}, "warning", "no process runs the stage intake"),
        ({"events": replace(QUIET, silent_seconds=60)}, "warning", "no process runs the stage intake"),
        ({"outcomes": replace(QUIET, waiting=1, oldest_seconds=3, silent_seconds=None)}, "fault", "no process runs the stage recorder of teams:events, 1 entry waits"),
        ({"lane": replace(QUIET, consumers=0, silent_seconds=None)}, "warning", "no process runs the stage delivery of teams:events"),
        ({"lane": replace(QUIET, waiting=2, oldest_seconds=7300, silent_seconds=7)}, "warning", "2 urgent notifications wait for sre"),
        ({"lane": replace(QUIET, group=False)}, "warning", "no process has ever run the stage delivery"),
        ({"dead": replace(QUIET, length=4, oldest_seconds=90_000)}, "warning", "4 in teams:events, the oldest from 1 d 1 h ago"),
    ],
)  # fmt: skip
def test_long_waits_are_reported(streams: dict[str, StreamStats], level: str, words: str):
    [finding] = [
        each for each in stage_findings(overview(**streams)) if each.level is not Level.OK
    ]

    assert finding.level.value == level
    assert words in finding.message
    assert finding.fix


def test_routes_and_channels_that_lead_nowhere_are_named(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[channels]\nbilling = { title = "Billing" }\n[routes]\n"claims.*" = { priority = "HIGH" }\n'
    )

    what = [each.message for each in check_routes(load_config(path, {}), CARDS)]

    assert [each.partition(" has no channel")[0] for each in what if "unroutable" in each] == [
        "claims.*"
    ]
    assert any("no route has the channel billing" in each for each in what)
    assert levels(check_routes(config(), CARDS)) == ["ok"]


def test_a_route_whose_card_is_not_there_is_a_fault(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('[routes]\n"a.b" = { stakeholders = ["sre"], card = "genericc" }\n')

    [found] = check_routes(load_config(path, {}), CARDS)

    assert (found.level, found.check) == (Level.FAULT, "routes")
    assert "a.b: there is no genericc.json" in found.message
    assert "generic" in found.fix


@pytest.mark.parametrize("fault", ["nowhere", "broken"])
def test_cards_that_keep_the_daemon_from_starting_have_a_fix(tmp_path: Path, fault: str):
    folder = tmp_path / "cards"
    if fault != "nowhere":
        folder.mkdir()
    if fault == "broken":
        (folder / "generic.json").write_text("{")

    found = check_cards(config(TEAMS_CARDS__DIRECTORY=str(folder)))

    assert Level.FAULT in {each.level for each in found}
    for each in found:
        assert "notifier cards check" in each.fix or "cards.directory" in each.fix


def test_channel_without_webhook_is_a_fault_and_a_placeholder_a_warning():
    assert levels(check_channels(config(), secrets())) == ["ok"]
    found = check_channels(config(), secrets(TEAMS_WEBHOOK_SRE="placeholder"))
    assert levels(found) == ["warning"]
    without = load_secrets(config(), secret_sources({}, None))
    assert set(levels(check_channels(config(), without))) == {"fault"}


def test_escalation_needs_webhooks_and_a_way_to_acknowledge():
    public = {"TEAMS_PUBLIC__URL": "https://n.example", "TEAMS_PUBLIC__BIND": "127.0.0.1:8080"}
    assert levels(check_escalation(config(**public), secrets())) == ["ok"]
    [found] = check_escalation(config(**public), secrets(TEAMS_WEBHOOK_DEVOPS="placeholder"))
    assert found.message.startswith("CRITICAL, HIGH escalate to devops")
    assert found.message.endswith("whose webhook is a placeholder")
    alone = check_escalation(config(**public), secrets(TEAMS_WEBHOOK_SRE="placeholder"))
    assert alone[0].message == "CRITICAL escalates to sre, whose webhook is a placeholder"
    [nobody] = check_escalation(config(), secrets())
    assert "nobody can acknowledge" in nobody.message
    off = config(TEAMS_ESCALATION__ENABLED="0")
    assert levels(check_escalation(off, secrets())) == ["ok"]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TEAMS_PUBLIC__BIND": "0.0.0.0:8080"}, "public.url is empty"),
        ({"TEAMS_PUBLIC__URL": "http://n.example", "TEAMS_PUBLIC__BIND": "0.0.0.0:8080"}, "not https"),
        ({"TEAMS_PUBLIC__URL": "https://n.example"}, "public.bind is empty"),
        ({"TEAMS_PUBLIC__URL": "https://n.example", "TEAMS_PUBLIC__BIND": "0.0.0.0:8080"}, "no proxy is trusted"),
    ],
)  # fmt: skip
def test_action_pages_that_do_not_fit_together_are_reported(env: dict[str, str], words: str):
    found = check_public_pages(config(**env), secrets())

    assert any(words in each.message and each.level is Level.WARNING for each in found)


def test_action_pages_without_a_key_are_a_fault():
    unsigned = load_secrets(config(), secret_sources(EVERYWHERE, None))
    found = check_public_pages(config(TEAMS_PUBLIC__URL="https://n.example"), unsigned)

    assert "fault" in levels(found)
    assert levels(check_keys(unsigned)) == ["warning"]


def test_links_and_admin_listener_are_judged():
    assert "none is set" in check_links(config())[0].message
    [plain, empty] = check_links(config(TEAMS_LINKS__GRAFANA="http://grafana.example"))
    assert (plain.level, plain.message) == (Level.WARNING, "not encrypted: grafana")
    assert "claims_app" in empty.message

    network = config(TEAMS_ADMIN__BIND="0.0.0.0:9464")
    assert levels(check_admin(config(), secrets())) == ["ok"]
    assert levels(check_admin(network, secrets())) == ["warning"]
    token = secrets(TEAMS_ADMIN_TOKEN="0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    assert levels(check_admin(network, token)) == ["ok"]


def test_an_answer_of_readyz_becomes_findings():
    ready = {"status": "ready", "instance": "a", "parts": {}, "warnings": {"vault": "sealed"}}
    assert levels(ready_findings("h:1", ready)) == ["ok", "warning"]
    away = {"status": "not ready", "parts": {"intake x": "Redis is away", "y": "ok"}}
    [found] = ready_findings("h:1", away)
    assert (found.level, found.message) == (Level.FAULT, "not ready: intake x: Redis is away")
    assert levels(ready_findings("h:1", ["something else"])) == ["fault"]


def test_one_cause_is_one_fault_however_many_components_wait_for_it():
    parts = {
        f"delivery teams:events c{number}": "Redis refuses the login" for number in range(12)
    }
    state = {"status": "not ready", "parts": {**parts, "recorder": "Postgres is away"}}

    found = ready_findings("h:1", state)

    assert levels(found) == ["fault", "fault"]
    assert sum("Redis refuses the login" in finding.message for finding in found) == 1

    warned = {
        "status": "ready",
        "parts": {},
        "warnings": {"postgres": "away", "recorder": "away"},
    }
    assert levels(ready_findings("h:1", warned)) == ["ok", "warning"]


def test_a_daemon_of_another_version_or_with_other_keys_is_warned_of():
    own = secrets()
    ids = list(own.keys.ids) if own.keys else []

    def found(state: object) -> list[str]:
        return [finding.message for finding in differences(state, own)]

    same = {"version": version("notifier"), "secrets": {"key_ids": ids}}
    assert found(same) == []
    [other] = found({**same, "version": "0.0.1"})
    assert "0.0.1" in other
    [keys] = found({**same, "secrets": {"key_ids": ["other"]}})
    assert "other" in keys
    assert ids[0] in keys
    assert found({"secrets": {}}) == []  # a daemon from before says neither
    assert differences({**same, "secrets": {"key_ids": []}}, None) == []


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_certificate_that_nobody_vouches_for_and_address_that_is_not_public_are_reported():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    http = config(TEAMS_ALLOW_LOOPBACK_WEBHOOKS="1").http
    try:
        encrypted, open_port = (Endpoint("127.0.0.1", port, tls) for tls in (True, False))
        untrusted = await unreachable_reason(encrypted, http, seconds=20)
        plain = await unreachable_reason(open_port, http, seconds=20)
        inner = await unreachable_reason(open_port, config().http, seconds=20)
    finally:
        server.close()

    assert "certificate of 127.0.0.1 is not trusted" in str(untrusted)
    assert plain is None
    assert "not public" in str(inner)


async def test_with_a_proxy_only_the_proxy_is_reached():
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = Endpoint("prod-1.logic.azure.com", 443, True)
    try:
        http = config(TEAMS_HTTP__PROXY=f"http://127.0.0.1:{port}").http
        assert await unreachable_reason(endpoint, http, seconds=20) is None
    finally:
        server.close()
    nobody = config(TEAMS_HTTP__PROXY="http://127.0.0.1:1").http
    assert "the proxy 127.0.0.1:1" in str(
        await unreachable_reason(endpoint, nobody, seconds=20)
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://prod-9.logic.azure.com:443/canary?sig=x", "30 November 2025: sre"),
        ("https://a.api.powerplatform.com/canary?a=1&amp;sig=x", "URL of sre"),
        ("https://b.api.powerplatform.com/canary?a=1", "URL of sre"),
    ],
)
async def test_doubtful_urls_are_named_by_their_channel_only(url: str, says: str):
    given = replace(secrets(), webhooks={"sre": SecretStr(url)})

    found = await check_webhooks(config(TEAMS_HTTP__PROXY="http://127.0.0.1:1"), given)

    assert any(says in each.message for each in found if each.level is Level.WARNING)
    assert "canary" not in str(found)


def test_variables_that_belong_to_nothing_are_named_and_all_others_are_fine():
    right = {"TEAMS_MAX_RETRIES": "1", "TEAMS_LOGGING__LEVEL": "info", "TEAMS_ADMIN_TOKEN": "x", "TEAMS_WEBHOOK_SRE": "x",
             "TEAMS_WEBHOOK_VAULT_PATH": "a/b", "TEAMS_PRODUCER_KEY": "x", "HOME": "/"}  # fmt: skip
    assert levels(check_settings(config(), right)) == ["ok"]

    [found] = check_settings(config(), right | {"TEAMS_EVENT_TLL": "canary"})
    assert found.level is Level.WARNING
    assert "TEAMS_EVENT_TLL" in found.message
    assert "TEAMS_EVENT_TTL" in found.fix
    assert "canary" not in str(found)


def test_credentials_of_vault_and_of_redis_are_no_unknown_secrets():
    settings = config(
        REDIS_URL="rediss://h/0",
        TEAMS_REDIS__TLS_CERT_FILE="/c/teams_redis_client_cert",
        TEAMS_REDIS__TLS_KEY_FILE="/c/teams_redis_client_key",
    )
    names = ["teams_vault_token", "teams_vault_secret_id", "teams_redis_client_key", "teams_redis_client_cert", "teams_webhook_sre"]  # fmt: skip
    assert name_findings(settings, variables=[], credentials=names, vault={}) == []
    [found] = name_findings(
        settings, variables=[], credentials=["teams_webhook_sree"], vault={}
    )
    assert "write webhook_sre," in found.fix
