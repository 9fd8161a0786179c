"""Functions on addresses and on encodings."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from notifier.templating.functions.arguments import given_text
from notifier.templating.values import UNDEFINED, EvaluationError, Value

_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


class _Address(NamedTuple):
    scheme: str
    host: str
    port: float
    """NaN: the usual one of the scheme."""
    path: str
    query: str


def _address(value: Value) -> _Address:
    """Read an absolute address as the URL Standard does for the usual schemes."""
    given = given_text(value).strip()
    if not _ABSOLUTE.match(given):
        raise EvaluationError("is not an absolute address")
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise EvaluationError("is not an address") from None
    scheme = parts.scheme
    if scheme in _DEFAULT_PORTS and not parts.hostname:
        raise EvaluationError("is not an address: it has no host")
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._|[]^\\")
    if scheme in _DEFAULT_PORTS:
        path = _without_dots(path or "/")
    query = quote(parts.query, safe="/%:@!$&()*+,;=~-._?|[]^\\{}`")
    return _Address(
        scheme,
        parts.hostname or "",
        math.nan if port is None or port == _DEFAULT_PORTS.get(scheme) else port,
        path,
        f"?{query}" if query else "",
    )


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _decoded(value: Value) -> bytes:
    text = _NOT_BASE64.sub(
        "", given_text(value).replace("-", "+").replace("_", "/").split("=")[0]
    )
    try:
        return base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + "==")
    except binascii.Error:
        raise EvaluationError("is not base64") from None


def _encoded(value: Value) -> bytes:
    return given_text(value).encode(errors="replace")


def _base64(value: Value) -> Value:
    raw = _encoded(value) if isinstance(value, str) else value
    return base64.b64encode(raw).decode() if isinstance(raw, bytes) else UNDEFINED


def _uri_component_to_string(value: Value) -> Value:
    text = given_text(value)
    if _BAD_ESCAPE.search(text):
        raise EvaluationError("has a % that does not start an escape")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise EvaluationError("is not UTF-8") from None


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "base64": _base64,
    "base64ToString": lambda value: _decoded(value).decode("latin-1"),
    "base64ToBinary": lambda value: _decoded(value).decode("latin-1").encode(),
    **dict.fromkeys(("binary", "dataUriToBinary"), _encoded),
    "dataUri": lambda value: (
        f"data:text/plain;charset=utf-8;base64,{_base64(given_text(value))}"
    ),
    "dataUriToString": lambda value: _decoded(given_text(value)[value.find(",") + 1 :]).decode(
        "latin-1"
    ),
    "uriComponent": lambda value: quote(given_text(value), safe="~()*!.'-_"),
    "uriComponentToString": _uri_component_to_string,
    "uriHost": lambda value: _address(value).host,
    "uriPath": lambda value: _address(value).path,
    "uriPathAndQuery": lambda value: _address(value).path + _address(value).query,
    "uriPort": lambda value: _address(value).port,
    "uriQuery": lambda value: _address(value).query,
    "uriScheme": lambda value: _address(value).scheme,
}
