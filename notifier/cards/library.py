"""Load card templates: folders, the seal, and the cards that routes name."""

from __future__ import annotations

import hashlib
import json
from collections import UserDict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import cast

from pydantic import JsonValue
from typing_extensions import override

from notifier.cards.arabic import arabic_autoescape, is_arabic, isolate_values
from notifier.cards.escaping import autoescape
from notifier.config import Config, assets
from notifier.errors import CardError, ConfigError, TemplateError
from notifier.events.digest import DIGEST_CARD
from notifier.templating import Template

FALLBACK_CARD = "generic"
SEAL = "checked.txt"
"""File of a folder that says that `notifier cards check` found no fault in the folder as it is."""
FIELDS_FILE = "fields.toml"

CHECKED_CARD_BYTES = 27_500
"""Least delivery.max_card_bytes for which a seal counts: with less, a card that passed may not fit."""


@dataclass(frozen=True)
class CardLibrary:
    """The compiled templates by name; claim_rejected.ar is in Arabic."""

    templates: Mapping[str, Template]

    @classmethod
    def on_demand(cls, texts: Mapping[str, bytes]) -> CardLibrary:
        """Return checked templates, each compiled when first used."""
        return cls(cast("Mapping[str, Template]", _OnDemand(texts)))

    def find(self, name: str, lang: str) -> tuple[str, Template]:
        """Return the name and the template of a card in a language, or in English.

        Raises:
            CardError: There is no such card.
        """
        for candidate in (f"{name}.{lang}", name):
            # Not get(): for each language that a card does not have, a Mapping's get() catches a KeyError.
            if candidate in self.templates:
                return candidate, self.templates[candidate]
        raise CardError(
            f"there is no card {name}.json; add it to the cards folder or correct the route"
        )

    def languages(self, name: str) -> list[str]:
        """Return the languages that a card has, English first."""
        prefix = f"{name}."
        others = (
            each.removeprefix(prefix) for each in self.templates if each.startswith(prefix)
        )
        return ["en", *sorted({*others} - {"en"})]


class _OnDemand(UserDict[str, "Template | bytes"]):
    @override
    def __getitem__(self, name: str) -> Template:
        found = self.data[name]
        if isinstance(found, bytes):
            found = self.data[name] = _compile_text(found)
        return found


def compile_card(card: JsonValue) -> Template:
    """Compile a card that shows event data as text; raises TemplateError."""
    return Template(isolate_values(card), arabic_autoescape if is_arabic(card) else autoescape)


@lru_cache(maxsize=128)
def _compile_text(text: bytes) -> Template:
    """Compile a file's content once for a check, a start and later reloads."""
    return compile_card(json.loads(text))


def read_template(path: Path) -> Template:
    """Compile a template file.

    Raises:
        CardError: The file is not readable JSON.
        TemplateError: The file is not a template; names the JSON path.
    """
    try:
        return _compile_text(path.read_bytes())
    except (ValueError, OSError, RecursionError) as exc:
        raise CardError(f"is not readable JSON: {exc}") from None


def card_folders(config: Config) -> tuple[Path, ...]:
    """Return the shipped folder, then the configured one, which wins."""
    shipped = assets.cards_dir()
    own = Path(config.cards.directory) if config.cards.directory else shipped
    return (shipped,) if own.absolute() == shipped.absolute() else (shipped, own)


def layered(folders: Iterable[Path], pattern: str) -> dict[str, Path]:
    """Return the files of folders by name, sorted; later folders win."""
    found = {path.name: path for folder in folders for path in folder.glob(pattern)}
    return dict(sorted(found.items()))


