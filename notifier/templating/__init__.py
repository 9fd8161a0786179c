"""Expand cards in Microsoft's Adaptive Cards Templating language."""

from notifier.templating.scope import DataName
from notifier.templating.template import Template

__all__ = ["DataName", "Template"]
