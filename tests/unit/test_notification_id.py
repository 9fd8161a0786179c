"""The id of a notification is a UUIDv5, as any other program would make it."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from notifier.events.notification import notification_id

TEXTS = st.text(st.characters(codec="utf-8"))


@given(stream=TEXTS, event_id=TEXTS, channel=TEXTS)
def test_it_is_the_uuid_of_its_name(stream: str, event_id: str, channel: str):
    namespace = uuid.UUID("5a0f8f0e-6a4b-5c53-9d0e-1f6c2b1f7c11")

    made = notification_id(stream, event_id, channel)

    assert made == str(uuid.uuid5(namespace, f"{stream}\x1f{event_id}\x1f{channel}"))
