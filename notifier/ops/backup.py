"""Copy the audit trail into a file and back.

This needs the user of database.url only, and no programs of Postgres.

The file is a ZIP archive: a manifest, and for each table what `COPY … TO STDOUT` gives.
"""

from __future__ import annotations

import asyncio
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict

from notifier.errors import BackupError, SchemaError
from notifier.store import tables
from notifier.store.database import Access, Connection, Database
from notifier.store.errors import BAD_ROW
from notifier.store.migrations import Schema, applied, migrating, required_migrations
from notifier.store.tables import TABLES

_MANIFEST = "manifest.json"
_FORMAT = 1
_ENCRYPTED = 1
"""Bit of an entry's flags (APPNOTE.TXT 4.4.4)."""
_CHUNK_BYTES = 1 << 16
_OTHERS_SECONDS = 60.0


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True)

    columns: tuple[str, ...]
    rows: int


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    notifier_backup: int
    migrations: tuple[str, ...]
    tables: dict[str, _Table]


def back_up(database: Database, path: Path) -> dict[str, int]:
    """Write all tables, as they are at one moment, to a new file.

    Only its owner can read it. Returns rows by table.

    Raises:
        BackupError: The file already exists or cannot be written.
        SchemaError: There are no tables.
        StoreError: Postgres is away or refuses.
    """
    with _new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        return asyncio.run(_back_up(database, archive))


def restore(database: Database, path: Path) -> dict[str, int]:
    """Fill a database without rows from a file, and bring its schema up.

    All rows are restored or none. Returns rows by table.

    Raises:
        BackupError: The file is not a backup, is damaged, or was made by a newer version; or the database has rows.
        StoreError: Postgres is away or refuses.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _require_plain(archive)
            manifest = _Manifest.model_validate_json(archive.read(_MANIFEST))
            _require_known(path, manifest)
            return _restore(database, archive, manifest)
    except OSError as exc:
        raise BackupError(f"{path}: cannot be read: {exc.strerror}") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        KeyError,
        EOFError,
        ValueError,
    ):
        raise BackupError(f"{path}: is not a backup of notifier, or is damaged") from None


async def _back_up(database: Database, archive: zipfile.ZipFile) -> dict[str, int]:
    found: dict[str, _Table] = {}
    async with database.connection() as connection, connection.snapshot():
        migrations = tuple(sorted(await applied(connection)))
        for table in TABLES:
            columns = await tables.columns_of(connection, table)
            if columns:
                with archive.open(f"{table}.copy", "w", force_zip64=True) as file:
                    rows = await tables.copy_out(connection, table, columns, file.write)
                found[table] = _Table(columns=columns, rows=rows)
    if not found:
        raise SchemaError(
            f"the database at {database.shown} has no tables of notifier; run: notifier migrate up"
        )
    manifest = _Manifest(notifier_backup=_FORMAT, migrations=migrations, tables=found)
    archive.writestr(_MANIFEST, manifest.model_dump_json())
    return {name: table.rows for name, table in found.items()}


def _restore(
    database: Database, archive: zipfile.ZipFile, manifest: _Manifest
) -> dict[str, int]:
    with migrating(
        database.url,
        statement_seconds=database.statement_seconds,
        others_seconds=_OTHERS_SECONDS,
    ) as schema:
        writing = replace(database, access=Access.WRITE)
        asyncio.run(_fill(writing, archive, manifest, schema))
    return {name: table.rows for name, table in manifest.tables.items()}


async def _fill(
    database: Database, archive: zipfile.ZipFile, manifest: _Manifest, schema: Schema
) -> None:
    async with database.connection() as connection:
        await _require_empty(connection, database)
        # The rows go into the schema that they come from; later migrations then change them as they would have.
        schema.roll_back(len(required_migrations()))
        schema.apply(manifest.migrations)
        async with connection.transaction():
            for table in manifest.tables:
                await tables.lock(connection, table)
            await _require_empty(connection, database)
            for table in sorted(manifest.tables, key=TABLES.index):
                await _copy_in(connection, table, manifest.tables[table], archive)
        schema.apply(required_migrations())
        for table in TABLES:
            await tables.analyze(connection, table)


def _require_plain(archive: zipfile.ZipFile) -> None:
    """Raise BadZipFile for an encrypted file before anything is read."""
    if any(info.flag_bits & _ENCRYPTED for info in archive.infolist()):
        raise zipfile.BadZipFile


def _require_known(path: Path, manifest: _Manifest) -> None:
    unknown = sorted(set(manifest.migrations) - set(required_migrations()))
    if unknown or manifest.notifier_backup != _FORMAT:
        what = f" ({', '.join(unknown)})" if unknown else ""
        raise BackupError(
            f"{path}: was made by a newer version{what}; restore it with that version"
        )
    if not manifest.tables.keys() <= set(TABLES):
        raise ValueError(manifest.tables)


async def _require_empty(connection: Connection, database: Database) -> None:
    for table in TABLES:
        if not await tables.columns_of(connection, table):
            continue
        if await tables.has_rows(connection, table):
            raise BackupError(
                f"the database at {database.shown} has rows in {table} already, and nothing was changed;"
                " make an empty database and name it in database.url"
            )


async def _copy_in(
    connection: Connection, table: str, of: _Table, archive: zipfile.ZipFile
) -> None:
    """Add a table's rows.

    Raises:
        ValueError: The archive is damaged.
    """
    with archive.open(f"{table}.copy") as file:
        pieces = iter(lambda: file.read(_CHUNK_BYTES), b"")
        try:
            rows = await tables.copy_in(connection, table, of.columns, pieces)
        except BAD_ROW:
            raise ValueError(table) from None
    if rows != of.rows:
        raise ValueError(table)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that gets its name once complete; raises BackupError."""
    if path.exists():
        raise BackupError(f"{path}: already exists; name another file")
    partly = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partly, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partly.rename(path)
    except OSError as exc:
        raise BackupError(f"{path}: cannot be written: {exc.strerror}") from None
    finally:
        with suppress(OSError):
            partly.unlink()
