"""Bounds of the public listener, without a network."""

from __future__ import annotations

import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from notifier.actions import MAX_NOTE, clean_line, clean_note
from notifier.web.clients import Clients
from notifier.web.limits import PostLimit

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_posts_are_limited_per_key_and_come_back_with_time():
    clock = Clock()
    limit = PostLimit(3, clock)
    assert [limit.wait_seconds("a") for _ in range(4)] == [0, 0, 0, 20]
    assert limit.wait_seconds("b") == 0
    clock.now += 20
    assert [limit.wait_seconds("a") for _ in range(2)] == [0, 20]


def test_memory_of_the_limit_is_bounded():
    limit = PostLimit(1, Clock())
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


def test_names_and_notes_are_freed_of_what_cannot_be_stored_or_misleads():
    assert clean_line(" Sa\x00ra\u202e \n al\ud800-Harbi ", 100) == "Sara al-Harbi"
    assert clean_line("عبدالله  الحربي", 100) == "عبدالله الحربي"
    assert clean_note("a\r\nb\x07\ud83d\n") == "a\nb"
    assert len(clean_note("x" * 5000)) == MAX_NOTE
