"""Environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from notifier.config.secrets.names import SecretName


class EnvironmentSource:
    """Reads the process's environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def find(self, name: SecretName) -> str | None:
        """Return the secret, None when the variable is not set."""
        value = self._env.get(name.env)
        return None if value is None else value.strip()

    def where(self, name: SecretName) -> str:
        """Say where a secret would stand here."""
        return f"environment {name.env}"
