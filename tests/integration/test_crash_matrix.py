"""A real SIGKILL in every window of the stages loses nothing.

docs/explanation/reliability.md shows the matrix.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import redis

from notifier.broker.keys import Keys
from tests.support.action_pages import links_on, post, public, requests
from tests.support.daemons import Daemons
from tests.support.processes import Process, run
from tests.support.publishing import DIGESTING, refused
from tests.support.waiting import until

STEPS = [
    "intake read", "intake hop",
    "delivery read", "delivery post", "delivery hop",
    "recorder read", "recorder commit", "recorder hop",
]  # fmt: skip
WINDOWS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]
REPEATED = {"after delivery post", "before delivery hop"}
"""A card that was posted and not hopped comes twice: one, one at a time."""
EVENTS = 8
LEASE = {"TEAMS_REDIS__LEASE_SECONDS": "1", "TEAMS_DELIVERY__IN_FLIGHT": "1"}
CRASHING = "tests.support.crashing"
RECORDING = {"escalation": "recorder", "action": "recorder"}
"""The stage of each window's step."""


async def crash(daemons: Daemons, window: str, **env: str) -> None:
    """Run until the window's stage has killed itself, then start it again."""
    stage = window.split()[1]
    others = ",".join(name for name in ("intake", "delivery", "recorder") if name != stage)
    await daemons.start("--stages", others, **LEASE, **env)
    await killed(daemons, window, **env)
    await daemons.start("--stages", stage, **LEASE, **env)


async def killed(daemons: Daemons, window: str, *arguments: str, **env: str) -> None:
    await died(await crashing(daemons, window, *arguments, **env))


async def crashing(daemons: Daemons, window: str, *arguments: str, **env: str) -> Process:
    """Start the window's stage, which kills itself there."""
    stage = RECORDING.get(window.split()[1], window.split()[1])
    settings = {"CRASH_AT": window, **LEASE, **env}
    return await daemons.start(
        "--stages", stage, *arguments, ready=False, program=CRASHING, **settings
    )


async def died(process: Process) -> None:
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


def publish(daemons: Daemons, count: int = EVENTS, stakeholders: str = "sre") -> None:
    for number in range(count):
        daemons.publish(stakeholders=stakeholders, id=f"e{number}")


async def settled(
    daemons: Daemons, status: str = "delivered", channels: tuple[str, ...] = ("sre",)
) -> int:
    """Wait until every event has its rows; return the number of repeats."""
    expected = {(f"e{number}", channel) for number in range(EVENTS) for channel in channels}
    await until(lambda: len(daemons.rows()) >= len(expected), 60)
    await until(lambda: not daemons.left_over())

    found = daemons.rows()
    assert Counter((row["event_id"], row["channel"]) for row in found) == Counter(expected)
    assert {row["status"] for row in found} == {status}
    posts = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert len(posts) == len(expected)
    return posts.total() - len(expected)


@pytest.mark.parametrize("window", WINDOWS)
async def test_a_process_killed_in_this_window_loses_and_repeats_nothing_else(
    daemons: Daemons, window: str
):
    publish(daemons)

    await crash(daemons, window)

    assert await settled(daemons) == (1 if window in REPEATED else 0)
    assert daemons.dead_letters() == []


@pytest.mark.parametrize(
    "window",
    [
        "before intake hop", "after intake hop", "after delivery post", "before delivery hop", "after delivery hop",
        "before recorder commit", "after recorder commit",
    ],
)  # fmt: skip
async def test_an_event_of_several_channels_reaches_each_of_them(daemons: Daemons, window: str):
    channels = ("compliance", "pmo", "sre")
    publish(daemons, stakeholders=",".join(channels))

    await crash(daemons, window)

    repeated = await settled(daemons, channels=channels)
    # Each channel has one post in flight, whose hop may be there already or not.
    if "delivery" in window:
        assert repeated <= len(channels)
    else:
        assert repeated == 0


