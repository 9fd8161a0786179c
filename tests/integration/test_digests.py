"""A burst on a rate-limited channel: one card for many, a row for each."""

from __future__ import annotations

import json
from typing import Any

import redis

from notifier.broker.keys import Keys
from tests.support.daemons import Daemons
from tests.support.digests import SETTINGS, burst
from tests.support.state import lane_length, left_over, rows
from tests.support.waiting import until


def card_of(body: bytes) -> Any:
    return json.loads(body)["attachments"][0]["content"]


async def test_a_burst_shares_cards_and_each_keeps_its_row_with_the_id_of_the_digest(
    daemons: Daemons,
):
    await daemons.start("--stages", "intake")
    await burst(daemons, "a.b", 40)
    await burst(daemons, "c.d", 3)
    await until(lambda: lane_length(daemons) == 43)
    await daemons.start("--stages", "delivery,recorder", **SETTINGS)

    await until(lambda: len(rows(daemons.database_url)) == 43, 60)
    await until(lambda: not left_over(daemons.redis_url))

    found = rows(daemons.database_url)
    assert {row["status"] for row in found} == {"delivered"}
    digests = {str(row["digest_id"]) for row in found if row["digest_id"]}
    assert digests
    assert len(daemons.receiver.requests) < 20
    by_message = {
        request.headers["webhook-id"]: request for request in daemons.receiver.requests
    }
    for digest_id in digests:
        together = [row for row in found if str(row["digest_id"]) == digest_id]
        assert 2 <= len(together) <= 10
        assert len({row["event_type"] for row in together}) == 1
        text = json.dumps(card_of(by_message[digest_id].body), ensure_ascii=False)
        assert f"📚 {len(together)} × " in text
        assert (
            sum(row["event_id"].replace(row["event_type"], "CLM") in text for row in together)
            >= 2
        )


async def test_urgent_notifications_are_never_gathered(daemons: Daemons):
    await daemons.start("--stages", "intake")
    await burst(daemons, "a.b", 12, priority="CRITICAL")
    await until(lambda: lane_length(daemons, urgent=True) == 12)
    await daemons.start("--stages", "delivery,recorder", **SETTINGS)

    await until(lambda: len(rows(daemons.database_url)) == 12, 60)

    assert len(daemons.receiver.requests) == 12
    assert not any(row["digest_id"] for row in rows(daemons.database_url))


async def test_a_digest_that_is_refused_makes_a_dead_letter_of_each(daemons: Daemons):
    daemons.receiver.answer(400)
    await daemons.start("--stages", "intake")
    await burst(daemons, "a.b", 20)
    await until(lambda: lane_length(daemons) == 20)
    await daemons.start("--stages", "delivery,recorder", **SETTINGS)

    await until(lambda: len(rows(daemons.database_url)) == 20, 60)

    assert {row["status"] for row in rows(daemons.database_url)} == {"dead_lettered"}
    assert dead_letters(daemons) == 20


def dead_letters(daemons: Daemons) -> int:
    with redis.Redis.from_url(daemons.redis_url) as client:
        return int(client.xlen(Keys("teams:events").dead))
