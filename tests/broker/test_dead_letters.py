"""A dead letter is found, shown, and replayed or discarded once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from notifier.broker.consumer import Consumer
from notifier.broker.hop import Move, MoveResult, Target
from notifier.broker.keys import Keys
from notifier.config import Config
from notifier.dead_letters.listing import (
    DeadLetterPage,
    Filter,
    NoSuchDeadLetterError,
    dead_letter_page,
    every_dead_letter,
    find_dead_letter,
    newest_dead_letters,
)
from notifier.dead_letters.model import DeadLetter, raw_fields
from notifier.dead_letters.replay import Replayer
from notifier.errors import EventError
from notifier.events.masking import Masking
from notifier.events.notification import decode, encode
from notifier.events.routing import Catalogue
from tests.support.backlog import KEYS, NORMAL, STREAM, URGENT, calm, ids, publish, read_all
from tests.support.broker import Broker
from tests.support.receiver import WebhookReceiver
from tests.support.stages import ONE, Stages

MASKING = Masking.of(["patient_id"], [])
OTHER = "claims:events"

Refuse = Callable[[], Awaitable[DeadLetter]]


@pytest.fixture
def replayer(config: Config) -> Replayer:
    return Replayer(Catalogue(config.routes, config.channels), MASKING, max_event_bytes=20_000)


@pytest.fixture
def refuse(group: Consumer, stages: Stages, webhook_receiver: WebhookReceiver) -> Refuse:
    """Let the webhook refuse a notification; return its dead letter."""

    async def refused() -> DeadLetter:
        webhook_receiver.answer(400, times=1)
        await stages.put(ONE)
        async with stages.lane(webhook_receiver.url("sre"), group=group) as lane:
            await lane.step()
        [letter] = [each async for each in every_dead_letter(group, [STREAM], Filter())]
        return letter

    return refused


async def taken_out(group: Consumer, letter: DeadLetter, targets: Sequence[Target]) -> bool:
    move = Move(KEYS.dead, letter.id, tuple(targets))
    return await group.move(KEYS.dead, [move]) == [MoveResult.MOVED]


async def bury(client: Redis, ms: int, *, stream: str = STREAM, **fields: str) -> None:
    await client.xadd(
        Keys(stream).dead, {"reason": "rejected", "event": "{}"} | fields, id=f"{ms}-0"
    )


async def test_letters_of_all_streams_are_listed_newest_first(client: Redis, group: Consumer):
    for ms in (1, 4, 5):
        await bury(client, ms)
    for ms in (2, 3, 6):
        await bury(client, ms, stream=OTHER)

    letters = await newest_dead_letters(group, [STREAM, OTHER], Filter(), limit=4)

    assert [letter.id for letter in letters] == ["6-0", "5-0", "4-0", "3-0"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(channel="pmo"), ["2000-0"]),
        (Filter(reason="poison"), ["3000-0"]),
        (Filter(since=datetime.fromtimestamp(2, UTC)), ["2000-0", "3000-0"]),
        (Filter(until=datetime.fromtimestamp(2, UTC)), ["1000-0"]),
    ],
    ids=["channel", "reason", "since", "until"],
)
async def test_only_wanted_letters_are_found(
    client: Redis, group: Consumer, wanted: Filter, found: list[str]
):
    await bury(client, 1000, channel="sre")
    await bury(client, 2000, channel="pmo")
    await bury(client, 3000, channel="sre", reason="poison")

    oldest_first = [each async for each in every_dead_letter(group, [STREAM], wanted)]
    newest_first = await newest_dead_letters(group, [STREAM], wanted, limit=10)

    assert [letter.id for letter in oldest_first] == found
    assert [letter.id for letter in newest_first] == found[::-1]


async def test_letter_that_is_not_there_is_a_clear_error(group: Consumer):
    with pytest.raises(NoSuchDeadLetterError, match="there is no dead letter 1-0"):
        await find_dead_letter(group, [STREAM], "1-0")


async def test_replayed_letter_is_in_its_lane_once_with_how_it_ended_before(
    client: Redis, group: Consumer, replayer: Replayer, refuse: Refuse
):
    letter = await refuse()
    targets = replayer.targets(letter)

    assert await taken_out(group, letter, targets)
    assert not await taken_out(group, letter, targets)

    assert await ids(client, NORMAL) == ["e0"]
    assert await client.xlen(KEYS.dead) == 0


async def test_letter_that_two_people_replay_at_once_is_replayed_once(
    client: Redis, broker: Broker, replayer: Replayer, refuse: Refuse
):
    letter = await refuse()
    targets = replayer.targets(letter)

    done = await asyncio.gather(
        *(taken_out(broker.group(who), letter, targets) for who in ("a", "b", "c"))
    )

    assert sorted(done) == [False, False, True]
    assert await client.xlen(NORMAL) == 1


async def test_replayed_letter_is_delivered_under_its_own_id_and_counts_its_attempts(
    group: Consumer,
    replayer: Replayer,
    refuse: Refuse,
    stages: Stages,
    webhook_receiver: WebhookReceiver,
):
    letter = await refuse()
    await taken_out(group, letter, replayer.targets(letter))
    async with stages.lane(webhook_receiver.url("sre"), group=group) as lane:
        await lane.step()

    refused, delivered = await stages.outcomes()
    assert (refused["id"], refused["status"]) == (delivered["id"], "dead_lettered")
    assert (delivered["status"], delivered["retry_count"]) == ("delivered", 1)


async def test_replayed_event_that_intake_had_buried_goes_to_all_of_its_channels(
    client: Redis, group: Consumer, stages: Stages, replayer: Replayer
):
    await group.ensure([STREAM])
    await publish(client, [{**calm(1), "stakeholders": "nobody", "priority": "HIGH"}])
    await read_all(stages.intake(group))
    [letter] = [each async for each in every_dead_letter(group, [STREAM], Filter())]

    edited = {"type": "a.b", "id": "n1", "stakeholders": ["sre", "pmo"], "priority": "HIGH"}
    targets = replayer.targets(letter, edited)
    assert await taken_out(group, letter, targets)

    assert (
        await ids(client, URGENT) == await ids(client, KEYS.lane("pmo", urgent=True)) == ["n1"]
    )
    assert await client.xlen(KEYS.dead) == 0


@pytest.mark.parametrize(
    "raw",
    [
        "[" * 100_000,
        '{"event":{"type":"a.b","stakeholders":["sre"],"data":'
        + '{"a":' * 500
        + "1"
        + "}" * 502,
        '{"fields":{"type":"a.b","data":{"base64":"AAA"}}}',
        r'{"fields":{"type":"\ud800","data":"{}"}}',
    ],
)
def test_a_dead_letter_that_nothing_can_read_stays_and_says_so(replayer: Replayer, raw: str):
    with pytest.raises(EventError, match="--edit"):
        replayer.targets(DeadLetter("1-0", STREAM, {"stage": "intake"}, raw))


@pytest.mark.parametrize("attempts", ["many", "9" * 5_000, "99999999999", "-5", ""])
def test_a_notification_with_unreadable_attempts_is_replayed(replayer: Replayer, attempts: str):
    fields = {"stage": "delivery", "attempts": attempts}
    [(_, target)] = replayer.targets(DeadLetter("1-0", STREAM, fields, encode(ONE).decode()))

    assert decode(bytes(target["notification"])).tried_before == 0  # type: ignore[arg-type]


def test_an_event_that_only_notifier_publishes_is_not_replayed_unread(replayer: Replayer):
    fields = {"type": "notifier.escalation", "stakeholders": "sre", "signature": "notifier:0"}
    raw = raw_fields({name.encode(): text.encode() for name, text in fields.items()})
    kept = {"reason": "invalid_event", "stage": "intake", "source_id": "1-1"}
    letter = DeadLetter("1-1", STREAM, kept, raw)

    with pytest.raises(EventError, match="signature"):
        replayer.targets(letter)
    edited = {"type": "notifier.escalation", "stakeholders": ["sre"]}
    assert len(replayer.targets(letter, edited)) == 1


STREAMS = ["teams:events", "claims:a"]


async def bury_entry(group: Consumer, stream: str, entry_id: str, **fields: str) -> None:
    await group.client.xadd(Keys(stream).dead, {"event": "x" * 100, "reason": "rejected"} | fields, id=entry_id)  # type: ignore[arg-type]  # fmt: skip


async def all_pages(
    group: Consumer, wanted: Filter, *, newest_first: bool, limit: int, looks: int
) -> list[DeadLetterPage]:
    pages: list[DeadLetterPage] = []
    after = None
    while not pages or after is not None:
        page = await dead_letter_page(group, STREAMS, wanted, after=after, newest_first=newest_first, limit=limit, looks=looks)  # fmt: skip
        pages.append(page)
        after = page.next
        assert len(pages) < 200
    return pages


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("limit", "looks"), [(1, 1), (2, 3), (3, 2), (7, 250), (100, 5)])
async def test_every_letter_is_on_one_page_in_order(
    group: Consumer, newest_first: bool, limit: int, looks: int
):
    # Both streams have the ids 5-0 and 7-0; the second has a long run of its own.
    for ms in (1, 3, 5, 7, 30):
        await bury_entry(group, STREAMS[0], f"{ms}-0")
    for ms in (2, 5, 7, *range(10, 20)):
        await bury_entry(group, STREAMS[1], f"{ms}-0")

    pages = await all_pages(
        group, Filter(), newest_first=newest_first, limit=limit, looks=looks
    )

    found = [
        (int(each.id.split("-")[0]), each.stream)
        for page in pages
        for each in page.dead_letters
    ]
    assert len(set(found)) == len(found) == 18
    times = [ms for ms, _ in found]
    assert times == sorted(times, reverse=newest_first)
    assert all(len(page.dead_letters) <= limit for page in pages)
    assert all("event" not in each.fields for page in pages for each in page.dead_letters)


async def test_only_wanted_letters_are_found_however_few(group: Consumer):
    for ms in range(1, 200):
        channel = "pmo" if ms in (7, 150) else "sre"
        await bury_entry(group, STREAMS[0], f"{ms}-0", channel=channel)

    pages = await all_pages(group, Filter(channel="pmo"), newest_first=True, limit=10, looks=75)

    assert [each.id for page in pages for each in page.dead_letters] == ["150-0", "7-0"]
    assert len(pages) == 3
