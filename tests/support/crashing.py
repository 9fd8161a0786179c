"""`notifier` that kills itself (SIGKILL) around one step.

CRASH_AT names the step, CRASH_SKIP how many calls of it to skip.

Or it dies while it parses, renders, posts or records what holds the text CRASH_OF, in the step that CRASH_AT names.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from notifier.broker.consumer import Consumer
from notifier.broker.keys import ACCEPTED
from notifier.broker.streams import Streams
from notifier.cards.renderer import CardRenderer
from notifier.cli import main
from notifier.dead_letters.audit import DeadLetterAudit
from notifier.escalation.action_recorder import ActionRecorder
from notifier.escalation.actions import Actions
from notifier.escalation.repository import EscalationRepository, Transaction
from notifier.escalation.scheduler import EscalationScheduler
from notifier.pipeline import intake
from notifier.pipeline.recorder import AuditTrail
from notifier.teams.sender import WebhookSender

Step = Callable[..., Awaitable[Any]]


def stage_of_streams(names: list[str]) -> str:
    """Tell which stage reads or empties these streams."""
    if any(":lane:" in name for name in names):
        return "delivery"
    if ACCEPTED in names:
        return "action"
    return "recorder" if any(name.endswith(":outcomes") for name in names) else "intake"


def crashing(step: Step, name: Callable[..., str]) -> Step:
    """Return the step with a crash before it, or after it has done something."""

    left = int(os.environ.get("CRASH_SKIP", "0"))

    def crash() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    async def stepped(self: Any, *args: Any, **kwargs: Any) -> Any:
        here = name(*args, **kwargs)
        if os.environ["CRASH_AT"] == f"before {here}":
            crash()
        result = await step(self, *args, **kwargs)
        if result:
            _done.add(here)
        did_something = bool(result) or not here.endswith(("read", "claim"))
        if os.environ["CRASH_AT"] == f"after {here}" and did_something:
            crash()
        return result

    return stepped


def committing(step: Step, what: str) -> Step:
    """Return a transaction with a crash after its commit if `what` was done."""

    async def stepped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = await step(self, *args, **kwargs)
        if what in _done and os.environ["CRASH_AT"] == f"after {what.split()[0]} commit":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return stepped


_done: set[str] = set()
"""Steps that have done something."""


def patch() -> None:
    """Put the crashes in."""
    group: Any = Consumer
    group.read = crashing(
        Consumer.read, lambda streams, **_: f"{stage_of_streams(list(streams))} read"
    )
    group.hop = crashing(
        Consumer.hop,
        lambda moves: f"{stage_of_streams([moves[0].source])} hop",
    )
    group.claim = crashing(
        Consumer.claim, lambda stream, **_: f"{stage_of_streams([stream])} claim"
    )
    streams: Any = Streams
    streams.move = crashing(Streams.move, lambda *_: "replay move")
    streams.add_once = crashing(Streams.add_once, lambda *_, **__: "replay add")
    streams.add_all = crashing(Streams.add_all, lambda *_: "escalation publish")
    noted: Any = DeadLetterAudit
    noted.note = crashing(DeadLetterAudit.note, lambda *_, **__: "replay note")
    sender: Any = WebhookSender
    sender.post = crashing(WebhookSender.post, lambda *_, **__: "delivery post")
    store: Any = AuditTrail
    store.record = crashing(AuditTrail.record, lambda *_, **__: "recorder commit")
    patch_what_people_do()


def patch_what_people_do() -> None:
    """Put in crashes of actions and escalations; empty checks do not count."""
    work: Any = Transaction
    work.add_steps = crashing(
        Transaction.add_steps, lambda steps: "escalation take" if steps else ""
    )
    work.set_next_checks = crashing(
        Transaction.set_next_checks, lambda checks: "escalation plan" if checks else ""
    )
    work.apply = crashing(Transaction.apply, lambda *_: "action apply")
    scheduler: Any = EscalationScheduler
    scheduler.check_due = committing(EscalationScheduler.check_due, "escalation take")
    actions: Any = Actions
    actions.accept = crashing(Actions.accept, lambda *_: "action take")
    repository: Any = EscalationRepository
    repository.accept = crashing(
        EscalationRepository.accept, lambda given: "action accept" if given else ""
    )
    recorder: Any = ActionRecorder
    recorder.apply_waiting = committing(ActionRecorder.apply_waiting, "action apply")


def crashing_of(step: Any, name: str) -> Any:
    """Return the step with a crash if its arguments hold the text CRASH_OF."""
    text = os.environ.get("CRASH_OF", "")

    def stepped(*args: Any, **kwargs: Any) -> Any:
        if text and os.environ["CRASH_AT"] == name and text in repr((args, kwargs)):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **kwargs)

    return stepped


def patch_of() -> None:
    """Put the crashes by content in."""
    events: Any = intake
    events.parse_entry = crashing_of(intake.parse_entry, "parse")
    renderer: Any = CardRenderer
    renderer.render = crashing_of(CardRenderer.render, "render")
    sender: Any = WebhookSender
    sender.post = crashing_of(WebhookSender.post, "post")
    store: Any = AuditTrail
    store.record = crashing_of(AuditTrail.record, "record")


if __name__ == "__main__":
    if "CRASH_OF" in os.environ:
        patch_of()
    else:
        patch()
    main()
