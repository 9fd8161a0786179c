"""Say in fixed words why Redis failed.

A command's arguments are event data, and are never shown.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ConnectionError,
    InvalidResponse,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from notifier.broker.pool import ReplyTooLargeError, too_many_clients
from notifier.config.urls import mask_url
from notifier.errors import StreamError

_IN_SCRIPT = re.compile(r"^.*@user_script: ?\d+: -?")
"""Redis 6.2 puts this before the error of a script's command."""
_CHECK = "check redis.url and that the server is up"
_RIGHTS = "give this user its rights (docs/how-to/redis.md); notifier doctor names those that are missing"
_NEW_MASTER = "this ends when the name in redis.url leads to the new master; else correct it"


@dataclass(frozen=True, slots=True)
class Reason:
    """A failure of Redis, and what to do about it."""

    what: str
    fix: str = _CHECK


_STATES = {
    "READONLY": Reason("is a replica and takes no writes", _NEW_MASTER),
    "MASTERDOWN": Reason("is a replica that has lost its master", _NEW_MASTER),
    "MISCONF": Reason(
        "takes no writes: it cannot save its data",
        "see the log of Redis; make room on its disk",
    ),
    "NOREPLICAS": Reason(
        "takes no writes: too few replicas follow it (min-replicas-to-write)",
        "start its replicas, or see what keeps them from following",
    ),
    "BUSY": Reason(
        "is busy with a script, of notifier or of another program",
        "see SLOWLOG GET for whose it is; SCRIPT KILL ends one that has written nothing",
    ),
}
"""States in which a server takes no command that writes, by the code of its errors."""
_MOVING = Reason(
    "moves the slot of these keys to another master",
    "it continues when that is done; redis-cli --cluster check says whether it is",
)
_BY_CODE = {
    **_STATES,
    "OOM": Reason(
        "is full: it reached its maxmemory",
        "raise it, or see what fills it (notifier's keys are in docs/reference/data.md)",
    ),
    "TRYAGAIN": _MOVING,
}
_BY_TEXT = {
    "DB index is out of range": Reason(
        "has no database of this number", "correct the number at the end of redis.url"
    ),
    "exhausted the last possible ID": Reason(
        "takes no event any more: the last id of its stream is used up",
        "stop what adds such ids; when nothing waits in it (notifier top), DEL it: notifier makes it again",
    ),
}
"""Errors to which Redis gives no code but ERR."""
_CLOSED = Reason("closes the connection", f"{_CHECK}, and write rediss where it speaks TLS")
_LATE = Reason(
    "does not answer in time",
    "check host and port in redis.url (rediss only where it speaks TLS), that the server is up, and firewalls",
)
_BY_CLASS: tuple[tuple[type[BaseException], Reason], ...] = (
    (
        socket.gaierror,
        Reason(
            "cannot be found: its host name is unknown",
            "correct the host in redis.url, or fix DNS",
        ),
    ),
    (ConnectionRefusedError, Reason("refuses connections")),
    (FileNotFoundError, Reason("has no such socket")),
    (ConnectionResetError, _CLOSED),
    (EOFError, _CLOSED),
    (TimeoutError, _LATE),
    (RedisTimeoutError, _LATE),
    (BusyLoadingError, Reason("is still reading its data", "wait until it has")),
    (
        InvalidResponse,
        Reason("is not Redis: something else answers", "check host and port in redis.url"),
    ),
    (
        ReplyTooLargeError,
        Reason(
            "holds more in one reply than this process takes",
            "see which entries are too large, and who adds them",
        ),
    ),
)
_AWAY = (ConnectionError, RedisTimeoutError, OSError, ReadOnlyError, ClusterDownError, RedisClusterException)  # fmt: skip
_FULL_OF_CLIENTS = Reason(
    "takes no more connections: its maxclients is reached",
    "raise maxclients, or see who holds connections (CLIENT LIST)",
)


def stream_error(url: str, exc: BaseException) -> StreamError:
    """Return the error to raise for a failure at this address, masked."""
    why = reason(exc)
    return StreamError(f"Redis at {mask_url(url)} {why.what}; {why.fix}")


