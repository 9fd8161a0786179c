"""The callback: signed requests of Power Automate and Teams outgoing webhooks, each done once."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

from aiohttp import web
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from notifier.errors import UnreachableError
from notifier.escalation.acknowledge import Accepted, ActionService, NotNow
from notifier.events.action import MAX_NOTE, MAX_WHO, Action, Via, clean_line, clean_note
from notifier.web.http.clients import Clients
from notifier.web.http.forms import UNREADABLE
from notifier.web.http.limits import RequestLimit

WINDOW_SECONDS = 300
"""How far a callback's timestamp may differ from now."""
_ANSWER_SECONDS = 4.0
"""Teams waits for 5 s (Microsoft, "Create Outgoing Webhooks")."""
_BODY_SECONDS = 3.0

_WORDS = {
    "ack": "acknowledge", "acknowledge": "acknowledge", "take": "acknowledge", "escalate": "escalate",
    "retry": "retry_task", "retry_task": "retry_task", "discard": "discard_task", "discard_task": "discard_task",
    "poll": "poll_nphies", "poll_nphies": "poll_nphies",
}  # fmt: skip
_COMMAND = re.compile(
    r"\s*([a-z_]{1,20})\s+([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\s+(.*))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_HELP = "Write: ack <notification id> <note>. Also: escalate, retry, discard, poll. The id is on the card."


class CallbackRequest(BaseModel):
    """The body of a callback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=200)]
    timestamp: AwareDatetime
    notification_id: UUID
    action: Literal["acknowledge", "escalate", "retry_task", "discard_task", "poll_nphies"]
    who: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_WHO)
    ]
    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""


class _Sender(BaseModel):
    name: str = ""


class OutgoingMessage(BaseModel):
    """The message of a Teams outgoing webhook, as far as it matters here."""

    type: Literal["message"]
    id: str = ""
    timestamp: AwareDatetime
    text: str
    sender: Annotated[_Sender, Field(alias="from")] = _Sender()


class CallbackMemory(Protocol):
    """The callbacks that were done, in Redis; both methods raise StreamError if it is away."""

    async def callback_seen(self, digest: str) -> bool:
        """Tell whether a callback was done before, by the digest of its body."""

    async def remember_callback(self, digest: str) -> None:
        """Remember that a callback was done, for longer than its timestamp is valid."""


@dataclass(frozen=True, slots=True)
class CallbackDependencies:
    """Settings that a reload can change are functions."""

    keys: Callable[[], Sequence[bytes]]
    """The keys that may sign: the security tokens of the outgoing webhooks, decoded."""
    actions: ActionService
    seen: CallbackMemory
    clients: Callable[[], Clients]
    limit: RequestLimit
    now: Callable[[], datetime]


def add_callback(app: web.Application, dependencies: CallbackDependencies) -> None:
    """Serve POST /callback; without a key the page does not exist."""
    app.add_routes([web.post("/callback", _Callback(dependencies).handle)])


def signed(keys: Sequence[bytes], body: bytes, authorization: str, signature_hex: str) -> bool:
    """Tell whether one of the keys signed these bytes, in constant time.

    Args:
        keys: The decoded security tokens.
        body: The exact bytes.
        authorization: Header `Authorization: HMAC <base64>`, as Teams sends it.
        signature_hex: Header X-HMAC-Signature.
    """
    given = _given(authorization, signature_hex)
    matches = [hmac.compare_digest(hmac.digest(key, body, "sha256"), given) for key in keys]
    return any(matches)


def _given(authorization: str, signature_hex: str) -> bytes:
    try:
        if authorization[:5].upper() == "HMAC ":
            return base64.b64decode(authorization[5:].strip(), validate=True)
        return bytes.fromhex(signature_hex.strip())
    except (binascii.Error, ValueError):
        return b""


class _Callback:
    def __init__(self, dependencies: CallbackDependencies) -> None:
        self._dependencies = dependencies

    async def handle(self, request: web.Request) -> web.Response:
        """Verify, then act; an answer without a good signature says nothing."""
        if not self._dependencies.keys():
            raise web.HTTPNotFound
        try:
            return await self._verified(request)
        except web.HTTPRequestEntityTooLarge:
            return _problem(413, "the body is too large")
        except UnreachableError:
            return _problem(503, "Redis does not answer; nothing was done, try again")

    async def _verified(self, request: web.Request) -> web.Response:
        wait = self._dependencies.limit.wait_seconds(
            f"callback {self._dependencies.clients().limit_key(request)}"
        )
        if wait:
            answer = _problem(429, "too many requests; wait and try again")
            answer.headers["Retry-After"] = str(wait)
            return answer
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return _problem(408, "the body took too long")
        except UNREADABLE:
            return _problem(400, "the body did not arrive as announced")
        headers = request.headers
        if not signed(
            self._dependencies.keys(),
            body,
            headers.get("Authorization", ""),
            headers.get("X-HMAC-Signature", ""),
        ):
            return _problem(
                401,
                "the signature does not match the body; sign the exact bytes with the base64-decoded token",
            )
        try:
            members = json.loads(body)
        except (ValueError, RecursionError):
            return _problem(400, "the body is not JSON")
        if isinstance(members, dict) and members.get("type") == "message":
            return await self._message(body, members)
        return await self._request(body, members)

    async def _request(self, body: bytes, members: object) -> web.Response:
        try:
            asked = CallbackRequest.model_validate(members)
        except ValidationError as exc:
            return _problem(422, _faults(exc))
        if not self._fresh(asked.timestamp):
            return _problem(
                401,
                f"timestamp: differs by more than {WINDOW_SECONDS} s from now; set the clock",
            )
        if await self._dependencies.seen.callback_seen(_digest(body)):
            return _problem(409, "this request was seen before; nothing was done again")
        action = self._action(
            str(asked.notification_id), asked.action, asked.who, asked.note, Via.CALLBACK
        )
        if not action.who:
            return _problem(422, "who: must be a name")
        status, answer = await self._acted(action)
        if status != 503:
            await self._dependencies.seen.remember_callback(_digest(body))
        return web.json_response(answer, status=status)

    async def _message(self, body: bytes, members: dict[str, object]) -> web.Response:
        try:
            message = OutgoingMessage.model_validate(members)
        except ValidationError as exc:
            return _problem(422, _faults(exc))
        if not self._fresh(message.timestamp):
            return _problem(401, "timestamp: is too old")
        if await self._dependencies.seen.callback_seen(_digest(body)):
            return _problem(409, "this message was seen before; nothing was done again")
        command = _COMMAND.fullmatch(_plain(message.text))
        word = _WORDS.get(command[1].lower()) if command else None
        who = clean_line(message.sender.name, MAX_WHO)
        if command is None or word is None or not who:
            return _say(_HELP)
        action = self._action(
            command[2].lower(), word, who, command[3] or "", Via.OUTGOING_WEBHOOK
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status, answer = await self._acted(action)
                await self._dependencies.seen.remember_callback(_digest(body))
        except (TimeoutError, UnreachableError):
            return _say(
                "The service did not answer in time. Open the link on the card to see whether it was recorded."
            )
        if status == 200:
            return _say(f"Recorded: {answer['acknowledged_by']}, {answer['action']}.")
        if status == 409:
            where = f" in {answer['channel']}" if answer["channel"] else ""
            return _say(f"{answer['acknowledged_by']} was first{where}: {answer['action']}.")
        return _say(str(answer["error"]))

    def _action(self, notification_id: str, word: str, who: str, note: str, via: Via) -> Action:
        name = clean_line(who, MAX_WHO)
        return Action(
            notification_id, word, name, clean_note(note), via, self._dependencies.now()
        )

    async def _acted(self, action: Action) -> tuple[int, dict[str, str]]:
        situation = await self._dependencies.actions.situation(action.notification_id)
        if situation.facts is None and not situation.facts_away and situation.first is None:
            return 404, {
                "error": "There is no such notification, or it is not recorded yet. Check the id, or try again in a minute."
            }
        result = await self._dependencies.actions.act(action, situation)
        if isinstance(result, NotNow):
            return 503, {"error": "Not possible right now. Try again in a minute."}
        recorded = isinstance(result, Accepted)
        return (200 if recorded else 409), {
            "status": "recorded" if recorded else "already_taken",
            "notification_id": action.notification_id,
            "acknowledged_by": result.first.who,
            "acknowledged_at": result.first.at,
            "action": result.first.action,
            "channel": result.first.channel,
        }

    def _fresh(self, timestamp: datetime) -> bool:
        try:
            difference = self._dependencies.now() - timestamp.astimezone(UTC)
        except OverflowError:
            return False
        return abs(difference.total_seconds()) <= WINDOW_SECONDS


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _plain(text: str) -> str:
    """Return a message without the mention and the tags (Teams sends HTML)."""
    without = re.sub(r"<at\b[^>]*>[^<]*</at>|<[^>]{0,500}>", " ", text[:5000])
    return html.unescape(without).replace("\xa0", " ")


def _say(text: str) -> web.Response:
    return web.json_response({"type": "message", "text": html.escape(text, quote=False)})


def _problem(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)


def _faults(exc: ValidationError) -> str:
    errors = exc.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in error['loc']) or 'body'}: {error['msg']}"
        for error in errors[:5]
    )
