"""systemd credentials: one file per secret in $CREDENTIALS_DIRECTORY."""

from __future__ import annotations

from pathlib import Path

from notifier.errors import SecretsError
from notifier.secrets.names import SecretName

_MAX_BYTES = 65_536
_PREFIX = "teams_"
"""What LoadCredential=teams:FOLDER puts before the name of each file."""


class CredentialSource:
    """Reads LoadCredential files; each look-up reads the file anew, so that a reload sees what changed.

    Names count with and without `teams_` before them: a unit that loads a whole folder puts it there (teams_vault_token), and
    the folder itself, which commands read, has the names without it (webhook_sre).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: SecretName) -> str | None:
        """Return the secret, None when there is no such file; raises SecretsError when it cannot be read."""
        return self.read(name.credential)

    def read(self, file_name: str) -> str | None:
        """Return a credential's text without the newline at its end; raises SecretsError."""
        bare = file_name.removeprefix(_PREFIX)
        other = bare if bare != file_name else _PREFIX + file_name
        found = self._text(file_name)
        return found if found is not None else self._text(other)

    def _text(self, file_name: str) -> str | None:
        try:
            with (self._folder / file_name).open(encoding="utf-8") as file:
                return file.read(_MAX_BYTES).strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise SecretsError(
                f"credential {file_name} cannot be read; check LoadCredential in the unit"
            ) from None

    def where(self, name: SecretName) -> str:
        """Say where a secret would stand here."""
        return f"credential {name.credential}"
