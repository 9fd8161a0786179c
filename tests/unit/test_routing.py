from __future__ import annotations

import tomllib
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.config import assets, load_config
from notifier.config.models import Route
from notifier.events.entry import Event, Priority
from notifier.events.notification import notification_id
from notifier.events.routing import Catalogue, UnroutableError

CHANNELS = ("sre", "devops", "pmo")


def event(event_type: str = "vault.seal.detected", **changes: object) -> Event:
    members: dict[str, object] = {
        "stream": "teams:events",
        "entry_id": "1-1",
        "id": "e1",
        "type": event_type,
        "correlation_id": "c1",
        "time": datetime(2026, 1, 31, 10, 15, tzinfo=UTC),
        "data": {},
    }
    return Event(**(members | changes))  # type: ignore[arg-type]


def test_each_stakeholder_gets_one_notification_with_the_routes_priority_and_card():
    catalogue = Catalogue(
        {
            "vault.seal.detected": Route(
                priority=Priority.CRITICAL,
                stakeholders=("sre", "devops"),
                card="vault_security",
            )
        },
        CHANNELS,
    )

    routed = catalogue.route(event(), {})

    assert [item.channel for item in routed.notifications] == ["sre", "devops"]
    assert {item.priority for item in routed.notifications} == {Priority.CRITICAL}
    assert {item.card for item in routed.notifications} == {"vault_security"}
    assert {item.stakeholders for item in routed.notifications} == {("sre", "devops")}


def test_event_overrides_priority_and_stakeholders():
    catalogue = Catalogue(
        {"a.b": Route(priority=Priority.LOW, stakeholders=("sre",))}, CHANNELS
    )

    routed = catalogue.route(
        event("a.b", priority=Priority.HIGH, stakeholders=("PMO", "pmo")), {}
    )

    assert [(item.channel, item.priority) for item in routed.notifications] == [
        ("pmo", Priority.HIGH)
    ]


def test_alias_is_delivered_under_its_canonical_name():
    catalogue = Catalogue(
        {"celery.task.failed": Route(stakeholders=("sre",), aliases=("celery.task.failure",))},
        CHANNELS,
    )

    routed = catalogue.route(event("celery.task.failure"), {})

    assert [item.event_type for item in routed.notifications] == ["celery.task.failed"]


def test_exact_name_wins_over_patterns_and_the_longest_pattern_wins():
    catalogue = Catalogue(
        {
            "vault.*": Route(stakeholders=("pmo",)),
            "vault.seal.*": Route(stakeholders=("devops",)),
            "vault.seal.detected": Route(stakeholders=("sre",)),
        },
        CHANNELS,
    )

    def channel_of(event_type: str) -> list[str]:
        return [item.channel for item in catalogue.route(event(event_type), {}).notifications]

    assert channel_of("vault.seal.detected") == ["sre"]
    assert channel_of("vault.seal.lifted") == ["devops"]
    assert channel_of("vault.other") == ["pmo"]


def test_unknown_type_with_stakeholders_gets_the_generic_card():
    routed = Catalogue({}, CHANNELS).route(event("made.up", stakeholders=("sre",)), {})

    assert [(item.card, item.priority) for item in routed.notifications] == [
        ("generic", Priority.INFO)
    ]


def test_unknown_type_without_stakeholders_is_unroutable_and_the_message_names_the_fix():
    with pytest.raises(UnroutableError, match=r"made\.up has no route.*stakeholders"):
        Catalogue({}, CHANNELS).route(event("made.up"), {})


def test_unknown_stakeholder_is_named_and_the_known_ones_are_served():
    routed = Catalogue({}, CHANNELS).route(event("made.up", stakeholders=("sre", "nobody")), {})

    assert [item.channel for item in routed.notifications] == ["sre"]
    assert routed.unknown_channels == ("nobody",)


def test_notification_id_is_the_same_for_a_replay_and_differs_by_channel_and_event():
    catalogue = Catalogue({"a.b": Route(stakeholders=("sre", "pmo"))}, CHANNELS)
    first = [item.id for item in catalogue.route(event("a.b"), {}).notifications]
    again = [
        item.id for item in catalogue.route(event("a.b", entry_id="9-9"), {}).notifications
    ]
    other = [item.id for item in catalogue.route(event("a.b", id="e2"), {}).notifications]

    assert first == again
    assert len({*first, *other}) == 4


TEXTS = st.text(st.characters(codec="utf-8"))


@given(stream=TEXTS, event_id=TEXTS, channel=TEXTS)
def test_notification_id_is_the_uuid_of_its_name(stream: str, event_id: str, channel: str):
    namespace = uuid.UUID("5a0f8f0e-6a4b-5c53-9d0e-1f6c2b1f7c11")

    made = notification_id(stream, event_id, channel)

    assert made == str(uuid.uuid5(namespace, f"{stream}\x1f{event_id}\x1f{channel}"))


def test_every_row_of_the_shipped_routes_has_channels_and_is_found_by_its_aliases():
    config = load_config(None, {})
    catalogue = Catalogue(config.routes, config.channels)
    with assets.config_file().open("rb") as file:
        written = tomllib.load(file)["routes"]

    for name, row in written.items():
        for spelled in (name, *row.get("aliases", ())):
            canonical, route = catalogue.find(spelled)
            assert canonical == name
            assert route is not None
            # notifier says itself whom its own events are for.
            assert bool(route.stakeholders) != name.startswith("notifier.")
