"""Short chaos runs, an interrupted one, and tests of the checker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import witness
from tests.chaos.checker import Evidence, Kill, Letter, Post, Published, Row, judge
from tests.chaos.journal import Journal
from tests.chaos.plan import Kind, Settings, Target, Way, actions, answer, escalations, event
from tests.chaos.witness import Heard, Said, Trouble

SEED = int(os.environ.get("CHAOS_SEED", "8481"))


def chaos(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", "--seed", str(SEED), "--folder", str(folder), "--settle", "400", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("events", "kills"), [(200, 6), pytest.param(1200, 16, marks=pytest.mark.slow)]
)
def test_a_run_with_kills_of_everything_keeps_every_promise(
    open_folder: Path, events: int, kills: int
):
    process = chaos(
        open_folder / "run", "--events", str(events), "--kills", str(kills), "--rate", "60"
    )
    output, _ = process.communicate()

    assert process.returncode == 0, output
    figures = json.loads((open_folder / "run" / "verdict.json").read_text())["figures"]
    assert figures["events published"] == events
    assert figures["lost"] == 0
    assert figures["escalations expected"] > events / 10
    assert figures["answers of /readyz judged"] > 0
    assert re.fullmatch(r"daemon \d+, redis \d+, postgres \d+", figures["kills"])
    assert figures["dead letters of events"] > 0
    assert figures["entries on the event stream"] > events


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_is_killed_goes_on_where_it_was(open_folder: Path):
    arguments = ("--events", "300", "--kills", "3", "--rate", "40", "--daemons", "2")
    published = open_folder / "run" / "published.jsonl"
    process = chaos(open_folder / "run", *arguments)
    deadline = time.monotonic() + 60
    while not published.exists() or published.read_bytes().count(b"\n") < 100:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    again = chaos(open_folder / "run", *arguments)
    output, _ = again.communicate()

    assert again.returncode == 0, output
    assert "going on where this run was broken off" in output
    numbers = [json.loads(line)["number"] for line in published.read_text().splitlines()]
    assert sorted(numbers) == list(range(300))
    figures = json.loads((open_folder / "run" / "verdict.json").read_text())["figures"]
    assert "run 1" in figures["kills"]


def test_a_seed_gives_the_same_plan_and_another_seed_another():
    one, other = Settings(seed=1), Settings(seed=2)

    assert actions(one) == actions(one)
    assert actions(one) != actions(other)
    assert [event(one, n) for n in range(50)] == [event(one, n) for n in range(50)]
    assert [event(one, n).fields for n in range(50)] != [
        event(other, n).fields for n in range(50)
    ]
    assert answer(one, "sre", "e", 0) == answer(one, "sre", "e", 0)


def test_a_plan_hits_everything_and_has_events_of_every_kind():
    settings = Settings(events=2000, kills=20)

    hits = Counter(action.target for action in actions(settings))
    assert hits[Target.DAEMON] + hits[Target.REDIS] + hits[Target.POSTGRES] == settings.kills
    assert set(hits) == set(Target)
    assert {event(settings, n).kind for n in range(settings.events)} == set(Kind)
    assert any(event(settings, n).twice for n in range(settings.events))


def test_what_nobody_answers_escalates_along_its_chain_past_who_had_it():
    by_id = {number: event(Settings(), number) for number in range(500)}
    chains = {
        (each.fields["priority"], each.channels): [channel for _, channel in escalations(each)]
        for each in by_id.values()
    }

    assert chains["CRITICAL", ("sre",)] == ["nphies_integration", "devops"]
    assert chains["CRITICAL", ("nphies_integration",)] == ["devops"]
    assert chains["HIGH", ("sre",)] == ["pmo"]
    assert chains["MEDIUM", ("sre",)] == []
    assert chains["CRITICAL", ()] == []


FOLLOWED = ("escalation:e1:1", "devops")
GOOD = Evidence(
    published=[
        Published("e1", ("sre", "pmo"), None, 10.0, escalations=(FOLLOWED,)),
        Published("e2", ("sre",), "unknown_channel", 11.0),
        Published("e3", (), "invalid_event", 12.0, tries=2),
    ],
    posts=[
        Post("e1", "sre", False, 10.1),
        Post("e1", "sre", True, 10.5),
        Post("e1", "pmo", False, 10.2),
        Post(*FOLLOWED, True, 15.0),
        Post("e2", "sre", True, 11.1),
        Post("e2", "sre", True, 17.0),
    ],
    rows=[
        Row("e1", "sre", "delivered"),
        Row("e1", "pmo", "dead_lettered"),
        Row(*FOLLOWED, "delivered"),
        Row("e2", "sre", "delivered"),
    ],
    letters=[
        Letter("e1", "pmo", "rejected"),
        Letter("e2", "", "unknown_channel"),
        Letter("e3", "", "invalid_event"),
        Letter("e3", "", "invalid_event"),
    ],
    kills=[Kill(11.2, "daemon", 1)],
    left={},
    redis_may_forget=False,
    escalated_at={FOLLOWED: 14.9},
)


def test_a_run_in_which_all_is_well_has_no_violation():
    verdict = judge(GOOD)

    assert verdict.violations == []
    assert verdict.figures["cards repeated"] == 1
    assert verdict.figures["most cards repeated by one kill"] == "1 of 1"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (replace(GOOD, posts=GOOD.posts[:1] + GOOD.posts[2:], rows=GOOD.rows[1:]), "lost: ('e1', 'sre')"),
        (replace(GOOD, rows=GOOD.rows[1:]), "not exactly one row: ('e1', 'sre')"),
        (replace(GOOD, rows=[row for row in GOOD.rows if row.event_id != FOLLOWED[0]]), f"not exactly one row: {FOLLOWED}"),
        (replace(GOOD, posts=[*GOOD.posts, Post(*FOLLOWED, True, 19.0)]), f"repeated without a kill: {FOLLOWED}"),
        (replace(GOOD, escalated_at={("escalation:e1:2", "sre"): 16.0}), "escalated though it must not: ('escalation:e1:2', 'sre')"),
        (replace(GOOD, readiness=Heard(["ready"])), "/readyz: ready"),
        (replace(GOOD, rows=[*GOOD.rows, GOOD.rows[0]]), "not exactly one row: ('e1', 'sre')"),
        (replace(GOOD, rows=[*GOOD.rows, Row("e9", "sre", "delivered")]), "row of nothing published"),
        (replace(GOOD, posts=GOOD.posts[2:]), "the receiver knows nothing: ('e1', 'sre')"),
        (replace(GOOD, letters=GOOD.letters[1:]), "there is no dead letter: ('e1', 'pmo')"),
        (replace(GOOD, letters=GOOD.letters[:1] + GOOD.letters[2:]), "dead letter missing: e2"),
        (replace(GOOD, letters=[*GOOD.letters, GOOD.letters[0]]), "dead letter repeated"),
        (replace(GOOD, letters=[*GOOD.letters, GOOD.letters[2]]), "dead letter repeated"),
        (replace(GOOD, letters=[*GOOD.letters, Letter("e1", "sre", "rejected")]), "of nothing that failed"),
        (replace(GOOD, kills=[]), "repeated without a kill: ('e2', 'sre')"),
        (replace(GOOD, kills=[Kill(11.2, "daemon", 0)]), "more repeated than were in flight: 1 > 0"),
        (replace(GOOD, left={"{teams:events}:lane:sre:urgent": 1}), "left in Redis"),
    ],
)  # fmt: skip
def test_the_checker_sees(broken: Evidence, says: str):
    assert any(says in violation for violation in judge(broken).violations)


def test_two_kills_share_what_was_repeated_after_both():
    twice = [Post("e1", "sre", True, 17.0)]
    both = replace(GOOD, posts=[*GOOD.posts, *twice], kills=[Kill(11.2, "daemon", 1)] * 2)

    assert judge(both).violations == []
    assert judge(replace(both, kills=both.kills[:1])).violations != []


def test_what_was_posted_while_redis_was_away_may_come_again():
    away = replace(GOOD, kills=[Kill(5.0, "redis", 1, until=10.0)])

    assert judge(replace(away, kills=[Kill(5.0, "redis", 1, until=10.5)])).violations == []
    assert "repeated without a kill: ('e2', 'sre')" in judge(away).violations


def test_only_what_was_published_just_before_redis_was_killed_may_be_forgotten_and_only_with_everysec():
    gone = Published("gone", ("sre",), None, 20.0)
    evidence = replace(
        GOOD, published=[*GOOD.published, gone], kills=[*GOOD.kills, Kill(20.5, "redis", 9)]
    )
    everysec = replace(evidence, redis_may_forget=True)

    assert "lost: ('gone', 'sre')" in judge(evidence).violations
    assert judge(everysec).violations == []
    assert judge(everysec).figures["XADDs that Redis forgot"] == 1
    too_old = replace(everysec, published=[*GOOD.published, replace(gone, accepted_at=18.0)])
    assert "lost: ('gone', 'sre')" in judge(too_old).violations


def test_an_escalation_may_be_forgotten_only_with_everysec():
    rows = [row for row in GOOD.rows if row.event_id != FOLLOWED[0]]
    posts = [post for post in GOOD.posts if post.event_id != FOLLOWED[0]]
    gone = replace(GOOD, rows=rows, posts=posts, kills=[*GOOD.kills, Kill(15.5, "redis", 9)])

    assert judge(gone).violations != []
    assert judge(replace(gone, redis_may_forget=True)).violations == []


def answered(at: float, *, ready: bool = True, **works: bool) -> Said:
    return Said(0, at - 0.1, at, ready, {Way.REDIS: True, Way.POSTGRES: True} | works)


HANGS = Trouble("redis", 100.0, 120.0, gone=True)
SLOW = Trouble("redis", 100.0, 120.0, gone=False)
KILLED = Trouble("daemon", 100.0, 101.0, gone=True, daemon=0)


@pytest.mark.parametrize(
    ("then", "done", "lies", "judged"),
    [
        (answered(90), HANGS, 0, 2),
        (answered(101), HANGS, 0, 1),  # it cannot know yet
        (answered(110), HANGS, 1, 2),
        (answered(110, ready=False, redis=False), HANGS, 0, 2),
        (answered(110, ready=False, redis=False, postgres=False), HANGS, 1, 2),
        (answered(121, ready=False, redis=False), HANGS, 0, 1),
        (answered(140, ready=False, redis=False), HANGS, 2, 2),
        (answered(140, ready=False), HANGS, 1, 2),
        (answered(110), SLOW, 0, 1),
        (answered(110, ready=False, redis=False), SLOW, 0, 1),
        (Said(0, 89, 90, False, {}), SLOW, 1, 0),
        (Said(0, 119, 120, False, {}), KILLED, 0, 0),  # it has not begun to listen again
        (answered(120, ready=False), KILLED, 0, 0),  # it has only just begun
        (Said(0, 89, 90, True, {Way.REDIS: True, Way.POSTGRES: True}, True), SLOW, 0, 2),
    ],
)
def test_the_witness_sees_what_readiness_must_have_known(
    then: Said, done: Trouble, lies: int, judged: int
):
    heard = witness.judge([answered(50), then], [done])

    assert (len(heard.lies), heard.judged) == (lies, judged)


def test_a_journal_drops_a_line_that_was_not_finished(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"number": 1}\n{"num')

    journal = Journal(path)
    journal.write(number=2)
    journal.close()

    assert [line["number"] for line in journal.lines()] == [1, 2]
