"""The commands as a user starts them: usage, exit codes, files, keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.card_folder import one_card
from tests.support.commands import notifier


def test_wrong_usage_is_exit_2_and_bad_configuration_3():
    assert notifier("nonsense").returncode == 2
    done = notifier("config", "check", TEAMS_MAX_RETRIES="many")
    assert done.returncode == 3
    assert "TEAMS_MAX_RETRIES" in done.stderr
    assert "Traceback" not in done.stderr


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
    one_card(tmp_path / "cards", complete=True)
    (tmp_path / "cards" / "checked.txt").unlink()
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


def test_config_check_warns_of_a_webhook_that_was_copied_badly():
    done = notifier("config", "check", TEAMS_WEBHOOK_SRE="https://a.logic.azure.com/w?canary=1")

    assert done.returncode == 0
    assert "warning: TEAMS_WEBHOOK_SRE" in done.stdout
    assert "sig=" in done.stdout
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("form", ["whsec", "hex"])
def test_new_key_is_accepted_and_listed_by_its_id_only(form: str):
    made = notifier("keys", "new", "--encoding", form)
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
