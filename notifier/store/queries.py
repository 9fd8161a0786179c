"""Load the named queries of a .sql file that is beside its module."""

from __future__ import annotations

import re
from importlib.resources import files


def load_queries(package: str, file: str) -> dict[str, bytes]:
    """Return the queries by the name in their `-- name:` line; bytes, so that no query is built from strings."""
    parts = re.split(
        rb"^-- name: (\w+)\n",
        files(package).joinpath(file).read_bytes(),
        flags=re.MULTILINE,
    )
    return {name.decode(): query for name, query in zip(parts[1::2], parts[2::2], strict=True)}
