"""`notifier config check` refuses what a start refuses, and warns."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from notifier.config import assets
from tests.support.commands import notifier


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
