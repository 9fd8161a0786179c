from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemons import Daemons


@pytest.fixture
async def daemons(
    redis_url: str, database_url: str, webhook_receiver: Any, tmp_path: Path
) -> AsyncIterator[Daemons]:
    started = Daemons(redis_url, database_url, webhook_receiver, tmp_path)
    yield started
    await started.stop()
