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
"""What reading or writing one row may raise although Postgres works."""

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
    """What Postgres did, and what fixes it."""

    what: str
    fix: str
    error: type[StoreError] = StoreError


_CHECK = "check database.url and that the server is up"
_REFUSES = Reason("refuses connections", _CHECK)
_LATE = Reason(
    "does not answer in time",
    "check host and port in database.url, that the server is up, and firewalls",
)
_LOST = Reason("ended the connection", _CHECK)
_STARTS = Reason("is starting or stopping", "try again in a moment")
_REPLICA = Reason(
    "takes no writes: it is a replica, or default_transaction_read_only is on",
    "set database.url to the primary; if its name follows the primary, nothing: it is looked up again",
)
_FULL = Reason(
    "has no connection left",
    "raise max_connections of the server or of the role, or see who holds them: pg_stat_activity",
)
_LOGIN = Reason(
    "refuses the login",
    "check user name and password in database.url, and the server's pg_hba.conf",
)
_NO_DATABASE = Reason(
    "has no database of this name",
    "create it (docs/how-to/postgres.md), or correct the name at the end of database.url",
)
_OLDER = Reason(
    "has an older schema than this version", "run: notifier migrate up", SchemaError
)
_EXISTS = Reason(
    "has something already that a migration is to make",
    "see which with notifier migrate status, and whether other tables of that name were there before; restore a backup if in doubt",
)
_POOLS = Reason(
    "is behind a PgBouncer that pools by transaction",
    "set pool_mode = session for this database (docs/how-to/postgres.md)",
)
_BOUNCER = Reason(
    "is a PgBouncer that reaches no Postgres",
    "see its log, and that the server behind it is up",
)
_OPTIONS = Reason(
    "is behind a PgBouncer that refuses startup options",
    "add options to ignore_startup_parameters in pgbouncer.ini (docs/how-to/postgres.md)",
)
_OTHER_SERVICE = Reason(
    "is no Postgres: something else answers there", "correct the port in database.url"
)
_TLS = Reason(
    "and this program do not agree on TLS",
    "check sslmode and sslrootcert in database.url, and ssl in the server's settings",
)
_NO_ROUTE = Reason(
    "cannot be reached: there is no way to its host",
    "check the host in database.url, the network, and firewalls",
)
_REFUSED = Reason("refuses this connection", "see the log of Postgres")

_BY_STATE: dict[str, Reason] = {
    "08": _LOST,
    "25006": _REPLICA,
    "25P03": Reason(
        "ended a transaction that was idle",
        "set idle_in_transaction_session_timeout of this user to 5min or more",
    ),
    "25P04": Reason(
        "ended a transaction that took long",
        "set transaction_timeout of this user to 5min or more",
    ),
    "26000": _POOLS,
    "28": _LOGIN,
    "3D000": _NO_DATABASE,
    "3F000": Reason(
        "has no schema for the tables",
        "create the one that search_path names, or correct options in database.url",
    ),
    "40": Reason("gave way to another transaction", "nothing: it is tried again"),
    "42501": Reason(
        "does not allow this user that", "see which rights it lacks: notifier doctor"
    ),
    "42701": _EXISTS,
    "42703": _OLDER,
    "42710": _EXISTS,
    "42P01": _OLDER,
    "42P05": _POOLS,
    "42P07": _EXISTS,
    "53100": Reason("has no room on its disk", "make room there"),
    "53200": Reason(
        "has no memory left", "see what takes it there: pg_stat_activity, work_mem"
    ),
    "53300": _FULL,
    "53400": Reason("is at one of its limits", "see its log, and temp_file_limit"),
    "55P03": Reason(
        "keeps waiting for a lock of another session",
        "see who holds it: pg_stat_activity, pg_locks",
    ),
    "57014": Reason(
        "took too long",
        "see what it is busy with, or raise database.statement_timeout_seconds",
        StatementTimeoutError,
    ),
    "57P": _LOST,
    "57P03": _STARTS,
    "57P04": _NO_DATABASE,
    "57P05": Reason(
        "ended an idle connection",
        "nothing: a new one is opened; or set idle_session_timeout = 0",
    ),
    "58": Reason("cannot read or write its files", "see its log and its disk"),
    "P0": Reason(
        "refuses it by a trigger or function of its own",
        "see its log, and which triggers the tables have",
    ),
    "XX": Reason("has an internal error", "see its log: data or an index may be damaged"),
}
"""By SQLSTATE, or by what it begins with."""

