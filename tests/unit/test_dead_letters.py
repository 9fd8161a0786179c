"""Whatever a producer sent, its dead letter can be looked at, and shows no patient."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notifier.deadletter import raw_fields
from notifier.deadletters import DeadLetter, show_dead_letter
from notifier.masking import Masking

MASKING = Masking.of(["patient_id"], [])


class Group:
    """A group whose stream holds one dead letter."""

    def __init__(self, event: str) -> None:
        self._fields = {b"reason": b"invalid_event", b"event": event.encode()}

    async def newest(self, *_: object, **__: object) -> list[tuple[str, dict[bytes, bytes]]]:
        return [("1-0", self._fields)]


async def shown(event: str) -> DeadLetter:
    group: Any = Group(event)
    return await show_dead_letter(group, ["teams:events"], MASKING, "1-0")


@pytest.mark.parametrize("depth", [30, 100, 600, 900, 50_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
async def test_a_letter_that_is_nested_deeply_is_shown_without_its_patient(
    depth: int, opening: str, closing: str
) -> None:
    data = f'{opening * depth}{{"patient_id":"PAT-12345"}}{closing * depth}'
    entry = raw_fields({b"type": b"a.b", b"data": data.encode(), b"note": b"of pat 12345"})

    letters = [await shown(entry), await shown(data)]

    text = json.dumps([letter.whole() for letter in letters])
    assert "12345" not in text
    assert "of ***" in text
