"""Copy the audit trail into a file and back, as the user of database.url and without the programs of Postgres.

The file is a ZIP archive: a manifest, and for each table what `COPY … TO STDOUT` gives.
"""

from __future__ import annotations

import asyncio
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from pydantic import BaseModel, ConfigDict

from notifier.config import mask_url
from notifier.errors import BackupError, SchemaError
from notifier.store.database import Access, Rows, connected
from notifier.store.migrations import (
    TABLES,
    Schema,
    applied,
    migrating,
    required_migrations,
)
from notifier.store.queries import load_queries

_QUERIES = load_queries(__package__, "backup.sql")
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


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait."""

    connect_seconds: float
    table_seconds: float


def back_up(url: str, path: Path, limits: Limits) -> dict[str, int]:
    """Write all tables, as they are at one moment, into a new file that only its owner reads; returns rows by table.

    Raises:
        BackupError: The file is there already or cannot be written.
        SchemaError: There are no tables.
        StoreError: Postgres is away or refuses.
    """
    with _new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        return asyncio.run(_back_up(url, archive, limits))


def restore(url: str, path: Path, limits: Limits) -> dict[str, int]:
    """Fill a database that has no rows from a file, all of them or none, and bring its schema up; returns rows by table.

    Raises:
        BackupError: The file is no backup, is damaged, or was made by a newer version; or the database has rows.
        StoreError: Postgres is away or refuses.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _require_plain(archive)
            manifest = _Manifest.model_validate_json(archive.read(_MANIFEST))
            _require_known(path, manifest)
            return _restore(url, archive, manifest, limits)
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
        raise BackupError(f"{path}: is no backup of notifier, or is damaged") from None


async def _back_up(url: str, archive: zipfile.ZipFile, limits: Limits) -> dict[str, int]:
    tables: dict[str, _Table] = {}
    async with connected(
        url,
        name="notifier backup",
        connect_seconds=limits.connect_seconds,
        statement_seconds=limits.table_seconds,
    ) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        async with connection.transaction():
            migrations = tuple(sorted(await applied(connection)))
            for table in TABLES:
                columns = await _columns(connection, table)
                if columns:
                    rows = await _copy_out(connection, table, columns, archive)
                    tables[table] = _Table(columns=columns, rows=rows)
    if not tables:
        raise SchemaError(
            f"the database at {mask_url(url)} has no tables of notifier; run: notifier migrate up"
        )
    manifest = _Manifest(notifier_backup=_FORMAT, migrations=migrations, tables=tables)
    archive.writestr(_MANIFEST, manifest.model_dump_json())
    return {name: table.rows for name, table in tables.items()}


def _restore(
    url: str, archive: zipfile.ZipFile, manifest: _Manifest, limits: Limits
) -> dict[str, int]:
    with migrating(
        url, statement_seconds=limits.table_seconds, others_seconds=_OTHERS_SECONDS
    ) as schema:
        asyncio.run(_fill(url, archive, manifest, limits, schema))
    return {name: table.rows for name, table in manifest.tables.items()}


async def _fill(
    url: str, archive: zipfile.ZipFile, manifest: _Manifest, limits: Limits, schema: Schema
) -> None:
    async with connected(
        url,
        name="notifier restore",
        connect_seconds=limits.connect_seconds,
        statement_seconds=limits.table_seconds,
        access=Access.WRITE,
    ) as connection:
        await _require_empty(connection, url)
        # The rows go into the schema that they come from; what a later migration does with rows it does with these.
        schema.roll_back(len(required_migrations()))
        schema.apply(manifest.migrations)
        async with connection.transaction():
            for table in manifest.tables:
                await connection.execute(
                    sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(table))
                )
            await _require_empty(connection, url)
            for table in sorted(manifest.tables, key=TABLES.index):
                try:
                    await _copy_in(connection, table, manifest.tables[table], archive)
                except (psycopg.DataError, psycopg.IntegrityError):
                    # What the archive would notice at the end of the file.
                    raise ValueError(table) from None
        schema.apply(required_migrations())
        for table in TABLES:
            await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))


def _require_plain(archive: zipfile.ZipFile) -> None:
    """Raise BadZipFile for an encrypted file, which zipfile itself only meets when it reads."""
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


async def _require_empty(connection: Rows, url: str) -> None:
    for table in TABLES:
        if not await _columns(connection, table):
            continue
        query = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))
        if await (await connection.execute(query)).fetchone() is not None:
            raise BackupError(
                f"the database at {mask_url(url)} has rows in {table} already, and nothing was changed;"
                " make an empty database and name it in database.url"
            )


async def _columns(connection: Rows, table: str) -> tuple[str, ...]:
    """Return the names of a table's columns; none: there is no such table."""
    cursor = await connection.execute(_QUERIES["columns"], {"table": table})
    return tuple(str(row[0]) for row in await cursor.fetchall())


async def _copy_out(
    connection: Rows, table: str, columns: tuple[str, ...], archive: zipfile.ZipFile
) -> int:
    query = sql.SQL("COPY {} ({}) TO STDOUT").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with connection.cursor() as cursor:
        with archive.open(f"{table}.copy", "w", force_zip64=True) as file:
            async with cursor.copy(query) as copy:
                async for data in copy:
                    file.write(data)
        return cursor.rowcount


async def _copy_in(connection: Rows, table: str, of: _Table, archive: zipfile.ZipFile) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, of.columns))
    )
    async with connection.cursor() as cursor:
        with archive.open(f"{table}.copy") as file:
            async with cursor.copy(query) as copy:
                while data := file.read(_CHUNK_BYTES):
                    await copy.write(data)
        if cursor.rowcount != of.rows:
            raise ValueError(table)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that has its name only once it is whole; raises BackupError."""
    if path.exists():
        raise BackupError(f"{path}: is there already; name another file")
    partly = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partly, "xb", opener=_for_its_owner) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partly.rename(path)
    except OSError as exc:
        raise BackupError(f"{path}: cannot be written: {exc.strerror}") from None
    finally:
        with suppress(OSError):
            partly.unlink()


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
