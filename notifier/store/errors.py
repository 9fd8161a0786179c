"""Say in fixed words why Postgres did not do something: the driver's own text quotes values and names, and is never shown. Pure."""

from __future__ import annotations

import re
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
"""What Postgres says of data: trying again will not help."""


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
_STARTS = Reason("is starting or stopping", "try again in a moment")
_REPLICA = Reason(
    "takes no writes: it is a replica, or default_transaction_read_only is on",
    "set database.url to the primary; where its name moves, nothing: it is looked up again",
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
_OLDER = Reason("has an older schema than this version", "run: notifier migrate up")
_HALF = Reason(
    "has something already that a migration is to make",
    "see which with notifier migrate status, and whether other tables of that name were there before; restore a backup if in doubt",
)
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
            r"session is read-only|server is in hot standby mode",
            _REPLICA.what,
            _REPLICA.fix,
        ),
        (
            r"no pg_hba\.conf entry for .*no encryption",
            "refuses the login without TLS",
            "set sslmode=verify-full in database.url (docs/how-to/postgres.md), or allow this host in the server's pg_hba.conf",
        ),
        (
            r"permission denied for database",
            "does not let this user into the database",
            "as its owner or a superuser: GRANT CONNECT ON DATABASE <name> TO <user>",
        ),
        (
            r"invalid response to SSL negotiation|expected authentication request",
            "is no Postgres: something else answers there",
            "correct the port in database.url",
        ),
        (
            r"query_wait_timeout|login has been failing|server_login_retry|cannot connect to server",
            "is a PgBouncer that reaches no Postgres",
            "see its log, and that the server behind it is up",
        ),
        (
            r"password authentication failed|no password supplied|role \".*\" does not exist|no pg_hba\.conf entry"
            r"|authentication failed for user|not permitted to log in",
            _LOGIN.what,
            _LOGIN.fix,
        ),
        (
            r"database \".*\" does not exist|no such database",
            _NO_DATABASE.what,
            _NO_DATABASE.fix,
        ),
        (
            r"unsupported startup parameter",
            "is behind a PgBouncer that refuses startup options",
            "add options to ignore_startup_parameters in pgbouncer.ini (docs/how-to/postgres.md)",
        ),
        (
            r"too many (connections|clients)|connection slots|no more connections allowed",
            _FULL.what,
            _FULL.fix,
        ),
        (
            r"starting up|shutting down|not (yet |currently )?accepting|recovery mode",
            _STARTS.what,
            _STARTS.fix,
        ),
        (
            r"\bSSL\b|certificate|\bTLS\b|private key",
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


_BY_STATE: tuple[tuple[str, Reason], ...] = (
    ("08", _LOST),
    ("25006", _REPLICA),
    ("57014", Reason("took too long", "see what it is busy with, or raise database.statement_timeout_seconds")),
    ("57P03", _STARTS),
    ("57P04", _NO_DATABASE),
    ("57P05", Reason("ended an idle connection", "nothing: a new one is opened; or set idle_session_timeout = 0")),
    ("57P", _LOST),
    ("25P03", Reason("ended a transaction that was idle", "set idle_in_transaction_session_timeout of this user to 5min or more")),
    ("25P04", Reason("ended a transaction that took long", "set transaction_timeout of this user to 5min or more")),
    ("28", _LOGIN),
    ("3D000", _NO_DATABASE),
    ("3F000", Reason("has no schema for the tables", "create the one that search_path names, or correct options in database.url")),
    ("40", Reason("gave way to another transaction", "nothing: it is tried again")),
    ("42501", _NO_RIGHT),
    ("42P01", _OLDER),
    ("42703", _OLDER),
    ("26000", Reason("is behind a PgBouncer that pools by transaction", "set pool_mode = session for this database (docs/how-to/postgres.md)")),
    ("42P05", Reason("is behind a PgBouncer that pools by transaction", "set pool_mode = session for this database (docs/how-to/postgres.md)")),
    ("42P07", _HALF),
    ("42701", _HALF),
    ("42710", _HALF),
    ("53100", Reason("has no room on its disk", "make room there")),
    ("53200", Reason("has no memory left", "see what takes it there: pg_stat_activity, work_mem")),
    ("53300", _FULL),
    ("53400", Reason("is at one of its limits", "see its log, and temp_file_limit")),
    ("55P03", Reason("keeps waiting for a lock of another session", "see who holds it: pg_stat_activity, pg_locks")),
    ("58", Reason("cannot read or write its files", "see its log and its disk")),
    ("P0", Reason("refuses it by a trigger or function of its own", "see its log, and which triggers the tables have")),
    ("XX", Reason("has an internal error", "see its log: data or an index may be damaged")),
)  # fmt: skip
"""By SQLSTATE, or what it begins with; the first that fits."""


def reason(exc: BaseException) -> Reason:
    """Return why, from what the driver raised; of what is not known only the class is said."""
    if isinstance(exc, UnfitEncoding):
        return Reason(
            f"has a database of the encoding {exc.encoding}, which cannot hold every text",
            "make one with the encoding UTF8 (docs/how-to/postgres.md) and name it in database.url",
        )
    if isinstance(exc, psycopg.errors.ConnectionTimeout | TimeoutError):
        return _LATE
    if isinstance(exc, psycopg.Error):
        if exc.sqlstate is not None:
            found = next(
                (why for state, why in _BY_STATE if exc.sqlstate.startswith(state)), None
            )
        elif isinstance(exc, psycopg.OperationalError):
            text = str(exc)
            found = next((why for known, why in _CONNECTING if known.search(text)), None)
            if found is None and "FATAL:" in text:  # in the server's own language
                found = Reason("refuses this connection", "see the log of Postgres")
        else:
            found = None
        if found is not None:
            return found
    return Reason(
        f"failed: {type(exc).__name__}", "check database.url and that the server is up"
    )


def store_error(url: str, exc: BaseException) -> StoreError:
    """Return the error to raise for what came of this address, which is masked."""
    why = reason(exc)
    error: type[StoreError] = StoreError
    if isinstance(exc, UnfitEncoding):
        error = EncodingError
    elif isinstance(exc, psycopg.errors.QueryCanceled):
        error = StatementTimeoutError
    return error(f"Postgres at {mask_url(url)} {why.what}; {why.fix}")


def command_error(url: str, exc: BaseException) -> StoreError | SchemaError:
    """Return the error for a command that ends with it: a schema that is older has an exit code of its own."""
    why = reason(exc)
    if why is _OLDER:
        return SchemaError(f"Postgres at {mask_url(url)} {why.what}; {why.fix}")
    return store_error(url, exc)
