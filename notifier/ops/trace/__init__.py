"""The way of an event through everything, found by any of its ids."""

from notifier.ops.trace.find import Finder, IdError
from notifier.ops.trace.models import Found, Journey, State
from notifier.ops.trace.steps import Step, steps_of

__all__ = ["Finder", "Found", "IdError", "Journey", "State", "Step", "steps_of"]
