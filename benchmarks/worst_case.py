"""Measure the longest step of the event loop, with the largest events."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import structlog
from msgspec.structs import replace

from notifier.broker.entries import Entry
from notifier.broker.keys import Keys
from notifier.cards.library import CardLibrary, load_cards
from notifier.cards.renderer import CardRenderer
from notifier.config import Config, assets, load_config
from notifier.events.json import MAX_VALUES
from notifier.events.masking import Masking
from notifier.events.notification import Notification, decode
from notifier.events.producer_signature import Signers
from notifier.events.routing import Catalogue
from notifier.pipeline.delivery.rendering import render_body
from notifier.pipeline.intake import Intake, IntakeRules

STREAM = "bench:events"
ROUNDS = 2
"""The quickest of this many runs counts, since others use the machine too."""
LISTS = ("errors", "items", "alerts", "services", "portal_resources", "metrics")

Result = TypeVar("Result")
Shape = Callable[[int], Any]

SHAPES: dict[str, Shape] = {
    "objects": lambda n: [{"code": f"E{i}", "message": "m"} for i in range(n)],
    "empty objects": lambda n: [{}] * n,
    "texts": lambda n: ["*"] * n,
    "numbers": lambda n: [1.5] * n,
    "nested lists": lambda n: [[[[[[1]]]]]] * n,
    "an object": lambda n: {f"k{i}": "v" for i in range(n)},
    "an object of objects": lambda n: {f"*{i}": {"a": 1} for i in range(n)},
    "a text": lambda n: "x" * n,
    "asterisks": lambda n: "*" * n,
    "line ends": lambda n: "\n- " * n,
    "backslashes": lambda n: "\\" * n,
    "dates": lambda n: "{{DATE(2026-11-24T10:15:00Z,SHORT)}}" * n,
    "addresses": lambda n: "https://a.b/_" * n,
    "Arabic": lambda n: "ب " * n,
    "emoji": lambda n: "😀" * n,
    "persons": lambda n: [{"name": f"Name {i:06d}"} for i in range(n)],
}


class Step(NamedTuple):
    """How long one step took."""

    seconds: float
    name: str
    card: str
    data: str
    end: str


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return what work returns and the least processor time of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        begin = time.thread_time()
        result = work()
        seconds.append(time.thread_time() - begin)
    return result, min(seconds)


def largest(shape: Shape, room: int, values: int) -> Any:
    """Return a shape of about as many parts as have room in an event."""
    sample = json.dumps(shape(1_000), ensure_ascii=False, separators=(",", ":"))
    marks = sample.count(",") + sample.count("[") + sample.count("{")
    most = room * 1_000 // (len(sample.encode()) + 8_000 // 100)
    if sample[0] != '"':
        most = min(most, values * 1_000 // marks)
    # Numbers within grow longer with their count.
    return shape(max(1, most * 95 // 100))


def events(names: list[str], max_bytes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the largest data: all in one member, and all members alike."""
    room = max_bytes - 1_000
    for label, shape in SHAPES.items():
        value = largest(shape, room, MAX_VALUES - 100)
        for name in [*(name for name in names if name in LISTS), *names[:2], "unknown"]:
            yield f"{label} as {name}", {name: value}
        if names:
            share = largest(shape, room // len(names) - 20, MAX_VALUES // len(names) - 10)
            yield f"{label} everywhere", dict.fromkeys(names, share)
        if isinstance(value, dict):
            yield f"{label} as data", value


class Bench:
    """The stages without Redis, Teams and Postgres."""

    def __init__(self, config: Config, cards: CardLibrary) -> None:
        self._config = config
        self._renderer = CardRenderer(
            cards, config, lambda *_: "https://notify.example/a/" + "x" * 200
        )
        group: Any = None  # decide() does no I/O
        self._intake = Intake(
            group,
            STREAM,
            IntakeRules(
                Catalogue(config.routes, config.channels),
                Masking.of(config.masking.fields, config.masking.exempt),
                config.intake,
                Signers(required=False),
            ),
            redis_settings=config.redis,
            now=lambda: datetime.now(UTC),
        )

    def steps(self, card: str, label: str, data: dict[str, Any]) -> Iterator[Step]:
        """Yield each step of one event."""
        name, _, lang = card.partition(".")
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        fields = {b"type": b"bench", b"stakeholders": b"sre", b"lang": (lang or "en").encode(), b"data": text.encode()}  # fmt: skip
        entry = Entry(STREAM, "1764000000000-0", fields)
        decision, seconds = timed(lambda: self._intake.decide(entry, fields))
        yield Step(seconds, "decide", card, label, decision.detail or "routed")
        for _, target in decision.move.targets if decision.notifications else ():
            body = target["notification"]
            read, seconds = timed(lambda body=body: decode(body))  # type: ignore[misc]
            yield Step(seconds, "read", card, label, "")
            yield from self._delivered(card, label, replace(read, card=name))

    def _delivered(self, card: str, label: str, item: Notification) -> Iterator[Step]:
        entry = Entry("lane", "1-1", {})
        rendered, seconds = timed(
            lambda: render_body(
                self._renderer,
                entry,
                item,
                max_card_bytes=self._config.delivery.max_card_bytes,
                max_deliveries=10,
            )
        )
        yield Step(seconds, "card", card, label, rendered.reason or "posted")
        now = datetime.now(UTC)
        _, seconds = timed(lambda: rendered.move(entry, item, Keys(STREAM), host="h", at=now))
        yield Step(seconds, "settle", card, label, "")


def main() -> None:
    """Print the longest of each step."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    config = load_config(None, {})
    cards = load_cards(assets.cards_dir())
    bench = Bench(config, cards)
    gc.freeze()
    gc.set_threshold(50_000)
    steps: list[Step] = []
    for card, template in cards.templates.items():
        read = {path.split(".")[1] for path in template.paths if path.startswith("data.")}
        for label, data in events(sorted(read), config.intake.max_event_bytes):
            steps += bench.steps(card, label, data)
    for name in ("decide", "read", "card", "settle"):
        longest = sorted((step for step in steps if step.name == name), reverse=True)
        print(f"{name}: {len(longest)} tried, the longest {longest[0].seconds * 1000:.0f} ms")
        for step in longest[:5]:
            print(f"  {step.seconds * 1000:6.1f} ms  {step.card}: {step.data} ({step.end})")


if __name__ == "__main__":
    main()
