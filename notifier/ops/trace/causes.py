"""Say why nothing may have been found."""

from __future__ import annotations

from notifier.config import Config
from notifier.ops.trace.models import TraceResult
from notifier.telemetry.durations import duration


def causes_of(found: TraceResult, config: Config) -> tuple[str, ...]:
    """Return what may be the cause, the likeliest first."""
    away = [looked.place.partition(",")[0] for looked in found.looked if looked.problem]
    partly = [
        looked.place for looked in found.looked if not looked.whole and not looked.problem
    ]
    intake, audit = config.intake, config.audit
    streams = ", ".join(config.streams)
    causes = [f"{name} could not be asked: ask again when it is back" for name in away]
    if partly:
        causes.append(
            f"it stands in the middle of a long stream ({'; '.join(partly)}): give its event or entry id, which is looked up directly"
        )
    causes += [
        f"it was never published to {streams}, or to another Redis: ask its producer what XADD returned",
        "another id is meant: ids are compared exactly, and patients' ids cannot be searched for, for they are masked",
        f"a second event with an id that was accepted within {duration(intake.event_ttl_seconds)} is dropped as a duplicate: look for the id that both share",
        f"it is older than what is kept: events {duration(intake.retention_seconds)} in Redis, rows {audit.retention_days} days "
        f"(CRITICAL {audit.critical_retention_days}) in Postgres",
    ]
    return tuple(causes)
