"""`notifier publish` as a user starts it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.commands import SAMPLE, notifier
from tests.support.state import entries


def test_publish_from_flags_is_the_event_meant(redis_url: str):
    done = notifier(
        "publish", "nphies.claim.rejected", "--data", '{"claim_id": "CLM-1"}', "--field", "rejection_code=INV-001",
        "--priority", "critical", "--stakeholders", "sre,pmo", REDIS_URL=redis_url,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    [fields] = entries(redis_url)
    event = json.loads(fields["event"])
    # A client that repeats the command, for want of an answer, publishes one event.
    assert UUID(event.pop("id"))
    assert event == {
        "type": "nphies.claim.rejected",
        "priority": "critical",
        "stakeholders": "sre,pmo",
        "data": {"claim_id": "CLM-1", "rejection_code": "INV-001"},
    }


def test_publish_reports_bad_lines_and_publishes_the_good_ones(redis_url: str):
    lines = '{"type": "a.b", "stakeholders": "sre"}\nnonsense\n[]\n{"type": "c d"}\n\n{"type": "e.f"}\n'

    done = notifier("publish", "--file", "-", stdin=lines, REDIS_URL=redis_url)

    assert done.returncode == 1
    assert "line 2: is not valid JSON at character 1" in done.stderr
    assert "line 3: is JSON but not an object" in done.stderr
    assert "line 4: type:" in done.stderr
    assert [json.loads(fields["event"])["type"] for fields in entries(redis_url)] == [
        "a.b",
        "e.f",
    ]


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["--data", '{"a": NaN}'], 2, ["--data", "NaN"]),
        (["--data", '{"a": x}'], 2, ["--data", "is not valid JSON at character 7"]),
        (["--data", "[]"], 2, ["--data", "not an object"]),
        (["--data", '{"a":' * 40 + "1" + "}" * 40], 2, ["--data", "nested too deeply"]),
        (["--field", "=5"], 2, ["--field", "name=value"]),
        (["--field", "claim"], 2, ["--field", "name=value"]),
        (["--field", f"note={'x' * 1024}"], 1, ["entry: has", "the limit is 1024"]),
    ],
)
def test_publish_refuses_what_the_daemon_would(
    redis_url: str, given: list[str], code: int, words: list[str]
):
    settings = {"REDIS_URL": redis_url, "TEAMS_INTAKE__MAX_EVENT_BYTES": "1024"}
    done = notifier("publish", "a.b", "--stakeholders", "sre", *given, **settings)

    assert done.returncode == code
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert entries(redis_url) == []


def test_publish_says_where_a_file_is_wrong_and_publishes_none_of_it(
    redis_url: str, tmp_path: Path
):
    wrong = {
        "nan.json": b'[{"type": "a.b",\n "data": {"a": NaN}}]',
        "half.json": b'{"type": "a.b",\n "data": ',
        "latin.jsonl": b'{"type": "a.b", "source": "\xe9"}',
        "deep.json": b"[" * 100_000,
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
    shown = {
        name: notifier("publish", "--file", str(tmp_path / name), REDIS_URL=redis_url)
        for name in [*wrong, "absent.jsonl"]
    }

    assert {done.returncode for done in shown.values()} == {1}
    assert [name for name, done in shown.items() if name not in done.stderr] == []
    assert "Traceback" not in str(shown)
    assert "no NaN" in shown["nan.json"].stderr
    assert "line 2" in shown["half.json"].stderr
    assert entries(redis_url) == []


def test_publish_keeps_numbers_and_takes_what_the_daemon_takes(redis_url: str):
    event = (
        '{"specversion": "1.0", "id": "1", "source": "x", "type": "a.b", "stakeholders": "sre", '
        '"data": {"amount": 12345678901234567890123, "huge": 1e400, "text": "a\u2028b"}}\n'
    )

    done = notifier("publish", "--file", "-", stdin=event, REDIS_URL=redis_url)

    assert done.returncode == 0, done.stderr
    [fields] = entries(redis_url)
    assert json.loads(fields["event"])["data"] == {
        "amount": 12345678901234567890123,
        "huge": "1e400",
        "text": "a\u2028b",
    }


def test_publish_warns_of_what_cannot_arrive(redis_url: str):
    typo = notifier("publish", "nphies.clam.rejected", REDIS_URL=redis_url)
    channel = notifier("publish", "a.b", "--stakeholders", "sre,foo", REDIS_URL=redis_url)
    sound = notifier("publish", "nphies.claim.rejected", REDIS_URL=redis_url)
    lines = '{"type": "c.d"}\n' * 30
    many = notifier("publish", "--file", "-", stdin=lines, REDIS_URL=redis_url)

    assert "warning: event: type: nphies.clam.rejected has no route" in typo.stderr
    assert "warning: event: stakeholders: unknown channel foo; channels are " in channel.stderr
    assert "sre" in channel.stderr
    assert sound.stderr == ""
    assert "warning: line 1 and 29 more: type: c.d has no route" in many.stderr
    assert len(many.stderr.splitlines()) == 1
    assert {done.returncode for done in (typo, channel, sound, many)} == {0}
    assert len(entries(redis_url)) == 33


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--data", "{}"], ["--data"]),
        (["--field", "a=b", "--field", "c=d"], ["--field"]),
        (
            ["--id", "1", "--correlation-id", "2", "--priority", "HIGH", "--stakeholders", "sre"],
            ["--id", "--correlation-id", "--priority", "--stakeholders"],
        ),
        (
            ["--lang", "ar", "--source", "x", "--time", "2026-11-24T10:00Z"],
            ["--lang", "--source", "--time"],
        ),
    ],
)  # fmt: skip
def test_publish_of_a_file_refuses_options_that_describe_one_event(
    redis_url: str, given: list[str], named: list[str]
):
    done = notifier("publish", "--file", str(SAMPLE), *given, REDIS_URL=redis_url)

    assert done.returncode == 2, done.stderr
    said = " ".join(done.stderr.replace("│", " ").split())
    assert f"--file: does not go with {', '.join(named)}: " in said
    assert "write this into the events of the file" in said
    assert entries(redis_url) == []


REQUIRED = {"TEAMS_INTAKE__REQUIRE_SIGNATURE": "1"}
KEY = "claims-worker-key-for-the-example"


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_publish_warns_when_a_signature_is_required_and_there_is_no_key(
    redis_url: str, dry: list[str]
):
    given = ("publish", "nphies.claim.rejected", *dry)

    unsigned = notifier(*given, REDIS_URL=redis_url, **REQUIRED)
    signed = notifier(
        *given, REDIS_URL=redis_url, **REQUIRED, TEAMS_PRODUCER_KEY=f"claims:{KEY}"
    )

    assert unsigned.stderr == (
        "warning: it becomes a dead letter (unsigned): intake.require_signature is on and no key is given; "
        "set TEAMS_PRODUCER_KEY=name:key to the key of a producer that the daemon knows\n"
    )
    assert signed.stderr == ""
    assert (unsigned.returncode, signed.returncode) == (0, 0)
    assert ["signature" in fields for fields in entries(redis_url)] == (
        [] if dry else [False, True]
    )


@pytest.mark.parametrize(
    ("key", "known", "said"),
    [
        (f"claims:{KEY}", f"claims:{KEY}", ""),
        (f"claims:{KEY}", f"billing:{KEY} claims:{KEY}", ""),
        (f"claims:{KEY}", f"billing:{KEY}", "no key of this producer is known"),
        (f"claims:{KEY}", f"claims:{KEY[::-1]}", "does not fit the entry"),
    ],
)
@pytest.mark.parametrize("settings", [{}, REQUIRED])
def test_publish_warns_of_a_key_that_the_daemon_does_not_know(
    redis_url: str, key: str, known: str, said: str, settings: dict[str, str]
):
    done = notifier(
        "publish", "nphies.claim.rejected", REDIS_URL=redis_url, TEAMS_PRODUCER_KEY=key,
        TEAMS_PRODUCER_KEYS=known, **settings,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stderr.startswith(
        "warning: it becomes a dead letter (unsigned): signature: "
    ) == bool(said)
    assert said in done.stderr
    assert KEY not in done.stderr
    assert KEY[::-1] not in done.stderr


def test_publish_to_a_stream_that_nobody_reads_is_refused_unless_forced(redis_url: str):
    given = ("publish", "a.b", "--stakeholders", "sre", "--stream", "typo:events")
    done = notifier(*given, REDIS_URL=redis_url)

    assert done.returncode == 2
    assert "typo:events is not a stream that the daemon reads" in done.stderr
    assert "teams:events" in done.stderr
    assert entries(redis_url, "typo:events") == []
    assert notifier(*given, "--force", REDIS_URL=redis_url).returncode == 0
    assert len(entries(redis_url, "typo:events")) == 1


def test_publish_dry_run_shows_route_and_card_and_publishes_nothing(redis_url: str):
    done = notifier("publish", "--file", str(SAMPLE), "--dry-run", REDIS_URL=redis_url)

    assert done.returncode == 0, done.stderr
    assert "nphies_integration, pmo, compliance" in done.stdout
    assert '"AdaptiveCard"' in done.stdout
    assert entries(redis_url) == []


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_publish_warns_of_a_time_to_come(redis_url: str, options: tuple[str, ...]):
    hours = datetime.now(UTC) + timedelta(hours=3)
    event = ("a.b", "--stakeholders", "sre", "--time", f"{hours:%Y-%m-%dT%H:%M:%SZ}")

    done = notifier("publish", *event, *options, REDIS_URL=redis_url)

    assert done.returncode == 0
    assert "3 h ahead" in done.stderr or "2 h 59 min ahead" in done.stderr


def test_members_that_no_card_shows_are_named_in_a_dry_run():
    done = notifier(
        "publish", "nphies.claim.rejected", "--dry-run", "--field", "claim_id=1", "--field", "payer_name=canary",
    )  # fmt: skip

    assert done.returncode == 0
    assert "data.payer_name" in done.stderr
    assert "payer?" in done.stderr
    assert "canary" not in done.stderr


def test_schema_of_one_type_has_its_fields_and_a_misspelt_type_is_named():
    done = notifier("schema", "--type", "nphies.claim.rejected")
    data = json.loads(done.stdout)["properties"]["data"]

    assert "rejection_code" in data["properties"]
    assert data["additionalProperties"] is False
    wrong = notifier("schema", "--type", "nphies.claim.rejectd")
    assert wrong.returncode == 2
    assert "nphies.claim.rejected" in wrong.stderr
