"""Celery with prefork workers and a Redis broker: one task per event.

docs.celeryq.dev: "Optimizing" (many short tasks want a large prefetch), "Tasks" (acks_late for what may be repeated,
ignore_result for what nobody reads), connections opened after the fork by worker_process_init. Run: `celery -A
benchmarks.contenders.celery_app worker`.
"""

from __future__ import annotations

import os
from typing import Any

import psycopg
import requests
from celery import Celery, Task
from celery.signals import worker_process_init
from requests.adapters import HTTPAdapter

from benchmarks.contenders.string_card import INSERT, body_of, card_of

app = Celery("bench", broker=os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
)
_open: dict[str, Any] = {}


@worker_process_init.connect
def connect(**_: object) -> None:
    """Open this process' own connections."""
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_maxsize=8))
    _open["session"] = session
    _open["database"] = psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True)


@app.task(bind=True, name="notify", autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=3)  # fmt: skip
def notify(self: Task, event: dict[str, Any]) -> None:
    """Render the card, post it, write the row."""
    card, channel = card_of(event), event["stakeholders"][0]
    answer = _open["session"].post(
        f"{os.environ['BENCH_RECEIVER_URL']}/{channel}",
        data=body_of(card),
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    answer.raise_for_status()
    _open["database"].execute(INSERT, (event["id"], channel, answer.status_code, card))
