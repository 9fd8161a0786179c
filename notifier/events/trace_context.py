"""W3C Trace Context (www.w3.org/TR/trace-context) of events."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace

TRACEPARENT_PATTERN = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
"""Roughly what is valid, for schemas."""

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
_SAMPLED, _RANDOM = 0x01, 0x02
_STATE_MEMBERS = 32
_STATE_LENGTH = 512
"""The specification requires that at least this many characters are passed on; the rest is dropped."""
_STATE_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    flags: int = 0

    @property
    def sampled(self) -> bool:
        """Tell whether whoever began the trace records it."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        """Write it as a header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self, span_id: str) -> TraceContext:
        """Return another place in the same trace."""
        return replace(self, span_id=span_id)


def new_span_id() -> str:
    """Return a span id that nobody has."""
    return secrets.token_hex(8)


def trace_fields(traceparent: str) -> dict[str, str]:
    """Return the log fields of a place in a trace; traceparent is valid."""
    return {"trace_id": traceparent[3:35], "span_id": traceparent[36:52]}


def parse_traceparent(text: str) -> TraceContext | None:
    """Return the place that a traceparent names, None when it is not valid.

    Of versions to come the part is read that this one knows, as the specification asks.
    """
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if (
        version == "ff"
        or (version == "00" and rest)
        or not trace_id.strip("0")
        or not span_id.strip("0")
    ):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & (_SAMPLED | _RANDOM))


def clean_tracestate(text: str) -> str | None:
    """Return a tracestate as it is passed on, None when it is not valid."""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = [member.partition("=")[0] for member in members]
    if not members or len(members) > _STATE_MEMBERS or len(set(keys)) < len(keys):
        return None
    if not all(_STATE_MEMBER.fullmatch(member) for member in members):
        return None
    cleaned = ",".join(members)
    return cleaned if len(cleaned) <= _STATE_LENGTH else None
