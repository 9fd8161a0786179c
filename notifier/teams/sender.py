"""Post one message to one channel's webhook and say what came of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from yarl import URL

from notifier.config.models import HttpSettings
from notifier.config.webhook_url import forbidden_address, is_loopback
from notifier.events.outcome import Attempt
from notifier.events.signing import KeySet, body_signature, webhook_headers
from notifier.teams.response import fault, retry_after, stated_status

_MAX_ANSWER_BYTES = 8192
_ANSWER_SECONDS = 5.0
"""How long a body may take to arrive once the status is known."""
_MAX_HEADERS = 64
_MAX_HEADER_BYTES = 8190


class ForbiddenAddressError(OSError):
    """A host name leads to an address that must not be connected to."""

    def __init__(self) -> None:
        # One text for all addresses of a host: aiohttp keeps an error's class only if they all agree.
        super().__init__("private address")


@dataclass(frozen=True, slots=True)
class Address:
    """A webhook's address without its secret path and query."""

    scheme: str
    host: str
    port: int


class WebhookSender:
    """Keep-alive connections to one channel.

    Each channel has its own, so that one that hangs does not starve the others.
    """

    def __init__(
        self,
        url: str,
        settings: HttpSettings,
        *,
        keys: KeySet | None,
        of_all: asyncio.Semaphore | None = None,
    ) -> None:
        """`of_all` holds what connections all channels together may still make."""
        self._url = URL(url, encoded=True)
        self._settings = settings
        self._keys = keys
        self._of_channel = asyncio.Semaphore(settings.connections_per_host)
        self._of_all = of_all or asyncio.Semaphore(settings.total_connections)
        self._session: aiohttp.ClientSession | None = None
        self._posting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.host = self._url.host or ""
        self.address = Address(self._url.scheme, self.host, self._url.port or 443)

    async def close(self) -> None:
        """Let posts in flight finish, then close the connections; safe to repeat."""
        await self._idle.wait()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        message_id: str,
        now: Callable[[], datetime],
        number: int = 1,
        begin: Callable[[], Awaitable[None]] | None = None,
    ) -> Attempt:
        """Post the exact bytes of `body`, signed.

        It does not raise for failures of the network or the receiver.

        `begin` is called as soon as a connection is free, and may add headers; an exception of it ends the post.
        """
        self._posting += 1
        self._idle.clear()
        try:
            # A post that waits for a connection has not begun, so it shows nothing about the channel.
            async with self._of_channel, self._of_all:
                if begin is not None:
                    await begin()
                return await self._posted(body, headers, message_id, now, number)
        finally:
            self._posting -= 1
            if not self._posting:
                self._idle.set()

    async def _posted(
        self,
        body: bytes,
        headers: Mapping[str, str],
        message_id: str,
        now: Callable[[], datetime],
        number: int,
    ) -> Attempt:
        started = now()
        clock = asyncio.get_running_loop().time
        begin = clock()
        try:
            async with self._open().post(
                self._url,
                data=body,
                headers=self._headers(body, headers, message_id, started),
                allow_redirects=False,
                proxy=self._settings.proxy or None,
            ) as response:
                answer = b"" if response.content.at_eof() else await _read_some(response)
                status = stated_status(response.status, answer)
                error = None if 200 <= status < 300 else fault(status, answer)
                if status != response.status:
                    error = f"{error} in the text of an HTTP {response.status}"
                header = response.headers.get("Retry-After")
                asked = None if header is None else retry_after(header, now())
                return Attempt(number, started, round(clock() - begin, 6), status, error, asked)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            error, setup_fault = self._no_answer(exc)
            return Attempt(
                number, started, round(clock() - begin, 6), None, error, None, setup_fault
            )

    def _headers(
        self, body: bytes, headers: Mapping[str, str], message_id: str, now: datetime
    ) -> dict[str, str]:
        signed = {"Content-Type": "application/json", **headers}
        if self._keys is not None:
            signed["X-HMAC-Signature"] = body_signature(self._keys.texts[0], body)
            timestamp = int(now.timestamp())
            signed |= webhook_headers(
                self._keys, message_id=message_id, timestamp=timestamp, body=body
            )
        return signed

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # trust_env stays off: neither HTTP_PROXY nor a ~/.netrc (an Authorization header) may change a post.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=60, socket_factory=self._socket
                ),
                timeout=aiohttp.ClientTimeout(
                    total=self._settings.connection_timeout_seconds,
                    sock_connect=self._settings.connect_timeout_seconds,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "notifier"},
                max_headers=_MAX_HEADERS,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        # Checked here, not at look-up: this is the very address that is connected to next, whatever DNS said before.
        family, kind, protocol, _, where = address
        to_itself = self._settings.allow_loopback_webhooks and is_loopback(self.host)
        if not self._settings.proxy and forbidden_address(
            str(where[0]), allow_loopback=to_itself
        ):
            raise ForbiddenAddressError
        return socket.socket(family, kind, protocol)

    def _no_answer(self, exc: Exception) -> tuple[str, bool]:
        """Say what went wrong, and whether people have to fix it."""
        # exc's own text may hold the URL, and the URL is the credential.
        match exc:
            case aiohttp.ConnectionTimeoutError():
                seconds = self._settings.connect_timeout_seconds
                return f"could not connect within {seconds:g} s", False
            case TimeoutError():
                seconds = self._settings.connection_timeout_seconds
                return f"no answer within {seconds:g} s", False
            case aiohttp.ClientConnectorCertificateError():
                why = getattr(exc.certificate_error, "verify_message", "not verified")
                return f"TLS failed: the certificate is not trusted ({why})", True
            case ssl.SSLError() | aiohttp.ClientSSLError():
                return "TLS failed: the handshake was not accepted", True
            case aiohttp.ClientConnectorDNSError():
                return "host name could not be resolved", False
            case aiohttp.ClientConnectorError(os_error=ForbiddenAddressError()):
                where = f"host {self.host} leads to an address that is not public"
                return f"{where}; see its DNS entry", True
            case aiohttp.ClientConnectorError():
                return "could not connect", False
            case _:
                return f"connection failed ({type(exc).__name__})", False


async def _read_some(response: aiohttp.ClientResponse) -> bytes:
    """Return the beginning of a body.

    The rest of a long or slow body is dropped with its connection.
    """
    answer = bytearray()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while len(answer) < _MAX_ANSWER_BYTES and not response.content.at_eof():
                answer += await response.content.read(_MAX_ANSWER_BYTES - len(answer))
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the status has come, and that is what counts
    if not response.content.at_eof():
        response.close()
    return bytes(answer)
