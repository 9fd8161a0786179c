"""Redis over TLS: certificates of both sides, and their faults."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from notifier.broker.streams import open_streams
from notifier.config import load_config
from notifier.errors import ConfigError, StreamError
from tests.support.daemons import DaemonsAt
from tests.support.state import xadd
from tests.support.topologies import SERVICE, Replicated
from tests.support.waiting import until

Front = Callable[..., Any]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def tls_in_front_of(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Run a TLS terminator (the wheel's Redis has no TLS); yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Authority:
    """A certificate authority with a server and a client certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        folder = folder / name
        folder.mkdir()
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._ca.cert_pem.bytes())
        self._server = self._ca.issue_cert("127.0.0.1")
        client = self._ca.issue_cert("notifier@example.com")
        self.cert_file = folder / "client.pem"
        self.cert_file.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
        self.key_file = folder / "client.key"
        self.key_file.write_bytes(client.private_key_pem.bytes())

    def server_context(self, *, wants_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        if wants_client:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def as_client(self) -> dict[str, str]:
        return {
            "TEAMS_REDIS__TLS_CA_FILE": str(self.ca_file),
            "TEAMS_REDIS__TLS_CERT_FILE": str(self.cert_file),
            "TEAMS_REDIS__TLS_KEY_FILE": str(self.key_file),
        }


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


async def length(env: dict[str, str]) -> int:
    settings = load_config(None, {"TEAMS_REDIS__CONNECT_TIMEOUT_SECONDS": "3"} | env).redis
    async with open_streams(settings) as streams:
        return await streams.length("teams:events")


def port_of(url: str) -> int:
    return int(urlsplit(url).port or 0)


async def test_events_come_over_tls_with_a_client_certificate(
    authority: Authority, redis_url: str, daemons_at: DaemonsAt
):
    context = authority.server_context(wants_client=True)
    async with tls_in_front_of(port_of(redis_url), context) as port:
        daemons = daemons_at(f"rediss://127.0.0.1:{port}/0")
        await daemons.start(**authority.as_client())
        xadd(redis_url, {"type": "a.b", "stakeholders": "sre"})

        await until(lambda: len(daemons.rows()) == 1)
        await daemons.stop()


@pytest.mark.parametrize(
    ("url", "trusted", "wants_client", "fault"),
    [
        ("rediss://127.0.0.1", "another", False, r"not trusted .*redis\.tls_ca_file"),
        ("rediss+cluster://127.0.0.1", "another", False, r"not trusted .*redis\.tls_ca_file"),
        ("rediss://localhost", "ours", False, r"not trusted .*localhost"),
        ("rediss://127.0.0.1", "ours", True, r"failed: its TLS says|closes the connection"),
    ],
    ids=["authority", "authority of a cluster", "host", "no client certificate"],
)
async def test_a_wrong_or_missing_certificate_is_refused_with_its_fix(
    authority: Authority,
    redis_url: str,
    tmp_path: Path,
    url: str,
    trusted: str,
    wants_client: bool,
    fault: str,
):
    known = {"ours": authority, "another": Authority(tmp_path, "another")}
    context = authority.server_context(wants_client=wants_client)
    async with tls_in_front_of(port_of(redis_url), context) as port:
        env = {
            "REDIS_URL": f"{url}:{port}",
            "TEAMS_REDIS__TLS_CA_FILE": str(known[trusted].ca_file),
        }
        with pytest.raises(StreamError, match=fault):
            await length(env)


async def test_sentinels_are_asked_over_tls_and_their_certificate_is_checked(
    authority: Authority, sentinels: Replicated, tmp_path: Path
):
    other = Authority(tmp_path, "another")
    async with tls_in_front_of(sentinels.sentinels[0], authority.server_context()) as port:
        env = {"REDIS_URL": f"rediss+sentinel://127.0.0.1:{port}/{SERVICE}/0"}
        untrusted = r"a Sentinel's certificate is not trusted .*redis\.tls_ca_file"
        with pytest.raises(StreamError, match=untrusted):
            await length(env | {"TEAMS_REDIS__TLS_CA_FILE": str(other.ca_file)})
        # The master that a trusted Sentinel names speaks no TLS here, so the way ends one step later.
        with pytest.raises(StreamError) as caught:
            await length(env | {"TEAMS_REDIS__TLS_CA_FILE": str(authority.ca_file)})

    assert "Sentinel" not in str(caught.value).replace("rediss+sentinel", "")


async def test_tls_file_that_is_not_there_is_named(tmp_path: Path):
    env = {
        "REDIS_URL": "rediss://127.0.0.1:6379",
        "TEAMS_REDIS__TLS_CA_FILE": str(tmp_path / "no.pem"),
    }
    with pytest.raises(ConfigError, match=r"redis\.tls_ca_file: there is no file .*no\.pem"):
        await length(env)
