"""Values of secrets that vanished from their source: they are used so much longer, so that a slip costs no alert."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import SecretStr

from notifier.config.secrets.load import SecretSource, find_secret, is_set
from notifier.config.secrets.names import HMAC_KEY, SecretName, webhook_of
from notifier.errors import SecretsError


class VanishedSecrets:
    """A source before all others: knows what they had and have no more, until it was gone for too long."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[SecretName, tuple[str, SecretStr]] = {}
        """Where each was, and what."""
        self._gone_since: dict[SecretName, float] = {}
        self._keep_seconds = 0.0

    def look(
        self, channels: Iterable[str], places: Sequence[SecretSource], *, keep_seconds: float
    ) -> None:
        """Note what the other sources had before and have no more: it counts as gone from now on."""
        self._keep_seconds = keep_seconds
        for name, where, value in _values(channels, places):
            last = self._last.get(name)
            elsewhere = last is not None and last[0] != where
            if last is not None and (value is None or (elsewhere and not is_set(value))):
                self._gone_since.setdefault(name, self._clock())
            else:
                self._gone_since.pop(name, None)

    def remember(self, channels: Iterable[str], places: Sequence[SecretSource]) -> None:
        """Note what the other sources have now, once it has proved usable."""
        for name, where, value in _values(channels, places):
            if value is not None and name not in self._gone_since:
                self._last[name] = (where, SecretStr(value))

    def find(self, name: SecretName) -> str | None:
        """Return what a secret was before it vanished, None when there is none or it was too long ago."""
        gone_since = self._gone_since.get(name)
        if gone_since is None or self._clock() - gone_since >= self._keep_seconds:
            return None
        return self._last[name][1].get_secret_value()

    def where(self, name: SecretName) -> str:
        """Say where a secret was."""
        known = self._last.get(name)
        return "nowhere else" if known is None else f"{known[0]} until it vanished"

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the places of those that are used though they vanished."""
        return tuple(
            sorted(self._last[name][0] for name in self._gone_since if self.find(name))
        )


def _values(
    channels: Iterable[str], places: Sequence[SecretSource]
) -> Iterator[tuple[SecretName, str, str | None]]:
    for name in (HMAC_KEY, *map(webhook_of, channels)):
        try:
            yield name, *find_secret(name, places)
        except SecretsError:
            # It is there, and whoever loads the secrets says what is wrong with it.
            continue
