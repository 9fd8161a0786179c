"""Commands as a user starts them, and what they leave in Redis."""

from __future__ import annotations

import os
import subprocess

from notifier.config import assets
from tests.support.daemons import Daemons
from tests.support.processes import run

SAMPLE = assets.cards_dir() / "samples" / "nphies.claim.rejected.json"


def notifier(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of notifier to its end."""
    return run(
        *arguments, env={"PATH": os.environ["PATH"], "COLUMNS": "160"} | env, stdin=stdin
    )


def command(daemons: Daemons, *arguments: str, **env: str) -> str:
    done = notifier(
        *arguments,
        **{
            "COLUMNS": "200",
            "REDIS_URL": daemons.redis_url,
            "DATABASE_URL": daemons.database_url,
        }
        | env,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def dlq(
    daemons: Daemons, *arguments: str, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    env = {
        "REDIS_URL": daemons.redis_url,
        "DATABASE_URL": daemons.database_url,
        "PATH": "/usr/bin:/bin",
        **more,
    }
    return run("dlq", *arguments, env=env, stdin=stdin)
