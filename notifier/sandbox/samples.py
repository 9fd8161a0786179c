"""Sample traffic: the events of cards/samples, one after the other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from notifier.config import assets


def sample_events() -> Iterator[str]:
    """Return the samples as JSON texts, endlessly and with the current time, claims first; without those that notifier publishes itself."""
    paths = sorted(
        (
            path
            for path in (assets.cards_dir() / "samples").glob("*.json")
            if not path.stem.startswith("notifier.")
        ),
        key=lambda path: ("claim" not in path.stem, path.stem),
    )
    samples = [json.loads(path.read_bytes()) for path in paths]
    for sample in itertools.cycle(samples):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        yield json.dumps({**sample, "time": now}, ensure_ascii=False)
