"""`notifier backup` and `restore` as the role of the documents."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from notifier.sandbox.servers import Server
from notifier.store.migrations import (
    TABLES,
    migrate_down,
    migrate_up,
    required_migrations,
    status,
)
from tests.support.commands import notifier

AWKWARD = "سارة\tx\\N\n\\.\r'\"—"
FILL = [
    "INSERT INTO teams_notifications (id, stream, entry_id, event_id, correlation_id, event_type, channel, priority, status, sent_at, card_payload, stakeholders)"
    " SELECT gen_random_uuid(), 's', '1-0', 'e' || n, %(text)s, 'a.b', 'sre', 'CRITICAL', 'delivered', CASE n WHEN 1 THEN 'infinity' ELSE now() END,"
    " jsonb_build_object('fallbackText', %(text)s::text), ARRAY['sre', %(text)s] FROM generate_series(1, 300) n",
    "INSERT INTO teams_notification_attempts SELECT id, 1, now(), 0.1, NULL, %(text)s FROM teams_notifications",
    "INSERT INTO teams_actions (notification_id, action, who, via, at, note) SELECT id, 'acknowledge', 'x', 'page', now(), %(text)s FROM teams_notifications LIMIT 5",
    "INSERT INTO teams_escalations SELECT 's', 'e1', 1, 'sre', 'unanswered', id, gen_random_uuid(), NULL, now() FROM teams_notifications LIMIT 1",
    "INSERT INTO teams_dead_letter_actions (stream, letter_id, action, who, reason, letter) VALUES ('s', '1', 'discard', 'x', 'y', jsonb_build_object('z', %(text)s::text))",
]  # fmt: skip


@pytest.fixture
def databases(postgres_server: Server) -> Iterator[tuple[str, str]]:
    """Two databases made by the documents' commands, with their role."""
    role, names = f"keeper_{uuid4().hex}", [f"kept_{uuid4().hex}" for _ in range(2)]
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN".encode())
        for name in names:
            admin.execute(
                f"CREATE DATABASE {name} OWNER {role} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0".encode()
            )
        base = postgres_server.url.replace("//notifier@", f"//{role}@").removesuffix(
            "/notifier"
        )
        yield f"{base}/{names[0]}", f"{base}/{names[1]}"
        for name in names:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        admin.execute(f"DROP ROLE {role}".encode())


def filled(url: str) -> None:
    migrate_up(url)
    with psycopg.connect(url) as connection:
        for query in FILL:
            connection.execute(query.encode(), {"text": AWKWARD})


def content(url: str) -> dict[str, list[str]]:
    with psycopg.connect(url) as connection:
        return {
            table: sorted(
                row for (row,) in connection.execute(f"SELECT t::text FROM {table} t".encode())
            )
            for table in TABLES
        }


def test_what_was_backed_up_is_restored_to_the_letter(
    databases: tuple[str, str], tmp_path: Path
):
    first, second = databases
    filled(first)
    file = tmp_path / "audit.backup"

    wrote = notifier("backup", str(file), DATABASE_URL=first)
    restored = notifier("restore", str(file), DATABASE_URL=second)

    assert wrote.returncode == restored.returncode == 0, wrote.stderr + restored.stderr
    assert content(second) == content(first)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(item.applied_at for item in status(second))


def test_a_database_with_rows_and_a_file_that_is_there_stay_as_they_are(
    databases: tuple[str, str], tmp_path: Path
):
    first, _ = databases
    filled(first)
    file = tmp_path / "audit.backup"
    before = content(first)
    assert notifier("backup", str(file), DATABASE_URL=first).returncode == 0
    written = file.read_bytes()

    again = notifier("backup", str(file), DATABASE_URL=first)
    over = notifier("restore", str(file), DATABASE_URL=first)

    assert (again.returncode, over.returncode) == (1, 1)
    assert file.read_bytes() == written
    assert content(first) == before
    assert [path.name for path in tmp_path.iterdir()] == ["audit.backup"]


def spoilt(whole: bytes) -> list[bytes]:
    """The file with some bytes lost, and with a row that Postgres refuses."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["teams_notifications.copy"] = b"not\ta\trow\n" + parts["teams_notifications.copy"]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return [whole[:2000] + b"\x00" * 50 + whole[2050:], written.getvalue()]


def test_a_file_that_is_damaged_restores_nothing(databases: tuple[str, str], tmp_path: Path):
    first, second = databases
    filled(first)
    file = tmp_path / "audit.backup"
    notifier("backup", str(file), DATABASE_URL=first)
    whole = file.read_bytes()
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    for damaged in (whole[:-100], *spoilt(whole), b"", b"PK", bytes(encrypted)):
        file.write_bytes(damaged)

        done = notifier("restore", str(file), DATABASE_URL=second)

        assert done.returncode == 1, done.stderr
        assert "damaged" in done.stderr
    file.write_bytes(whole)
    assert notifier("restore", str(file), DATABASE_URL=second).returncode == 0
    assert content(second) == content(first)


def test_a_backup_of_an_older_schema_is_brought_up_with_its_rows(
    databases: tuple[str, str], tmp_path: Path
):
    first, second = databases
    filled(first)
    after = required_migrations().index("0005.search")
    migrate_down(first, steps=len(required_migrations()) - after)
    file = tmp_path / "audit.backup"
    assert notifier("backup", str(file), DATABASE_URL=first).returncode == 0
    migrate_up(second)

    done = notifier("restore", str(file), DATABASE_URL=second)

    assert done.returncode == 0, done.stderr
    assert len(content(second)["teams_notifications"]) == 300
    assert all(item.applied_at for item in status(second))


def test_a_backup_of_a_newer_version_is_left_to_it(databases: tuple[str, str], tmp_path: Path):
    _, second = databases
    file = tmp_path / "audit.backup"
    with zipfile.ZipFile(file, "w") as archive:
        manifest = {"notifier_backup": 1, "migrations": ["9999.future"], "tables": {}}
        archive.writestr("manifest.json", json.dumps(manifest))

    done = notifier("restore", str(file), DATABASE_URL=second)

    assert done.returncode == 1
    assert "9999.future" in done.stderr


def test_a_database_without_a_schema_has_nothing_to_back_up(
    databases: tuple[str, str], tmp_path: Path
):
    done = notifier("backup", str(tmp_path / "audit.backup"), DATABASE_URL=databases[0])

    assert done.returncode == 5
    assert list(tmp_path.iterdir()) == []
