"""The way of an event through everything, found by any of its ids."""

from notifier.ops.trace.find import IdError, TraceSearch
from notifier.ops.trace.models import State, Timeline, TraceResult
from notifier.ops.trace.steps import Step, steps_of

__all__ = ["IdError", "State", "Step", "Timeline", "TraceResult", "TraceSearch", "steps_of"]
