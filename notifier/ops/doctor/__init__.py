"""Look whether everything is as the daemon needs it, and say how to mend what is not."""

from notifier.ops.doctor.examination import Check, examine
from notifier.telemetry.findings import Finding, Level, fault, ok, warning

__all__ = ["Check", "Finding", "Level", "examine", "fault", "ok", "warning"]
