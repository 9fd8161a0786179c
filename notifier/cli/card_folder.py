"""The configured folder of cards; its faults are bad configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notifier.cards.library import CardLibrary, card_folders, load_cards
from notifier.config import Config
from notifier.errors import CardError, ConfigError


def existing_folders(config: Config) -> tuple[Path, ...]:
    """Return the shipped folder and the configured one; raises ConfigError."""
    folders = card_folders(config)
    if not folders[-1].is_dir():
        raise ConfigError(
            f"cards.directory: there is no folder {folders[-1]}; correct the setting"
        )
    return folders


def configured_cards(config: Config) -> CardLibrary:
    """Compile the configured templates; raises ConfigError."""
    folders = existing_folders(config)
    with blaming_configuration():
        return load_cards(*folders)


@contextmanager
def blaming_configuration() -> Iterator[None]:
    """Raise ConfigError for faults of the configured cards: exit code 3."""
    try:
        yield
    except CardError as exc:
        raise ConfigError(str(exc)) from None
