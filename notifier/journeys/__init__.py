"""The way of an event through everything, found by any of its ids."""

from notifier.journeys.find import Finder, IdError
from notifier.journeys.models import Found, Journey, State
from notifier.journeys.steps import Step, steps_of

__all__ = ["Finder", "Found", "IdError", "Journey", "State", "Step", "steps_of"]
