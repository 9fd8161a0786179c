"""Pages of dead letters hold each one once, with bounded work."""

from __future__ import annotations

import pytest

from notifier.broker.consumer import Consumer
from notifier.broker.keys import Keys
from notifier.dead_letters.listing import DeadLetterPage, Filter, dead_letter_page

STREAMS = ["teams:events", "claims:a"]


async def bury(group: Consumer, stream: str, entry_id: str, **fields: str) -> None:
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
        await bury(group, STREAMS[0], f"{ms}-0")
    for ms in (2, 5, 7, *range(10, 20)):
        await bury(group, STREAMS[1], f"{ms}-0")

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
        await bury(group, STREAMS[0], f"{ms}-0", channel=channel)

    pages = await all_pages(group, Filter(channel="pmo"), newest_first=True, limit=10, looks=75)

    assert [each.id for page in pages for each in page.dead_letters] == ["150-0", "7-0"]
    assert len(pages) == 3
