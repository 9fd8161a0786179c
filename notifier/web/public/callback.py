"""The callback: signed requests of flows and Teams, each done once."""

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
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol, TypeVar
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


M = TypeVar("M", bound=BaseModel)


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
    """The done callbacks, in Redis; raises StreamError if it is away."""

    async def callback_seen(self, digest: str) -> bool:
        """Tell whether a callback was done before, by the digest of its body."""

    async def remember_callback(self, digest: str) -> None:
        """Remember a done callback, for longer than its timestamp is valid."""


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


class _RefusedError(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.headers: dict[str, str] = {}


class _Callback:
    def __init__(self, dependencies: CallbackDependencies) -> None:
        self._dependencies = dependencies

    async def handle(self, request: web.Request) -> web.Response:
        """Verify, then act; without a good signature the answer says nothing."""
        if not self._dependencies.keys():
            raise web.HTTPNotFound
        try:
            body = await self._verified_body(request)
            members = _json(body)
            if isinstance(members, dict) and members.get("type") == "message":
                return await self._message(body, members)
            return await self._request(body, members)
        except UnreachableError:
            refused = _RefusedError(503, "Redis does not answer; nothing was done, try again")
        except _RefusedError as exc:
            refused = exc
        error = {"error": str(refused)}
        return web.json_response(error, status=refused.status, headers=refused.headers)

    async def _verified_body(self, request: web.Request) -> bytes:
        key = f"callback {self._dependencies.clients().limit_key(request)}"
        wait = self._dependencies.limit.wait_seconds(key)
        if wait:
            refused = _RefusedError(429, "too many requests; wait and try again")
            refused.headers["Retry-After"] = str(wait)
            raise refused
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            raise _RefusedError(408, "the body took too long") from None
        except web.HTTPRequestEntityTooLarge:
            raise _RefusedError(413, "the body is too large") from None
        except UNREADABLE:
            raise _RefusedError(400, "the body did not arrive as announced") from None
        authorization = request.headers.get("Authorization", "")
        signature = request.headers.get("X-HMAC-Signature", "")
        if not signed(self._dependencies.keys(), body, authorization, signature):
            raise _RefusedError(
                401,
                "the signature does not match the body; sign the exact bytes with the base64-decoded token",
            )
        return body

    async def _request(self, body: bytes, members: object) -> web.Response:
        asked = _validated(CallbackRequest, members)
        await self._refuse_old_and_repeated(asked.timestamp, body)
        action = self._action(
            str(asked.notification_id), asked.action, asked.who, asked.note, Via.CALLBACK
        )
        if not action.who:
            raise _RefusedError(422, "who: must be a name")
        status, answer = await self._act(action)
        if status != 503:
            await self._dependencies.seen.remember_callback(_digest(body))
        return web.json_response(answer, status=status)

    async def _message(self, body: bytes, members: object) -> web.Response:
        message = _validated(OutgoingMessage, members)
        await self._refuse_old_and_repeated(message.timestamp, body)
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
                status, answer = await self._act(action)
                await self._dependencies.seen.remember_callback(_digest(body))
        except (TimeoutError, UnreachableError):
            return _say(
                "The service did not answer in time. Open the link on the card to see the result."
            )
        if status == 200:
            return _say(f"Recorded: {answer['acknowledged_by']}, {answer['action']}.")
        if status == 409:
            where = f" in {answer['channel']}" if answer["channel"] else ""
            return _say(f"{answer['acknowledged_by']} was first{where}: {answer['action']}.")
        return _say(answer["error"])

    async def _refuse_old_and_repeated(self, timestamp: datetime, body: bytes) -> None:
        try:
            difference = self._dependencies.now() - timestamp.astimezone(UTC)
        except OverflowError:
            difference = timedelta.max
        if abs(difference.total_seconds()) > WINDOW_SECONDS:
            error = (
                f"timestamp: differs by more than {WINDOW_SECONDS} s from now; set the clock"
            )
            raise _RefusedError(401, error)
        if await self._dependencies.seen.callback_seen(_digest(body)):
            raise _RefusedError(409, "this request was seen before; nothing was done again")

    def _action(self, notification_id: str, word: str, who: str, note: str, via: Via) -> Action:
        name, now = clean_line(who, MAX_WHO), self._dependencies.now()
        return Action(notification_id, word, name, clean_note(note), via, now)

    async def _act(self, action: Action) -> tuple[int, dict[str, str]]:
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


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _RefusedError(400, "the body is not JSON") from None


def _validated(model: type[M], members: object) -> M:
    try:
        return model.model_validate(members)
    except ValidationError as exc:
        errors = exc.errors(include_input=False, include_url=False, include_context=False)
        faults = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']) or 'body'}: {error['msg']}"
            for error in errors[:5]
        )
        raise _RefusedError(422, faults) from None


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _plain(text: str) -> str:
    """Return a message without the mention and the tags (Teams sends HTML)."""
    without = re.sub(r"<at\b[^>]*>[^<]*</at>|<[^>]{0,500}>", " ", text[:5000])
    return html.unescape(without).replace("\xa0", " ")


def _say(text: str) -> web.Response:
    return web.json_response({"type": "message", "text": html.escape(text, quote=False)})
