"""Bring the schema up or down with yoyo, and say where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg.conninfo import conninfo_to_dict

from notifier import assets
from notifier.store.failures import store_error

_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, and when it was applied (None: it was not)."""

    id: str
    applied_at: datetime | None


def required_migrations() -> list[str]:
    """Return the ids of the migrations that this version needs, oldest first."""
    names = (path.name for path in assets.migrations_dir().glob("*.sql"))
    return sorted(
        name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql")
    )


def migrate_up(url: str) -> list[str]:
    """Apply what is missing; returns the ids applied. Raises StoreError."""
    from yoyo.exceptions import LockTimeout

    backend, migrations = _open(url)
    try:
        with backend.lock(timeout=10):
            wanted = backend.to_apply(migrations)
            backend.apply_migrations(wanted)
            return [migration.id for migration in wanted]
    except (psycopg.Error, LockTimeout) as exc:
        raise store_error(url, exc) from exc
    finally:
        backend.connection.close()


def migrate_down(url: str, *, steps: int = 1) -> list[str]:
    """Roll back the latest `steps` migrations; returns their ids. Raises StoreError."""
    from yoyo.exceptions import LockTimeout

    backend, migrations = _open(url)
    try:
        with backend.lock(timeout=10):
            wanted = backend.to_rollback(migrations)[:steps]
            backend.rollback_migrations(wanted)
            return [migration.id for migration in wanted]
    except (psycopg.Error, LockTimeout) as exc:
        raise store_error(url, exc) from exc
    finally:
        backend.connection.close()


def status(url: str) -> list[MigrationStatus]:
    """Return every migration and when it was applied. Raises StoreError."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            try:
                rows = connection.execute(
                    "SELECT migration_id, applied_at_utc FROM _yoyo_migration"
                ).fetchall()
            except psycopg.errors.UndefinedTable:
                rows = []
    except psycopg.Error as exc:
        raise store_error(url, exc) from exc
    applied = {name: at.replace(tzinfo=UTC) for name, at in rows}
    return [MigrationStatus(name, applied.get(name)) for name in required_migrations()]


def _open(url: str):  # type: ignore[no-untyped-def]  # yoyo has no types
    # The daemon asks only which migrations it needs, and must not wait for yoyo's imports.
    from yoyo import read_migrations
    from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
    from yoyo.connections import DatabaseURI
    from yoyo.migrations import default_migration_table

    try:
        # As the daemon reads it: yoyo itself knows one host only, and quotes of a password what it takes for a port.
        given = {"connect_timeout": _CONNECT_SECONDS, **conninfo_to_dict(url)}
        names = ("user", "password", "host", "port", "dbname")
        address = DatabaseURI("postgresql", *(given.pop(name, None) for name in names), given)
        backend = PostgresqlPsycopgBackend(address, default_migration_table)
        backend.init_database()
    except psycopg.Error as exc:
        raise store_error(url, exc) from exc
    return backend, read_migrations(str(assets.migrations_dir()))
