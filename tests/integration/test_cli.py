"""The command line as a user starts it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from notifier import assets
from notifier.streams.keys import Keys

SAMPLE = assets.cards_dir() / "samples" / "nphies.claim.rejected.json"


def notifier(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "COLUMNS": "160"}
    command = [sys.executable, "-m", "notifier", *arguments]
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env=kept | env,
        timeout=60,
        check=False,
    )


def entries(redis_url: str, stream: str = "teams:events") -> list[dict[str, Any]]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return [fields for _, fields in client.xrange(stream)]


@pytest.mark.parametrize(
    "command",
    [[], ["run"], ["sandbox"], ["publish"], ["migrate", "up"], ["migrate", "down"], ["migrate", "status"], ["dlq", "list"],
     ["dlq", "show"], ["dlq", "replay"], ["dlq", "discard"], ["doctor"], ["top"], ["report"], ["prune"], ["replay"], ["trace"], ["cards", "preview"], ["cards", "list"], ["cards", "check"], ["cards", "render"], ["schema"], ["config", "check"], ["config", "show"], ["keys", "new"], ["keys", "list"], ["version"]],
)  # fmt: skip
def test_every_command_explains_itself(command: list[str]):
    done = notifier(*command, "--help")

    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_wrong_usage_is_exit_2_and_bad_configuration_3():
    assert notifier("nonsense").returncode == 2
    done = notifier("config", "check", TEAMS_MAX_RETRIES="many")
    assert done.returncode == 3
    assert "TEAMS_MAX_RETRIES" in done.stderr
    assert "Traceback" not in done.stderr


def test_server_that_is_away_is_exit_4_with_advice():
    done = notifier("dlq", "list", REDIS_URL="redis://:topsecret@127.0.0.1:1/0")

    assert done.returncode == 4
    assert "check redis.url" in done.stderr
    assert "topsecret" not in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("publish", "give an event TYPE, or --file"),
        ("publish a.b --file x", "give only one of an event TYPE and --file"),
        ("dlq replay", "give IDs, or filters, or --all"),
        ("dlq replay 1-1 --all", "give only one of IDs and --all"),
        ("dlq discard 1-1 --all --type a.b --why x", "only one of IDs and filters and --all"),
        ("cards render generic", "give --data, or --event"),
        ("cards render generic --data x --event y", "give only one of --data and --event"),
    ],
)
def test_too_much_and_too_little_are_told_apart(command: str, said: str):
    done = notifier(*command.split())

    assert done.returncode == 2
    assert said in done.stderr


def test_unknown_stage_is_wrong_usage():
    for stages in ("intake,dispatch", ","):
        done = notifier("run", "--stages", stages)

        assert done.returncode == 2
        assert "recorder" in done.stderr
        assert "dispatch" in done.stderr or stages == ","


def test_cards_that_the_daemon_cannot_use_are_bad_configuration(tmp_path: Path):
    shutil.copytree(assets.cards_dir(), tmp_path / "broken")
    (tmp_path / "broken" / "generic.json").write_text('{"type": "AdaptiveCard", "body": [')
    (tmp_path / "route.toml").write_text(
        '[routes."a.b"]\nstakeholders = ["sre"]\ncard = "none"'
    )
    given = {
        "broken": {"TEAMS_CARDS__DIRECTORY": str(tmp_path / "broken")},
        "absent": {"TEAMS_CARDS__DIRECTORY": str(tmp_path / "absent")},
        "route": {"NOTIFIER_CONFIG": str(tmp_path / "route.toml")},
    }

    shown = {name: notifier("run", **env) for name, env in given.items()}

    assert {done.returncode for done in shown.values()} == {3}
    assert "generic.json: is not readable JSON" in shown["broken"].stderr
    assert f"there is no folder {tmp_path / 'absent'}" in shown["absent"].stderr
    assert "there is no none.json" in shown["route"].stderr
    assert "Traceback" not in str(shown)


def test_publish_from_flags_is_the_event_meant(redis_url: str):
    done = notifier(
        "publish", "nphies.claim.rejected", "--data", '{"claim_id": "CLM-1"}', "--field", "rejection_code=INV-001",
        "--priority", "critical", "--stakeholders", "sre,pmo", REDIS_URL=redis_url,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    [fields] = entries(redis_url)
    assert json.loads(fields["event"]) == {
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
    assert "warning: event: stakeholders: no channel foo; channels are " in channel.stderr
    assert "sre" in channel.stderr
    assert sound.stderr == ""
    assert "warning: line 1 and 29 more: type: c.d has no route" in many.stderr
    assert len(many.stderr.splitlines()) == 1
    assert {done.returncode for done in (typo, channel, sound, many)} == {0}
    assert len(entries(redis_url)) == 33


def test_publish_to_a_stream_that_nobody_reads_is_refused_unless_forced(redis_url: str):
    given = ("publish", "a.b", "--stakeholders", "sre", "--stream", "typo:events")
    done = notifier(*given, REDIS_URL=redis_url)

    assert done.returncode == 2
    assert "typo:events is none of the streams" in done.stderr
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


def test_cards_render_expands_any_template_with_any_data(tmp_path: Path):
    (tmp_path / "card.json").write_text(
        '{"type": "AdaptiveCard", "body": [{"$data": "${items}", "type": "TextBlock", "text": "${n} of ${$root.total}"}]}'
    )
    (tmp_path / "data.json").write_text('{"total": 2, "items": [{"n": 1}, {"n": 2}]}')

    done = notifier(
        "cards", "render", str(tmp_path / "card.json"), "--data", str(tmp_path / "data.json")
    )

    assert [block["text"] for block in json.loads(done.stdout)["body"]] == ["1 of 2", "2 of 2"]


def test_cards_render_draws_an_event_as_a_delivery_would():
    done = notifier("cards", "render", "claim_rejected", "--event", str(SAMPLE))

    assert json.loads(done.stdout)["type"] == "AdaptiveCard"
    assert json.loads(SAMPLE.read_text())["data"]["patient_id"] not in done.stdout


def test_cards_render_names_the_file_at_fault(tmp_path: Path):
    files = {
        "data.json": "{}", "card.json": '{"type": "AdaptiveCard", "body": [{"text": "${nope(1)}"}]}',
        "untyped.json": '{"data": {}}', "nowhere.json": '{"type": "a.b"}', "unknown.json": '{"type": "a.b", "stakeholders": "foo"}',
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    card, sample = str(tmp_path / "card.json"), str(SAMPLE)

    done = notifier("cards", "render", card, "--data", str(tmp_path / "data.json"))
    assert (done.returncode, "card.json: $.body[0].text" in done.stderr) == (1, True)
    done = notifier("cards", "render", card, "--event", sample)
    assert (done.returncode, "card.json: $.body[0].text" in done.stderr) == (1, True)
    for name in ("untyped.json", "nowhere.json", "unknown.json"):
        done = notifier("cards", "render", "generic", "--event", str(tmp_path / name))
        assert (done.returncode, f"{tmp_path / name}: " in done.stderr) == (1, True)


def test_cards_of_a_folder_that_is_not_there_are_not_called_broken(tmp_path: Path):
    (tmp_path / "file").touch()
    absent = str(tmp_path / "absent")

    for folder in (absent, str(tmp_path / "file")):
        done = notifier("cards", "check", folder)
        assert done.returncode == 2
        assert "there is no such folder" in done.stderr
    for command in ("check", "list", "preview"):
        done = notifier("cards", command, TEAMS_CARDS__DIRECTORY=absent)
        assert done.returncode == 3
        assert f"cards.directory: there is no folder {absent}" in done.stderr


def test_cards_check_passes_the_shipped_cards_and_names_file_path_and_fix_of_a_bad_one(
    tmp_path: Path,
):
    (tmp_path / "generic.json").write_text(
        '{"type": "AdaptiveCard", "version": "1.6", "actions": [{"type": "Action.Submit", "title": "${nope("}]}'
    )
    (tmp_path / "other.json").write_text(
        '{"type": "AdaptiveCard", "version": "1.6", "actions": [{"type": "Action.Submit", "title": "x"}]}'
    )

    assert notifier("cards", "check").returncode == 0
    done = notifier("cards", "check", str(tmp_path))

    assert done.returncode == 1
    assert "generic.json: $.actions[0].title" in done.stderr
    assert "other.json: $.version" in done.stderr
    assert "other.json: $.actions[0].type: Action.Submit" in done.stderr


def test_migrate_goes_up_and_down_and_says_where_it_stands(empty_database_url: str):
    assert notifier("migrate", "status", DATABASE_URL=empty_database_url).returncode == 5
    assert "applied 0001" in notifier("migrate", "up", DATABASE_URL=empty_database_url).stdout
    done = notifier("migrate", "status", "--json", DATABASE_URL=empty_database_url)
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["applied_at"]
    down = notifier("migrate", "down", "--yes", DATABASE_URL=empty_database_url)
    assert "rolled back 0008" in down.stdout


def applied(url: str) -> list[str]:
    listed = json.loads(notifier("migrate", "status", "--json", DATABASE_URL=url).stdout)
    return [item["id"] for item in listed if item["applied_at"]]


def test_migrate_down_drops_nothing_that_nobody_agreed_to(database_url: str):
    before = applied(database_url)

    done = notifier("migrate", "down", stdin="y\n", DATABASE_URL=database_url)

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert before[-1] in done.stderr
    assert applied(database_url) == before


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_migrate_down_asks_at_a_terminal_and_names_what_goes(
    database_url: str, answer: str, code: int
):
    before = applied(database_url)
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())

    done = subprocess.run(
        [sys.executable, "-m", "notifier", "migrate", "down", "--steps", "2"],
        stdin=theirs,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_url},
        timeout=60,
        check=False,
    )
    os.close(ours)
    os.close(theirs)

    assert done.returncode == code
    assert f"{before[-1]}, {before[-2]}" in done.stderr
    assert applied(database_url) == (before if answer == "n" else before[:-2])


def test_migrate_down_asks_nothing_when_there_is_nothing_to_roll_back(empty_database_url: str):
    done = notifier("migrate", "down", DATABASE_URL=empty_database_url)

    assert done.returncode == 0
    assert "nothing to roll back" in done.stdout


def test_dlq_list_is_an_array_and_show_masks_patient_data(redis_url: str):
    raw = json.dumps(
        {
            "fields": {
                "type": "a b",
                "patient_id": "PAT-12345",
                "data": '{"member_id": "MEM-99999", ',
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
        assert "12345" not in text
        assert "99999" not in text
    assert "invalid_event" in notifier("dlq", "list", REDIS_URL=redis_url).stdout
    assert notifier("dlq", "show", "1-1", REDIS_URL=redis_url).returncode == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("dlq list --reason nonsense", ["nonsense", "rejected", "unrecordable"]),
        ("dlq replay --reason nonsense", ["nonsense", "rejected"]),
        ("dlq discard --why x --reason nonsense", ["nonsense", "rejected"]),
        ("dlq list --since 1h --until 2h", ["--since", "before --until"]),
        ("dlq replay --since 1h --until 2h", ["--since", "before --until"]),
        ("dlq discard --why x --since 1h --until 2h", ["--since", "before --until"]),
        ("dlq list --channel nonsense", ["nonsense", "night", "sre"]),
        ("dlq list --json --channel nonsense", ["nonsense", "night", "sre"]),
        ("dlq replay --channel nonsense", ["nonsense", "night", "sre"]),
        ("replay --since 1h --until 2h", ["--since", "before --until"]),
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
        ("dlq list --channel sre", "of the dead letters none match"),
        ("dlq list --channel night --reason rejected", "of the dead letters none match"),
        ("dlq list --channel typo", "unknown_channel"),
        ("dlq list --channel typo --reason rejected", "of the dead letters none match"),
        ("dlq list --type c.d", "of the dead letters none match"),
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


def known_to_redis(url: str) -> None:
    """Redis as daemons left it: a channel of old, and an event for one that never was."""
    keys = Keys("teams:events")
    with redis.Redis.from_url(url) as client:
        client.hset(keys.channels, "night", "1")
        client.xadd(keys.dead, {"reason": "unknown_channel", "channel": "typo", "event": "{}"})


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (("schema", "--write"), "nowhere"),
        (("schema", "--write"), "file"),
        (("cards", "preview", "--out"), "nowhere/x.html"),
        (("cards", "preview", "--out"), "file/x.html"),
        (("cards", "preview", "--out"), "folder"),
        (("cards", "preview", "--out"), "/"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_without_a_traceback(
    tmp_path: Path, command: tuple[str, ...], place: str
):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    done = notifier(*command, str(tmp_path / place))

    assert done.returncode == 1
    assert f"notifier: {tmp_path / place}" in done.stderr
    assert "cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_seal_that_cannot_be_written_is_said_without_a_traceback(tmp_path: Path):
    shutil.copytree(assets.cards_dir(), tmp_path / "cards")
    (tmp_path / "cards" / "checked.txt").unlink(missing_ok=True)
    (tmp_path / "cards" / "checked.txt").mkdir()

    done = notifier("cards", "check", str(tmp_path / "cards"), "--seal")

    assert done.returncode == 1
    assert "checked.txt: cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_written_file_may_be_a_pipe_or_a_link(tmp_path: Path):
    (tmp_path / "target").touch()
    (tmp_path / "event.schema.json").symlink_to("target")
    (tmp_path / "asyncapi.json").symlink_to("/dev/stdout")

    done = notifier("schema", "--write", str(tmp_path))

    assert '"asyncapi": "3' in done.stdout
    assert (tmp_path / "event.schema.json").is_symlink()
    assert "$schema" in (tmp_path / "target").read_text()


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

    assert dry.stdout.splitlines()[-1] == "2 would be replayed, 1 stays"
    assert replayed.stdout.splitlines()[-1] == "2 replayed, 1 stays"
    assert [line.partition(": ")[2] for line in replayed.stderr.splitlines()] == [
        "stays: event: is not JSON; replay it with --edit"
    ]
    assert replayed.returncode == 1
    assert discarded.stdout.splitlines()[-1] == "1 discarded"
    assert discarded.stderr == ""
    assert none.stdout == "there are no such dead letters\n"
    assert none.stderr == ""


def test_config_show_masks_passwords():
    done = notifier("config", "show", "--json", DATABASE_URL="postgresql://u:topsecret@h/db")

    assert json.loads(done.stdout)["database"]["url"] == "postgresql://u:***@h/db"


def test_config_check_shows_each_channels_state_source_and_host_but_no_url():
    done = notifier(
        "config", "check", TEAMS_WEBHOOK_SRE="https://prod-1.logic.azure.com/w?sig=canary",
        TEAMS_WEBHOOK_PMO="Placeholder", TEAMS_HMAC_SECRET_KEY="canary-0123456789abcdef",
    )  # fmt: skip

    assert done.returncode == 0
    assert (
        "channel sre: webhook configured, host prod-1.logic.azure.com, from environment TEAMS_WEBHOOK_SRE"
        in done.stdout
    )
    assert "channel pmo: webhook placeholder in environment TEAMS_WEBHOOK_PMO" in done.stdout
    assert (
        "channel devops: webhook missing; set environment TEAMS_WEBHOOK_DEVOPS" in done.stdout
    )
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("form", ["whsec", "hex"])
def test_new_key_is_accepted_and_listed_by_its_id_only(form: str):
    made = notifier("keys", "new", "--format", form)
    key = made.stdout.strip()
    listed = notifier(
        "keys", "list", TEAMS_HMAC_SECRET_KEY=key,
        TEAMS_HMAC_SECRET_KEY_PREVIOUS="an-earlier-key-of-32-characters!",
    )  # fmt: skip

    assert made.returncode == listed.returncode == 0
    assert "TEAMS_HMAC_SECRET_KEY_PREVIOUS" in made.stderr
    assert key not in made.stderr + listed.stdout + listed.stderr
    first, second = listed.stdout.splitlines()
    assert first.split()[0] in made.stderr
    assert first.endswith("signs and verifies")
    assert second.endswith("  verifies")
