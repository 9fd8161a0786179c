"""systemd credentials: one file per secret in $CREDENTIALS_DIRECTORY."""

from __future__ import annotations

from pathlib import Path

from notifier.config.secrets.names import SecretName
from notifier.errors import SecretsError

_MAX_BYTES = 65_536
_PREFIX = "teams_"
"""What LoadCredential=teams:FOLDER puts before the name of each file."""


class CredentialSource:
    """Reads LoadCredential files; each look-up reads the file anew, so that a reload sees what changed.

    Names count with and without `teams_` before them: the folder that an operator fills and that commands read has names without it
    (webhook_sre), and a unit that loads the folder puts it before each name, also before one that has it already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: SecretName) -> str | None:
        """Return the secret, None when there is no such file; raises SecretsError when it cannot be read."""
        return self.read(name.credential)

    def read(self, file_name: str) -> str | None:
        """Return a credential's text without the newline at its end; raises SecretsError."""
        bare = bare_name(file_name)
        for name in (_PREFIX + bare, bare, _PREFIX + _PREFIX + bare):
            text = self._text(name)
            if text is not None:
                return text
        return None

    def _text(self, file_name: str) -> str | None:
        try:
            with (self._folder / file_name).open(encoding="utf-8-sig") as file:
                return file.read(_MAX_BYTES).strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise SecretsError(
                f"credential {file_name} cannot be read; check LoadCredential in the unit"
            ) from None

    def where(self, name: SecretName) -> str:
        """Say where a secret would stand here."""
        return f"credential {bare_name(name.credential)} (a file; restart after a change)"


def bare_name(file_name: str) -> str:
    """Return a credential's name as an operator writes its file."""
    while file_name.startswith(_PREFIX):
        file_name = file_name.removeprefix(_PREFIX)
    return file_name
