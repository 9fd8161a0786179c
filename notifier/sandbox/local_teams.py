"""A local Teams: webhooks like those of Workflows, and pages with cards."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiohttp import web
from pydantic import JsonValue

from notifier.cards import html as renderer
from notifier.cards.check.schema import worded_faults
from notifier.cards.html.pages import content_policy, page_templates
from notifier.errors import ExitCode, SandboxError
from notifier.teams.envelope import counted_size

MAX_CARD_BYTES = 28_672
"""The limit of Teams (28 KB) for the escaped card; a larger one gets its 202 and never shows."""

FAULT_KINDS = ("429", "500", "timeout", "text429")
_PORTS_TRIED = 20
_FAILED_IN_TEXT = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0,server=local,cv=0.."
_KEPT = 200
_RATE_PER_SECOND = 4
_MAX_REQUEST_BYTES = 1_000_000
_TIMEOUT_SECONDS = 120.0
_STATIC = Path(__file__).with_name("static")
_TEMPLATES = page_templates(__package__)
_HEADERS = {
    # The renderer sets style attributes, so inline styles are allowed; scripts are not.
    "Content-Security-Policy": content_policy(
        script_src="'self'",
        style_src="'self' 'unsafe-inline'",
        connect_src="'self'",
        img_src="'self' https: data:",
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class FaultsError(SandboxError):
    """--faults cannot be parsed; the message names the expected form."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests, from 0 to 1, by kind of fault."""

    shares: tuple[tuple[str, float], ...] = ()

    def pick(self, chance: float) -> str | None:
        """Return the fault for an even random number from 0 to 1, or None."""
        for kind, share in self.shares:
            if chance < share:
                return kind
            chance -= share
        return None


def parse_faults(text: str) -> Faults:
    """Parse `429:0.1,500:0.05,timeout:0.02`; raises FaultsError."""
    shares: list[tuple[str, float]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        kind, _, number = part.partition(":")
        try:
            share = float(number)
        except ValueError:
            share = -1
        if kind not in FAULT_KINDS:
            raise FaultsError(
                f"--faults {part}: unknown fault {kind}; kinds are {', '.join(FAULT_KINDS)}, written as 429:0.1"
            )
        if not 0 <= share <= 1:
            raise FaultsError(
                f"--faults {part}: a share is a number from 0 to 1, such as {kind}:0.1 for one request in ten"
            )
        shares.append((kind, share))
    if sum(share for _, share in shares) > 1:
        raise FaultsError(f"--faults {text}: the shares add up to more than 1")
    return Faults(tuple(shares))


@dataclass(frozen=True, slots=True)
class Message:
    """One post as the channel shows it."""

    number: int
    received_at: float
    card: JsonValue
    refused: str | None
    faults: tuple[str, ...] = ()
    """Faults for which Teams would not show the card."""


@dataclass(slots=True)
class Channel:
    """One channel: its latest messages, and the arrivals for its rate limit."""

    title: str
    count: int = 0
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=_KEPT))
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_PER_SECOND))


