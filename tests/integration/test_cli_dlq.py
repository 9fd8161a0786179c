"""`notifier dlq` and its filters, as a user starts them."""

from __future__ import annotations

import json

import pytest
import redis

from notifier.broker.keys import Keys
from tests.support.commands import notifier


def test_dlq_list_is_an_array_and_show_masks_patient_data(redis_url: str):
    raw = json.dumps(
        {
            "fields": {
                "type": "a b",
                "patient_id": "PAT-KLMNOPQ",
                "data": '{"member_id": "MEM-RSTUVWX", ',
            }
        }
    )
    letter = {
        "reason": "invalid_event",
        "detail": "type: wrong",
        "stage": "intake",
        "channel": "",
        "event": raw,
    }
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert json.loads(notifier("dlq", "list", "--json", REDIS_URL=redis_url).stdout) == []
        letter_id = str(client.xadd(Keys("teams:events").dead, letter))  # type: ignore[arg-type]

    listed = json.loads(notifier("dlq", "list", "--json", REDIS_URL=redis_url).stdout)
    shown = notifier("dlq", "show", letter_id, REDIS_URL=redis_url)

    assert [(item["id"], item["reason"]) for item in listed] == [(letter_id, "invalid_event")]
    assert json.loads(shown.stdout)["detail"] == "type: wrong"
    for text in (shown.stdout, json.dumps(listed)):
        assert "KLMN" not in text
        assert "RSTU" not in text
    fields = json.loads(shown.stdout)["event"]["fields"]
    assert fields["data"] == {"bytes": 29, "fault": "is not JSON from character 30 on"}
    unmasked = notifier("dlq", "show", letter_id, "--raw", REDIS_URL=redis_url)
    assert json.loads(unmasked.stdout) == json.loads(raw)
    assert "invalid_event" in notifier("dlq", "list", REDIS_URL=redis_url).stdout
    assert notifier("dlq", "show", "1-1", REDIS_URL=redis_url).returncode == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("dlq list --reason nonsense", ["nonsense", "rejected", "unrecordable"]),
        ("dlq replay --reason nonsense", ["nonsense", "rejected"]),
        ("dlq discard --why x --reason nonsense", ["nonsense", "rejected"]),
        ("dlq list --since 1h --until 2h", ["--since", "before --until"]),
        ("dlq replay --since 1h --until 1h", ["--since", "before --until 1h"]),
        ("dlq discard --why x --since 1h --until 2h", ["--since", "before --until"]),
        ("dlq list --channel nonsense", ["nonsense", "night", "sre"]),
        ("dlq list --json --channel nonsense", ["nonsense", "night", "sre"]),
        ("dlq replay --channel nonsense", ["nonsense", "night", "sre"]),
        ("replay --since 1h --until 1h", ["--since", "before --until 1h"]),
        ("replay --since 2h --channel nonsense", ["nonsense", "sre"]),
        ("lanes drain nonsense --why x", ["nonsense", "night"]),
    ],
)
def test_a_filter_that_can_match_nothing_is_refused(
    redis_url: str, database_url: str, command: str, words: list[str]
):
    known_to_redis(redis_url)

    done = notifier(*command.split(), REDIS_URL=redis_url, DATABASE_URL=database_url)

    assert done.returncode == 2, done.stdout
    assert [word for word in words if word not in done.stderr] == []


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("dlq list --channel sre", "no dead letter matches"),
        ("dlq list --channel night --reason rejected", "no dead letter matches"),
        ("dlq list --channel typo", "unknown_channel"),
        ("dlq list --channel typo --reason rejected", "no dead letter matches"),
        ("dlq list --type c.d", "no dead letter matches"),
        ("dlq replay --channel night", "there are no such dead letters"),
        ("lanes drain night --why x", "0 are dead letters now"),
    ],
)
def test_a_channel_that_was_removed_may_be_asked_for(
    redis_url: str, database_url: str, command: str, shown: str
):
    known_to_redis(redis_url)

    done = notifier(*command.split(), REDIS_URL=redis_url, DATABASE_URL=database_url)

    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_a_pipe_gets_one_line_for_each_dead_letter_with_whole_ids(redis_url: str):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        letter = {"reason": "rejected", "channel": "sre", "correlation_id": "c" * 90}
        letter |= {"detail": "x y " * 60, "event_type": "a\nb\tc"}
        ids = [str(client.xadd(Keys("teams:events").dead, letter)) for _ in range(2)]  # type: ignore[arg-type]

    lines = notifier("dlq", "list", REDIS_URL=redis_url).stdout.splitlines()

    assert [line.split("\t")[0] for line in lines] == ids[::-1]
    assert {line.split("\t")[4] for line in lines} == {"c" * 90}
    assert {len(line.split("\t")) for line in lines} == {7}


@pytest.mark.parametrize("width", [40, 80, 100])
def test_a_terminal_shows_ids_whole(redis_url: str, width: int):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        letter = {"reason": "retries_exhausted", "channel": "nphies_integration"}
        letter |= {
            "detail": "x y " * 60,
            "event_type": "claim.submitted",
            "correlation_id": "c" * 90,
        }
        letter_id = str(client.xadd(Keys("teams:events").dead, letter))  # type: ignore[arg-type]

    shown = notifier(
        "dlq", "list", REDIS_URL=redis_url, TTY_COMPATIBLE="1", COLUMNS=str(width), NO_COLOR="1"
    ).stdout

    assert letter_id in shown
    assert "\t" not in shown
    assert "retries_exhausted" in shown
    assert "nphies_integration" in shown
    assert shown.count("\n") < 40


def known_to_redis(url: str) -> None:
    """Redis with lanes of a removed channel and an event for an unknown one."""
    keys = Keys("teams:events")
    with redis.Redis.from_url(url) as client:
        client.hset(keys.channels, "night", "1")
        client.xadd(keys.dead, {"reason": "unknown_channel", "channel": "typo", "event": "{}"})


def test_dlq_says_how_many_it_dealt_with_and_nothing_else(redis_url: str, database_url: str):
    env = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    sound = json.dumps({"event": {"type": "a.b", "stakeholders": "sre"}})
    letter = {"reason": "unroutable", "stage": "intake", "channel": "", "source_id": "1-1"}
    with redis.Redis.from_url(redis_url) as client:
        for event in (sound, sound, "nonsense"):
            client.xadd(Keys("teams:events").dead, letter | {"event": event})

    dry = notifier("dlq", "replay", "--all", "--dry-run", "--rate", "0", **env)
    replayed = notifier("dlq", "replay", "--all", "--rate", "0", **env)
    discarded = notifier("dlq", "discard", "--all", "--why", "a test", **env)
    none = notifier("dlq", "discard", "--all", "--why", "a test", **env)

    assert dry.stdout.splitlines()[-1] == "2 would be replayed, 1 not"
    assert replayed.stdout.splitlines()[-1] == "2 replayed, 1 not"
    assert [line.partition(": ")[2] for line in replayed.stderr.splitlines()] == [
        "not replayed: event: is not JSON; replay it with --edit"
    ]
    assert replayed.returncode == 1
    assert discarded.stdout.splitlines()[-1] == "1 discarded"
    assert discarded.stderr == ""
    assert none.stdout == "there are no such dead letters\n"
    assert none.stderr == ""
