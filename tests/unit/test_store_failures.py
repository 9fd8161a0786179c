"""A refusal of PgBouncer is reported as such: Postgres behind it is up."""

from __future__ import annotations

import psycopg
import pytest

from notifier.store.errors import reason, store_error


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
