from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from notifier import assets
from notifier.config import SEED_NAMES, Config, load_config, mask_url, masked
from notifier.errors import ConfigError, SecretsError
from notifier.secrets import load_secrets


def load(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> Config:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_config(path, env or {})


def test_shipped_file_has_every_setting_and_each_is_explained():
    text = assets.config_file().read_text()
    written = tomllib.loads(text)

    assert set(written) == set(Config.model_fields)
    for section, table in written.items():
        if section in ("streams", "channels", "routes"):
            continue
        names = set(Config.model_fields[section].annotation.model_fields)  # type: ignore[union-attr]
        assert set(table) == names


def test_own_file_needs_only_what_differs(tmp_path: Path):
    config = load(
        tmp_path, '[retry]\nmax_retries = 7\n[routes]\n"vault.*" = { stakeholders = ["sre"] }\n'
    )

    assert config.retry.max_retries == 7
    assert config.retry.factor == 2
    assert config.routes["vault.*"].stakeholders == ("sre",)
    assert "backup.failed" in config.routes


@pytest.mark.parametrize(("name", "keys"), SEED_NAMES.items())
def test_every_earlier_environment_name_sets_its_setting(name: str, keys: tuple[str, str]):
    values = {"url": f"{'redis' if keys[0] == 'redis' else 'postgresql'}://elsewhere:1/x"}
    text = values.get(keys[1], "1")

    config = load_config(None, {name: text})

    assert str(getattr(getattr(config, keys[0]), keys[1])).removesuffix(".0") in (text, "True")


def test_any_setting_can_come_from_the_environment_and_wins_over_the_file(tmp_path: Path):
    config = load(
        tmp_path,
        "[intake]\nbatch = 5\n",
        {
            "TEAMS_INTAKE__BATCH": "6",
            "TEAMS_HTTP__ALLOWED_HOSTS": "a.example, b.example",
            "TEAMS_RECORDER__STORE_CARDS": "no",
        },
    )

    assert config.intake.batch == 6
    assert config.http.allowed_hosts == ("a.example", "b.example")
    assert config.recorder.store_cards is False


@pytest.mark.parametrize(
    ("text", "env", "words"),
    [
        ("[retry]\nmax_retires = 3\n", {}, ["retry.max_retires", "there is no such setting"]),
        ("[retires]\nx = 3\n", {}, ["retires", "there is no such setting"]),
        (
            "[retry]\nmax_retries = -1\n",
            {},
            ["retry.max_retries", "greater than or equal to 0"],
        ),
        (
            "",
            {"TEAMS_MAX_RETRIES": "many"},
            ["retry.max_retries", "integer", "TEAMS_MAX_RETRIES"],
        ),
        (
            "",
            {"TEAMS_RETRY__TRIES": "1"},
            ["TEAMS_RETRY__TRIES", "has no key tries", "max_retries"],
        ),
        ("", {"TEAMS_NOPE__X": "1"}, ["TEAMS_NOPE__X", "no section [nope]"]),
        (
            "",
            {"TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "maybe"},
            ["TEAMS_ALLOW_LOOPBACK_WEBHOOKS", "write 1 or 0"],
        ),
        ("", {"REDIS_URL": "localhost:6379"}, ["redis.url", "redis://", "REDIS_URL"]),
        ('[admin]\nbind = "9464"\n', {}, ["admin.bind", "host:port"]),
        (
            '[routes]\n"a.b" = { stakeholders = ["nobody"] }\n',
            {},
            ['no channel "nobody"', "sre"],
        ),
        (
            '[routes]\n"a.b" = { stakeholders = ["sre"], aliases = ["backup.failed"] }\n',
            {},
            ['"backup.failed" is named by'],
        ),
        ('[routes]\n"a.b" = { priority = "URGENT" }\n', {}, ["routes.a.b.priority"]),
        ("[retry\n", {}, ["is not valid TOML"]),
    ],
)
def test_fault_names_key_and_fix(
    tmp_path: Path, text: str, env: dict[str, str], words: list[str]
):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, env)

    for word in words:
        assert word in str(caught.value)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"gone\.toml.*--config"):
        load_config(tmp_path / "gone.toml", {})


def test_passwords_are_never_shown():
    config = load_config(
        None,
        {
            "REDIS_URL": "rediss://user:topsecret@r:1/0?password=topsecret",
            "DATABASE_URL": "postgresql://u:topsecret@p/db",
        },
    )

    assert "topsecret" not in str(masked(config))
    assert mask_url("redis://u:topsecret@h:1/0") == "redis://u:***@h:1/0"
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"REDIS_URL": "http://:topsecret@r"})
    assert "topsecret" not in str(caught.value)


def test_webhook_of_a_foreign_host_is_refused_without_showing_it():
    with pytest.raises(SecretsError) as caught:
        load_secrets(
            load_config(None, {}),
            {"TEAMS_WEBHOOK_SRE": "https://evil.example/hook?sig=topsecret"},
        )

    assert "TEAMS_WEBHOOK_SRE has host evil.example" in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_secrets_come_from_credentials_before_the_environment(tmp_path: Path):
    (tmp_path / "teams_webhook_sre").write_text("https://a.logic.azure.com/w\n")
    env = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "TEAMS_WEBHOOK_SRE": "https://b.logic.azure.com/w",
        "TEAMS_WEBHOOK_PMO": "placeholder",
        "TEAMS_HMAC_SECRET_KEY": "topsecret",
    }

    secrets = load_secrets(load_config(None, {}), env)

    assert secrets.webhooks["sre"].get_secret_value() == "https://a.logic.azure.com/w"
    assert "pmo" not in secrets.webhooks
    assert "topsecret" not in repr(secrets)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:topsecret127.0.0.1:6379/0", "redis://***"),
        ("redis://:topsecret/0", "redis://***"),
        ("postgresql://utopsecret@h/n", "postgresql://***@h/n"),
        ("redis://u://u:topsecret@h/0", "redis://***"),
        ("redis://u:topsecret@[::1", "***"),
        ("postgresql://u:topsecret@h1:5432,h2:5433/n", "postgresql://u:***@h1:5432,h2:5433/n"),
        ("postgresql://h1:5432,h2/n", "postgresql://h1:5432,h2/n"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
    ],
)
def test_password_in_a_url_that_is_written_wrong_is_not_shown_either(url: str, shown: str):
    assert mask_url(url) == shown
