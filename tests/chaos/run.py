"""One run, from an empty folder or an interrupted run, to its result."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psycopg
import redis

from tests.chaos import witness
from tests.chaos.checker import Verdict, judge
from tests.chaos.evidence import (
    Journals,
    attempts_recorded,
    collect,
    entries_added,
    left_in_redis,
    row_count,
)
from tests.chaos.plan import CHANNELS, Action, Settings, Target, actions, escalations, event
from tests.chaos.producers import Producers
from tests.chaos.receiver import ChaosReceiver
from tests.chaos.world import IN_FLIGHT, World

QUIET_SECONDS = 6.0
"""No post for this long, which is more than a lease, and nothing left to do: it has settled."""
_REPORT_SECONDS = 10.0

Say = Callable[[str], None]


def prepare(settings: Settings, folder: Path) -> None:
    """Prepare the folder: an interrupted run of the same settings continues."""
    plan = folder / "plan.json"
    text = json.dumps(
        {**asdict(settings), "actions": [asdict(action) for action in actions(settings)]},
        indent=1,
    )
    unfinished = (
        plan.exists() and plan.read_text() == text and not (folder / "verdict.json").exists()
    )
    if not unfinished:
        if folder.exists() and any(folder.iterdir()) and not plan.exists():
            raise SystemExit(f"{folder} holds something else; name another with --folder")
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # Postgres may run under another account
    plan.write_text(text)


async def run(settings: Settings, folder: Path, *, settle_seconds: float, say: Say) -> Verdict:
    """Run the plan, wait until everything has settled, and judge.

    It waits at most `settle_seconds` after the last event.
    """
    journals = Journals(folder)
    begun = time.monotonic()
    done = {line["done"] for line in journals.hits.lines() if "done" in line}
    if done or any(True for _ in journals.published.lines()):
        say("going on where this run was broken off")
        everything = settings.daemons * IN_FLIGHT * len(CHANNELS)
        journals.hits.write(kill="run", number=-1, in_flight=everything, which=0, seconds=0)
    receiver = ChaosReceiver(settings, journals.posts)
    await receiver.start()
    world = World(settings, folder, receiver, journals.hits)
    seen = asyncio.create_task(witness.watch(world.readiness_urls, journals.readiness))
    try:
        await world.start()
        producers = Producers(settings, lambda: world.redis.url, journals.published)
        report = asyncio.create_task(_report(settings, producers, world, say))
        left = [action for action in actions(settings) if action.number not in done]
        watch = asyncio.create_task(world.watch())
        stalls = asyncio.create_task(world.notice_stalls())
        work = asyncio.create_task(_work(left, producers, world))
        try:
            await asyncio.wait({watch, work}, return_when=asyncio.FIRST_COMPLETED)
            await (watch if watch.done() else work)
            settled = await _settle(settings, receiver, world, settle_seconds)
        finally:
            for task in (watch, work, report, stalls):
                task.cancel()
            await asyncio.gather(watch, work, report, stalls, return_exceptions=True)
        verdict = judge(collect(settings, journals, world.redis.url, world.postgres.url))
        _add_figures(verdict, journals, world, time.monotonic() - begun)
        if not settled:
            verdict.violations.append(f"not settled {settle_seconds:g} s after the last event")
    finally:
        seen.cancel()
        await world.stop()
        await receiver.stop()
        journals.close()
    (folder / "verdict.json").write_text(json.dumps(asdict(verdict), indent=1))
    return verdict


async def _work(left: list[Action], producers: Producers, world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(producers.run())
        for action in left:
            tasks.create_task(_act(action, producers, world))


async def _act(action: Action, producers: Producers, world: World) -> None:
    await producers.reached(action.after)
    await world.hit(action)


async def _settle(
    settings: Settings, receiver: ChaosReceiver, world: World, seconds: float
) -> bool:
    clock = asyncio.get_running_loop().time
    planned = [event(settings, number) for number in range(settings.events)]
    expected = sum(len(each.channels) + len(escalations(each)) for each in planned)
    deadline = clock() + seconds
    everything_in: float | None = None
    while clock() < deadline:
        rows = await asyncio.to_thread(row_count, world.postgres.url)
        waiting = await asyncio.to_thread(left_in_redis, world.redis.url)
        if waiting or (rows < expected and settings.appendfsync == "always"):
            everything_in = None
        elif everything_in is None:
            everything_in = clock()
        elif clock() - max(receiver.last_post_at, everything_in) > QUIET_SECONDS:
            return True
        await asyncio.sleep(0.5)
    return False


async def _report(settings: Settings, producers: Producers, world: World, say: Say) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        try:
            rows: object = await asyncio.to_thread(row_count, world.postgres.url)
        except psycopg.Error:
            rows = "?"
        try:
            waiting: object = sum(
                (await asyncio.to_thread(left_in_redis, world.redis.url)).values()
            )
        except redis.RedisError:
            waiting = "?"
        say(
            f"{producers.published} of {settings.events} events published, {rows} rows, {waiting} entries wait in Redis"
        )


def _add_figures(verdict: Verdict, journals: Journals, world: World, seconds: float) -> None:
    hits = Counter(str(line["kill"]) for line in journals.hits.lines() if "kill" in line)
    answers = Counter(str(line["answer"]) for line in journals.posts.lines())
    verdict.figures |= {
        "kills": ", ".join(
            f"{target} {hits[target]}"
            for target in (Target.DAEMON, Target.REDIS, Target.POSTGRES, "run")
            if hits[target]
        ),
        "network disturbed": hits[Target.NETWORK],
        "times that the run itself stopped": hits["stall"],
        "answers of /readyz": sum(1 for _ in journals.readiness.lines()),
        "answers": ", ".join(f"{name} {count}" for name, count in answers.most_common()),
        "entries on the event stream": entries_added(world.redis.url),
        "attempts recorded": attempts_recorded(world.postgres.url),
        "seconds": round(seconds),
    }
