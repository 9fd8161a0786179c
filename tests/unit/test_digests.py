"""Notifications that share a card, and the digest that represents them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from notifier.events.digest import SHOWN, digest_of, gather, kind_of
from notifier.events.entry import Priority
from notifier.events.notification import Notification

ONE = Notification(
    id="id-0", channel="sre", stakeholders=("sre",), priority=Priority.LOW, card="generic", stream="teams:events",
    entry_id="1-0", event_id="e0", event_type="a.b", correlation_id="c0", event_time="2026-11-24T10:15:00Z", lang="en",
    source=None, traceparent=None, data={"claim_id": "CLM-0"},
)  # fmt: skip


def many(count: int) -> list[Notification]:
    return [
        replace(
            ONE,
            id=f"id-{number}",
            event_time=f"2026-11-24T10:{number:02}:00Z",
            data={"claim_id": f"CLM-{number}"},
        )
        for number in range(count)
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())))
def test_gathering_loses_nothing_and_keeps_the_order_within_a_kind(
    items: list[tuple[str, int]],
) -> None:
    groups = gather(items, lambda item: item[0])
    assert sorted(item for group in groups for item in group) == sorted(items)
    for group in groups:
        assert group == [item for item in items if item[0] == group[0][0]]


def test_only_one_type_priority_and_language_share_a_card() -> None:
    others = [
        replace(ONE, event_type="c.d"),
        replace(ONE, priority=Priority.INFO),
        replace(ONE, lang="ar"),
    ]
    assert len({kind_of(each) for each in [ONE, *others]}) == 4


def test_a_digest_counts_all_and_shows_the_first_with_links() -> None:
    digest = digest_of(many(12), lambda notification: f"https://x/{notification.id}")
    assert digest.card == "digest"
    assert digest.data["count"] == 12
    assert digest.data["more"] == 12 - SHOWN
    assert digest.data["first_time"] == "2026-11-24T10:00:00Z"
    assert digest.data["last_time"] == "2026-11-24T10:11:00Z"
    items = digest.data["items"]
    assert isinstance(items, list)
    assert items[0] == {
        "title": "CLM-0", "time": "2026-11-24T10:00:00Z", "correlation_id": "c0", "url": "https://x/id-0",
    }  # fmt: skip
    assert len(items) == SHOWN


def test_a_digest_of_the_same_notifications_has_the_same_id_and_of_others_another() -> None:
    assert digest_of(many(3), lambda _: None).id == digest_of(many(3), lambda _: None).id
    assert digest_of(many(3), lambda _: None).id != digest_of(many(4), lambda _: None).id