class LocalTeams:
    """The server; its address is known after start."""

    def __init__(self, channels: Mapping[str, str], faults: Faults) -> None:
        self.channels = {name: Channel(title) for name, title in channels.items()}
        self.faults = faults
        self.url = ""
        self._random = random.Random()  # noqa: S311 # nosec B311 - picks faults
        self._runner: web.AppRunner | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve a listening socket of 127.0.0.1."""
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.add_routes([
            web.get("/", self._overview),
            web.get("/channel/{channel}", self._channel_page),
            web.get("/api/channels", self._api_channels),
            web.get("/api/channels/{channel}", self._api_channel),
            web.post("/webhook/{channel}", self._webhook),
            web.post("/faults", self._set_faults),
            web.static("/static", _STATIC),
            web.static("/renderer", renderer.FOLDER),
        ])  # fmt: skip
        app.on_response_prepare.append(_add_headers)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def webhook_url(self, channel: str) -> str:
        """Return where to post for a channel."""
        return f"{self.url}/webhook/{channel}"

    @property
    def received(self) -> int:
        """Return the number of accepted posts."""
        return sum(channel.count for channel in self.channels.values())

    def _channel(self, request: web.Request) -> Channel:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            raise web.HTTPNotFound(text="no such channel")
        return channel

    async def _webhook(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        body = await request.read()
        if "Authorization" in request.headers:
            return _refused(401, "DirectApiAuthorizationRequired")
        fault = self.faults.pick(self._random.random())
        if fault == "429":
            return _throttled()
        if fault == "text429":
            return web.Response(text=_FAILED_IN_TEXT)
        if fault == "500":
            return _refused(500, "InternalServerError")
        if fault == "timeout":
            await asyncio.sleep(_TIMEOUT_SECONDS)
            return web.Response(status=504)
        now = time.monotonic()
        if len(channel.arrivals) == _RATE_PER_SECOND and now - channel.arrivals[0] < 1:
            return _throttled()
        card = _card_in(body)
        if card is None:
            return _refused(400, "TriggerInputSchemaMismatch")
        channel.arrivals.append(now)
        channel.count += 1
        channel.messages.append(_message(channel.count, card))
        return web.Response(status=202)

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults = parse_faults(await request.text())
        except SandboxError as exc:
            return web.json_response({"error": str(exc)}, status=400)
        return web.json_response({"faults": dict(self.faults.shares)})

    async def _api_channels(self, _: web.Request) -> web.Response:
        found = [
            {"name": name, "title": c.title, "count": c.count}
            for name, c in self.channels.items()
        ]
        return web.json_response({"channels": found})

    async def _api_channel(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        after = request.query.get("after", "0")
        least = int(after) if after.isdigit() and len(after) < 16 else 0
        found = [asdict(each) for each in channel.messages if each.number > least]
        return web.json_response({"messages": found})

    async def _overview(self, _: web.Request) -> web.Response:
        return _page("overview.html", "Local Teams", channels=self.channels)

    async def _channel_page(self, request: web.Request) -> web.Response:
        title = self._channel(request).title
        return _page("channel.html", title, channel=request.match_info["channel"])


def _card_in(body: bytes) -> JsonValue:
    """Return the card of a Workflows message; None if the body is not one."""
    try:
        message = json.loads(body)
        [attachment] = message["attachments"]
        right = (
            message["type"] == "message"
            and attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        )
        card: JsonValue = attachment["content"]
    except (ValueError, KeyError, TypeError):
        return None
    return (
        card
        if right and isinstance(card, dict) and card.get("type") == "AdaptiveCard"
        else None
    )


def _message(number: int, card: JsonValue) -> Message:
    size = counted_size(json.dumps(card, ensure_ascii=False, separators=(",", ":")))
    if size > MAX_CARD_BYTES:
        refused = f"Teams refused this card after its 202: {size} bytes as Teams counts them, the limit is {MAX_CARD_BYTES}"
        return Message(number, time.time(), None, refused)
    # The renderer shows more than Teams does.
    return Message(number, time.time(), card, None, worded_faults(card))


def _throttled() -> web.Response:
    return _refused(429, "TooManyRequests", {"Retry-After": "1"})


def _refused(status: int, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
    error = {"error": {"code": code, "message": ""}}
    return web.json_response(error, status=status, headers=headers)


def _page(template: str, title: str, *, channel: str = "", **values: object) -> web.Response:
    html = _TEMPLATES.get_template(template).render(
        values, title=title, channel=channel, scripts=renderer.SCRIPTS
    )
    return web.Response(text=html, content_type="text/html", charset="utf-8")


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def listen(port: int | None, *, first: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1.

    Args:
        port: The wanted port, 0 for any free one, None for the next free one from `first` on.
        first: The first port to try without a wanted one.

    Raises:
        SandboxError: The wanted port is taken.
    """
    if port is not None:
        return _listener(port)
    for candidate in range(first, first + _PORTS_TRIED):
        with suppress(SandboxError):
            return _listener(candidate)
    return _listener(0)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    # Closed connections of an earlier run occupy the port for a minute; ignore them.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as exc:
        listener.close()
        raise SandboxError(
            f"cannot listen on port {port}: {exc.strerror}; choose another with --port, or leave --port out"
        ) from None
    return listener
