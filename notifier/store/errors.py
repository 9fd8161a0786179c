"""Say in fixed words why Postgres failed. Pure.

The driver's own text quotes values and names, and is never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from notifier.config import mask_url
from notifier.errors import EncodingError, SchemaError, StatementTimeoutError, StoreError


class UnfitEncoding(psycopg.NotSupportedError):
    """The database has an encoding that cannot hold every text.

    Args:
        encoding: Its name, as Postgres has it.
    """

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self.encoding = encoding


DriverError = psycopg.Error
"""Whatever the driver raises."""

BAD_ROW = (psycopg.DataError, psycopg.IntegrityError, ValueError)
"""Errors of one row while Postgres works."""

REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    # The driver takes these for faults of the server, yet the same data would be beyond its limits every time.
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    # A trigger or view of the operator's own that refuses a row.
    psycopg.errors.RaiseException,
    psycopg.errors.AssertFailure,
    psycopg.errors.WithCheckOptionViolation,
)
"""Postgres refuses data: trying again will not help."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A fault of Postgres and its fix."""

    what: str
    fix: str
    states: str = ""
    """SQLSTATEs, or how they begin."""
    phrases: str = ""
    """Words of libpq, Postgres or PgBouncer, with `|` between them: libpq gives no SQLSTATE for a connection that failed."""
    error: type[StoreError] = StoreError


_CHECK = "check database.url and that the server is up"
_REASONS = (
    Reason("cannot be found: its host name is unknown", "correct the host in database.url, or fix DNS", phrases="failed to resolve host"),
    Reason("takes no writes: it is a replica, or default_transaction_read_only is on",
        "set database.url to the primary; if its name follows the primary, nothing: it is looked up again",
        "25006", "session is read-only|server is in hot standby mode"),
    Reason("refuses the login without TLS",
        "set sslmode=verify-full in database.url (docs/how-to/postgres.md), or allow this host in the server's pg_hba.conf",
        phrases="no encryption"),
    Reason("does not let this user into the database", "as its owner or a superuser: GRANT CONNECT ON DATABASE <name> TO <user>",
        phrases="permission denied for database"),
    Reason("is not Postgres: something else answers there", "correct the port in database.url",
        phrases="invalid response to SSL negotiation|expected authentication request"),
    Reason("is a PgBouncer that reaches no Postgres", "see its log, and that the server behind it is up",
        phrases="query_wait_timeout|login has been failing|cannot connect to server"),
    Reason("is behind a PgBouncer that refuses startup options",
        "add options to ignore_startup_parameters in pgbouncer.ini (docs/how-to/postgres.md)", phrases="unsupported startup parameter"),
    Reason("refuses the login", "check user name and password in database.url, and the server's pg_hba.conf",
        "28", "authentication failed|no password supplied|no pg_hba.conf entry|not permitted to log in|FATAL:  role "),
    Reason("has no database of this name", "create it (docs/how-to/postgres.md), or correct the name at the end of database.url",
        "3D000 57P04", 'no such database|" does not exist'),
    Reason("has no connection left", "raise max_connections of the server or of the role, or see who holds them: pg_stat_activity",
        "53300", "too many connections|too many clients|connection slots|no more connections allowed"),
    Reason("is starting or stopping", "try again in a moment", "57P03", "starting up|shutting down|recovery mode|accepting connections"),
    Reason("and this program do not agree on TLS", "check sslmode and sslrootcert in database.url, and ssl in the server's settings",
        phrases="SSL|TLS|certificate|private key"),
    Reason("cannot be reached: there is no way to its host", "check the host in database.url, the network, and firewalls",
        phrases="No route to host|Network is unreachable"),
    Reason("refuses connections", _CHECK, phrases="Connection refused|connection refused|No such file or directory"),
    _LATE := Reason("does not answer in time", "check host and port in database.url, that the server is up, and firewalls",
        phrases="timeout expired|timed out"),
    Reason("ended an idle connection", "nothing: a new one is opened; or set idle_session_timeout = 0", "57P05"),
    Reason("ended the connection", _CHECK, "08 57P", "closed the connection|onnection reset|terminating connection"),
    Reason("refuses this connection", "see the log of Postgres", phrases="FATAL:"),  # in the server's own language
    Reason("ended a transaction that was idle", "set idle_in_transaction_session_timeout of this user to 5min or more", "25P03"),
    Reason("ended a transaction that took long", "set transaction_timeout of this user to 5min or more", "25P04"),
    Reason("is behind a PgBouncer that pools by transaction", "set pool_mode = session for this database (docs/how-to/postgres.md)", "26000 42P05"),
    Reason("has no schema for the tables", "create the one that search_path names, or correct options in database.url", "3F000"),
    Reason("gave way to another transaction", "nothing: it is tried again", "40"),
    Reason("does not allow this user that", "see which rights it lacks: notifier doctor", "42501"),
    Reason("has an older schema than this version", "run: notifier migrate up", "42P01 42703", error=SchemaError),
    Reason("has something already that a migration is to make",
        "see which with notifier migrate status, and whether other tables of that name were there before; restore a backup if in doubt",
        "42P07 42701 42710"),
    Reason("has no room on its disk", "make room there", "53100"),
    Reason("has no memory left", "see what takes it there: pg_stat_activity, work_mem", "53200"),
    Reason("is at one of its limits", "see its log, and temp_file_limit", "53400"),
    Reason("keeps waiting for a lock of another session", "see who holds it: pg_stat_activity, pg_locks", "55P03"),
    Reason("took too long", "see what it is busy with, or raise database.statement_timeout_seconds", "57014", error=StatementTimeoutError),
    Reason("cannot read or write its files", "see its log and its disk", "58"),
    Reason("refuses it by a trigger or function of its own", "see its log, and which triggers the tables have", "P0"),
    Reason("has an internal error", "see its log: data or an index may be damaged", "XX"),
)  # fmt: skip
"""The first that fits."""


def reason(exc: BaseException) -> Reason:
    """Return the reason of an error; for an unknown one only its class."""
    if isinstance(exc, UnfitEncoding):
        return Reason(
            f"has a database of the encoding {exc.encoding}, which cannot hold every text",
            "make one with the encoding UTF8 (docs/how-to/postgres.md) and name it in database.url",
            error=EncodingError,
        )
    if isinstance(exc, psycopg.errors.ConnectionTimeout | TimeoutError):
        return _LATE
    state = exc.sqlstate if isinstance(exc, psycopg.Error) else None
    text = str(exc) if isinstance(exc, psycopg.OperationalError) and state is None else ""
    for each in _REASONS:
        if state and state.startswith(tuple(each.states.split())):
            return each
        if text and each.phrases and any(said in text for said in each.phrases.split("|")):
            return each
    return Reason(f"failed: {type(exc).__name__}", _CHECK)


def store_error(url: str, exc: BaseException) -> StoreError:
    """Return the error to raise for a failure at this address."""
    why = reason(exc)
    return why.error(f"Postgres at {mask_url(url)} {why.what}; {why.fix}")
