"""Deaths of processes are counted against the entry that may cause them."""

from __future__ import annotations

from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.entries import Entry
from notifier.pipeline.stage import in_order
from tests.support.reading import SOURCE, read, read_new

LONG_AGO_MS = 10**9


async def die(client: Redis, entry_id: str) -> None:
    """Let an entry look as if its process had died a long time ago."""
    [pending] = await client.xpending_range(SOURCE, "notifier", entry_id, entry_id, 1)
    await client.xclaim(
        SOURCE, "notifier", "dead", 0, [entry_id],
        idle=LONG_AGO_MS, retrycount=pending["times_delivered"], justid=True,
    )  # fmt: skip


async def claimed(group: Consumer) -> list[Entry]:
    return await group.claim(SOURCE, idle_seconds=1, count=10)


async def test_deaths_beside_others_are_counted_twice_and_no_more(client: Redis, one: Consumer):
    [entry_id] = await read_new(client, one)
    counted = []
    for _ in range(4):
        await die(client, entry_id)
        [entry] = await claimed(one)
        counted.append(entry.deliveries)

    assert counted == [2, 3, 3, 3]
    assert entry.goes_alone(10)
    assert not entry.is_poison(2)


async def test_death_while_tried_alone_is_counted_and_its_end_takes_it_back(
    client: Redis, one: Consumer
):
    [entry_id] = await read_new(client, one)
    for _ in range(2):
        await die(client, entry_id)
        [entry] = await claimed(one)
    async with one.trial(entry) as ours:
        assert ours
    await die(client, entry_id)
    [entry] = await claimed(one)
    survived = entry.deliveries

    async with one.trial(entry):
        await die(client, entry_id)
    [entry] = await claimed(one)

    assert (survived, entry.deliveries) == (3, 4)
    assert entry.is_poison(3)
    assert not entry.is_poison(10)


async def test_what_was_tried_alone_is_given_up_with_its_deaths(
    client: Redis, one: Consumer, other: Consumer
):
    entry_id = (await client.xadd(SOURCE, {"a": "1"})).decode()
    await read(one)
    await client.xclaim(SOURCE, "notifier", "one", 0, [entry_id], retrycount=7, justid=True)

    await one.give_up(SOURCE, [entry_id])

    [entry] = await claimed(other)
    assert entry.deliveries == 8


async def test_nobody_tries_what_another_has_claimed(
    client: Redis, one: Consumer, other: Consumer
):
    [entry_id] = await read_new(client, one)
    await die(client, entry_id)
    await claimed(other)

    async with one.trial(Entry(SOURCE, entry_id, {}, 3)) as ours:
        assert not ours


def test_the_likeliest_to_kill_goes_last():
    deliveries = [1, 5, 3, 2, 1, 4]
    entries = [Entry(SOURCE, f"{n}-0", {}, times) for n, times in enumerate(deliveries)]

    assert [entry.deliveries for entry in in_order(entries)] == [1, 2, 1, 3, 4, 5]
