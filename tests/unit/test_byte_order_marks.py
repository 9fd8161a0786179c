"""Files that begin with a byte order mark (U+FEFF) can be read.

Editors on Windows save them so.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from notifier.cards.check.folder import check_folder
from notifier.cards.library import CardFiles, CardLibrary, load_cards, sealed, write_seal
from notifier.cli.files import read_json
from notifier.cli.publish import _events_of_file as events_of_file
from notifier.config import assets, load_config
from notifier.config.secrets.sources import CredentialSource
from notifier.events.json import json_object
from tests.support.card_folder import one_card

MARK = "\ufeff"
CONFIG = load_config(assets.config_file(), {})


def marked(path: Path) -> None:
    path.write_text(MARK + path.read_text("utf-8"), "utf-8")


def test_a_folder_of_cards(tmp_path: Path) -> None:
    folder = one_card(tmp_path / "cards", complete=True)
    for path in [*folder.rglob("*.json"), folder / "fields.toml"]:
        marked(path)

    assert check_folder(folder, CONFIG) == []
    assert "claim_approved" in load_cards(folder).templates
    write_seal(folder, CardFiles.read(folder))
    whole = sealed(folder)
    assert whole is not None
    assert CardLibrary.on_demand(whole.templates).templates["claim_approved"].paths


def test_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'{MARK}[retry]\nmax_retries = 1\n[routes."a.b"]\npriority = "LOW"\nstakeholders = ["sre"]\ncard = "generic"\n', "utf-8")  # fmt: skip
    found = load_config(file, {})

    assert (found.retry.max_retries, "a.b" in found.routes) == (1, True)


@pytest.mark.parametrize("name", ["events.json", "events.jsonl"])
def test_a_file_of_events(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(MARK + json.dumps({"type": "a.b"}), "utf-8")
    faults: list[str] = []

    [(_, members)] = events_of_file(file, faults)
    assert (members, faults) == ({"type": "a.b"}, [])


def test_data_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(f'{MARK}{{"a": 12345678901234567890}}', "utf-8")
    (tmp_path / "webhook_sre").write_text(f"{MARK}https://a.example\r\n", "utf-8")

    assert read_json(tmp_path / "data.json") == {"a": 12345678901234567890}
    assert json_object("data", f'{MARK}{{"a": 1}}') == {"a": 1}
    assert CredentialSource(tmp_path).read("webhook_sre") == "https://a.example"
