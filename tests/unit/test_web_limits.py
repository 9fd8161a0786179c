"""Bounds of the public listener, without a network."""

from __future__ import annotations

import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from notifier.events.action import MAX_NOTE, clean_line, clean_note
from notifier.telemetry.logs import LineLimit
from notifier.web.http.clients import Clients
from notifier.web.http.forms import is_forged
from notifier.web.http.limits import RequestLimit

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_posts_are_limited_per_key_and_come_back_with_time():
    clock = Clock()
    limit = RequestLimit(3, clock)
    assert [limit.wait_seconds("a") for _ in range(4)] == [0, 0, 0, 20]
    assert limit.wait_seconds("b") == 0
    clock.now += 20
    assert [limit.wait_seconds("a") for _ in range(2)] == [0, 20]


def test_a_part_of_a_post_counts_as_that():
    limit = RequestLimit(2, Clock())
    assert [limit.wait_seconds("a", weight=0.5) for _ in range(3)] == [0, 0, 0]
    assert limit.wait_seconds("a") == 15
    assert [limit.wait_seconds("a", weight=0.5) for _ in range(2)] == [0, 15]


def test_whoever_must_wait_is_known_without_counting():
    limit = RequestLimit(2, Clock())
    assert [limit.must_wait("a") for _ in range(5)] == [0] * 5
    assert [limit.wait_seconds("a") for _ in range(3)] == [0, 0, 30]
    assert (limit.must_wait("a"), limit.must_wait("b")) == (30, 0)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "not an address"),
    ],
)
def test_limits_count_by_client(address: str, key: str):
    request = make_mocked_request("GET", "/").clone(remote=address)

    assert Clients([], "").limit_key(request) == key


OURS, THEIRS = "https://n.example", "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "forged"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": OURS}, False),
        ({"Origin": "https://shown.example"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": OURS}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": OURS}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": THEIRS}, True),
        ({"Sec-Fetch-Site": "none", "Origin": THEIRS}, True),
        ({"Origin": THEIRS}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "https://["}, True),
        ({"Origin": ""}, True),
    ],
)
def test_a_form_is_ours_by_sec_fetch_site_or_else_by_origin(
    headers: dict[str, str], forged: bool
):
    request = make_mocked_request(
        "POST", "/", headers=CIMultiDict({**headers, "Host": "n.example"})
    )

    assert is_forged(request, ["shown.example"]) is forged
    if headers.get("Origin") == "null":
        assert not is_forged(request, [], null_is_ours=True)


def test_lines_of_a_kind_are_limited_and_counted():
    clock = Clock()
    limit = LineLimit(clock, most=2, seconds=60)
    assert [limit.left_out("a") for _ in range(5)] == [0, 0, None, None, None]
    assert limit.left_out("b") == 0
    clock.now += 60
    assert [limit.left_out("a") for _ in range(3)] == [3, 0, None]
    for number in range(1000):
        limit.left_out(f"kind {number}")
    assert len(limit._kinds) == 200


def test_memory_of_the_limit_is_bounded():
    limit = RequestLimit(1, Clock())
    for number in range(30_000):
        limit.wait_seconds(f"address {number}")
    assert len(limit._due) == 10_000


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4:50123", "1.2.3.4"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4:50123, 10.9.9.9:443", "1.2.3.4"),
        ("10.0.0.1", "[2001:db8::1]:50123", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "[::1]:443, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "not an address", "not an address"),
        ("::1", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_forwarded_addresses_are_believed_from_proxies_only(
    peer: str, forwarded: str, address: str
):
    headers = CIMultiDict({"X-Forwarded-For": forwarded}) if forwarded else CIMultiDict()
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)

    assert Clients(PROXIES, "").address(request) == address


@pytest.mark.parametrize(
    ("peer", "names", "user"),
    [
        ("10.0.0.1", ["Sara"], "Sara"),
        ("10.0.0.1", [], None),
        ("10.0.0.1", ["  "], None),
        ("10.0.0.1", ["Mallory", "Sara"], None),
        ("203.0.113.9", ["Sara"], None),
    ],
)
def test_user_header_is_believed_from_proxies_only_and_never_twice(
    peer: str, names: list[str], user: str | None
):
    headers = CIMultiDict([("X-User", name) for name in names])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)

    assert Clients(PROXIES, "X-User").user(request) == user


def test_names_and_notes_lose_characters_that_cannot_be_stored_or_mislead():
    assert clean_line(" Sa\x00ra\u202e \n al\ud800-Harbi ", 100) == "Sara al-Harbi"
    assert clean_line("عبدالله  الحربي", 100) == "عبدالله الحربي"
    assert clean_note("a\r\nb\x07\ud83d\n") == "a\nb"
    assert len(clean_note("x" * 5000)) == MAX_NOTE