_BY_PHRASE: dict[str, Reason] = {
    "failed to resolve host": Reason("cannot be found: its host name is unknown", "correct the host in database.url, or fix DNS"),
    "session is read-only": _REPLICA,
    "server is in hot standby mode": _REPLICA,
    "no encryption": Reason(
        "refuses the login without TLS",
        "set sslmode=verify-full in database.url (docs/how-to/postgres.md), or allow this host in the server's pg_hba.conf",
    ),
    "permission denied for database": Reason(
        "does not let this user into the database", "as its owner or a superuser: GRANT CONNECT ON DATABASE <name> TO <user>"
    ),
    "invalid response to SSL negotiation": _OTHER_SERVICE,
    "expected authentication request": _OTHER_SERVICE,
    "query_wait_timeout": _BOUNCER,
    "login has been failing": _BOUNCER,
    "cannot connect to server": _BOUNCER,
    "unsupported startup parameter": _OPTIONS,
    "authentication failed": _LOGIN,
    "no password supplied": _LOGIN,
    "no pg_hba.conf entry": _LOGIN,
    "not permitted to log in": _LOGIN,
    "FATAL:  role ": _LOGIN,
    "no such database": _NO_DATABASE,
    '" does not exist': _NO_DATABASE,
    "too many connections": _FULL,
    "too many clients": _FULL,
    "connection slots": _FULL,
    "no more connections allowed": _FULL,
    "starting up": _STARTS,
    "shutting down": _STARTS,
    "recovery mode": _STARTS,
    "accepting connections": _STARTS,
    "SSL": _TLS,
    "TLS": _TLS,
    "certificate": _TLS,
    "private key": _TLS,
    "o route to host": _NO_ROUTE,
    "etwork is unreachable": _NO_ROUTE,
    "onnection refused": _REFUSES,
    "o such file or directory": _REFUSES,
    "timeout expired": _LATE,
    "timed out": _LATE,
    "closed the connection": _LOST,
    "onnection reset": _LOST,
    "terminating connection": _LOST,
    "FATAL:": _REFUSED,  # in the server's own language
}  # fmt: skip
"""By what libpq, Postgres or PgBouncer says of a connection that failed: only then does libpq give no SQLSTATE. The first that fits."""


def reason(exc: BaseException) -> Reason:
    """Return why, from what the driver raised; of an unknown error only the class."""
    found: Reason | None = None
    if isinstance(exc, UnfitEncoding):
        return Reason(
            f"has a database of the encoding {exc.encoding}, which cannot hold every text",
            "make one with the encoding UTF8 (docs/how-to/postgres.md) and name it in database.url",
            EncodingError,
        )
    if isinstance(exc, psycopg.errors.ConnectionTimeout | TimeoutError):
        return _LATE
    if isinstance(exc, psycopg.Error) and exc.sqlstate is not None:
        found = next(
            (_BY_STATE[key] for n in (5, 3, 2) if (key := exc.sqlstate[:n]) in _BY_STATE), None
        )
    elif isinstance(exc, psycopg.OperationalError):
        text = str(exc)
        found = next((why for phrase, why in _BY_PHRASE.items() if phrase in text), None)
    return found or Reason(f"failed: {type(exc).__name__}", _CHECK)


def store_error(url: str, exc: BaseException) -> StoreError:
    """Return the error to raise for a failure at this address, which is masked."""
    why = reason(exc)
    return why.error(f"Postgres at {mask_url(url)} {why.what}; {why.fix}")
