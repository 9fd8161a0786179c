"""With OpenTelemetry and without, an event is one trace wherever it goes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import redis

from notifier.broker.keys import Keys
from notifier.events.trace_context import TraceContext, parse_traceparent
from tests.support.action_pages import links_on, post, public
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.otlp import Collector
from tests.support.publishing import DIGESTING
from tests.support.receiver import Received
from tests.support.state import entries
from tests.support.tracing import SPAN, TRACE, TRACED, trace
from tests.support.waiting import until


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    started = Collector()
    await started.start()
    yield started
    await started.stop()


def traced(collector: Collector, **env: str) -> dict[str, str]:
    return {
        "TEAMS_TRACING__ENABLED": "1",
        "TEAMS_TRACING__ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        **env,
    }


async def metric(daemons: Daemons, name: str) -> float:
    async with (
        aiohttp.ClientSession() as session,
        session.get(daemons.admin_urls[0] + "/metrics") as page,
    ):
        lines = (await page.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_producer_stages_posts_and_row_are_one_trace(
    daemons: Daemons, collector: Collector
):
    daemons.receiver.answer(503, times=1)
    await daemons.start(**traced(collector, TEAMS_RETRY__FACTOR="1"))
    entry_id = daemons.add(TRACED)
    await until(lambda: len(collector.named("record")) == 1)

    [intake], [deliver], [record] = map(collector.named, ("intake", "deliver", "record"))
    posts = sorted(collector.named("POST"), key=lambda span: span.start_ns)
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert intake.parent_id == SPAN
    assert deliver.parent_id == intake.span_id
    assert [post.parent_id for post in posts] == [deliver.span_id] * 2
    assert record.parent_id == deliver.span_id
    sent = [parse_traceparent(r.headers["traceparent"]) for r in daemons.receiver.requests]
    assert [context and context.span_id for context in sent] == [post.span_id for post in posts]
    assert {r.headers["tracestate"] for r in daemons.receiver.requests} == {"congo=t61rcWkgMzE"}

    assert (intake.kind, deliver.kind, posts[0].kind) == (5, 5, 3)  # consumer, consumer, client
    assert intake.attributes["messaging.destination.name"] == "teams:events"
    assert intake.attributes["messaging.message.id"] == entry_id
    assert intake.attributes["notifier.result"] == "routed"
    assert [post.attributes["http.response.status_code"] for post in posts] == [503, 202]
    assert [post.attributes.get("http.request.resend_count") for post in posts] == [None, 1]
    assert [post.error for post in posts] == ["503", None]
    assert deliver.attributes["notifier.notification.id"] == str(daemons.rows()[0]["id"])
    assert (deliver.attributes["notifier.result"], deliver.error) == ("delivered", None)
    assert deliver.end_ns - deliver.start_ns > posts[1].start_ns - posts[0].start_ns
    assert deliver.resource["service.name"] == "notifier"
    assert set(collector.paths) == {"/v1/traces"}
    assert await metric(daemons, 'teams_trace_spans_total{result="exported"}') >= 5


async def test_an_event_without_a_trace_begins_one(daemons: Daemons, collector: Collector):
    await daemons.start(**traced(collector, OTEL_SERVICE_NAME="claims-notifier"))
    daemons.publish(id="e1")
    daemons.publish(id="e2")
    await until(lambda: len(collector.named("record")) == 2)

    roots = collector.named("intake")
    assert [span.parent_id for span in roots] == ["", ""]
    assert len({span.trace_id for span in roots}) == 2
    assert {span.trace_id for span in collector.spans} == {span.trace_id for span in roots}
    assert roots[0].resource["service.name"] == "claims-notifier"
    assert {
        (parse_traceparent(row["traceparent"]) or pytest.fail("not a traceparent")).trace_id
        for row in daemons.rows()
    } == {span.trace_id for span in roots}


async def test_what_the_producer_does_not_sample_is_not_exported_but_goes_on(
    daemons: Daemons, collector: Collector
):
    await daemons.start(**traced(collector))
    daemons.add(TRACED | {"traceparent": f"00-{TRACE}-{SPAN}-00"})
    [request] = await daemons.receiver.wait_for(1)
    daemons.add(TRACED | {"id": "e2", "traceparent": f"00-{'b' * 32}-{SPAN}-01"})
    await until(lambda: len(collector.named("record")) == 1)

    context = parse_traceparent(request.headers["traceparent"])
    assert context is not None
    assert (context.trace_id, context.sampled) == (TRACE, False)
    assert {span.trace_id for span in collector.spans} == {"b" * 32}


async def test_dead_letters_and_duplicates_say_so(daemons: Daemons, collector: Collector):
    daemons.receiver.answer(400)
    await daemons.start(**traced(collector))
    daemons.add(TRACED)
    daemons.add(TRACED)
    daemons.add({"type": "no.route"})
    await until(lambda: len(collector.named("intake")) == 3)
    await until(lambda: len(collector.named("deliver")) == 1)

    [deliver] = collector.named("deliver")
    assert (deliver.attributes["notifier.result"], deliver.error) == (
        "dead_lettered",
        "rejected",
    )
    assert sorted((s.attributes["notifier.result"], s.error) for s in collector.named("intake") if s.error is None) == [
        ("duplicate", None), ("routed", None)
    ]  # fmt: skip
    assert [s.error for s in collector.named("intake") if s.error] == ["unroutable"]


async def test_a_digest_links_the_traces_that_it_joins(daemons: Daemons, collector: Collector):
    await daemons.start("--stages", "intake", **traced(collector))
    traces = [f"{number:032x}" for number in range(1, 21)]
    for number, each in enumerate(traces):
        daemons.publish(id=f"e{number}", traceparent=f"00-{each}-{SPAN}-01")
    await until(lambda: daemons.lane_length() == 20)
    await daemons.start("--stages", "delivery,recorder", **DIGESTING, **traced(collector))
    await until(lambda: len(collector.named("record")) == 20, 60)

    digests = [span for span in collector.named("deliver") if span.links]
    assert digests
    for digest in digests:
        assert digest.parent_id == ""
        assert digest.trace_id not in traces
        assert len(digest.links) == digest.attributes["messaging.batch.message_count"]
        assert set(digest.links) <= set(traces)
    assert {span.trace_id for span in collector.named("record")} == set(traces)


async def test_a_collector_that_is_away_stops_no_card_and_is_seen(
    daemons: Daemons, collector: Collector
):
    collector.status = 400
    process = await daemons.start(**traced(collector))
    daemons.add(TRACED)
    await until(lambda: len(daemons.rows()) == 1)
    await until(lambda: "spans_lost" in daemons.log())

    ready = await daemons.readiness()
    assert ready["status"] == 200
    assert "does not accept spans" in ready["warnings"]["tracing"]
    assert await metric(daemons, 'teams_trace_spans_total{result="lost"}') >= 1
    assert daemons.log().count("spans_lost") == 1
    collector.status = 200
    daemons.add(TRACED | {"id": "e2"})
    await until(lambda: "spans_exported_again" in daemons.log())
    await collector.stop()
    daemons.add(TRACED | {"id": "e3"})
    await until(lambda: len(daemons.rows()) == 3)
    process.terminate()
    assert await process.wait() == 0
    assert "Traceback" not in daemons.log()


async def test_a_collector_that_hangs_holds_up_neither_cards_nor_the_end(
    daemons: Daemons, collector: Collector
):
    collector.hangs = True
    process = await daemons.start(**traced(collector, OTEL_EXPORTER_OTLP_TIMEOUT="600"))
    daemons.add(TRACED)
    await until(lambda: len(daemons.rows()) == 1)
    await until(lambda: collector.asked == 1)
    daemons.add(TRACED | {"id": "e2"})
    await until(lambda: len(daemons.rows()) == 2)

    process.terminate()

    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert "spans_left" in daemons.log()
    assert "Traceback" not in daemons.log()


async def test_what_is_left_is_exported_at_the_end(daemons: Daemons, collector: Collector):
    process = await daemons.start(**traced(collector, OTEL_BSP_SCHEDULE_DELAY="600000"))
    daemons.add(TRACED)
    await until(lambda: len(daemons.rows()) == 1)
    assert collector.spans == []

    process.terminate()

    assert await process.wait() == 0
    assert {span.name for span in collector.spans} == {"intake", "deliver", "POST", "record"}


@pytest.mark.parametrize("command", ["run", "config check"])
async def test_wanted_but_not_installed_is_said_with_its_fix(
    redis_url: str, database_url: str, tmp_path: Path, command: str
):
    (tmp_path / "opentelemetry.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'opentelemetry'\", name='opentelemetry')\n"
    )

    done = notifier(
        *command.split(), REDIS_URL=redis_url, DATABASE_URL=database_url, TEAMS_TRACING__ENABLED="1", PYTHONPATH=str(tmp_path)
    )  # fmt: skip

    assert done.returncode == 3
    assert f"{sys.executable} -m pip install opentelemetry-sdk" in done.stderr
    assert "Traceback" not in done.stderr


def test_switched_off_nothing_that_makes_or_exports_spans_is_imported():
    # The Redis driver imports some of OpenTelemetry's metrics if they are installed.
    code = (
        "import sys, notifier.cli, notifier.daemon.app, notifier.telemetry.tracing as spans;"
        "from notifier.config import load_config;"
        "assert spans.open_spans(load_config(None, {}).tracing, instance='x') is None;"
        "names = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'google.protobuf');"
        "print([name for name in sys.modules if name.startswith(names)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )

    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "endpoint",
    ["collector:4318", "https://user:secret@c.example", "https://c.example/?key=secret"],
)
def test_an_unusable_endpoint_is_refused_and_not_shown(endpoint: str):
    done = notifier("config", "check", TEAMS_TRACING__ENDPOINT=endpoint)

    assert done.returncode == 3
    assert "endpoint" in done.stderr.lower()
    assert "OTEL_EXPORTER_OTLP_HEADERS" in done.stderr
    assert "secret" not in done.stderr


def sent(request: Received) -> TraceContext:
    context = parse_traceparent(request.headers["traceparent"])
    assert context is not None
    return context


async def test_posts_log_row_and_replay_continue_the_trace(daemons: Daemons):
    daemons.receiver.answer(503, times=1)
    daemons.receiver.answer(400, times=1)
    await daemons.start(TEAMS_RETRY__FACTOR="1")
    daemons.add(TRACED)
    await until(lambda: len(daemons.rows()) == 1)
    with redis.Redis.from_url(daemons.redis_url, decode_responses=True) as client:
        [(letter_id, _)] = client.xrange(Keys("teams:events").dead)
    env = {"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url}
    assert notifier("dlq", "replay", letter_id, **env).returncode == 0
    await until(lambda: daemons.rows()[0]["status"] == "delivered")

    contexts = [sent(request) for request in daemons.receiver.requests]
    assert [context.trace_id for context in contexts] == [TRACE] * 3
    assert all(context.sampled for context in contexts)
    assert len({SPAN, *(context.span_id for context in contexts)}) == 4
    assert {r.headers["tracestate"] for r in daemons.receiver.requests} == {"congo=t61rcWkgMzE"}
    lines = [json.loads(line) for line in daemons.log().splitlines() if line.startswith("{")]
    traced = {line["event"] for line in lines if line.get("trace_id") == TRACE}
    assert traced >= {"event_routed", "attempt_failed", "notification_dead_lettered", "notification_delivered"}  # fmt: skip
    assert all(line["span_id"] for line in lines if "trace_id" in line)
    assert daemons.rows()[0]["traceparent"] == TRACED["traceparent"]
    [journey] = trace(daemons, TRACE)["journeys"]
    assert journey["identity"]["event_id"] == "e1"


async def test_what_is_not_valid_is_ignored_and_the_card_delivered(daemons: Daemons):
    await daemons.start()
    daemons.add(TRACED | {"traceparent": f"00-{'0' * 32}-{SPAN}-01"})
    daemons.publish(id="e2")

    requests = await daemons.receiver.wait_for(2)

    for request in requests:
        assert "traceparent" not in request.headers
        assert "tracestate" not in request.headers
    await until(lambda: len(daemons.rows()) == 2)
    assert daemons.dead_letters() == []
    noted = [line for line in daemons.log().splitlines() if "W3C Trace Context" in line]
    assert [json.loads(line)["level"] for line in noted] == ["debug"]
    assert json.loads(noted[0])["event_id"] == "e1"


async def test_escalation_and_acknowledgement_are_of_the_same_trace(daemons: Daemons):
    soon = daemons.folder / "soon.toml"
    soon.write_text(
        "[escalation]\npoll_seconds = 0.1\n"
        'CRITICAL = { after_seconds = 1, chain = ["pmo", "devops"] }\n'
    )
    announced = {"TEAMS_PUBLIC__ANNOUNCE_ACKNOWLEDGEMENTS": "1"}
    await daemons.start(NOTIFIER_CONFIG=str(soon), **public(announced))
    daemons.add(TRACED | {"priority": "CRITICAL"})
    await daemons.receiver.wait_for(2)
    links = links_on(daemons.receiver.requests[1].body)

    assert (await post(links["Acknowledge"], who="Sara"))[0] == 200

    requests = await daemons.receiver.wait_for(3)
    assert {sent(request).trace_id for request in requests} == {TRACE}
    assert {request.path for request in requests} >= {"/sre", "/pmo"}


def test_publish_takes_the_trace_of_its_option_or_environment(redis_url: str):
    plain = ("publish", "a.b", "--stakeholders", "sre")
    given = f"00-{'b' * 32}-{SPAN}-00"
    env = {"REDIS_URL": redis_url, "TRACEPARENT": TRACED["traceparent"], "TRACESTATE": "a=1"}

    assert notifier(*plain, REDIS_URL=redis_url).returncode == 0
    assert notifier(*plain, **env).returncode == 0
    assert notifier(*plain, "--traceparent", given, **env).returncode == 0
    assert notifier(*plain, **(env | {"TRACEPARENT": "nonsense"})).returncode == 0
    own = json.dumps({"type": "c.d", "traceparent": given})
    assert notifier("publish", "--file", "-", stdin=own, **env).returncode == 0
    refused = notifier(*plain, "--traceparent", "00-1", REDIS_URL=redis_url)

    events = [json.loads(fields["event"]) for fields in entries(redis_url)]
    assert [(event.get("traceparent"), event.get("tracestate")) for event in events] == [
        (None, None), (TRACED["traceparent"], "a=1"), (given, None), (None, None), (given, None),
    ]  # fmt: skip
    assert refused.returncode == 2
    assert "--traceparent" in refused.stderr
