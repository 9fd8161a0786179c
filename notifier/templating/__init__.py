"""Microsoft's Adaptive Cards Templating language: compiled once, expanded per notification."""

from notifier.templating.scope import DataName
from notifier.templating.template import Template

__all__ = ["DataName", "Template"]