@pytest.mark.parametrize("stage", ["intake", "delivery", "recorder"])
async def test_who_takes_over_may_be_killed_too(daemons: Daemons, stage: str):
    others = ",".join(name for name in ("intake", "delivery", "recorder") if name != stage)
    await daemons.start("--stages", others, **LEASE)
    publish(daemons)
    await killed(daemons, f"after {stage} read")

    await killed(daemons, f"after {stage} claim")
    await daemons.start("--stages", stage, **LEASE)

    assert await settled(daemons) == 0


@pytest.mark.parametrize(
    "window", ["after delivery post", "before delivery hop", "after delivery hop"]
)
async def test_a_refused_notification_leaves_one_dead_letter(daemons: Daemons, window: str):
    daemons.receiver.answer(400)
    publish(daemons)

    await crash(daemons, window)

    assert await settled(daemons, "dead_lettered") == (1 if window in REPEATED else 0)
    found = Counter(letter["event_id"] for letter in daemons.dead_letters())
    assert found == Counter(f"e{number}" for number in range(EVENTS))


@pytest.mark.parametrize("window", ["before intake hop", "after intake hop"])
async def test_what_is_no_event_leaves_one_dead_letter(daemons: Daemons, window: str):
    for number in range(EVENTS):
        daemons.add({"stakeholders": "sre", "id": f"e{number}"})

    await crash(daemons, window)

    await until(lambda: len(daemons.dead_letters()) >= EVENTS)
    await until(lambda: not daemons.left_over())
    sources = [letter["source_id"] for letter in daemons.dead_letters()]
    assert len(sources) == len(set(sources)) == EVENTS
    assert daemons.rows() == []


async def test_killed_between_two_attempts_it_is_tried_again(daemons: Daemons):
    daemons.receiver.answer(503, times=1)
    publish(daemons)

    await crash(daemons, "after delivery post")

    # The one that was repeated is the one that had failed: no card came twice.
    assert await settled(daemons) == 1
    first = daemons.receiver.requests[0].headers["webhook-id"]
    ids = [request.headers["webhook-id"] for request in daemons.receiver.requests]
    assert ids.count(first) == 2


@pytest.mark.parametrize("window", [each for each in WINDOWS if "delivery" in each])
async def test_a_digest_is_hopped_whole_or_not_at_all(daemons: Daemons, window: str):
    await daemons.start("--stages", "intake,recorder", **LEASE, **DIGESTING)
    publish(daemons)
    await until(lambda: daemons.lane_length() == EVENTS)
    await killed(daemons, window, **DIGESTING)
    await daemons.start("--stages", "delivery", **LEASE, **DIGESTING)

    await until(lambda: len(daemons.rows()) == EVENTS, 60)
    await until(lambda: not daemons.left_over())
    found = daemons.rows()
    assert {row["event_id"] for row in found} == {f"e{number}" for number in range(EVENTS)}
    assert {row["status"] for row in found} == {"delivered"}
    digests = {row["digest_id"] for row in found}
    posts = [request.headers["webhook-id"] for request in daemons.receiver.requests]
    if window in {"before delivery read", "after delivery hop"}:
        assert posts == [str(digest) for digest in digests]
    elif window == "after delivery read":
        # Notifications that had been read are posted alone, the rest as a digest again.
        alone = [row for row in found if row["digest_id"] is None]
        assert alone
        assert len(posts) == len(set(posts)) == len(alone) + len(digests - {None})
    else:
        # A claimed notification is posted alone: it may have been in a digest already.
        assert digests == {None}
        assert len(posts) == EVENTS + (1 if window in REPEATED else 0)


async def test_digests_are_recorded_once_though_their_recorder_is_killed_in_every_window(
    daemons: Daemons,
):
    await daemons.start("--stages", "intake", **LEASE, **DIGESTING)
    windows = [window for window in WINDOWS if "recorder" in window]
    for number in range(EVENTS * len(windows)):
        daemons.publish(id=f"e{number}")
    await until(lambda: daemons.lane_length() == EVENTS * len(windows))
    await daemons.start("--stages", "delivery", **LEASE, **DIGESTING)

    for window in windows:
        await killed(daemons, window, TEAMS_RECORDER__BATCH="2")
    await daemons.start("--stages", "recorder", **LEASE)

    await until(lambda: len(daemons.rows()) == EVENTS * len(windows), 60)
    await until(lambda: not daemons.left_over())
    posts = Counter(request.headers["webhook-id"] for request in daemons.receiver.requests)
    assert posts == Counter({str(row["digest_id"]) for row in daemons.rows()})


