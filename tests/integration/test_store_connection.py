"""A Postgres that vanishes without a word is noticed while somebody waits for it."""

from __future__ import annotations

import socket

import pytest

from notifier.store.connection import Connection


@pytest.mark.parametrize(("said", "idle"), [("", 20), ("?keepalives_idle=7", 7)])
async def test_a_connection_asks_whether_the_server_is_still_there(
    database_url: str, said: str, idle: int
):
    connection = Connection(
        database_url + said, connect_timeout_seconds=5, statement_timeout_seconds=10
    )
    connected = await connection.connected()

    with socket.socket(fileno=socket.dup(connected.fileno())) as wire:
        found = [
            wire.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT,
            )
        ]  # fmt: skip
        asks = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    await connection.close()

    assert asks
    assert found == [idle, 10, 3, 50_000]
