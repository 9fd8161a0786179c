"""Rows that nobody has acknowledged, as the recorder would write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg

from notifier.events.notification import notification_id

STREAM = "teams:events"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def record(
    database_url: str,
    event_id: str,
    channels: str,
    *,
    priority: str = "CRITICAL",
    event_type: str = "nphies.api.error",
    at: datetime = START,
) -> list[str]:
    """Write the rows of one event as before migration 0010, all due at once."""
    names = channels.split()
    ids = [notification_id(STREAM, event_id, name) for name in names]
    with psycopg.connect(database_url) as connection:
        for row_id, name in zip(ids, names, strict=True):
            connection.execute(
                "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, stakeholders,"
                " priority, status, sent_at, escalation_check_at, card_payload)"
                " VALUES (%s, %s, '1-1', %s, 'corr-1', %s, %s, %s, %s, 'delivered', %s, %s, '{\"fallbackText\": \"It failed.\"}')",
                (row_id, STREAM, event_id, event_type, name, names, priority, at, at),
            )  # fmt: skip
    return ids


def acknowledge(database_url: str, row_id: str, action: str = "acknowledge") -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE teams_notifications SET acknowledged_by = 'Sara', acknowledged_at = now(), action_taken = %s WHERE id = %s",
            (action, row_id),
        )


def age(database_url: str, minutes: float) -> None:
    """Move everything in the tables into the past, as if time had passed."""
    with psycopg.connect(database_url) as connection:
        for table, columns in (
            (
                "teams_notifications",
                ("sent_at", "created_at", "waiting_since", "escalation_check_at"),
            ),
            ("teams_escalations", ("at",)),
        ):
            earlier = ", ".join(f"{name} = {name} - %(by)s" for name in columns)
            connection.execute(
                f"UPDATE {table} SET {earlier}".encode(), {"by": timedelta(minutes=minutes)}
            )
