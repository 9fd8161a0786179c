"""Parse redis.url: one server, Sentinels or a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_PORTS = {"sentinel": 26379, "cluster": 6379}
_SENTINEL_OPTIONS = {"sentinel_username", "sentinel_password"}

_URL = re.compile(
    r"(?P<scheme>[^:/?#]+)://(?P<netloc>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)
_DB = re.compile(r"(?:/[0-9]{0,9})?")
_UNIX_DB = re.compile(r"db=[0-9]{1,9}")
_WRITTEN = "must be scheme://user:password@host:port; in a password write %23 for #, %2F for /, %3F for ? and %40 for @"


class RedisKind(Enum):
    """How the server that holds a key is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The address of Redis; of a single server only `kind` and `tls`."""

    kind: RedisKind
    tls: bool
    nodes: tuple[tuple[str, int], ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    service: str = ""
    db: int = 0
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def parse_redis_url(url: str) -> RedisAddress:
    """Parse a URL of redis://, unix://, redis+sentinel://, redis+cluster://.

    With rediss in place of redis it uses TLS.

    Raises:
        ValueError: The message names the wrong part, and never a password.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in {
        "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster",
    }:  # fmt: skip
        raise ValueError(
            "must start with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    base, _, kind = scheme.partition("+")
    tls = base == "rediss"
    parts = _split(url) if not kind else _split_several(url)
    if not kind:
        _require_documented(parts)
        return RedisAddress(RedisKind.SINGLE, tls)
    userinfo, at, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    nodes = tuple(_node(text, _PORTS[kind]) for text in hosts.split(","))
    login = (unquote(username) or None, unquote(password) or None) if at else (None, None)
    if kind == "cluster":
        if parts.path not in {"", "/", "/0"} or parts.query:
            raise ValueError(
                "a cluster has database 0 only: write redis+cluster://host:port,host:port"
            )
        return RedisAddress(RedisKind.CLUSTER, tls, nodes, *login)
    return _sentinel(parts, tls, nodes, login)


def check_redis_url(url: str) -> str:
    """Return the URL; raises ValueError as `parse_redis_url`."""
    parse_redis_url(url)
    return url


def _require_documented(parts: SplitResult) -> None:
    """Raise ValueError for parts that the driver ignores or obeys silently.

    The text quotes nothing: after a ? there may be the rest of a password.
    """
    if parts.scheme == "unix":
        if parts.query and not _UNIX_DB.fullmatch(parts.query):
            raise ValueError(
                "takes after ? only the number of the database: unix:///path/to/socket?db=1"
            )
    elif parts.query:
        raise ValueError(
            "takes nothing after ?: write the database as /1, TLS as rediss:// with redis.tls_…, and %3F for ? in a password"
        )
    elif not _DB.fullmatch(parts.path):
        raise ValueError("must end with the number of the database: redis://host:6379/0")


def _split(url: str) -> SplitResult:
    """Return the parts of a URL; raises ValueError without its password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_WRITTEN) from None
    if parts.fragment or port == 0:
        raise ValueError(_WRITTEN)
    return parts


def _split_several(url: str) -> SplitResult:
    """Return the parts of a URL with several hosts (RFC 3986, appendix B).

    urlsplit accepts them only in some versions of Python.
    """
    found = _URL.fullmatch(url)
    if found is None or not url.isprintable():
        raise ValueError(_WRITTEN)
    return SplitResult(
        found["scheme"], found["netloc"], found["path"], found["query"] or "", ""
    )


def _sentinel(
    parts: SplitResult,
    tls: bool,
    nodes: tuple[tuple[str, int], ...],
    login: tuple[str | None, str | None],
) -> RedisAddress:
    service, _, db = parts.path.strip("/").partition("/")
    if not service or not _DB.fullmatch(f"/{db}"):
        raise ValueError(
            "must name the master: redis+sentinel://host:port,host:port/mymaster or …/mymaster/0"
        )
    options = parse_qs(parts.query, keep_blank_values=True)
    if not options.keys() <= _SENTINEL_OPTIONS:
        raise ValueError(f"takes after ? only {' and '.join(sorted(_SENTINEL_OPTIONS))}")
    return RedisAddress(
        RedisKind.SENTINEL,
        tls,
        nodes,
        *login,
        service=unquote(service),
        db=int(db or 0),
        sentinel_username=options.get("sentinel_username", [None])[0],
        sentinel_password=options.get("sentinel_password", [None])[0],
    )


def _node(text: str, port: int) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, number = text, str(port)
    if host.startswith("[") != host.endswith("]") or (":" in host and host[0] != "["):
        raise ValueError(_WRITTEN)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not number.isdigit() or not 0 < int(number) < 65536:
        raise ValueError("must list host:port, with commas between them")
    return host, int(number)
