"""Which URLs of Postgres are accepted, and how its refusals are named."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from notifier.config.postgres_url import POSTGRES_OPTIONS, check_postgres_url
from notifier.store.errors import reason, store_error

SOUND = [
    "postgresql://127.0.0.1:5432/notifier",
    "postgres://u:p%40ss@h/n",
    "postgresql://u:p#s?s@h/n",
    "postgresql://u:p@h1:5432,h2:5433/n?target_session_attrs=read-write",
    "postgresql://u:p@[::1]:5432/n",
    "postgresql:///n?host=/var/run/postgresql&user=u",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/n",
    "postgresql://u@h",
    "postgresql://u@h/n?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgresql://u@h/n?sslmode=require&channel_binding=require",
    "postgresql://u@h/n?sslrootcert=system",
    "postgresql://u@h/n?sslmode=require&",
    "postgresql://u@h/n?options=-csearch_path%3Dapart&keepalives_idle=7",
]


@pytest.mark.parametrize("url", SOUND)
def test_what_libpq_takes_and_the_documents_name_is_taken(url: str):
    check_postgres_url(url)
    assert conninfo_to_dict(url)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("schema=apart", "search_path"),
        ("currentSchema=apart", "search_path"),
        ("pgbouncer=true", "pgbouncer"),
        ("ssl=true", "sslmode=verify-full"),
        ("connect_timeout=3", "database.connect_timeout_seconds"),
        ("client_encoding=latin1", "UTF8"),
        ("SSLMODE=verify-full", "sslmode"),
        ("nonsense=1", "target_session_attrs"),
        ("sslmode=verify_full", "verify-full"),
        ("sslmode=allow", "verify-full"),
        ("sslmode=", "verify-full"),
        ("sslmode=verify-full&sslmode=disable", "once"),
        ("sslmode=verify-full&%73slmode=disable", "once"),
        ("sslrootcert=/etc/ca.pem", "verify-full"),
        ("sslrootcert=/etc/ca.pem&sslmode=prefer", "verify-full"),
        ("sslmode", "name=value"),
        ("&sslmode=require", "name=value"),
        ("sslmode=require&&keepalives_idle=7", "name=value"),
    ],
)
def test_an_option_that_would_not_be_obeyed_is_refused(query: str, named: str):
    with pytest.raises(ValueError, match=named):
        check_postgres_url(f"postgresql://u:topsecret@h/n?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:topsecret@h/n",
        "postgresql+psycopg://u:topsecret@h/n",
        "postgresql://u:topsecret/x@h/n",
        "postgresql://u:topsecret@x@h/n",
        "postgresql://u:topsecret%@h/n",
        "postgresql://u:topsecret%00@h/n",
        "postgresql://u:topsecret@h:0/n",
        "postgresql://u:topsecret@h:99999/n",
        "postgresql://u:topsecret@h:x/n",
        "postgresql://u:topsecret@h/n\n",
        "postgresql://u@h/n?topsecret",
        "postgresql://u@h/n?topsecret=1",
        "",
    ],
)
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str):
    with pytest.raises(ValueError, match=r".") as refused:
        check_postgres_url(url)
    assert "topsecret" not in str(refused.value)


PARTS = st.lists(
    st.sampled_from(
        ["u", ":", "@", "/", "?", "&", "=", ",", "%41", "%", "[", "::1", "]", "5432", "h", "#", *POSTGRES_OPTIONS[:8], "verify-full"]
    ),
    max_size=14,
)  # fmt: skip


@given(PARTS)
@example(["u", ":", "@", "h", ":", "5432", ",", "h"])
@example(["?", "&"])
@example(["%", "dbname"])  # one byte of UTF-8 without the others
def test_libpq_reads_whatever_is_accepted(parts: list[str]):
    url = "postgresql://" + "".join(parts)
    try:
        check_postgres_url(url)
    except ValueError:
        return
    conninfo_to_dict(url)


@pytest.mark.parametrize(
    "text",
    [
        # PgBouncer 1.18, and since 1.20
        'connection to server at "10.0.0.1", port 6432 failed: FATAL:  unsupported startup parameter: options',
        'connection to server at "10.0.0.1", port 6432 failed: FATAL:  unsupported startup parameter in options: statement_timeout',
    ],
)
def test_a_pool_that_refuses_options_is_named_with_its_setting(text: str):
    told = reason(psycopg.OperationalError(text))

    assert "PgBouncer" in told.what
    assert "ignore_startup_parameters" in told.fix


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "n", database "n", no encryption', "without TLS"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "n", database "n", SSL encryption', "refuses the login"),
        ('FATAL:  permission denied for database "n"\nDETAIL:  User does not have CONNECT privilege.', "into the database"),
        ("received invalid response to SSL negotiation: H", "not Postgres"),
        ("expected authentication request from server, but received -", "not Postgres"),
        ("FATAL:  query_wait_timeout", "PgBouncer"),
        ("FATAL:  server login has been failing, cached error: connect failed (server_login_retry)", "PgBouncer"),
        ("FATAL:  no such database: n", "no database"),
        ("FATAL:  no more connections allowed (max_client_conn)", "no connection left"),
        ('FATAL:  too many connections for role "n"', "no connection left"),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "no connection left"),
        ("FATAL:  the database system is not accepting connections\nDETAIL:  Hot standby mode is disabled.", "starting or stopping"),
        ('FATAL:  database "n" is not currently accepting connections', "starting or stopping"),
        ('private key file "/x" has group or world access', "TLS"),
        ("session is read-only", "takes no writes"),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »n« fehlgeschlagen", "refuses this connection"),
    ],
)  # fmt: skip
def test_what_a_server_says_to_who_is_not_let_in_is_understood(text: str, what: str):
    raised = psycopg.OperationalError(f'connection to server at "h", port 1 failed: {text}')

    assert what in reason(raised).what


STATES = {
    "08P01": "ended the connection", "25006": "takes no writes", "25P03": "idle", "28P01": "refuses the login", "3D000": "no database",
    "3F000": "no schema", "40001": "gave way", "40P01": "gave way", "42501": "does not allow", "42P01": "older schema", "42703": "older schema",
    "26000": "PgBouncer", "42P05": "PgBouncer", "42P07": "a migration", "53100": "disk", "53200": "memory", "53300": "no connection left",
    "53400": "limits", "55P03": "lock", "57014": "took too long", "57P01": "ended the connection", "57P03": "starting", "57P04": "no database",
    "57P05": "idle", "58030": "files", "P0001": "trigger", "XX001": "internal error",
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_what_postgres_refuses_is_said_by_its_class_in_whatever_language(state: str):
    raised = psycopg.errors.lookup(state)("geheim")

    said = str(store_error("postgresql://u:topsecret@h/n", raised))

    assert STATES[state] in said
    assert "geheim" not in said
    assert "topsecret" not in said
    assert "; " in said
