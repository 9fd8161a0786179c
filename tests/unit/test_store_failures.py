"""What PgBouncer refuses is told as such: Postgres behind it is up, and nothing in its own log says a word."""

from __future__ import annotations

import psycopg
import pytest

from notifier.store.failures import reason


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
