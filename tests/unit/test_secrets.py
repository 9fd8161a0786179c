"""Secrets: their sources, which are usable, and those that vanish."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from notifier.config import Config, load_config
from notifier.config.secrets import Secrets, State, load_secrets, secret_sources
from notifier.daemon.reload import Reloader
from notifier.daemon.snapshot import Blueprint, Snapshot
from notifier.errors import SecretsError
from notifier.events.signing import key_id
from notifier.ops.doctor.secrets import name_findings
from notifier.telemetry.health import Health

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OLD = "00112233445566778899aabbccddeeff"
OLDER = "ffeeddccbbaa99887766554433221100"


def load(env: dict[str, str]) -> Secrets:
    return load_secrets(load_config(None, {}), secret_sources(env, None))


def test_credentials_come_before_the_environment(tmp_path: Path):
    (tmp_path / "teams_webhook_sre").write_text("https://a.logic.azure.com/w?sig=canary\n")
    env = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "TEAMS_WEBHOOK_SRE": "https://b.logic.azure.com/w",
        "TEAMS_WEBHOOK_DEVOPS": "https://c.logic.azure.com/w?sig=canary",
        "TEAMS_HMAC_SECRET_KEY": KEY,
    }

    secrets = load(env)

    assert (
        secrets.webhooks["sre"].get_secret_value() == "https://a.logic.azure.com/w?sig=canary"
    )
    assert secrets.found["sre"].where.startswith("credential webhook_sre")
    assert secrets.found["devops"].where == "environment TEAMS_WEBHOOK_DEVOPS"
    assert "canary" not in repr(secrets)
    assert KEY not in repr(secrets)


@pytest.mark.parametrize("value", ["placeholder", "PLACEHOLDER", " Placeholder ", "", "  "])
def test_placeholder_in_any_case_and_nothing_count_as_not_configured(value: str):
    secrets = load({"TEAMS_WEBHOOK_SRE": value, "TEAMS_HMAC_SECRET_KEY": value})

    assert "sre" not in secrets.webhooks
    assert secrets.found["sre"].state is State.PLACEHOLDER
    assert secrets.found["pmo"].state is State.MISSING
    assert secrets.keys is None


def test_empty_credential_hides_the_environment(tmp_path: Path):
    (tmp_path / "teams_webhook_sre").write_text("placeholder\n")
    env = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "TEAMS_WEBHOOK_SRE": "https://b.logic.azure.com/w",
    }

    assert load(env).found["sre"].state is State.PLACEHOLDER


def test_credential_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "teams_hmac_secret_key").write_bytes(b"\xff\xfe canary")

    with pytest.raises(SecretsError, match="hmac_secret_key cannot be read"):
        load({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_every_unusable_secret_is_named_at_once_and_none_is_shown():
    with pytest.raises(SecretsError) as caught:
        load(
            {
                "TEAMS_OUTGOING_WEBHOOK_TOKEN": "canary",
                "TEAMS_PRODUCER_KEYS": "canary",
                "TEAMS_HMAC_SECRET_KEY": "canary",
            }
        )

    text = str(caught.value)
    assert "TEAMS_OUTGOING_WEBHOOK_TOKEN must hold" in text
    assert "TEAMS_PRODUCER_KEYS: must be name:key" in text
    assert "TEAMS_HMAC_SECRET_KEY has 6 bytes" in text
    assert "canary" not in text
    assert caught.value.__cause__ is None


def test_an_unusable_webhook_concerns_its_channel_alone(tmp_path: Path):
    (tmp_path / "webhook_devops").write_bytes(b"\xff\xfe canary")
    secrets = load(
        {
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "TEAMS_WEBHOOK_SRE": "https://evil.example/hook?sig=canary",
            "TEAMS_WEBHOOK_PMO": "http://x.logic.azure.com/hook?sig=canary",
            "TEAMS_WEBHOOK_CLOUDOPS": "https://x.logic.azure.com/hook?sig=canary",
        }
    )

    assert [*secrets.webhooks] == ["cloudops"]
    assert [*secrets.webhook_faults] == ["devops", "sre", "pmo"]
    assert {secrets.found[name].state for name in secrets.webhook_faults} == {State.UNUSABLE}
    assert "evil.example" in secrets.webhook_faults["sre"]
    assert "canary" not in repr(secrets)


@pytest.mark.parametrize(
    "name", ["webhook_sre", "teams_webhook_sre", "teams_teams_webhook_sre"]
)
def test_a_credential_counts_with_and_without_its_prefix(tmp_path: Path, name: str):
    (tmp_path / name).write_text("https://x.logic.azure.com/hook?sig=canary")

    secrets = load({"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert secrets.found["sre"].state is State.CONFIGURED
    [unknown] = [
        finding.message
        for finding in name_findings(
            load_config(None, {}),
            variables=(),
            vault={},
            credentials=[name, name.replace("sre", "srre")],
        )
    ]
    assert "webhook_srre" in unknown


@pytest.mark.parametrize(
    "written", [f"{OLD},{OLDER}", f"{OLD} {OLDER}", f" {OLD} ,\n{OLDER},{OLD}, {KEY}"]
)
def test_first_key_signs_and_the_earlier_ones_verify(written: str):
    secrets = load({"TEAMS_HMAC_SECRET_KEY": KEY, "TEAMS_HMAC_SECRET_KEY_PREVIOUS": written})

    assert secrets.keys is not None
    assert secrets.keys.texts == (KEY, OLD, OLDER)
    assert secrets.keys.ids == (key_id(KEY), key_id(OLD), key_id(OLDER))


def test_earlier_keys_without_a_current_one_are_a_mistake():
    with pytest.raises(SecretsError, match="TEAMS_HMAC_SECRET_KEY is not"):
        load({"TEAMS_HMAC_SECRET_KEY_PREVIOUS": OLD})


def test_weak_earlier_key_still_verifies_but_is_warned_of():
    secrets = load(
        {"TEAMS_HMAC_SECRET_KEY": KEY, "TEAMS_HMAC_SECRET_KEY_PREVIOUS": "weak-canary"}
    )

    assert secrets.keys is not None
    assert "weak-canary" in secrets.keys.texts
    [warning] = secrets.warnings
    assert "has 11 bytes" in warning
    assert "canary" not in warning


URL = "https://a.webhook.office.com/x?sig=1"


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


class BrokenBlueprint:
    """Reads settings that nobody foresaw."""

    def build(self, _: object) -> object:
        raise AttributeError("topsecret has no attribute 'get'")


async def test_a_reload_that_fails_unforeseen_is_refused_and_shows_no_value() -> None:
    calls: list[str] = []
    current: Any = SimpleNamespace(snapshot="in force")
    blueprint: Any = BrokenBlueprint()
    health = Health()

    await Reloader(
        current,
        blueprint,
        health,
        use=[lambda _: calls.append("used")],
        before=lambda: calls.append("begun"),
        after=[lambda: calls.append("ended")],
    ).reload()

    why = health.warnings["configuration"]
    assert "AttributeError at notifier/daemon/reload.py" in why
    assert "topsecret" not in why
    assert current.snapshot == "in force"
    assert calls == ["begun", "ended"]
