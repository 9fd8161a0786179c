"""Posts on a bad network: none leads elsewhere or shows the URL."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import trustme
from pydantic import SecretStr
from structlog.testing import capture_logs

from notifier.config import load_config
from notifier.config.models import HttpSettings
from notifier.events.outcome import Attempt
from notifier.events.signing import KeySet
from notifier.teams.sender import WebhookSender
from notifier.telemetry.clock import utc_now
from tests.support.receiver import WebhookReceiver

KEYS = KeySet(SecretStr("0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(**changes: Any) -> HttpSettings:
    base = load_config(None, {}).http.model_dump()
    return HttpSettings(**{**base, "allow_loopback_webhooks": True, **changes})


async def post(url: str, settings: HttpSettings | None = None) -> Attempt:
    sender = WebhookSender(url, settings or http(), keys=KEYS)
    assert "canary" not in repr(sender)
    try:
        return await sender.post(b"{}", {"X-Priority": "HIGH"}, message_id="m", now=utc_now)
    finally:
        await sender.close()


@asynccontextmanager
async def peer(answer: Peer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve raw bytes on loopback; gives a URL with a canary in its query."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/w?sig=canary"
    finally:
        server.close()


def says(*pieces: bytes, endless: bytes = b"", pause: float = 0.0) -> Peer:
    """Answer with `pieces`, then with the rest again and again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        while endless:
            writer.write(endless)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


