"""Which members of an event's data a card does not show, and what was perhaps meant by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

from notifier.templating import Template

_READ_FOR_LINKS = frozenset({
    "answer_id", "claim_id", "dashboard_id", "max_retries", "rejection_code", "retry_count", "runbook_url", "task_id",
})  # fmt: skip
"""Members that are read without the template: for links and for which actions a card offers."""

_OF_THE_EVENT = ("correlation_id", "priority", "stakeholders")
"""Fields of the event itself whose names are long enough to know a misspelt one."""
_NEAR = 0.85

_MOST = 20
"""Unused members of one event that are looked at: each look for a near name takes time."""


class Unused(NamedTuple):
    """A member that a card does not show."""

    name: str
    meant: str
    """The known member with a name like it, or the event's own field; empty when there is none."""


def shown_fields(template: Template) -> frozenset[str] | None:
    """Return the members of data that a card with this template may show, in lower case; None for all, as on a list of facts."""
    if template.members_read("facts") != frozenset():
        return None
    read = template.members_read("data")
    return None if read is None else read | _READ_FOR_LINKS


def unused_fields(
    data: Mapping[str, object], shown: frozenset[str] | None, documented: Iterable[str] = ()
) -> tuple[Unused, ...]:
    """Return the members that are neither shown nor documented."""
    if shown is None:
        return ()
    unused = [name for name in data if name not in shown and name.lower() not in shown]
    if not unused:
        return ()
    known = shown | frozenset(documented)
    return tuple(
        Unused(name, _meant(name[:64].lower(), known))
        for name in unused[:_MOST]
        if name.lower() not in known
    )


@lru_cache(maxsize=1024)
def _meant(name: str, known: frozenset[str]) -> str:
    if of_event := get_close_matches(name, _OF_THE_EVENT, 1, _NEAR):
        return of_event[0]
    parts = [
        each
        for each in known
        if f"{name}_".startswith(f"{each}_") or each.startswith(f"{name}_")
    ]
    return max(parts, key=len, default="") or next(
        iter(get_close_matches(name, sorted(known), 1)), ""
    )
