"""Whatever a producer sent, its dead letter can be looked at, and shows no patient."""

from __future__ import annotations

import json

import pytest

from notifier.broker.consumer import Consumer
from notifier.dead_letters.listing import DeadLetter, show_dead_letter
from notifier.dead_letters.model import raw_fields
from notifier.events.masking import Masking
from tests.support.backlog import KEYS, STREAM

MASKING = Masking.of(["patient_id"], [])


async def shown(group: Consumer, event: str) -> DeadLetter:
    letter_id = await group.add(KEYS.dead, {"reason": "invalid_event", "event": event})
    return await show_dead_letter(group, [STREAM], MASKING, letter_id)


@pytest.mark.parametrize("depth", [30, 100, 600, 900, 50_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
async def test_a_letter_that_is_nested_deeply_is_shown_without_its_patient(
    group: Consumer, depth: int, opening: str, closing: str
) -> None:
    data = f'{opening * depth}{{"patient_id":"PAT-12345"}}{closing * depth}'
    entry = raw_fields({b"type": b"a.b", b"data": data.encode(), b"note": b"of pat 12345"})

    letters = [await shown(group, entry), await shown(group, data)]

    text = json.dumps([letter.whole() for letter in letters])
    assert "12345" not in text
    assert "of ***" in text