def reason(exc: BaseException) -> Reason:
    """Return the reason of a driver's error.

    An unknown error is named by Redis' own words, or by its class.
    """
    if isinstance(exc, ResponseError):
        code = error_code(exc)
        if code == "NOPERM":
            return Reason(f"refuses: {_words(exc)}", _RIGHTS)
        if code in _BY_CODE:
            return _BY_CODE[code]
    # The driver has tried often enough: its keys are on two masters.
    if type(exc) is ClusterError:
        return _MOVING
    of_sentinel = isinstance(exc, MasterNotFoundError)
    for cause in _chain(exc):
        found = _tls(cause, of_sentinel) or _login(cause, of_sentinel)
        if found is None and not of_sentinel:
            found = _connecting(cause)
        if found is not None:
            return found
    if of_sentinel:
        return Reason("failed: no Sentinel answers that knows a working master of this name")
    if isinstance(exc, ResponseError):
        text = str(exc)
        known = next((found for words, found in _BY_TEXT.items() if words in text), None)
        return known or Reason(f"failed: {_words(exc)}")
    return Reason(f"failed: {type(exc).__name__}")


def error_code(error: BaseException | str) -> str:
    """Return the code of an error, such as OOM; empty if it has none."""
    code: object = getattr(error, "status_code", None)
    if isinstance(code, str) and code not in ("", "ERR"):
        return code
    text = _IN_SCRIPT.sub("", str(error))
    # Of a command that a script may not run, Redis 6.2 and 7.0 say only the first, and Valkey only the second.
    if "can't run this command" in text or "permissions" in text:
        return "NOPERM"
    word = text.partition(" ")[0]
    return word if word.isupper() and word != "ERR" else ""


def takes_no_writes(exc: BaseException) -> bool:
    """Tell whether the server refused all writes.

    Then no consumer could renew its leases.
    """
    if isinstance(exc, ResponseError) and error_code(exc) in _STATES:
        return True
    # A process that has a connection keeps it when there are no more.
    return isinstance(exc, _AWAY) and not too_many_clients(exc)


def of_another_type(exc: StreamError) -> bool:
    """Tell whether a key was refused because it holds another type."""
    return "WRONGTYPE" in str(exc.__cause__)


def refusal(url: str, reply: bytes) -> StreamError:
    """Return the error to raise if a script as a whole was refused a key."""
    key, why = explained(reply)
    return StreamError(f"Redis at {mask_url(url)}: {key}: {why}")


def explained(reply: bytes) -> tuple[str, str]:
    """Return the refused key of "command key error", and why and what to do."""
    command, _, rest = reply.decode(errors="replace").partition(" ")
    key, _, error = rest.partition(" ")
    if ":seen:" in key:
        # The id of an event is its producer's: it may say anything.
        key = f"{key.partition(':seen:')[0]}:seen:*"
    return key, _why(command, key, error)


def _why(command: str, key: str, error: str) -> str:
    code = error_code(error)
    if code == "NOPERM":
        return f"this user lacks +{command}; give it (docs/how-to/redis.md)"
    if code == "WRONGTYPE":
        return f"{command} failed: another program keeps something else under this key; rename or delete it (TYPE {key} says what it is)"
    if "exhausted the last possible ID" in error:
        return f"{command} failed: the last id of this stream is used up; when nothing waits in it (XLEN {key} is 0), delete it: notifier makes it again"
    return f"{command} failed: {error[:200]}; what waits for this key is tried again"


def _chain(exc: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exc
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _tls(cause: BaseException, of_sentinel: bool) -> Reason | None:
    whose = "a Sentinel's" if of_sentinel else "its"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Reason(
            f"failed: {whose} certificate is not trusted ({cause.verify_message})",
            "set redis.tls_ca_file to the CA that signed it, and write in redis.url the host that it names",
        )
    if isinstance(cause, ssl.SSLError):
        said = (cause.reason or "nothing").lower().replace("_", " ")
        return Reason(f"failed: {whose} TLS says {said}", "see redis.tls_… in config.toml")
    return None


def _login(cause: BaseException, of_sentinel: bool) -> Reason | None:
    if not isinstance(cause, AuthenticationError):
        return None
    if of_sentinel:
        return Reason(
            "failed: a Sentinel refuses the login",
            "give its own as ?sentinel_username=…&sentinel_password=… in redis.url",
        )
    return Reason("refuses the login", "check user name and password in redis.url")


def _connecting(cause: BaseException) -> Reason | None:
    if too_many_clients(cause):
        return _FULL_OF_CLIENTS
    if str(cause).startswith("Connection closed by server"):
        return _CLOSED
    return next((found for each, found in _BY_CLASS if isinstance(cause, each)), None)


def _words(exc: ResponseError) -> str:
    return _IN_SCRIPT.sub("", str(exc)).split(":")[0][:200]