def load_cards(*folders: Path) -> CardLibrary:
    """Compile every template of folders.

    A file of a later folder replaces one of an earlier folder.

    Raises:
        CardError: A folder is missing, or a file is not JSON or not a template; names the file, the place and the fix.
    """
    for folder in folders:
        _require_folder(folder)
    templates: dict[str, Template] = {}
    for path in layered(folders, "*.json").values():
        try:
            templates[path.stem] = read_template(path)
        except (CardError, TemplateError) as exc:
            raise CardError(f"{path}: {exc}") from None
    for name, use in ((FALLBACK_CARD, "events without a route"), (DIGEST_CARD, "bursts")):
        if name not in templates:
            raise CardError(f"{folders[-1]}: has no {name}.json, which {use} need; add it")
    return CardLibrary(templates)


def existing_folders(config: Config) -> tuple[Path, ...]:
    """Return the card folders.

    Raises:
        ConfigError: The configured folder is missing.
    """
    folders = card_folders(config)
    try:
        _require_folder(folders[-1])
    except CardError as exc:
        raise ConfigError(str(exc)) from None
    return folders


def configured_cards(config: Config) -> CardLibrary:
    """Compile the configured templates; raises ConfigError, as a start does."""
    try:
        return load_cards(*card_folders(config))
    except CardError as exc:
        raise ConfigError(str(exc)) from None


def _require_folder(path: Path) -> None:
    with suppress(OSError):  # such as a name that is too long
        if path.is_dir():
            return
    raise CardError(f"cards.directory: there is no folder {path}; correct the setting")


def check_routes(config: Config, cards: CardLibrary) -> None:
    """Refuse routes whose card does not exist.

    Raises:
        CardError: Names each route and the fix.
    """
    missing = missing_cards(config, cards.templates)
    if missing:
        lines = (f'routes."{name}".card: {fault}; {fix}' for name, fault, fix in missing)
        raise CardError("\n".join(lines))


def missing_cards(config: Config, names: Collection[str]) -> list[tuple[str, str, str]]:
    """Return event type, fault and fix of each route without its card."""
    return [
        (
            event_type,
            f"there is no {route.card}.json in the cards folder",
            _card_fix(route.card, names),
        )
        for event_type, route in config.routes.items()
        if route.card not in names
    ]


def _card_fix(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name, names, 1)
    if near:
        return f'write card = "{near[0]}", or add it there'
    return "add it there or correct the route"


@dataclass(frozen=True, slots=True)
class CardFiles:
    """The files that a check reads, as they were at one time."""

    files: dict[str, bytes]
    """Path within the folder → content: templates, fields.toml and samples."""

    @classmethod
    def read(cls, *folders: Path) -> CardFiles:
        """Read folders; files of a later one replace earlier ones.

        Raises:
            OSError: A file cannot be read.
        """
        files: dict[str, bytes] = {}
        for folder in folders:
            for path in (*folder.glob("*.json"), *folder.glob("samples/*.json")):
                files[path.relative_to(folder).as_posix()] = path.read_bytes()
            fields = folder / FIELDS_FILE
            if fields.is_file():
                files[FIELDS_FILE] = files.get(FIELDS_FILE, b"") + fields.read_bytes()
        return cls(dict(sorted(files.items())))

    @property
    def templates(self) -> dict[str, bytes]:
        """Return the templates by name."""
        return {
            name.removesuffix(".json"): content
            for name, content in self.files.items()
            if "/" not in name and name.endswith(".json")
        }

    @property
    def seal(self) -> str:
        """Return the seal for these files and this version of notifier."""
        digest = hashlib.sha256()
        for name, content in self.files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return f"notifier {version('notifier')} sha256 {digest.hexdigest()}\n"


def sealed(*folders: Path) -> CardFiles | None:
    """Return the files if the last folder's seal fits them, else None."""
    try:
        text = (folders[-1] / SEAL).read_text(encoding="utf-8")
        found = CardFiles.read(*folders)
    except (OSError, ValueError):
        return None
    return found if found.seal == text else None


def write_seal(folder: Path, checked: CardFiles) -> None:
    """Seal a folder whose files have passed the check.

    `checked` are the files as they were before it.

    Raises:
        OSError: The seal cannot be written.
    """
    (folder / SEAL).write_text(checked.seal, encoding="utf-8")
