"""A worker for requests from Teams cards: it reads teams:actions.

    python worker.py            # REDIS_URL, default redis://127.0.0.1:6379/0

It needs `redis` and nothing of notifier. Every request is done once: the request's `id` is remembered in the same
step in which the work is handed on, and an entry is acknowledged only after that.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

STREAM = "teams:actions"
GROUP = "claims-workers"
UNREADABLE = "teams:actions:unreadable"
DONE_SECONDS = 30 * 86_400
"""How long a request's id is remembered; longer than an entry can wait."""
TAKE_OVER_MS = 60_000
"""An entry whose worker has been silent for this long is claimed."""


@dataclass(frozen=True)
class Request:
    """One entry of the stream; docs/reference/events.md describes each field."""

    id: str
    action: str
    subject: Mapping[str, str]
    requested_by: str
    correlation_id: str
    note: str


def read_request(fields: Mapping[str, str]) -> Request:
    """Read an entry.

    Raises:
        ValueError, TypeError, KeyError: The entry is not a request.
    """
    subject = json.loads(fields["subject"])
    if not isinstance(subject, dict):
        raise TypeError("subject is not an object")
    return Request(
        fields["id"],
        fields["action"],
        subject,
        fields["requested_by"],
        fields.get("correlation_id", ""),
        fields.get("note", ""),
    )


class Claims:
    """A simulated claims system: it puts work onto Redis lists."""

    def commands(self, request: Request) -> dict[str, str]:
        """Return what is to be done: list → job."""
        job = json.dumps({"request": request.id, "by": request.requested_by, **request.subject})
        match request.action:
            case "retry_task":
                return {"claims:retry": job}
            case "discard_task":
                return {"claims:discard": job}
            case "poll_nphies":
                return {"claims:poll": job}
            case other:
                raise ValueError(f"unknown action {other}")


@dataclass
class Worker:
    """Reads requests as one consumer of the group; run as many as you like."""

    client: redis.Redis
    claims: Claims = field(default_factory=Claims)
    name: str = field(default_factory=lambda: f"{socket.gethostname()}.{os.getpid()}")
    log: Callable[[str], None] = print

    def prepare(self) -> None:
        """Make the group, from the first entry on; safe to repeat."""
        try:
            self.client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as exc:
            if not str(exc).startswith("BUSYGROUP"):
                raise

    def turn(self, block_ms: int = 5_000) -> int:
        """Do entries of a silent worker, then new ones; return their number."""
        taken: Any = self.client.xautoclaim(STREAM, GROUP, self.name, TAKE_OVER_MS, count=10)
        entries = [entry for entry in taken[1] if entry[1] is not None]
        if not entries:
            new: Any = self.client.xreadgroup(
                GROUP, self.name, {STREAM: ">"}, count=10, block=block_ms
            )
            entries = new[0][1] if new else []
        for entry_id, fields in entries:
            self.do(entry_id, fields)
        return len(entries)

    def do(self, entry_id: str, fields: Mapping[str, str]) -> None:
        """Do one request, once, and acknowledge its entry."""
        try:
            request = read_request(fields)
            commands = self.claims.commands(request)
        except (ValueError, TypeError, KeyError) as exc:
            # It will not get better: keep it for a person, and continue.
            with self.client.pipeline(transaction=True) as step:
                step.xadd(UNREADABLE, dict(fields) | {"why": str(exc)}, maxlen=1000)
                step.xack(STREAM, GROUP, entry_id)
                step.execute()
            return
        mark = f"claims:done:{request.id}"
        if not self.client.exists(mark):
            # One transaction: the work is handed on and remembered, or neither.
            with self.client.pipeline(transaction=True) as step:
                step.watch(mark)
                if not step.exists(mark):
                    step.multi()
                    for key, job in commands.items():
                        step.rpush(key, job)
                    step.set(mark, entry_id, ex=DONE_SECONDS)
                    try:
                        step.execute()
                    except redis.WatchError:
                        pass  # another worker was faster
                    else:
                        self.log(f"{request.action} {dict(request.subject)} for {request.id}")
        self.client.xack(STREAM, GROUP, entry_id)


def main() -> None:
    """Work until SIGTERM or Ctrl-C, and finish what is in flight."""
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    worker = Worker(redis.Redis.from_url(url, decode_responses=True, socket_timeout=30))
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.prepare()
    while not stopping:
        worker.turn(block_ms=1_000)


if __name__ == "__main__":
    main()
