"""Commands as a user starts them, and what they leave in Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import redis

from notifier import assets

SAMPLE = assets.cards_dir() / "samples" / "nphies.claim.rejected.json"


def notifier(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "COLUMNS": "160"}
    command = [sys.executable, "-m", "notifier", *arguments]
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env=kept | env,
        timeout=60,
        check=False,
    )


def entries(redis_url: str, stream: str = "teams:events") -> list[dict[str, Any]]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return [fields for _, fields in client.xrange(stream)]
