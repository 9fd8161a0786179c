"""The sandbox goes on while Redis refuses its sample events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from notifier.errors import StreamError
from notifier.sandbox import run


class Refusing:
    """Redis that refuses some events, then takes them."""

    def __init__(self, answers: Iterator[Exception | None]) -> None:
        self._answers = answers
        self.taken: list[str] = []

    async def add(self, _stream: str, fields: dict[str, str]) -> None:
        answer = next(self._answers)
        if answer is not None:
            raise answer
        self.taken.append(fields["event"])


async def test_a_sample_that_redis_refuses_is_published_once_it_takes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_TRY_AGAIN_SECONDS", 0.0)
    redis = Refusing(iter([StreamError("used up"), StreamError("used up"), None]))

    await run.publish_sample(cast("Any", redis), "{}")

    assert redis.taken == ["{}"]
    assert capsys.readouterr().err.count("used up") == 1
