"""Look whether everything is as the daemon needs it, and say how to mend what is not."""

from notifier.ops.doctor.examination import Check, examine
from notifier.ops.doctor.findings import Finding, Level, fault, fine, warning

__all__ = ["Check", "Finding", "Level", "examine", "fault", "fine", "warning"]
