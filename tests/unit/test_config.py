from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from notifier.config import Config, assets, load_config, mask_url
from notifier.config.load import SEED_NAMES, masked
from notifier.config.redis_url import RedisAddress, RedisKind, parse_redis_url
from notifier.config.section import CLOCK, HEADER, NAME, STREAM
from notifier.errors import ConfigError


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
    schemes = {"redis": "redis", "database": "postgresql", "vault": "https"}
    values = {
        "url": f"{schemes.get(keys[0], '')}://elsewhere:1/1",
        "webhooks_path": "kv/teams/hooks",
    }
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


def test_example_in_a_fault_is_the_shipped_value_not_the_wrong_one():
    with pytest.raises(ConfigError, match="a whole number, such as 3 "):
        load_config(None, {"TEAMS_RETRY__MAX_RETRIES": "many"})


@pytest.mark.parametrize(
    ("text", "env", "words"),
    [
        ("[retry]\nmax_retires = 3\n", {}, ["retry.max_retires", "unknown setting"]),
        ("[retires]\nx = 3\n", {}, ["retires", "unknown setting"]),
        (
            "[retry]\nmax_retries = -1\n",
            {},
            ["retry.max_retries", "must be at least 0"],
        ),
        (
            "",
            {"TEAMS_MAX_RETRIES": "many"},
            ["retry.max_retries: must be a whole number, such as 3 (from TEAMS_MAX_RETRIES)"],
        ),
        (
            "",
            {"TEAMS_RETRY__TRIES": "1"},
            ["TEAMS_RETRY__TRIES", "unknown key tries", "max_retries"],
        ),
        ("", {"TEAMS_NOPE__X": "1"}, ["TEAMS_NOPE__X", "unknown section [nope]"]),
        (
            "",
            {"TEAMS_ALLOW_LOOPBACK_WEBHOOKS": "maybe"},
            ["TEAMS_ALLOW_LOOPBACK_WEBHOOKS", "must be true or false"],
        ),
        ("", {"REDIS_URL": "localhost:6379"}, ["redis.url", "redis://", "REDIS_URL"]),
        ('[admin]\nbind = "9464"\n', {}, ["admin.bind", "host:port"]),
        (
            '[vault]\nurl = "https://[::1"\n[links]\nlogs = "https://h:topsecret/"\n',
            {},
            ["vault.url", "links.logs", "https://name.example"],
        ),
        (f"x = {'[' * 5000}", {}, ["not valid TOML"]),
        (
            '[routes]\n"a.b" = { stakeholders = ["nobody"] }\n',
            {},
            ['unknown channel "nobody"', "sre"],
        ),
        (
            '[routes]\n"a.b" = { stakeholders = ["sre"], aliases = ["backup.failed"] }\n',
            {},
            ['name "backup.failed"; keep one'],
        ),
        (
            '[routes]\n"a.b" = { priority = "URGENT" }\n',
            {},
            ['routes."a.b".priority: must be one of "CRITICAL", "HIGH"'],
        ),
        (
            '[masking]\nfields = "name"\n',
            {},
            [
                'masking.fields: must be a list in square brackets, such as ["patient_id", "member_id"]'
            ],
        ),
        (
            '[business_hours]\nstart = "9"\n',
            {},
            ['business_hours.start: must be a time of day in four digits, such as "08:00"'],
        ),
        (
            '[channels]\nmy-chan = { title = "x" }\n',
            {},
            [
                'channels."my-chan": the name must begin with a lower-case letter',
                '"claims_team"',
            ],
        ),
        (
            '[channels]\nbilling = "x"\n',
            {},
            ['channels.billing: must be a table, such as sre = { title = "SRE" }'],
        ),
        (
            "",
            {"TEAMS_INTAKE__BATCH": "many"},
            ["intake.batch: must be a whole number, such as 200 (from TEAMS_INTAKE__BATCH)"],
        ),
        (
            "[intake]\nbach = 3\n",
            {},
            ["intake.bach: unknown setting; did you mean batch?"],
        ),
        (
            '[routes]\n"a.b" = { stakeholder = ["sre"] }\n',
            {},
            ['routes."a.b".stakeholder: unknown setting; did you mean stakeholders?'],
        ),
        (
            '[routes]\n"a.b" = { stakeholders = "sre" }\n',
            {},
            [
                'routes."a.b".stakeholders: must be a list in square brackets, such as ["sre", "devops"]'
            ],
        ),
        ('streams = ["a b"]\n', {}, ["streams[0]: must be a name without spaces"]),
        ("[retry\n", {}, ["not valid TOML"]),
        (
            '[escalation]\nHIGH = { after_seconds = 60, chain = ["nobody"] }\n',
            {},
            ['escalation.HIGH.chain: unknown channel "nobody"'],
        ),
        (
            "[escalation]\nLOW = { after_seconds = 60 }\n",
            {},
            ["escalation.LOW", "next_business_day = true with after_seconds = 0"],
        ),
        (
            '[business_hours]\ntime_zone = "Riyadh"\n',
            {},
            ["business_hours.time_zone", "Asia/Riyadh"],
        ),
        ('[business_hours]\nend = "07:00"\n', {}, ["start must be before end"]),
        ('[business_hours]\ndays = ["someday"]\n', {}, ["business_hours.days", "sunday"]),
        (
            '[public]\nuser_header = "X-User"\n',
            {},
            ["public", "believed only from trusted_proxies"],
        ),
        (
            "",
            {"TEAMS_PUBLIC__TRUSTED_PROXIES": "10.0.0.0/33"},
            ["public.trusted_proxies", "TEAMS_PUBLIC__TRUSTED_PROXIES"],
        ),
    ],
)
def test_fault_names_key_and_fix(
    tmp_path: Path, text: str, env: dict[str, str], words: list[str]
):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, env)

    for word in words:
        assert word in str(caught.value)


