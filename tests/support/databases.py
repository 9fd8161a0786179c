"""Databases as the daemon and the commands open them."""

from __future__ import annotations

from notifier.store.database import Access, Database, KeptConnection


def reading(url: str) -> Database:
    return Database(url, 5, 10)


def writing(url: str, *, statement_seconds: float = 10) -> Database:
    return Database(url, 5, statement_seconds, Access.WRITE)


def kept(url: str) -> KeptConnection:
    return KeptConnection(writing(url))
