"""The configured folder of cards: when what is in it cannot be used, that is bad configuration, as it is at a start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notifier.cards.library import CardLibrary, card_folders, load_cards
from notifier.config import Config
from notifier.errors import CardError, ConfigError


def existing_folders(config: Config) -> tuple[Path, ...]:
    """Return the folder of the shipped cards, and the configured one over it; raises ConfigError when there is none."""
    folders = card_folders(config)
    if not folders[-1].is_dir():
        raise ConfigError(
            f"cards.directory: there is no folder {folders[-1]}; correct the setting"
        )
    return folders


def configured_cards(config: Config) -> CardLibrary:
    """Compile the templates of the configured folders; raises ConfigError with the file, the place and the fix."""
    folders = existing_folders(config)
    with blaming_configuration():
        return load_cards(*folders)


@contextmanager
def blaming_configuration() -> Iterator[None]:
    """Raise ConfigError for what is wrong with the configured cards: exit code 3, not 1."""
    try:
        yield
    except CardError as exc:
        raise ConfigError(str(exc)) from None
