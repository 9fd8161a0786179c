"""An event's trace goes on to wherever the event goes."""

from __future__ import annotations

import json

import redis

from notifier.broker.keys import Keys
from notifier.events.trace_context import TraceContext, parse_traceparent
from tests.support.action_pages import links_on, post, public
from tests.support.commands import notifier
from tests.support.daemons import Daemons
from tests.support.receiver import Received
from tests.support.state import entries
from tests.support.tracing import SPAN, TRACE, TRACED, trace
from tests.support.waiting import until


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
