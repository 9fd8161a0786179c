"""A seal says that a folder of cards was checked as it is, so that a start need not check it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

SEAL = "checked.txt"
_FIELDS = "fields.toml"

CHECKED_CARD_BYTES = 27_500
"""Least delivery.max_card_bytes for which a seal counts: with less a card that was fine may not fit."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of a folder as they were read at one time."""

    files: dict[str, bytes]
    """Path within the folder → content: templates, fields.toml and samples."""

    @classmethod
    def read(cls, *folders: Path) -> Folder:
        """Read what a check looks at, of folders of which each lies over those before it; raises OSError."""
        files: dict[str, bytes] = {}
        for folder in folders:
            for path in (*folder.glob("*.json"), *folder.glob("samples/*.json")):
                files[path.relative_to(folder).as_posix()] = path.read_bytes()
            fields = folder / _FIELDS
            if fields.is_file():
                files[_FIELDS] = files.get(_FIELDS, b"") + fields.read_bytes()
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
        """Return what the seal says of these files, checked by this version of notifier."""
        digest = hashlib.sha256()
        for name, content in self.files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return f"notifier {version('notifier')} sha256 {digest.hexdigest()}\n"


def sealed(*folders: Path) -> Folder | None:
    """Return the files if the last folder has a seal that fits them, None if it has none or anything was changed since."""
    try:
        text = (folders[-1] / SEAL).read_text(encoding="utf-8")
        found = Folder.read(*folders)
    except (OSError, ValueError):
        return None
    return found if found.seal == text else None


def write_seal(folder: Path, checked: Folder) -> None:
    """Seal a folder whose files, as they were read before the check, have passed it; raises OSError."""
    (folder / SEAL).write_text(checked.seal, encoding="utf-8")
