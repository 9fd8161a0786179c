"""Planted patient data and secrets appear in no place that we write."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Any

import aiohttp
import psycopg
import pytest
import redis

from tests.support.action_pages import get, links_on, post, public
from tests.support.commands import notifier
from tests.support.daemons import SECRET, Daemons
from tests.support.otlp import Collector
from tests.support.waiting import until

PATIENT = {
    "patient_id": "PAT-7351904Q",
    "member_id": "MBR-8426013K",
    "national_id": "1098765432",
    "iqama": "2345678901",
    "name": "Zubaydah Qanariyya",
    "phone": "+966555019283",
    "email": "zq.canary@clinic.example",
    "date_of_birth": "1971-03-29",
}
TEXTS = ("error_message", "rejection_reason", "notes", "message")
TOKEN = base64.b64encode(b"callback canary!").decode()
URL_SIGNATURE = "sigCanaryOfTheWebhook"
REDIS_PASSWORD, POSTGRES_PASSWORD = "RedisCanaryPw", "PostgresCanaryPw"
_MOST_PAGES = 80
SECRETS = (SECRET, TOKEN, URL_SIGNATURE, REDIS_PASSWORD, POSTGRES_PASSWORD)


def squeezed(text: str) -> str:
    """Return text as a reader would join it, however a value is written."""
    return re.sub(r"[\s_+\-]+", "", text).lower()


def as_number(digits: str) -> re.Pattern[str]:
    """Return a pattern of a number that begins with these digits.

    They must not follow a digit: the fractions of a second and of a measurement hold any seven digits some day.
    """
    return re.compile(r"(?<![0-9.])" + r"[\s_+\-]*".join(digits))


NUMBERS = {name: as_number(PATIENT[name][:-3]) for name in ("national_id", "iqama")}
NUMBERS["date_of_birth"] = as_number("197103")


def in_base64(value: str) -> list[str]:
    """Return the ways in which base64 of a text can hold a value."""
    return [
        base64.b64encode(b"x" * before + value.encode()).decode()[4:-4] for before in range(3)
    ]


def leaks(places: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (place, canary) of readable ones; three characters may be shown."""
    wanted = {name: squeezed(value)[:-3] for name, value in PATIENT.items()}
    wanted |= {secret[:12]: squeezed(secret) for secret in SECRETS}
    found: list[tuple[str, str]] = []
    for place, text in places.items():
        joined = squeezed(text)
        for name, canary in wanted.items():
            plain = NUMBERS[name].search(text) if name in NUMBERS else canary in joined
            if plain or any(x in text for x in in_base64(PATIENT.get(name, canary))):
                found.append((place, name))
    return found


def patient_event(**fields: str) -> dict[str, str]:
    """Return an entry with the patient at the top, nested, and in free text."""
    told = " / ".join([*PATIENT.values(), *(value.upper() for value in PATIENT.values())])
    told += " / 1098 765 432 / 2345-678-901 / PAT 7351904Q / Zubaydah  Qanariyya"
    data = {
        **PATIENT,
        **dict.fromkeys(TEXTS, told),
        "service": "db",
        "claim": {"patient": PATIENT, "history": [PATIENT, {"note": told}]},
        "errors": [told],
    }
    return {"correlation_id": "corr-1", "data": json.dumps(data), **fields}


async def places(daemons: Daemons) -> dict[str, str]:
    """Return everything that the daemon wrote so far, by place."""
    found = {"log": daemons.log()}
    for number, request in enumerate(daemons.receiver.requests):
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        found[f"post {number}"] = request.body.decode() + json.dumps(
            json.loads(request.body), ensure_ascii=False
        )
        found[f"post {number} headers"] = json.dumps(headers)
    with psycopg.connect(daemons.database_url, row_factory=psycopg.rows.dict_row) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        assert len(tables) > 3
        for table in tables:
            name = table["table_name"]
            found[f"table {name}"] = str(
                connection.execute(f'SELECT * FROM "{name}"'.encode()).fetchall()
            )
    for url in daemons.admin_urls:
        for path in ("/readyz", "/healthz", "/metrics", "/nothing"):
            async with aiohttp.ClientSession() as session, session.get(url + path) as page:
                found[path] = str(page.headers) + await page.text()
        found |= await console_pages(url)
    return found


