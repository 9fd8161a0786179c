"""`notifier migrate` as a user starts it."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import notifier
from tests.support.terminal import answered


def test_migrate_goes_up_and_down_and_says_where_it_stands(empty_database_url: str):
    assert notifier("migrate", "status", DATABASE_URL=empty_database_url).returncode == 5
    assert "applied 0001" in notifier("migrate", "up", DATABASE_URL=empty_database_url).stdout
    done = notifier("migrate", "status", "--json", DATABASE_URL=empty_database_url)
    assert done.returncode == 0
    latest = json.loads(done.stdout)[-1]
    assert latest["applied_at"]
    down = notifier("migrate", "down", "--yes", DATABASE_URL=empty_database_url)
    assert f"rolled back {latest['id']}" in down.stdout


def applied(url: str) -> list[str]:
    listed = json.loads(notifier("migrate", "status", "--json", DATABASE_URL=url).stdout)
    return [item["id"] for item in listed if item["applied_at"]]


def test_migrate_down_drops_nothing_that_nobody_agreed_to(database_url: str):
    before = applied(database_url)

    done = notifier("migrate", "down", stdin="y\n", DATABASE_URL=database_url)

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert before[-1] in done.stderr
    assert applied(database_url) == before


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_migrate_down_asks_at_a_terminal_and_names_what_goes(
    database_url: str, answer: str, code: int
):
    before = applied(database_url)

    done = answered("migrate", "down", "--steps", "2", answer=answer, DATABASE_URL=database_url)

    assert done.returncode == code
    assert f"{before[-1]}, {before[-2]}" in done.stderr
    assert applied(database_url) == (before if answer == "n" else before[:-2])


def test_migrate_down_asks_nothing_when_there_is_nothing_to_roll_back(empty_database_url: str):
    done = notifier("migrate", "down", DATABASE_URL=empty_database_url)

    assert done.returncode == 0
    assert "nothing to roll back" in done.stdout


def test_migrate_takes_several_hosts_as_the_daemon_does(empty_database_url: str):
    several = empty_database_url.replace("@", "@127.0.0.1:1,")
    assert "," in several

    done = notifier("migrate", "up", DATABASE_URL=several)

    assert "applied 0001" in done.stdout, done.stderr


@pytest.mark.parametrize("password", ["topsecret#x", "topsecret/x", "topsecret?x"])
def test_migrate_shows_no_part_of_a_password(password: str):
    url = f"postgresql://u:{password}@127.0.0.1:1/n"

    done = notifier("migrate", "up", DATABASE_URL=url)

    assert done.returncode in (3, 4)
    assert "topsecret" not in done.stdout + done.stderr
