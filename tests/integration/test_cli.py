"""The command line: usage, exit codes, files, settings and keys."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from notifier.config import assets
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


def own_cards(folder: Path) -> Path:
    """Return a copy of the shipped cards."""
    return Path(shutil.copytree(assets.cards_dir(), folder / "cards"))


def broken_card(folder: Path) -> str:
    cards = own_cards(folder)
    (cards / "claim_rejected.json").write_text('{"type": "AdaptiveCard", "body": "${unclosed"}')
    return f'[cards]\ndirectory = "{cards}"\n'


def no_card(folder: Path) -> str:
    return '[routes]\n"a.b" = { stakeholders = ["sre"], card = "genericc" }\n'


def no_folder(folder: Path) -> str:
    return '[cards]\ndirectory = "/nope"\n'


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (no_folder, "cards.directory: there is no folder /nope; correct the setting"),
        (no_card, 'routes."a.b".card: there is no genericc.json in the cards folder; write card = "generic"'),
        (broken_card, "claim_rejected.json"),
    ],
)  # fmt: skip
def test_what_a_start_refuses_is_refused_before_with_the_same_words(
    tmp_path: Path, settings: object, words: str
):
    assert callable(settings)
    path = tmp_path / "mine.toml"
    path.write_text(settings(tmp_path))

    checked = notifier("config", "check", "--config", str(path))
    started = notifier("run", "--config", str(path), REDIS_URL="redis://127.0.0.1:1/0")

    assert (checked.returncode, started.returncode) == (3, 3)
    assert words in checked.stderr
    assert checked.stderr == started.stderr
    assert "sound" not in checked.stdout


def test_certificates_that_are_not_there_are_refused():
    done = notifier(
        "config", "check", REDIS_URL="rediss://h/0", TEAMS_REDIS__TLS_CA_FILE="/nope"
    )

    assert done.returncode == 3
    assert "redis.tls_ca_file: there is no file /nope" in done.stderr


def test_names_that_belong_to_nothing_are_warned_of_with_the_nearest_right_one():
    done = notifier(
        "config", "check", TEAMS_MAX_RETRYS="4", TEAMS_LOGGING_LEVEL="debug", TEAMS_WEBHOOK_DEVOSP="placeholder",
        TEAMS_PRODUCER_KEY="claims:canary-0123456789abcdef", TEAMS_WHATEVER="canary",
    )  # fmt: skip

    assert done.returncode == 0
    warnings = [line for line in done.stdout.splitlines() if "warning" in line]
    assert len(warnings) == 4
    for wrong, right in (
        ("TEAMS_MAX_RETRYS", "write TEAMS_MAX_RETRIES"),
        ("TEAMS_LOGGING_LEVEL", "write TEAMS_LOGGING__LEVEL"),
        ("TEAMS_WEBHOOK_DEVOSP", "write TEAMS_WEBHOOK_DEVOPS"),
        ("TEAMS_WHATEVER", "correct the name"),
    ):
        [line] = [line for line in warnings if wrong in line]
        assert right in line
    assert "canary" not in done.stdout


def test_action_pages_that_no_card_links_to_are_warned_of():
    key = {"TEAMS_HMAC_SECRET_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"}
    done = notifier("config", "check", TEAMS_PUBLIC__BIND="127.0.0.1:8080", **key)

    assert done.returncode == 0
    assert "warning: public.url is empty" in done.stdout


def test_the_shipped_settings_are_printed_whole(tmp_path: Path):
    shown = notifier("config", "show", "--defaults", TEAMS_MAX_RETRIES="9").stdout
    mine = tmp_path / "mine.toml"
    mine.write_text(shown)

    as_json = notifier("config", "show", "--defaults", "--json", TEAMS_MAX_RETRIES="9").stdout
    in_force = notifier("config", "show", "--json", "--config", str(mine)).stdout

    assert as_json == in_force
    assert "# " in shown


def test_a_stop_that_would_cut_a_slow_post_is_refused_and_the_default_would_not():
    done = notifier("config", "check", TEAMS_CONNECTION_TIMEOUT="60")

    assert done.returncode == 3
    assert "delivery.stop_timeout_seconds" in done.stderr
    assert "http.connection_timeout_seconds" in done.stderr
    assert notifier("config", "check").returncode == 0
