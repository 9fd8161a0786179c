"""Compare the answers of /readyz with the faults of the servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

import aiohttp

from tests.chaos.journal import Journal
from tests.chaos.plan import Fault, Target, Way

POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0
SEEN_AFTER_SECONDS = 6.0
"""It asks a server every 2 s, waits 2 s for the answer, and is asked every half second."""
WELL_AFTER_SECONDS = 8.0
"""Stages wait up to 5 s before they try again."""
_SLOW_SECONDS = 3.0
"""An answer that took longer says more of this machine than of the daemon."""
_SERVERS = (Way.REDIS, Way.POSTGRES)


@dataclass(frozen=True)
class Said:
    """One answer of a daemon, or that there was none."""

    daemon: int
    asked_at: float
    at: float
    ready: bool
    works: Mapping[str, bool]
    """By server; empty when there was no answer."""
    starting: bool = False
    """Some part has not done its first work yet."""


@dataclass(frozen=True)
class Trouble:
    """A fault of a server for all daemons, or of one daemon."""

    what: str
    since: float
    until: float
    gone: bool
    """Nothing came through; else what readiness makes of it is its own affair."""
    daemon: int | None = None


async def watch(urls: Callable[[], Mapping[int, str]], journal: Journal) -> None:
    """Ask every daemon again and again, until cancelled."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_PATIENCE_SECONDS)) as http:
        while True:
            await asyncio.gather(
                *(_ask(http, which, url, journal) for which, url in urls().items())
            )
            await asyncio.sleep(POLL_SECONDS)


async def _ask(http: aiohttp.ClientSession, which: int, url: str, journal: Journal) -> None:
    asked = time()
    try:
        async with http.get(url) as answer:
            body: dict[str, Any] = await answer.json()
            states = {way: body[way]["state"] == "ok" for way in _SERVERS}
            parts = {part: state for part, state in body["parts"].items() if state != "ok"}
            ready = answer.status == 200
            journal.write(daemon=which, asked=asked, ready=ready, parts=parts, **states)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        journal.write(daemon=which, asked=asked, ready=False, failed=type(exc).__name__)


def said(journal: Journal) -> list[Said]:
    """Return what was answered."""
    return [
        Said(
            line["daemon"],
            line["asked"],
            line["at"],
            bool(line["ready"]),
            {way: bool(line[way]) for way in _SERVERS if way in line},
            "starting" in line.get("parts", {}).values(),
        )
        for line in journal.lines()
    ]


def troubles(hits: Iterable[Mapping[str, Any]]) -> list[Trouble]:
    """Return the faults from the journal of hits; some never end."""
    lines = list(hits)
    back = {line["done"]: line["at"] for line in lines if "done" in line}
    found = [
        Trouble("daemon", line["at"], line["at"], gone=True, daemon=line["started"])
        for line in lines
        if "started" in line
    ]
    for line in lines:
        until = back.get(line.get("number"), float("inf"))
        match line.get("kill"):
            case Target.DAEMON:
                found.append(
                    Trouble("daemon", line["at"], until, gone=True, daemon=line["which"])
                )
            case Target.REDIS | Target.POSTGRES:
                # The moment of the kill lies a little after its line, and the server is back a little before.
                found.append(Trouble(line["kill"], line["at"], until, gone=False))
            case Target.NETWORK:
                gone = line["fault"] not in (Fault.DELAY, Fault.HALVE)
                found.append(Trouble(line["way"], line["at"], until, gone=gone))
            case "stall":
                found += [
                    Trouble(way, line["at"], line["until"], gone=False) for way in _SERVERS
                ]
            case "run":
                found += [Trouble(way, 0.0, line["at"], gone=False) for way in _SERVERS]
    return found


@dataclass
class Heard:
    """Untrue answers of readiness, and how many answers could be judged."""

    lies: list[str]
    judged: int = 0


def judge(answers: Sequence[Said], done: Sequence[Trouble]) -> Heard:
    """Compare answers with faults.

    Near the edges, and while a way is only slow, either answer is right.
    """
    heard = Heard([])
    for which in {answer.daemon for answer in answers}:
        of_it = [each for each in done if each.daemon == which]
        begun: float | None = None
        last = 0.0
        for answer in (each for each in answers if each.daemon == which):
            if any(last < each.until and each.since <= answer.at for each in of_it):
                begun = None  # it was killed or started since
            last = answer.at
            if begun is None and answer.works and not answer.starting:
                begun = answer.at
            if begun is not None and answer.asked_at - begun >= WELL_AFTER_SECONDS:
                _judge(heard, answer, [each for each in done if each.daemon is None])
    return heard


def _judge(heard: Heard, answer: Said, done: Sequence[Trouble]) -> None:
    by = f"daemon {answer.daemon} at {answer.at:.1f}"
    if not answer.works:
        heard.lies.append(f"{by}: no answer")
        return
    all_well = answer.at - answer.asked_at < _SLOW_SECONDS
    for way in _SERVERS:
        of_it = [each for each in done if each.what == way]
        well = not any(_disturbed(each, answer) for each in of_it)
        gone = any(
            each.gone
            and each.since <= answer.at - SEEN_AFTER_SECONDS
            and each.until >= answer.at
            for each in of_it
        )
        heard.judged += 1 if gone or well else 0
        if gone and answer.works[way]:
            heard.lies.append(f"{by}: {way} works, though nothing reached it for {SEEN_AFTER_SECONDS:g} s")  # fmt: skip
        if well and not answer.works[way]:
            heard.lies.append(f"{by}: {way} does not work, though it did for {WELL_AFTER_SECONDS:g} s")  # fmt: skip
        all_well = all_well and well
    if all_well and not answer.ready:
        heard.lies.append(
            f"{by}: not ready, though there was no fault for {WELL_AFTER_SECONDS:g} s"
        )


def _disturbed(trouble: Trouble, answer: Said) -> bool:
    """Tell whether something was wrong at the answer or shortly before."""
    return trouble.since <= answer.at and trouble.until >= answer.asked_at - WELL_AFTER_SECONDS