ESCALATION_WINDOWS = [
    "before escalation take", "after escalation take", "before escalation publish", "after escalation publish",
    "before escalation plan", "after escalation plan", "after escalation commit",
]  # fmt: skip
ESCALATING = """
[escalation]
poll_seconds = 0.05
CRITICAL = { after_seconds = 0.3, chain = ["nphies_integration", "devops"] }
"""


async def test_each_step_is_told_once_though_its_scheduler_is_killed_in_every_window(
    daemons: Daemons, tmp_path: Path
):
    path = tmp_path / "mine.toml"
    path.write_text(ESCALATING)
    await daemons.start("--stages", "intake,delivery", "--config", str(path), **LEASE)
    for number, window in enumerate(ESCALATION_WINDOWS):
        event = {"type": "a.b", "stakeholders": "sre", "id": f"e{number}"}
        daemons.add(event | {"priority": "CRITICAL"})
        await killed(daemons, window, "--config", str(path))
    await daemons.start("--stages", "recorder", "--config", str(path), **LEASE)

    count = len(ESCALATION_WINDOWS)
    await until(lambda: len(daemons.rows()) >= 3 * count, 60)
    await until(lambda: not daemons.left_over())
    found = daemons.rows()
    told = {"sre": count, "nphies_integration": count, "devops": count}
    assert Counter(row["channel"] for row in found) == told
    assert Counter(each.path for each in daemons.receiver.requests) == {
        f"/{channel}": times for channel, times in told.items()
    }
    steps = daemons.rows("SELECT event_id, step FROM teams_escalations")
    assert Counter((row["event_id"], row["step"]) for row in steps) == Counter(
        (f"e{number}", step) for number in range(count) for step in (1, 2)
    )


ACTION_WINDOWS = [
    f"{when} action {step}" for step in ("take", "accept", "hop", "apply") for when in ("before", "after")
] + ["after action commit"]  # fmt: skip


async def test_each_action_is_done_once_though_its_process_is_killed_in_every_window(
    daemons: Daemons,
):
    pages = public() | {"TEAMS_DELIVERY__DIGEST_THRESHOLD": "0"}
    await daemons.start("--stages", "intake,delivery", **LEASE, **without_listener(pages))
    for number in range(len(ACTION_WINDOWS)):
        failed = {"type": "celery.task.failed", "stakeholders": "sre", "id": f"e{number}"}
        daemons.add(
            failed | {"task_id": f"t{number}", "retry_count": "3", "max_retries": "3"},
        )
    cards = await daemons.receiver.wait_for(len(ACTION_WINDOWS))
    urls = [links_on(card.body)["Retry task"] for card in cards]

    for window, url in zip(ACTION_WINDOWS, urls, strict=True):
        process = await crashing(daemons, window, **pages)
        while process.returncode is None:
            with suppress(aiohttp.ClientError):
                await post(url, who="Sara")
            await asyncio.sleep(0.02)
        await died(process)
    await daemons.start("--stages", "recorder", **LEASE, **pages)
    # Whoever had no answer presses again; it was done already, but where the process died before.
    again = [(await post(url, who="Omar"))[0] for url in urls]
    assert again[0] == 200
    assert set(again) == {200, 409}

    def takers() -> Counter[str]:
        return Counter(row["acknowledged_by"] for row in daemons.rows())

    await until(lambda: takers() == {"Omar": again.count(200), "Sara": again.count(409)})
    asked = [request["notification_id"] for request in requests(daemons.redis_url)]
    assert len(asked) == len(set(asked)) == len(urls)


def without_listener(pages: dict[str, str]) -> dict[str, str]:
    """Return the settings of a process that only renders links on cards."""
    return {name: value for name, value in pages.items() if not name.endswith("BIND")}


