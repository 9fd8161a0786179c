"""Find the shipped files: config.toml, cards and migrations."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_assets"
_ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""An installed wheel carries the assets inside the package; a checkout has them beside it."""


def config_file() -> Path:
    """Return the path of the shipped config.toml."""
    return _ROOT / "config.toml"


def cards_dir() -> Path:
    """Return the folder of the shipped card templates."""
    return _ROOT / "cards"


def migrations_dir() -> Path:
    """Return the folder of the shipped SQL migrations."""
    return _ROOT / "migrations"
