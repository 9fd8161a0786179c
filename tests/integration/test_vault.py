"""Secrets from Vault, over HTTP to a server with the documented API."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from notifier.config import load_config
from notifier.config.models import VaultSettings
from notifier.config.secrets import VaultSource, load_secrets, open_vault, secret_sources
from notifier.errors import SecretsError, VaultError
from tests.support.vault_server import ROOT_TOKEN, FakeVault, Token, running_vault

URL = "https://prod-7.westeurope.logic.azure.com:443/workflows/x?sig=vault-canary"
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    with running_vault() as server:
        server.secrets = {
            "secret/teams/webhooks": {"sre": URL, "pmo": "Placeholder", "devops": "  "},
            "secret/teams/config": {"hmac_secret": KEY},
        }
        yield server


def settings(vault: FakeVault, **changes: Any) -> VaultSettings:
    base = load_config(None, {}).vault.model_dump()
    return VaultSettings(**{**base, "url": vault.url, "timeout_seconds": 1.0, **changes})


def opened(
    vault: FakeVault,
    env: dict[str, str] | None = None,
    clock: Clock | None = None,
    **changes: Any,
) -> VaultSource:
    found = open_vault(
        settings(vault, **changes), env or {"VAULT_TOKEN": ROOT_TOKEN}, clock=clock or Clock()
    )
    assert found is not None
    return found


def url_of(source: VaultSource, env: dict[str, str] | None = None) -> str | None:
    """Return what the channel sre is posted to."""
    secrets = load_secrets(load_config(None, {}), secret_sources(env or {}, source))
    url = secrets.webhooks.get("sre")
    return url and url.get_secret_value()


def test_webhooks_and_key_are_read_and_their_state_is_known(vault: FakeVault):
    source = opened(vault)
    source.refresh()

    secrets = load_secrets(load_config(None, {}), secret_sources({}, source))

    assert secrets.webhooks["sre"].get_secret_value() == URL
    assert secrets.keys is not None
    assert secrets.keys.texts == (KEY,)
    states = {name: webhook.state for name, webhook in secrets.found.items()}
    assert (states["sre"], states["pmo"], states["devops"], states["compliance"]) == (
        "configured", "placeholder", "placeholder", "missing",
    )  # fmt: skip
    assert secrets.found["sre"].where == "Vault secret/teams/webhooks key sre"
    assert secrets.found["sre"].host == "prod-7.westeurope.logic.azure.com"
    assert "canary" not in repr(secrets)
    assert KEY not in repr(secrets)


def test_vault_comes_after_credentials_and_before_the_environment(
    vault: FakeVault, tmp_path: Path
):
    source = opened(vault)
    source.refresh()
    elsewhere = {"TEAMS_WEBHOOK_SRE": "https://env.logic.azure.com/w"}

    assert url_of(source, elsewhere) == URL
    (tmp_path / "teams_webhook_sre").write_text("https://credential.logic.azure.com/w\n")
    found = url_of(source, {**elsewhere, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found == "https://credential.logic.azure.com/w"


def test_other_mounts_and_namespaces_are_asked_for(vault: FakeVault):
    vault.secrets["kv/apps/hooks"] = {"sre": URL}
    source = opened(vault, webhooks_path="kv/apps/hooks", namespace="health/claims")
    source.refresh()

    assert url_of(source) == URL
    assert {headers.get("X-Vault-Namespace") for _, _, headers in vault.requests} == {
        "health/claims"
    }


def test_mount_with_a_slash_in_it(vault: FakeVault):
    source = opened(
        vault, mount="team/kv", webhooks_path="team/kv/hooks", config_path="team/kv/config"
    )
    source.refresh()

    assert [path for _, path, _ in vault.requests if "data" in path] == [
        "/v1/team/kv/data/hooks",
        "/v1/team/kv/data/config",
    ]


def test_approle_logs_in_and_renews_before_the_lease_ends(vault: FakeVault):
    vault.approles = {"role-7": "secret-id-canary"}
    clock = Clock()
    env = {"VAULT_SECRET_ID": "secret-id-canary"}
    source = opened(vault, env, clock, auth="approle", role="role-7", refresh_seconds=86400)

    source.refresh()
    assert vault.logins == ["approle"]
    assert source.next_refresh_seconds <= 3600 / 2

    clock.now += source.next_refresh_seconds
    source.refresh()
    [token] = [token for name, token in vault.tokens.items() if name != ROOT_TOKEN]
    assert (token.renewals, vault.logins) == (1, ["approle"])


def test_token_that_cannot_be_renewed_any_more_is_replaced_by_a_new_login(vault: FakeVault):
    vault.approles = {"role-7": "s"}
    clock = Clock()
    source = opened(vault, {"VAULT_SECRET_ID": "s"}, clock, auth="approle", role="role-7")
    source.refresh()
    for token in vault.tokens.values():
        token.max_renewals = 0

    clock.now += 3000
    source.refresh()

    assert vault.logins == ["approle", "approle"]


def test_token_that_was_revoked_is_replaced_at_the_next_turn(vault: FakeVault):
    vault.approles = {"role-7": "s"}
    source = opened(vault, {"VAULT_SECRET_ID": "s"}, auth="approle", role="role-7")
    source.refresh()
    vault.tokens.clear()

    with pytest.raises(VaultError):
        source.refresh()
    assert url_of(source) == URL
    source.refresh()

    assert vault.logins == ["approle", "approle"]


def test_kubernetes_logs_in_with_the_service_account_token(vault: FakeVault, tmp_path: Path):
    vault.kubernetes = {"notifier": "jwt-canary"}
    file = tmp_path / "token"
    file.write_text("jwt-canary\n")
    source = opened(vault, auth="kubernetes", role="notifier", kubernetes_token_file=str(file))
    source.refresh()

    assert url_of(source) == URL
    assert vault.logins == ["kubernetes"]


def test_given_token_is_renewed(vault: FakeVault):
    vault.tokens["hvs.periodic"] = Token(ttl=900, renewable=True)
    clock = Clock()
    source = opened(vault, {"VAULT_TOKEN": "hvs.periodic"}, clock)
    source.refresh()
    clock.now += source.next_refresh_seconds

    source.refresh()

    assert vault.tokens["hvs.periodic"].renewals == 1


@pytest.mark.parametrize("file", ["vault_token", "teams_vault_token"])
def test_own_credentials_come_from_systemd_credentials_first(
    vault: FakeVault, tmp_path: Path, file: str
):
    (tmp_path / file).write_text(f"{ROOT_TOKEN}\n")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "VAULT_TOKEN": "hvs.other"}
    source = opened(vault, env)
    source.refresh()

    assert url_of(source) == URL


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({}, 'VAULT_TOKEN is missing; vault.auth = "token"'),
        ({"auth": "approle", "role": "r"}, "VAULT_SECRET_ID is missing"),
    ],
)
def test_missing_credential_is_named(vault: FakeVault, auth: dict[str, str], words: str):
    with pytest.raises(SecretsError, match=words):
        open_vault(settings(vault, **auth), {}, clock=Clock())


def _seal(vault: FakeVault) -> None:
    vault.sealed = True


def _forbid(vault: FakeVault) -> None:
    vault.denied.add("secret/teams/webhooks")


def _slow(vault: FakeVault) -> None:
    vault.delay = 3


def _drip(vault: FakeVault) -> None:
    vault.drip = 0.2


def _flood(vault: FakeVault) -> None:
    vault.size = 3_000_000


def _redirect(vault: FakeVault) -> None:
    vault.redirect = "http://127.0.0.1:9/v1/steal"


def _forget(vault: FakeVault) -> None:
    del vault.secrets["secret/teams/webhooks"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_seal, "sealed or down"),
        (_forbid, "permission denied"),
        (_slow, "no answer within 1 s"),
        (_drip, "no answer within 1 s"),
        (_flood, "does not answer"),
        (_redirect, "check vault.url"),
        (_forget, "secret/teams/webhooks is gone"),
    ],
)
def test_fault_is_named_and_the_last_values_stay(vault: FakeVault, fault: Any, words: str):
    source = opened(vault)
    source.refresh()
    fault(vault)

    with pytest.raises(VaultError, match=words) as caught:
        source.refresh()

    assert "canary" not in str(caught.value)
    assert url_of(source) == URL


def test_wrong_secret_id_is_named_and_not_shown(vault: FakeVault):
    source = opened(vault, {"VAULT_SECRET_ID": "wrong-canary"}, auth="approle", role="r")

    with pytest.raises(VaultError, match="refuses the credentials") as caught:
        source.refresh()

    assert "canary" not in f"{caught.value!r}{caught.value.__cause__}"


def test_vault_that_is_not_there_is_named():
    with running_vault() as vault:
        pass
    with pytest.raises(VaultError, match=r"Vault at 127\.0\.0\.1:\d+, .*check vault.url"):
        opened(vault).refresh()


def test_paths_where_nothing_is_yet_are_empty(vault: FakeVault):
    vault.secrets.clear()
    source = opened(vault)
    source.refresh()

    assert url_of(source) is None


def test_certificate_is_checked_against_the_configured_authority(tmp_path: Path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with running_vault(tls=context) as vault:
        vault.secrets["secret/teams/webhooks"] = {"sre": URL}
        with pytest.raises(VaultError, match=r"certificate is not trusted; set vault\.ca_file"):
            opened(vault).refresh()
        source = opened(vault, ca_file=str(ca_file))
        source.refresh()

    assert url_of(source) == URL


def test_environment_proxies_are_ignored(vault: FakeVault, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    source = opened(vault)
    source.refresh()

    assert url_of(source) == URL