async def console_pages(url: str) -> dict[str, str]:
    """Return every page of the console that has a link, and first cards."""
    found: dict[str, str] = {}
    waiting = ["/console"]
    async with aiohttp.ClientSession() as session:
        while waiting and len(found) < _MOST_PAGES:
            path = waiting.pop(0)
            async with session.get(url + path) as page:
                found[path] = unescape(str(page.headers) + await page.text())
                assert page.status < 500, path
            for link in re.findall(r'(?:href|src)="(/console[^"#]*)"', found[path]):
                if link not in found and link not in waiting:
                    waiting.append(link)
    return found


def redis_streams(redis_url: str) -> dict[str, str]:
    """Return the contents of Redis, without the event stream and raw events."""
    found: dict[str, str] = {}
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for key in client.scan_iter("*"):
            if key == "teams:events":
                continue
            match client.type(key):
                case "stream":
                    entries = [f for _, f in client.xrange(key)]
                    raw = ("invalid_event", "unsigned", "poison")
                    found[key] = str([f for f in entries if f.get("reason") not in raw])
                case "hash":
                    found[key] = str(client.hgetall(key))
                case "string":
                    found[key] = str(client.get(key))
                case "zset":
                    found[key] = str(client.zrange(key, 0, -1))
                case _:
                    found[key] = key
            found[key] += key
    return found


