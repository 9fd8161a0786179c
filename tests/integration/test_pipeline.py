"""An event through the real daemon: Redis in, a POST out, a row."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
from pathlib import Path
from typing import Any

import redis
from standardwebhooks import Webhook

from notifier.broker.keys import Keys
from notifier.teams.envelope import counted_size
from tests.support.daemons import SECRET, Daemons
from tests.support.state import KEYS
from tests.support.waiting import until


async def test_claim_event_reaches_three_channels_and_leaves_three_rows(daemons: Daemons):
    await daemons.start()

    daemons.add(
        {
            "type": "nphies.claim.rejected",
            "claim_id": "CLM-1",
            "rejection_code": "INV-001",
            "patient_id": "PAT-12345",
            "correlation_id": "corr-1",
        }
    )
    await until(lambda: len(daemons.rows()) == 3)

    found = daemons.rows()
    assert [row["channel"] for row in found] == ["compliance", "nphies_integration", "pmo"]
    assert {
        (row["status"], row["status_code"], row["priority"], row["retry_count"])
        for row in found
    } == {("delivered", 202, "HIGH", 0)}
    assert {row["correlation_id"] for row in found} == {"corr-1"}
    assert sorted(r.path for r in daemons.receiver.requests) == sorted(
        f"/{c}" for c in ("compliance", "nphies_integration", "pmo")
    )
    await until(lambda: not daemons.left_over())
    everything = (
        json.dumps(found, default=str)
        + "".join(r.body.decode() for r in daemons.receiver.requests)
        + daemons.log()
    )
    assert "PAT-12345" not in everything
    assert "***345" in everything.replace("\\", "")


async def test_post_is_a_workflow_message_signed_both_ways(daemons: Daemons):
    await daemons.start()

    daemons.publish(type="backup.failed", service="postgres", correlation_id="corr-9")
    [request] = await daemons.receiver.wait_for(1)

    message = json.loads(request.body)
    assert message["type"] == "message"
    assert message["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert message["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert request.headers["X-Correlation-ID"] == "corr-9"
    assert request.headers["X-Priority"] == "HIGH"
    assert (
        request.headers["X-HMAC-Signature"]
        == hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    )
    Webhook(SECRET.encode()).verify(request.body, dict(request.headers))
    assert "Authorization" not in request.headers


async def test_bad_entries_are_dead_lettered_with_a_reason_while_good_ones_go_through(
    daemons: Daemons,
):
    bad: list[tuple[dict[Any, Any], str]] = [
        ({"claim_id": "CLM-1"}, "type: is missing"),
        ({"type": "nphies.claim.approved", "data": '{"claim_id": '}, "data: is not valid JSON"),
        ({"type": "nphies.claim.approved", "notes": "x" * 5_000_000}, "the limit is 262144"),
        ({"type": "made.up"}, "made.up has no route"),
        ({b"type": b"\xff\xfe\x00"}, "is not UTF-8"),
        ({"type": "a.b", "stakeholders": "sre,nobody"}, "unknown channel nobody"),
    ]
    for fields, _ in bad:
        daemons.add(fields)
        daemons.publish(type="made.up", stakeholders="pmo")
    await daemons.start()

    await until(lambda: len(daemons.rows()) == len(bad) + 1)
    letters = daemons.dead_letters()
    assert len(letters) == len(bad)
    for letter, (_, words) in zip(letters, bad, strict=True):
        assert words in letter["detail"]
    # So large an entry does not pass through the daemon: its dead letter says what it was, and it stays in its stream.
    assert json.loads(letters[2]["event"])["shortened"]["bytes"] > 5_000_000
    await until(lambda: not daemons.left_over())


async def test_retry_after_keeps_the_channel_quiet_but_not_its_neighbours(daemons: Daemons):
    daemons.receiver.answer(429, headers={"Retry-After": "2"}, times=1)
    await daemons.start()
    daemons.publish()
    [throttled] = await daemons.receiver.wait_for(1)
    await until(lambda: "channel_paused" in daemons.log())

    daemons.publish()
    daemons.publish(stakeholders="pmo")
    await until(lambda: len(daemons.rows()) == 3)

    order = [request.path for request in daemons.receiver.requests]
    assert order == ["/sre", "/pmo", "/sre", "/sre"]
    assert daemons.receiver.requests[2].arrival - throttled.arrival >= 2


async def test_retry_after_holds_back_what_is_in_hand_too(daemons: Daemons):
    daemons.receiver.answer(429, headers={"Retry-After": "2"}, times=1)
    for _ in range(4):
        daemons.publish()

    # Each has its place under the rate limit before the first is answered.
    await daemons.start(TEAMS_RATE_LIMIT_REQUESTS="150", TEAMS_RATE_LIMIT__BURST="1")
    throttled, *others = await daemons.receiver.wait_for(5)

    arrivals = [request.arrival - throttled.arrival for request in others]
    assert arrivals[0] >= 2
    # And they do not come all at once then.
    assert arrivals[3] - arrivals[0] >= 1


async def test_channel_without_webhook_is_a_dead_letter_that_says_which_variable_to_set(
    daemons: Daemons,
):
    await daemons.start(TEAMS_WEBHOOK_SRE="placeholder")

    daemons.publish()
    await until(lambda: len(daemons.dead_letters()) == 1)

    [letter] = daemons.dead_letters()
    assert letter["reason"] == "not_configured"
    assert "TEAMS_WEBHOOK_SRE" in letter["detail"]


async def test_sigterm_finishes_what_is_in_flight_and_exits_0(daemons: Daemons):
    daemons.receiver.answer(202, delay=1)
    process = await daemons.start()
    daemons.publish()
    await daemons.receiver.wait_for(1)

    process.send_signal(signal.SIGTERM)

    assert await process.wait() == 0
    assert len(daemons.receiver.requests) == 1
    assert daemons.left_over() == {KEYS.outcomes: 1} or len(daemons.rows()) == 1


async def test_stages_in_processes_of_their_own_share_the_work(daemons: Daemons):
    for stages in ("intake", "delivery", "delivery", "recorder"):
        await daemons.start("--stages", stages)
    for number in range(200):
        daemons.publish(stakeholders="sre,pmo", id=f"e{number}")

    await until(lambda: len(daemons.rows()) == 400, 60)
    await until(lambda: not daemons.left_over())
    assert len(daemons.receiver.requests) == 400


async def test_old_schema_stops_the_daemon_and_names_the_command(
    daemons: Daemons, empty_database_url: str
):
    process = await daemons.start(ready=False, DATABASE_URL=empty_database_url)

    assert await process.wait() == 5
    assert "notifier migrate" in daemons.log()


async def test_event_with_far_too_long_lists_and_texts_is_delivered_shortened(daemons: Daemons):
    await daemons.start()

    services = [{"description": f"Service {n} " + "x" * 60, "amount": n} for n in range(800)]
    daemons.publish(
        type="custom.large",
        data=json.dumps({f"field_{n}": "long " * 400 for n in range(30)} | {"s": services}),
    )
    [request] = await daemons.receiver.wait_for(1)

    card = json.loads(request.body)["attachments"][0]["content"]
    text = json.dumps(card, ensure_ascii=False)
    assert card["type"] == "AdaptiveCard"
    assert counted_size(json.dumps(card, ensure_ascii=False, separators=(",", ":"))) <= 27_500
    assert "more" in text
    assert "${" not in text


async def test_several_event_streams_at_once_have_every_row(daemons: Daemons, tmp_path: Path):
    streams = [f"claims:{name}" for name in "abcd"]
    settings = tmp_path / "streams.toml"
    settings.write_text(f"streams = {streams!r}\n")
    await daemons.start("--config", str(settings))

    with redis.Redis.from_url(daemons.redis_url) as client, client.pipeline() as pipeline:
        for number in range(200):
            fields = {"type": "a.b", "stakeholders": "sre", "id": f"e{number}"}
            pipeline.xadd(streams[number % 4], fields)  # type: ignore[arg-type]
        pipeline.execute()
    await daemons.receiver.wait_for(200)

    await until(lambda: len(daemons.rows()) == 200)
    with redis.Redis.from_url(daemons.redis_url) as client:
        await until(lambda: not any(client.xlen(Keys(name).outcomes) for name in streams))
    assert "OutOfOrderTransactionNesting" not in daemons.log()
