"""Post one message to one channel's webhook and say what came of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from notifier.config import HttpSettings
from notifier.signing import body_signature, webhook_headers
from notifier.teams.response import fault, retry_after

_MAX_ANSWER_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Answer:
    """One attempt: a status, or None with an error when no answer came."""

    status: int | None
    error: str | None
    retry_after_seconds: float | None
    started_at: datetime
    duration_seconds: float


class WebhookSender:
    """Keep-alive connections to one channel; each channel has its own, so that a hanging one starves no other."""

    def __init__(
        self, url: str, settings: HttpSettings, *, hmac_secret: str | None, channels: int
    ) -> None:
        self._url = URL(url, encoded=True)
        self._settings = settings
        self._secret = hmac_secret
        self._limit = max(
            1, min(settings.connections_per_host, settings.total_connections // channels)
        )
        self._session: aiohttp.ClientSession | None = None
        self.host = self._url.host or ""

    async def close(self) -> None:
        """Close the connections; safe to repeat."""
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
    ) -> Answer:
        """Post the exact bytes of `body`, signed; never raises for what the network or the receiver does."""
        started = now()
        clock = asyncio.get_running_loop().time
        begin = clock()
        status: int | None = None
        asked: float | None = None
        try:
            async with self._open().post(
                self._url,
                data=body,
                headers=self._headers(body, headers, message_id, started),
                allow_redirects=False,
            ) as response:
                status = response.status
                answer = await response.content.read(_MAX_ANSWER_BYTES)
                if not response.content.at_eof():
                    response.close()
                error = None if 200 <= status < 300 else fault(status, answer)
                asked = retry_after(response.headers.get("Retry-After"), now())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            error = self._no_answer(exc) if status is None else None
            if status is not None and not 200 <= status < 300:
                error = f"HTTP {status}"
        return Answer(status, error, asked, started, clock() - begin)

    def _headers(
        self, body: bytes, headers: Mapping[str, str], message_id: str, now: datetime
    ) -> dict[str, str]:
        signed = {"Content-Type": "application/json", **headers}
        if self._secret is not None:
            signed["X-HMAC-Signature"] = body_signature(self._secret, body)
            signed.update(
                webhook_headers(
                    self._secret,
                    message_id=message_id,
                    timestamp=int(now.timestamp()),
                    body=body,
                )
            )
        return signed

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=self._settings.connection_timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "notifier"},
            )
        return self._session

    def _no_answer(self, exc: Exception) -> str:
        # exc's own text may hold the URL, and the URL is the credential.
        if isinstance(exc, TimeoutError):
            return f"no answer within {self._settings.connection_timeout_seconds:g} s"
        if isinstance(
            exc, aiohttp.ClientConnectorCertificateError | ssl.SSLError | aiohttp.ClientSSLError
        ):
            return "TLS failed: the certificate or handshake was not accepted"
        if isinstance(exc, aiohttp.ClientConnectorDNSError):
            return "host name could not be resolved"
        if isinstance(exc, aiohttp.ClientConnectorError):
            return "could not connect"
        return f"connection failed ({type(exc).__name__})"


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
