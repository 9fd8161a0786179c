"""The configured folder of cards: when what is in it cannot be used, that is bad configuration, as it is at a start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notifier import assets
from notifier.cards import Cards, load_cards
from notifier.config import Config
from notifier.errors import CardError, ConfigError


def card_folder(config: Config) -> Path:
    """Return the configured folder; raises ConfigError when there is none."""
    directory = config.cards.directory
    folder = Path(directory) if directory else assets.cards_dir()
    if not folder.is_dir():
        raise ConfigError(f"cards.directory: there is no folder {folder}; correct the setting")
    return folder


def configured_cards(config: Config) -> Cards:
    """Compile the templates of the configured folder; raises ConfigError with the file, the place and the fix."""
    folder = card_folder(config)
    with blaming_configuration():
        return load_cards(folder)


@contextmanager
def blaming_configuration() -> Iterator[None]:
    """Raise ConfigError for what is wrong with the configured cards: exit code 3, not 1."""
    try:
        yield
    except CardError as exc:
        raise ConfigError(str(exc)) from None