def commands(daemons: Daemons, *calls: str) -> dict[str, str]:
    """Run commands as an operator would and return what each printed."""
    env = {"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url}
    printed = {}
    for call in calls:
        done = notifier(*call.split(), **env)
        assert done.stdout or done.stderr, call
        printed[call] = done.stdout + done.stderr
    return printed


def assert_masked(found: Mapping[str, str]) -> None:
    leaking = leaks(found)
    assert leaking == [], [
        (place, name, around(found[place], PATIENT.get(name, name))) for place, name in leaking
    ]


def around(text: str, value: str) -> str:
    """Return where a value occurs, for whoever must find the leak."""
    read, canary = squeezed(text), squeezed(value)[:-3]
    at = read.find(canary)
    return read[max(0, at - 200) : at + 60]


def with_signature(daemons: Daemons) -> dict[str, str]:
    """Webhook URLs that carry a secret, as those of Teams do."""
    return {
        f"TEAMS_WEBHOOK_{name.upper()}": daemons.receiver.url(name) + f"?sig={URL_SIGNATURE}"
        for name in ("sre", "devops", "nphies_integration", "pmo", "compliance")
    }


def test_a_canary_is_found_however_it_is_written():
    told = patient_event()["data"]
    for before in range(3):
        hidden = base64.b64encode(b"-" * before + told.encode()).decode()
        assert {name for _, name in leaks({"data": hidden})} == {*PATIENT}
    assert {name for _, name in leaks({"data": told, "sig": f"?sig={URL_SIGNATURE}"})} == {
        *PATIENT,
        URL_SIGNATURE[:12],
    }


@pytest.mark.parametrize("written", ["1971-03-29", "/1971-03-**/", '"1971 03', "x 1971_03"])
def test_a_date_of_birth_is_found_however_it_is_written(written: str):
    assert leaks({"page": written}) == [("page", "date_of_birth")]


@pytest.mark.parametrize(
    "written",
    [
        "19:51:33.141971+00:00", "19:51:33.19710329", "0.0197103", "91971-03",
        "0.00109876543", "1795891098765-0", "12345678901",
    ],
)  # fmt: skip
def test_the_time_of_day_and_measurements_are_no_patient(written: str):
    assert leaks({"page": written}) == []


@pytest.mark.timeout(300)  # it runs some forty commands
async def test_delivered_retried_and_dead_events_show_no_patient_anywhere(daemons: Daemons):
    daemons.receiver.answer(503, times=1)
    await daemons.start(**with_signature(daemons), TEAMS_RETRY__FACTOR="1", **public())
    for event_type in ("nphies.claim.rejected", "nphies.api.error", "celery.task.failed"):
        daemons.add(patient_event(type=event_type, stakeholders="sre"))
    await until(lambda: len(daemons.rows()) == 3, 60)
    assert sum(row["retry_count"] for row in daemons.rows()) == 1
    daemons.receiver.answer(400)
    daemons.add(patient_event(type="a.b", stakeholders="devops"))
    daemons.add(patient_event(type="a.b", stakeholders="nowhere"))
    daemons.add(patient_event(type="not.routed"))
    raw = patient_event()
    daemons.add(raw)
    daemons.add({"event": '{"type": "a.b", "data": ' + raw["data"]})
    daemons.add({"type": "a.b", "data": raw["data"][:-5]})
    daemons.add({"type": "a.b", "priority": "x", **PATIENT, "notes": raw["data"]})
    latin = f'{{"patient_id": "{PATIENT["patient_id"]}", "notes": "Mällös'
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xadd("teams:events", {"type": "a.b", "data": latin.encode("latin-1")})
    await until(lambda: len(daemons.dead_letters()) == 8, 60)
    await until(lambda: len(daemons.rows()) == 4, 60)

    with redis.Redis.from_url(daemons.redis_url, decode_responses=True) as client:
        ids = [letter for letter, _ in client.xrange("{teams:events}:dead")]
    found = commands(
        daemons,
        "dlq list",
        "dlq list --json",
        *(f"dlq show {letter}" for letter in ids),
        "replay --since 2020-01-01 --dry-run --force",
        "dlq replay --all --dry-run",
        "trace corr-1 --card --json",
        f"trace {ids[-1]}",
    )
    written = await places(daemons)
    assert all(any(letter in path for path in written) for letter in ids), "console pages"
    assert any(path.endswith("/card") for path in written)
    assert_masked(found | written | redis_streams(daemons.redis_url))

    daemons.receiver.recover()
    found = commands(
        daemons,
        *(f"dlq replay {letter} --by Sara --why test" for letter in ids[:3]),
        *(f"dlq discard {letter} --by Sara --why test" for letter in ids[3:]),
    )
    assert_masked(found | await places(daemons) | redis_streams(daemons.redis_url))


async def test_spans_show_no_patient_and_no_path_of_a_webhook(daemons: Daemons):
    collector = Collector()
    await collector.start()
    daemons.receiver.answer(503, times=1)
    await daemons.start(
        **with_signature(daemons),
        TEAMS_RETRY__FACTOR="1",
        TEAMS_TRACING__ENABLED="1",
        TEAMS_TRACING__ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    for event_type in ("nphies.claim.rejected", "celery.task.failed"):
        daemons.add(patient_event(type=event_type, stakeholders="sre"))
    await until(lambda: len(daemons.rows()) == 2, 60)
    daemons.receiver.answer(400)
    daemons.add(patient_event(type="a.b", stakeholders="sre,nowhere"))
    daemons.add(patient_event(type="not.routed"))
    await until(lambda: len([s for s in collector.spans if s.name == "record"]) == 3, 60)
    await until(lambda: len([s for s in collector.spans if s.name == "intake"]) == 4, 60)
    await collector.stop()

    exported = b"".join(collector.bodies).decode(errors="replace")
    assert "corr-1" in exported
    assert "/sre" not in exported
    assert_masked({"spans": exported} | await places(daemons))


async def test_digests_show_no_patient(daemons: Daemons):
    settings = {"TEAMS_DELIVERY__DIGEST_THRESHOLD": "1", "TEAMS_DELIVERY__DIGEST_SIZE": "10"}
    await daemons.start("--stages", "intake")
    for _ in range(20):
        daemons.add(patient_event(type="a.b", stakeholders="sre"))
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(
            lambda: client.xlen("{teams:events}:normal:sre") == 20 or _lane(client) == 20
        )
    await daemons.start(
        "--stages", "delivery,recorder", **settings, TEAMS_RATE_LIMIT_REQUESTS="1000"
    )
    await until(lambda: len(daemons.rows()) == 20, 60)
    assert any(row["digest_id"] for row in daemons.rows())

    assert_masked(await places(daemons) | redis_streams(daemons.redis_url))


def _lane(client: Any) -> int:
    return sum(
        client.xlen(key) for key in client.scan_iter("{teams:events}:*sre*", _type="STREAM")
    )


async def test_pages_callbacks_and_what_follows_from_them_show_no_patient_and_no_secret(
    daemons: Daemons,
):
    await daemons.start(
        **with_signature(daemons),
        **public(
            {
                "TEAMS_OUTGOING_WEBHOOK_TOKEN": TOKEN,
                "TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS": "1",
                "TEAMS_ESCALATION__POLL_SECONDS": "0.2",
            }
        ),
    )
    for _ in range(2):
        daemons.add(patient_event(type="nphies.api.error", stakeholders="sre"))
    requests = await daemons.receiver.wait_for(2)
    await until(lambda: len(daemons.rows()) == 2)
    first, second = (links_on(request.body) for request in requests[:2])
    acknowledge = first["Acknowledge"]
    base = acknowledge.rpartition("/a/")[0]
    found = {
        "page": str(await get(acknowledge)),
        "broken link": str(await get(acknowledge + "x")),
        "no page": str(await get(base + "/nothing")),
        "escalate": str(await post(second["Escalate"], who="Lina", note="PAT-0")),
        "done": str(await post(acknowledge, who="Sara")),
        "again": str(await post(acknowledge, who="Omar")),
    }
    body = json.dumps(
        {"id": "1", "timestamp": datetime.now(UTC).isoformat(), "who": "Sara", "action": "acknowledge",
         "notification_id": str(daemons.rows()[0]["id"])}
    ).encode()  # fmt: skip
    signature = hmac.digest(base64.b64decode(TOKEN), body, "sha256")
    for name, sent in (("callback", signature), ("forged", b"x" * 32)):
        headers = {"Authorization": f"HMAC {base64.b64encode(sent).decode()}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{base}/callback", data=body, headers=headers) as answer,
        ):
            found[name] = str(answer.headers) + await answer.text()
    await daemons.receiver.wait_for(4)
    await until(lambda: any(row["acknowledged_at"] for row in daemons.rows()))
    paths = [request.path for request in daemons.receiver.requests]
    assert len(paths) > len([path for path in paths if path == "/sre"])

    assert_masked(found | await places(daemons) | redis_streams(daemons.redis_url))


async def test_passwords_of_servers_that_are_away_stay_unsaid(daemons: Daemons):
    lost_redis = f"redis://someone:{REDIS_PASSWORD}@127.0.0.1:1/0"
    lost_postgres = f"postgresql://someone:{POSTGRES_PASSWORD}@127.0.0.1:1/notifier"
    await daemons.start(ready=False, DATABASE_URL=lost_postgres, **with_signature(daemons))
    daemons.add(patient_event(type="a.b", stakeholders="sre"))
    await daemons.receiver.wait_for(1)
    await until(lambda: "database_away" in daemons.log())
    async with (
        aiohttp.ClientSession() as session,
        session.get(daemons.admin_urls[0] + "/readyz") as page,
    ):
        ready = await page.text()
        assert json.loads(ready)["postgres"]["state"] == "fault"

    env = {
        "REDIS_URL": lost_redis,
        "DATABASE_URL": lost_postgres,
        "TEAMS_HMAC_SECRET_KEY": SECRET,
        "TEAMS_OUTGOING_WEBHOOK_TOKEN": TOKEN,
        "TEAMS_WEBHOOK_SRE": f"https://x.webhook.office.com/?sig={URL_SIGNATURE}",
        "PATH": os.environ["PATH"],
    }
    calls = ("dlq list", "publish a.b --stakeholders sre", "migrate status", "config show", "config check", "keys list")  # fmt: skip
    printed = {}
    for call in calls:
        done = notifier(*call.split(), **env)
        printed[call] = done.stdout + done.stderr
        assert printed[call], call
    assert_masked(printed | {"log": daemons.log(), "readyz": ready})
