"""A vanished secret stays in use for a limited time, and is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.config import Config, load_config
from notifier.config.secrets import State
from notifier.daemon.snapshot import Blueprint, Snapshot

URL = "https://a.webhook.office.com/x?sig=1"
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


class Place:
    """A folder of credentials, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.keep_seconds = 100.0
        self.blueprint = Blueprint(
            self._config, {"CREDENTIALS_DIRECTORY": str(folder)}, clock=lambda: self.now
        )

    def _config(self) -> Config:
        config = load_config(None, {})
        vault = config.vault.model_copy(update={"keep_vanished_seconds": self.keep_seconds})
        return config.model_copy(update={"vault": vault})

    def holds(self, **values: str) -> None:
        for file in self.folder.iterdir():
            file.unlink()
        for name, value in values.items():
            (self.folder / name).write_text(value)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def webhook(snapshot: Snapshot, channel: str) -> str | None:
    url = snapshot.secrets.webhooks.get(channel)
    return None if url is None else url.get_secret_value()


def test_a_webhook_and_a_key_that_vanish_are_used_until_their_time_is_over(place: Place):
    place.holds(teams_webhook_sre=URL, teams_webhook_pmo=URL, teams_hmac_secret_key=KEY)
    first = place.blueprint.build(None)
    place.holds(teams_webhook_pmo=URL)
    place.now = 50
    kept = place.blueprint.build(first)

    assert webhook(kept, "sre") == URL
    assert kept.secrets.keys == first.secrets.keys
    assert len(kept.vanished) == 2
    assert URL not in repr(kept)
    place.now = 149
    still = place.blueprint.build(kept)
    assert still.secrets == kept.secrets
    place.now = 150
    gone = place.blueprint.build(still)
    assert (webhook(gone, "sre"), webhook(gone, "pmo")) == (None, URL)
    assert gone.secrets.found["sre"].state is State.MISSING
    assert gone.vanished == ()


def test_what_comes_back_changes_or_is_a_placeholder_counts_at_once(place: Place):
    place.holds(teams_webhook_sre=URL)
    first = place.blueprint.build(None)
    place.holds()
    kept = place.blueprint.build(first)
    place.holds(teams_webhook_sre=f"{URL}2")
    back = place.blueprint.build(kept)

    assert (webhook(kept, "sre"), webhook(back, "sre")) == (URL, f"{URL}2")
    assert back.vanished == ()
    place.holds(teams_webhook_sre="placeholder")
    assert webhook(place.blueprint.build(back), "sre") is None


def test_nothing_is_kept_where_that_is_not_wanted_or_nothing_was_there(place: Place):
    place.keep_seconds = 0
    place.holds(teams_webhook_sre=URL)
    first = place.blueprint.build(None)
    place.holds()

    new = place.blueprint.build(first)

    assert (webhook(new, "sre"), webhook(new, "pmo"), new.vanished) == (None, None, ())
