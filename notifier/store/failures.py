"""Say in fixed words why Postgres did not do something: the driver's own text quotes values and names, and is never shown. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from notifier.config import mask_url
from notifier.errors import SchemaError, StatementTimeoutError, StoreError


@dataclass(frozen=True, slots=True)
class Reason:
    """What Postgres did, and what mends it."""

    what: str
    fix: str


_REFUSES = Reason("refuses connections", "check database.url and that the server is up")
_LATE = Reason(
    "does not answer in time",
    "check host and port in database.url, that the server is up, and firewalls",
)
_LOST = Reason("ended the connection", "check database.url and that the server is up")
_OLDER = Reason("has an older schema than this version", "run: notifier migrate up")
_NO_RIGHT = Reason(
    "does not allow this user that", "see which rights it lacks: notifier doctor"
)

# No SQLSTATE reaches a client that is not let in: there the driver has nothing but a text.
_CONNECTING: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), Reason(what, fix))
    for pattern, what, fix in (
        (
            r"failed to resolve host|could not translate host name",
            "cannot be found: its host name is unknown",
            "correct the host in database.url, or mend DNS",
        ),
        (
            r"password authentication failed|no password supplied|role \".*\" does not exist|no pg_hba\.conf entry"
            r"|authentication failed for user|not permitted to log in",
            "refuses the login",
            "check user name and password in database.url, and the server's pg_hba.conf",
        ),
        (
            r"database \".*\" does not exist",
            "has no database of this name",
            "create it (docs/operators.md), or correct the name at the end of database.url",
        ),
        (
            r"unsupported startup parameter",
            "is behind a PgBouncer that refuses startup options",
            "add options to ignore_startup_parameters in pgbouncer.ini (docs/servers.md)",
        ),
        (
            r"too many (connections|clients)|connection slots",
            "has no connection left",
            "raise max_connections of the server, or see who holds them: pg_stat_activity",
        ),
        (
            r"starting up|shutting down|not yet accepting|recovery mode",
            "is starting or stopping",
            "try again in a moment",
        ),
        (
            r"\bSSL\b|certificate|\bTLS\b",
            "and this program do not agree on TLS",
            "check sslmode and sslrootcert in database.url, and ssl in the server's settings",
        ),
        (
            r"no route to host|network is unreachable",
            "cannot be reached: there is no way to its host",
            "check the host in database.url, the network, and firewalls",
        ),
        (r"connection refused|no such file or directory", _REFUSES.what, _REFUSES.fix),
        (r"timeout expired|timed out", _LATE.what, _LATE.fix),
        (r"closed the connection|connection reset|terminating connection", _LOST.what, _LOST.fix),
    )
)  # fmt: skip


def reason(exc: BaseException) -> Reason:
    """Return why, from what the driver or yoyo raised; of what is not known only the class is said."""
    match exc:
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return _OLDER
        case psycopg.errors.InsufficientPrivilege():
            return _NO_RIGHT
        case psycopg.errors.ReadOnlySqlTransaction():
            return Reason("takes no writes: it is a replica", "set database.url to the primary")
        case psycopg.errors.QueryCanceled():
            return Reason(
                "took too long", "see what it is busy with, or raise database.statement_timeout_seconds"
            )  # fmt: skip
        case psycopg.errors.DiskFull():
            return Reason("has no room on its disk", "make room there")
        case psycopg.errors.ConnectionTimeout() | TimeoutError():
            return _LATE
        case psycopg.errors.AdminShutdown() | psycopg.errors.CrashShutdown():
            return _LOST
        case psycopg.OperationalError() if exc.sqlstate is None:
            text = str(exc)
            found = next((why for known, why in _CONNECTING if known.search(text)), None)
            if found is not None:
                return found
    if type(exc).__name__ == "LockTimeout":  # yoyo's, which is imported only to migrate
        return Reason("is being migrated by another process", "wait for it, and try again")
    return Reason(
        f"failed: {type(exc).__name__}", "check database.url and that the server is up"
    )


def store_error(url: str, exc: BaseException) -> StoreError:
    """Return the error to raise for what came of this address, which is masked."""
    why = reason(exc)
    error = (
        StatementTimeoutError if isinstance(exc, psycopg.errors.QueryCanceled) else StoreError
    )
    return error(f"Postgres at {mask_url(url)} {why.what}; {why.fix}")


def command_error(url: str, exc: BaseException) -> StoreError | SchemaError:
    """Return the error for a command that ends with it: a schema that is older has an exit code of its own."""
    why = reason(exc)
    error = SchemaError if why is _OLDER else StoreError
    return error(f"Postgres at {mask_url(url)} {why.what}; {why.fix}")