def command(daemons: Daemons, program: str, *arguments: str, **env: str) -> int:
    """Run a command of the CLI; returns its exit code."""
    servers = {"REDIS_URL": daemons.redis_url, "DATABASE_URL": daemons.database_url}
    return run(*arguments, program=program, env=servers | env).returncode


REPLAY_WINDOWS = [
    "before replay note", "after replay note", "before replay move", "after replay move",
]  # fmt: skip


@pytest.mark.parametrize("window", REPLAY_WINDOWS)
async def test_a_killed_replay_of_a_dead_letter_is_done_once_when_repeated(
    daemons: Daemons, window: str
):
    await refused(daemons)
    [(letter_id, _)] = daemons.dead_entries()
    replay = ("dlq", "replay", letter_id, "--by", "ops")

    assert command(daemons, CRASHING, *replay, CRASH_AT=window) == -signal.SIGKILL
    was_done = window == "after replay move"
    assert (daemons.dead_entries() == []) is was_done
    assert command(daemons, "notifier", *replay) == (1 if was_done else 0)

    await until(lambda: daemons.rows()[0]["status"] == "delivered")
    await until(lambda: not daemons.left_over())
    assert len(daemons.rows()) == 1
    assert len(daemons.receiver.requests) == 2
    assert daemons.dead_entries() == []
    assert [(record["action"], record["who"]) for record in daemons.dead_letter_actions()] == [
        ("replay", "ops")
    ]


@pytest.mark.parametrize("window", ["before replay move", "after replay move"])
async def test_a_replay_of_a_refused_digest_that_is_killed_half_way_is_ended_by_repeating_it(
    daemons: Daemons, window: str
):
    daemons.receiver.answer(400)
    await daemons.start("--stages", "intake", **LEASE)
    publish(daemons)
    await until(lambda: daemons.lane_length() == EVENTS)
    await daemons.start("--stages", "delivery,recorder", **LEASE, **DIGESTING)
    await until(lambda: len(daemons.rows()) == EVENTS, 60)
    [digest_id] = {row["digest_id"] for row in daemons.rows()}
    assert digest_id is not None
    assert len(daemons.dead_entries()) == EVENTS
    daemons.receiver.recover()
    replay = ("dlq", "replay", "--all", "--by", "ops", "--rate", "0")

    crash_at = {"CRASH_AT": window, "CRASH_SKIP": "3"}
    assert command(daemons, CRASHING, *replay, **crash_at) == -signal.SIGKILL
    done = 3 if window.startswith("before") else 4
    assert len(daemons.dead_entries()) == EVENTS - done
    assert command(daemons, "notifier", *replay) == 0

    await until(lambda: {row["status"] for row in daemons.rows()} == {"delivered"})
    await until(lambda: not daemons.left_over())
    assert len(daemons.rows()) == EVENTS
    assert daemons.dead_entries() == []
    assert len(daemons.dead_letter_actions()) == EVENTS
    delivered = Counter(
        each.headers["webhook-id"] for each in daemons.receiver.requests if each.status == 202
    )
    assert set(delivered.values()) == {1}


@pytest.mark.parametrize("window", ["before replay add", "after replay add"])
async def test_a_killed_replay_of_a_time_range_goes_on_when_repeated(
    daemons: Daemons, window: str
):
    # Without delivery: what the first replay has added still waits in its lane.
    intake = await daemons.start("--stages", "intake", **LEASE)
    publish(daemons)
    await until(lambda: daemons.lane_length() == EVENTS)
    intake.terminate()
    assert await intake.wait() == 0
    empty_lanes(daemons)
    replay = ("replay", "--since", "2020-01-01", "--rate", "0")

    assert command(daemons, CRASHING, *replay, CRASH_AT=window) == -signal.SIGKILL
    assert daemons.lane_length() == (1 if window.startswith("after") else 0)
    assert command(daemons, "notifier", *replay) == 0

    await daemons.start(**LEASE)
    assert await settled(daemons) == 0


def empty_lanes(daemons: Daemons) -> None:
    """Lose what waits in the lane, as an operator's mistake would."""
    with redis.Redis.from_url(daemons.redis_url) as client:
        client.xtrim(
            Keys("teams:events").lane("sre", urgent=False), maxlen=0, approximate=False
        )
