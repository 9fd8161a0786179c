"""Say in fixed words why Redis did not do something: a command's arguments would be event data, and are never shown. Pure."""

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
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from notifier.broker.pool import too_many
from notifier.broker.replies import ReplyTooLargeError
from notifier.config import mask_url
from notifier.errors import StreamError

_IN_SCRIPT = re.compile(r"^.*@user_script: ?\d+: -?")
"""What Redis 6.2 puts before the error of a script's command."""
_CHECK = "check redis.url and that the server is up"
_RIGHTS = "give this user its rights (docs/how-to/redis.md); notifier doctor names those that are missing"


@dataclass(frozen=True, slots=True)
class Reason:
    """What Redis did, and what mends it."""

    what: str
    fix: str = _CHECK


_UNKNOWN = Reason(
    "cannot be found: its host name is unknown", "correct the host in redis.url, or mend DNS"
)
_REFUSES = Reason("refuses connections")
_LOGIN = Reason("refuses the login", "check user name and password in redis.url")
_LATE = Reason(
    "does not answer in time",
    "check host and port in redis.url (rediss only where it speaks TLS), that the server is up, and firewalls",
)
_STATES = {
    "READONLY": Reason(
        "is a replica and takes no writes",
        "this ends when the name in redis.url leads to the new master; else correct it",
    ),
    "MISCONF": Reason(
        "takes no writes: it cannot save its data",
        "see the log of Redis; make room on its disk",
    ),
    "NOREPLICAS": Reason(
        "takes no writes: too few replicas follow it (min-replicas-to-write)",
        "start its replicas, or see what keeps them from following",
    ),
    "busy running a script": Reason(
        "is busy with a script, of notifier or of another program",
        "see SLOWLOG GET for whose it is; SCRIPT KILL ends one that has written nothing",
    ),
    "MASTERDOWN": Reason(
        "is a replica that has lost its master",
        "this ends when the name in redis.url leads to the new master; else correct it",
    ),
}
"""What Redis says in an error, by its first word as a rule, whatever the command."""
_AWAY = (ConnectionError, RedisTimeoutError, OSError, ReadOnlyError, ClusterDownError, RedisClusterException)  # fmt: skip
_FULL_OF_CLIENTS = Reason(
    "takes no more connections: its maxclients is reached",
    "raise maxclients, or see who holds connections (CLIENT LIST)",
)
_MOVING = Reason(
    "moves the slot of these keys to another master",
    "it goes on by itself when that is done; redis-cli --cluster check tells whether it is",
)
_CLOSED = Reason("closes the connection", f"{_CHECK}, and write rediss where it speaks TLS")


def stream_error(url: str, exc: BaseException) -> StreamError:
    """Return the error to raise for what came of this address, which is masked."""
    why = reason(exc)
    return StreamError(f"Redis at {mask_url(url)} {why.what}; {why.fix}")


def reason(exc: BaseException) -> Reason:
    """Return why, from what the driver raised; of what is not known Redis's own word or the class is said."""
    if isinstance(exc, ResponseError) and "maxmemory" in str(exc):
        return Reason(
            "is full: it reached its maxmemory",
            "raise it, or see what fills it (notifier's keys are in docs/reference/data.md)",
        )
    if isinstance(exc, ResponseError) and _refused(exc):
        return Reason(f"refuses: {_word(exc)}", _RIGHTS)
    if isinstance(exc, ResponseError) and (state := _state(exc)) is not None:
        return state
    # Its keys stand on both, and the driver has tried often enough.
    if isinstance(exc, TryAgainError) or type(exc) is ClusterError:
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
        return _responding(exc)
    if isinstance(exc, ReplyTooLargeError):
        return Reason(
            "holds more in one reply than this process takes",
            "see which entries are too large, and who adds them",
        )
    return Reason(f"failed: {type(exc).__name__}")


def obeys_nobody(exc: BaseException) -> bool:
    """Tell whether the server took no command that writes, whoever sent it: then no consumer could renew its leases."""
    if isinstance(exc, ResponseError) and _state(exc) is not None:
        return True
    # Who has a connection keeps it when there are no more.
    return isinstance(exc, _AWAY) and not too_many(exc)


def _state(exc: ResponseError) -> Reason | None:
    # The driver takes the word off some of them.
    text = f"{exc.status_code or ''} {exc}"
    return next((found for word, found in _STATES.items() if word in text), None)


def _refused(exc: ResponseError) -> bool:
    # Redis 6.2 and 7.0 say of a command in a script only that the user "can't run this command".
    return (
        isinstance(exc, NoPermissionError)
        or "permission" in str(exc).lower()
        or "can't run" in str(exc)
    )


def _chain(exc: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exc
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _tls(cause: BaseException, of_sentinel: bool) -> Reason | None:
    who = "a Sentinel's" if of_sentinel else "its"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Reason(
            f"failed: {who} certificate is not trusted ({cause.verify_message})",
            "set redis.tls_ca_file to the CA that signed it, and write in redis.url the host that it names",
        )
    if isinstance(cause, ssl.SSLError):
        said = (cause.reason or "nothing").lower().replace("_", " ")
        return Reason(f"failed: {who} TLS says {said}", "see redis.tls_… in config.toml")
    return None


def _login(cause: BaseException, of_sentinel: bool) -> Reason | None:
    refused = isinstance(cause, AuthenticationError) or (
        isinstance(cause, ResponseError) and str(cause).startswith(("NOAUTH", "WRONGPASS"))
    )
    if not refused:
        return None
    if of_sentinel:
        return Reason(
            "failed: a Sentinel refuses the login",
            "give its own as ?sentinel_username=…&sentinel_password=… in redis.url",
        )
    return _LOGIN


def _connecting(cause: BaseException) -> Reason | None:
    match cause:
        case socket.gaierror():
            return _UNKNOWN
        case ConnectionRefusedError():
            return _REFUSES
        case FileNotFoundError():
            return Reason("has no such socket")
        case ConnectionResetError() | EOFError():
            return _CLOSED
        case TimeoutError() | RedisTimeoutError():
            return _LATE
        case _ if "max number of clients" in str(cause):
            return _FULL_OF_CLIENTS
        case BusyLoadingError():
            return Reason("is still reading its data", "wait until it has")
        case InvalidResponse():
            return Reason(
                "is no Redis: something else answers", "check host and port in redis.url"
            )
        case RedisClusterException():
            # It keeps no cause, only a text with the number of the last one.
            text = str(cause)
            if "Connect call failed" in text or "Error 111 " in text:
                return _REFUSES
            if "Name or service not known" in text or re.search(r"Error -[25] ", text):
                return _UNKNOWN
        case _:
            pass
    if str(cause).startswith("Connection closed by server"):
        return _CLOSED
    return None


def _responding(exc: ResponseError) -> Reason:
    if "DB index is out of range" in str(exc):
        return Reason(
            "has no database of this number", "correct the number at the end of redis.url"
        )
    if "exhausted the last possible ID" in str(exc):
        return Reason(
            "takes no event any more: the last id of its stream is used up",
            "stop what adds such ids; when nothing waits in it (notifier top), DEL it: notifier makes it again",
        )
    return Reason(f"failed: {_word(exc)}")


def _word(exc: ResponseError) -> str:
    return _IN_SCRIPT.sub("", str(exc)).split(":")[0][:200]
