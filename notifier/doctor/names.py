"""Secrets whose names mean nothing: mostly a channel's name that is written wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from notifier.config import Config
from notifier.doctor.findings import Finding, fine, told, warning
from notifier.secrets.names import Shelf, known_names

NAME = "secrets"
_WEBHOOK = "TEAMS_WEBHOOK_"
_SETTINGS = {"TEAMS_WEBHOOK_VAULT_PATH"}


def name_findings(
    config: Config,
    *,
    variables: Iterable[str],
    credentials: Iterable[str],
    vault: Mapping[Shelf, Sequence[str]],
) -> list[Finding]:
    """Return which of the names found in each place belong to no secret."""
    known = known_names(config.channels)
    places = [
        ("environment", {name for name in variables if name.startswith(_WEBHOOK)} - _SETTINGS, {name.env for name in known}),
        ("credential", {name for name in credentials if name.startswith("teams_")}, {name.credential for name in known}),
        *(
            (f"Vault ({shelf.value}) key", set(keys), {name.key for name in known if name.shelf is shelf})
            for shelf, keys in vault.items()
        ),
    ]  # fmt: skip
    return [
        warning(
            NAME,
            f"{place} {name} belongs to no channel and is not used",
            "correct the name, add the channel under [channels], or take the secret away",
        )
        for place, found, right in places
        for name in sorted(found - right)
    ]


def secret_findings(faults: Sequence[str], unknown: Sequence[Finding]) -> list[Finding]:
    """Return what is wrong with secrets, in values and in names; values are never shown."""
    found = [*(told(NAME, text) for text in faults), *unknown]
    return found or [fine(NAME, "all that were found can be used")]


def credentials_in(folder: str | None) -> list[str]:
    """Return the names of the files in $CREDENTIALS_DIRECTORY."""
    if not folder:
        return []
    try:
        return sorted(path.name for path in Path(folder).iterdir())
    except OSError:
        return []