def test_a_list_with_a_wrong_entry_is_one_fault(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[business_hours]\ndays = ["someday"]\n', {})

    [line] = str(caught.value).splitlines()[1:]
    assert line.strip().startswith('business_hours.days[0]: must be one of "monday", ')


def patterns_in(schema: object) -> set[str]:
    """Return every pattern of a schema."""
    if isinstance(schema, list):
        return {found for each in schema for found in patterns_in(each)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    own |= set(schema.get("patternProperties", {}))
    return own | {found for each in schema.values() for found in patterns_in(each)}


def test_every_pattern_of_the_settings_has_words(tmp_path: Path):
    assert patterns_in(Config.model_json_schema()) == {NAME, CLOCK, HEADER, STREAM}
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, '[admin]\nuser_header = "a b"\n', {})
    assert "the name of a header" in str(caught.value)


def test_a_rule_of_the_matrix_can_be_changed_alone(tmp_path: Path):
    config = load(
        tmp_path, "[escalation.CRITICAL]\nafter_seconds = 60\n[escalation.LOW]\nchain = []\n"
    )

    assert config.escalation.CRITICAL.after_seconds == 60
    assert config.escalation.CRITICAL.chain == ("nphies_integration", "devops", "sre")
    assert config.escalation.LOW.chain == ()


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"gone\.toml.*--config"):
        load_config(tmp_path / "gone.toml", {})