class Resolver:
    """A DNS that answers first one way, then another."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:
        self.asked += 1
        address = self.addresses[min(self.asked, len(self.addresses)) - 1]
        return [
            {
                "hostname": host, "host": address, "port": port, "proto": 0, "flags": socket.AI_NUMERICHOST,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
            }
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Resolver:
    """Make every later connector look names up there."""
    resolver = Resolver(*addresses)
    real = aiohttp.TCPConnector

    def connector(**options: Any) -> aiohttp.TCPConnector:
        return real(**options, resolver=resolver, use_dns_cache=False)  # type: ignore[arg-type]

    monkeypatch.setattr(aiohttp, "TCPConnector", connector)
    return resolver


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"],
)
async def test_allowed_name_that_leads_to_a_private_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, webhook_receiver: WebhookReceiver, address: str
):
    resolver = resolving(monkeypatch, address)
    port = webhook_receiver.url("x").split(":")[2].split("/")[0]

    answer = await post(f"http://prod-1.logic.azure.com:{port}/w?sig=canary")

    assert resolver.asked == 1
    assert (answer.status_code, answer.setup_fault) == (None, True)
    assert answer.error is not None
    assert "prod-1.logic.azure.com leads to an address that is not public" in answer.error
    assert webhook_receiver.requests == []


async def test_name_that_leads_elsewhere_the_second_time_is_checked_again(
    monkeypatch: pytest.MonkeyPatch, webhook_receiver: WebhookReceiver
):
    resolver = resolving(monkeypatch, "203.0.113.1", "127.0.0.1")
    port = webhook_receiver.url("x").split(":")[2].split("/")[0]
    url = f"http://prod-1.logic.azure.com:{port}/w"

    answers = [await post(url, http(connection_timeout_seconds=3)) for _ in range(2)]

    assert resolver.asked == 2
    assert [answer.status_code for answer in answers] == [None, None]
    assert webhook_receiver.requests == []


async def test_localhost_may_be_posted_to_only_when_that_is_allowed(
    webhook_receiver: WebhookReceiver,
):
    url = webhook_receiver.url("sre").replace("127.0.0.1", "localhost")

    assert (await post(url)).status_code == 202
    refused = await post(url, http(allow_loopback_webhooks=False))
    assert (refused.status_code, refused.setup_fault) == (None, True)
    assert len(webhook_receiver.requests) == 1


async def test_certificate_that_nobody_vouches_for_is_refused_with_clear_words():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with peer(says(b"HTTP/1.1 202 Accepted\r\n\r\n"), context) as url:
        answer = await post(url)

    assert (answer.status_code, answer.setup_fault) == (None, True)
    assert answer.error is not None
    assert answer.error.startswith("TLS failed: the certificate is not trusted (")
    assert "canary" not in repr(answer)


async def test_redirect_is_not_followed(webhook_receiver: WebhookReceiver):
    location = webhook_receiver.url("sre").encode()
    head = (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: "
        + location
        + b"\r\nContent-Length: 0\r\n\r\n"
    )
    async with peer(says(head)) as url:
        answer = await post(url)

    assert (answer.status_code, answer.error) == (307, "HTTP 307")
    assert webhook_receiver.requests == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (says(b"HTTP/1.1 202 Accepted\r\n\r\n", endless=b"x" * 65_536), 202),
        (says(b"HTTP/1.1 503 Busy\r\n\r\n", endless=b"x" * 65_536), 503),
        (says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n", endless=b"x", pause=0.2), 202),
        (says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\nabc"), 202),
        (says(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"), None),
        (says(b"HTTP/1.1 202 Accepted\r\n", endless=b"X-More: y\r\n"), None),
        (says(b"HTTP/1.1 202 Accepted\r\nX-Long: ", endless=b"y" * 4096), None),
        (says(b"HTTP/1.1 202 Accepted\r\n", endless=b"X", pause=0.2), None),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), None),
        (says(), None),
    ],
    ids=["endless body", "endless error", "slow body", "cut body", "broken chunks", "endless headers", "long header",
         "slow headers", "no HTTP", "nothing"],
)  # fmt: skip
async def test_answer_of_any_kind_ends_and_its_status_counts(answer: Peer, status: int | None):
    async with peer(answer) as url, asyncio.timeout(60):
        with capture_logs() as logs:
            met = await post(url, http(connection_timeout_seconds=8))

    assert met.status_code == status
    assert (met.error is None) == (status == 202)
    assert "canary" not in f"{met!r}{logs}"


async def test_failure_in_the_text_of_a_success_is_no_success():
    text = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0"
    head = f"HTTP/1.1 200 OK\r\nRetry-After: 7\r\nContent-Length: {len(text)}\r\n\r\n".encode()
    async with peer(says(head + text)) as url:
        answer = await post(url)

    assert (answer.status_code, answer.retry_after_seconds) == (429, 7)
    assert answer.error == "HTTP 429 in the text of an HTTP 200"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/w?sig=canary",
        "https://127.0.0.1:9/w?sig=canary",
        "http://does-not-exist.invalid/w?sig=canary",
    ],
)
async def test_error_of_a_connection_does_not_show_the_url(
    url: str, caplog: pytest.LogCaptureFixture
):
    answer = await post(url)

    assert answer.status_code is None
    assert "canary" not in repr(answer) + caplog.text


async def test_answer_that_never_comes_does_not_show_the_url(caplog: pytest.LogCaptureFixture):
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(silent) as url:
        answer = await post(url, http(connection_timeout_seconds=0.3))

    assert answer.error == "no answer within 0.3 s"
    assert "canary" not in repr(answer) + caplog.text


async def test_neither_proxies_nor_passwords_come_from_the_environment(
    webhook_receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert (await post(webhook_receiver.url("sre"))).status_code == 202

    [request] = webhook_receiver.requests
    assert "Authorization" not in request.headers
    assert "Proxy-Authorization" not in request.headers


async def test_configured_proxy_is_asked():
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with peer(proxy) as url:
        address = url.split("/w")[0]
        answer = await post("https://prod-1.logic.azure.com/w?sig=canary", http(proxy=address))

    assert answer.status_code is None
    assert seen[0].startswith(b"CONNECT prod-1.logic.azure.com:443 ")
    assert b"canary" not in seen[0]
    assert "canary" not in repr(answer)


async def test_closing_a_sender_waits_for_its_posts(webhook_receiver: WebhookReceiver):
    webhook_receiver.answer(202, delay=1)
    sender = WebhookSender(webhook_receiver.url("sre"), http(), keys=KEYS)
    posting = asyncio.create_task(sender.post(b"{}", {}, message_id="m", now=utc_now))
    await webhook_receiver.wait_for(1)

    await sender.close()

    assert posting.done()
    assert (await posting).status_code == 202


class Crowd:
    """Answers when so many requests are there at once, or each after a while."""

    def __init__(self, together: int, *, seconds: float = 0) -> None:
        self._there = asyncio.Barrier(together)
        self._seconds = seconds

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await reader.read(1):
            await reader.readuntil(b"\r\n\r\n{}")
            await self._there.wait()
            await asyncio.sleep(self._seconds)
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()


async def post_many(sender: WebhookSender, count: int) -> list[Attempt]:
    posts = [sender.post(b"{}", {}, message_id=str(each), now=utc_now) for each in range(count)]
    try:
        return await asyncio.gather(*posts)
    finally:
        await sender.close()


async def test_there_are_as_many_connections_as_posts_in_flight():
    async with peer(Crowd(10)) as url:
        answers = await post_many(WebhookSender(url, http(), keys=KEYS), 10)

    assert [answer.status_code for answer in answers] == [202] * 10


@pytest.mark.parametrize("bound", ["connections_per_host", "total_connections"])
async def test_waiting_for_a_connection_is_no_failure(bound: str):
    settings = http(connection_timeout_seconds=0.5, **{bound: 1})
    async with peer(Crowd(1, seconds=0.2)) as url:
        answers = await post_many(WebhookSender(url, settings, keys=KEYS), 5)

    assert [answer.status_code for answer in answers] == [202] * 5


async def test_connection_that_is_not_made_in_time_says_so():
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    waiting = [socket.create_connection(("127.0.0.1", port))]
    try:
        answer = await post(f"http://127.0.0.1:{port}/w", http(connect_timeout_seconds=0.2))
    finally:
        for each in (full, *waiting):
            each.close()

    assert answer.error == "could not connect within 0.2 s"
