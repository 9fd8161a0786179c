"""The allow-list of webhook URLs and addresses resists tricks."""

from __future__ import annotations

import pytest
from yarl import URL

from notifier.config import load_config
from notifier.config.webhook_url import forbidden_address, refuse_reason, url_doubt
from notifier.errors import ConfigError

HOSTS = ("*.logic.azure.com", "hooks.example.org", "*.other.example:8443")


def reason(url: str, *, allow_loopback: bool = False) -> str | None:
    return refuse_reason(url, allowed_hosts=HOSTS, allow_loopback=allow_loopback)


@pytest.mark.parametrize(
    "url",
    [
        "https://prod-1.westus.logic.azure.com/w?sig=s",
        "https://prod-1.westus.logic.azure.com:443/w?sig=s",
        "https://PROD-1.WestUS.Logic.Azure.Com/w",
        "https://hooks.example.org/w",
        "https://a.other.example:8443/w",
        "https://xn--e1afmkfd.logic.azure.com/w",
        "https://prod-1.logic.azure.com/w/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual&sig=a_b-C%3D",
    ],
)
def test_webhook_on_an_allowed_host_is_taken(url: str):
    assert reason(url) is None
    host = URL(url, encoded=True).raw_host
    assert host is not None
    assert host.lower().endswith((".logic.azure.com", "hooks.example.org", ".other.example"))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/.logic.azure.com",
        "https://evil.com#.logic.azure.com",
        "https://evil.com?.logic.azure.com",
        "https://evil.com\\.logic.azure.com/",
        "https://x.logic.azure.com@evil.com/w",
        "https://x.logic.azure.com:443@evil.com/w",
        "https://user@x.logic.azure.com/w",
        "https://:pass@x.logic.azure.com/w",
        "https://@x.logic.azure.com/w",
        "https://x.logic.azure.com\\@evil.com/w",
        "https://x.logic.azure.com%2eevil.com/w",
        "https://x%2elogic.azure.com/w",
        "https://evil.com%00.logic.azure.com/w",
        "https://evil.com%0d%0a.logic.azure.com/w",
        "https://x.logic.azure.com./w",
        "https://logic.azure.com/w",
        "https://.logic.azure.com/w",
        "https://evillogic.azure.com/w",
        "https://x.logic.azure.com.evil.com/w",
        "https://evil。logic.azure.com/w",
        "https://evil.com／.logic.azure.com/w",
        "https://x.lоgic.azure.com/w",  # a Cyrillic o
        "https://x.logic.azure.com:444/w",
        "https://x.logic.azure.com:0/w",
        "https://x.logic.azure.com:99999/w",
        "https://hooks.example.org:8443/w",
        "https://a.other.example/w",
        "https://[2001:db8::1]/w",
        "https://[::ffff:127.0.0.1]/w",
        "https://[fe80::1%25eth0]/w",
        "https://10.0.0.1/w",
        "https://2130706433/w",
        "https://0x7f.1/w",
        "https://0177.0.0.1/w",
        "https://x.logic.azure.com\t.evil.com/w",
        "https://x.logic.azure.com /w",
        " https://x.logic.azure.com/w",
        "https://x.logic.azure.com/w\n",
        "https:x.logic.azure.com/w",
        "https:///x.logic.azure.com/w",
        "//x.logic.azure.com/w",
        "http://x.logic.azure.com/w",
        "HTTP://x.logic.azure.com/w",
        "ftp://x.logic.azure.com/w",
        "file:///etc/passwd",
        "unix://x.logic.azure.com/w",
        "https://",
        "",
        "x",
    ],
)
def test_trick_is_refused_and_not_repeated(url: str):
    found = reason(f"{url}?sig=canary" if "#" not in url else url)

    assert found is not None
    assert "canary" not in found
    assert "/w" not in found


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "[::1]:8000", "localhost:8000", "127.9.9.9"]
)
def test_this_machine_is_taken_only_when_allowed(host: str):
    for scheme in ("http", "https"):
        assert reason(f"{scheme}://{host}/w", allow_loopback=True) is None
        assert "TEAMS_ALLOW_LOOPBACK_WEBHOOKS" in (reason(f"{scheme}://{host}/w") or "")


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "[fe80::1]", "169.254.169.254", "0.0.0.0", "intranet", "localhost.evil.com"],
)
def test_allowing_this_machine_opens_nothing_else(host: str):
    for scheme in ("http", "https"):
        assert reason(f"{scheme}://{host}/w", allow_loopback=True) is not None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "192.0.2.1", "198.18.0.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:1::1",
    ],
)  # fmt: skip
def test_address_that_is_not_public_is_forbidden(address: str):
    assert forbidden_address(address, allow_loopback=False)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "20.150.1.1", "2603:1020::1", "64:ff9b::808:808"]
)
def test_public_address_is_open(address: str):
    assert not forbidden_address(address, allow_loopback=False)


def test_allowing_loopback_opens_only_loopback():
    assert not forbidden_address("127.0.0.1", allow_loopback=True)
    assert not forbidden_address("::1", allow_loopback=True)
    for address in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0", "fe80::1"):
        assert forbidden_address(address, allow_loopback=True)


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "*.com",
        "*azure.com",
        "a.*.com",
        "https://a.com",
        "a.com/x",
        "a.com:",
        "a b.com",
        "a.com:70000",
        "",
    ],
)
def test_pattern_that_would_let_anything_through_is_refused(pattern: str):
    with pytest.raises(ConfigError, match="allowed_hosts"):
        load_config(None, {"TEAMS_HTTP__ALLOWED_HOSTS": f'["{pattern}"]'})


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://a.logic.azure.com/w?api-version=1&amp;sp=%2F&amp;sig=canary", "&amp;"),
        (
            "https://a.environment.api.powerplatform.com:443/powerautomate/w?a=1&#38;sig=canary",
            "&amp;",
        ),
        ("https://hooks.example.org/w?canary=1&AMP;b=2", "&amp;"),
        ("https://a.logic.azure.com/w?api-version=1", "sig="),
        ("https://a.logic.azure.com/canary", "sig="),
        (
            "https://a.environment.api.powerplatform.com:443/powerautomate/w?api-version=1&sig=",
            "sig=",
        ),
    ],
)
def test_a_url_that_was_copied_badly_is_doubted(url: str, word: str):
    doubt = url_doubt(url)
    assert doubt is not None
    assert word in doubt
    assert "canary" not in doubt


@pytest.mark.parametrize(
    "url",
    [
        "https://a.logic.azure.com/w?api-version=1&sp=%2F&sv=1.0&sig=s",
        "https://a.environment.api.powerplatform.com:443/powerautomate/w?sig=s",
        "https://hooks.example.org/w",
        "http://127.0.0.1:8080/webhook/sre",
    ],
)
def test_a_url_that_is_whole_is_not_doubted(url: str):
    assert url_doubt(url) is None