def test_passwords_are_never_shown():
    config = load_config(
        None,
        {
            "REDIS_URL": "rediss://user:topsecret@r:1/0",
            "DATABASE_URL": "postgresql://u:topsecret@p/db",
            "VAULT_ADDR": "https://u:topsecret@v:8200",
            "TEAMS_LINKS__LOGS": "https://u:topsecret@logs.example/x",
        },
    )

    assert "topsecret" not in str(masked(config))
    assert masked(config)["links"]["logs"] == "https://u:***@logs.example/x"  # type: ignore[index,call-overload]
    assert mask_url("redis://u:topsecret@h:1/0") == "redis://u:***@h:1/0"
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"REDIS_URL": "http://:topsecret@r"})
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:topsecret127.0.0.1:6379/0", "redis://***"),
        ("redis://:topsecret/0", "redis://***"),
        ("postgresql://utopsecret@h/n", "postgresql://***@h/n"),
        ("redis://u://u:topsecret@h/0", "redis://***"),
        ("redis://u:topsecret@[::1", "***"),
        ("redis://u:1234?topsecret@h:1/0", "redis://***"),
        ("postgresql://u:1234#topsecret@h/n", "postgresql://***"),
        ("postgresql://u:topsecret@h1:5432,h2:5433/n", "postgresql://u:***@h1:5432,h2:5433/n"),
        ("postgresql://h1:5432,h2/n", "postgresql://h1:5432,h2/n"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
    ],
)
def test_password_in_a_url_that_is_written_wrong_is_not_shown_either(url: str, shown: str):
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://u:p@h:1/2", RedisAddress(RedisKind.SINGLE, False)),
        ("unix:///run/redis.sock", RedisAddress(RedisKind.SINGLE, False)),
        (
            "rediss+cluster://u:p%40ss@a:7000,[::1]:7001,c",
            RedisAddress(RedisKind.CLUSTER, True, (("a", 7000), ("::1", 7001), ("c", 6379)), "u", "p@ss"),
        ),
        (
            "redis+sentinel://:p@a,b:26380/mymaster/3?sentinel_username=s&sentinel_password=q",
            RedisAddress(
                RedisKind.SENTINEL, False, (("a", 26379), ("b", 26380)), None, "p", "mymaster", 3, "s", "q"
            ),
        ),
    ],
)  # fmt: skip
def test_redis_url_names_one_server_sentinels_or_a_cluster(url: str, expected: RedisAddress):
    assert parse_redis_url(url) == expected


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://h:1", "must start with"),
        ("redis+sentinel://h:26379", "must name the master"),
        ("redis+sentinel://h:26379/m/x", "must name the master"),
        ("redis+sentinel://h/m?password=topsecret", "takes after ?"),
        ("redis+sentinel://h/m?ssl_cert_reqs", "takes after ?"),
        ("rediss://h:6379/0?ssl_cert_reqs=none", "takes nothing after ?"),
        ("rediss://h:6379/0?ssl_check_hostname=False", "takes nothing after ?"),
        ("redis://h:6379/0?socket_timeout=1", "takes nothing after ?"),
        ("redis://h?db=1", "takes nothing after ?"),
        ("redis://u:1?topsecret@h:6379", "takes nothing after ?"),
        ("unix:///run/redis.sock?db=1&topsecret=2", "takes after ? only"),
        ("redis://h:6379/topsecret", "number of the database"),
        ("redis://h:6379/1/0", "number of the database"),
        ("redis+cluster://h:6379?ssl_cert_reqs=none", "a cluster has database 0 only"),
        ("redis+cluster://u:topsecret@h:1/3", "database 0 only"),
        ("redis+cluster://u:topsecret@h:1,h:99999", "must list host:port"),
        ("redis+cluster://", "must list host:port"),
        ("redis+cluster://[::1", "must be scheme://"),
        ("redis+cluster://[::1]:7001,::1", "must be scheme://"),
        ("redis+sentinel://h:26379,fe80::1:26379/mymaster/0", "must be scheme://"),
        ("redis://u:topsecret#x@h:1", "%23 for #"),
        ("redis://u:topsecret/x@h:1/0", "%2F for /"),
        ("redis+sentinel://u:topsecret#x@h/m", "%23 for #"),
        ("redis://[::1", "must be scheme://"),
        ("redis://h:99999", "must be scheme://"),
    ],
)
def test_redis_url_that_cannot_be_used_is_explained_without_its_password(url: str, fault: str):
    with pytest.raises(ConfigError, match=re.escape(fault)) as caught:
        load_config(None, {"REDIS_URL": url})

    assert "redis.url" in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_passwords_of_redis_are_in_no_text_that_is_shown():
    url = "redis+sentinel://u:topsecret@h:1,i:2/m?sentinel_password=topsecret"

    assert mask_url(url) == "redis+sentinel://u:***@h:1,i:2/m?***"
    assert "topsecret" not in repr(parse_redis_url(url))
    assert "topsecret" not in json.dumps(masked(load_config(None, {"REDIS_URL": url})))


@pytest.mark.parametrize(
    ("env", "fault"),
    [
        ({"TEAMS_REDIS__TLS_CA_FILE": "ca.pem"}, "write rediss"),
        (
            {"REDIS_URL": "rediss://h", "TEAMS_REDIS__TLS_KEY_FILE": "k.pem"},
            "set both or neither",
        ),
    ],
)
def test_tls_settings_that_do_nothing_are_refused(env: dict[str, str], fault: str):
    with pytest.raises(ConfigError, match=fault):
        load_config(None, env)


def test_environment_that_is_not_utf8_is_a_clear_error():
    with pytest.raises(ConfigError, match="TEAMS_LOGGING__LEVEL: not UTF-8"):
        load_config(None, {"TEAMS_LOGGING__LEVEL": "\udcff"})


@pytest.mark.parametrize(
    "name", ["TEAMS_HTTP__ALLOWED_HOSTS", "TEAMS_VAULT__MOUNT", "TEAMS_VAULT__WEBHOOKS_PATH"]
)
def test_webhook_url_pasted_into_the_wrong_setting_is_not_shown(name: str):
    pasted = "https://x.logic.azure.com/workflows/abc?sig=PastedCanary"

    with pytest.raises(ConfigError) as caught:
        load_config(None, {name: pasted})

    assert "PastedCanary" not in str(caught.value)
    assert "workflows" not in str(caught.value)
