"""A Redis that keeps a command waiting is reported in the same words."""

from __future__ import annotations

import asyncio
from typing import Any, Never

import pytest
from typing_extensions import override

from notifier.config import load_config
from notifier.errors import StreamError
from notifier.ops.doctor.checklist import SharedAnswers
from notifier.ops.top.rows import SnapshotReader
from notifier.ops.top.view import read_in_time

URL = "redis://u:topsecret@redis.example:6379/0"
CONFIG = load_config(None, {"REDIS_URL": URL})
SAID = "Redis at redis://u:***@redis.example:6379/0 does not answer in time; check host and port in redis.url"


class LateReader(SnapshotReader):
    """Its time is up."""

    def __init__(self) -> None:
        pass

    @override
    async def read(self) -> Never:
        raise TimeoutError


class LateAnswers(SharedAnswers):
    """Likewise."""

    @override
    async def _connected(self, look: Any) -> Never:
        raise TimeoutError


async def test_the_view_says_why_it_shows_nothing():
    with pytest.raises(StreamError) as raised:
        await read_in_time(LateReader(), CONFIG)

    assert str(raised.value).startswith(SAID)


async def test_the_doctor_says_why_it_did_not_look():
    with pytest.raises(StreamError) as raised:
        await asyncio.wait_for(LateAnswers(CONFIG, {}).redis_server(), timeout=10)

    assert str(raised.value).startswith(SAID)
