"""The error tree: one class per thing the caller does differently.

NotifierError                     exit code 1
├── ConfigError                   3  a setting is wrong: the message names the key, the fault and the fix
│   └── SecretsError              3  a secret is missing or malformed (never shows its value)
├── TemplateError                 1  a card template does not compile or expand
├── CardError                     1  a card cannot be delivered as it is
│   └── CardTooLargeError         1  it is larger than Teams takes
├── EventError                    1  an entry is not an event: names the field and the fix
├── UnreachableError              4  Redis, Postgres or another service does not answer
│   ├── StreamError               4
│   ├── StoreError                4
│   │   ├── SchemaError           5  the database is older than the code: run `notifier migrate up`
│   │   └── EncodingError         5  the database's encoding cannot hold every text
│   └── VaultError                4  Vault is away, sealed, or refuses us
├── BackupError                   1  a backup cannot be written or restored
├── OutcomeError                  1  Postgres refuses an outcome's data
├── TokenError                    1  an action link is forged, altered or expired
├── InternalError                 6  something failed unforeseen: the log names the place
└── SandboxError                  1  an embedded server does not start
"""

from __future__ import annotations

import traceback
from enum import IntEnum
from pathlib import Path

_PACKAGE = Path(__file__).parent


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    """The command did its work and found a fault, or could not do all of it."""
    USAGE = 2
    """Nothing was done: an option, an argument or a name is wrong."""
    CONFIGURATION = 3
    """A setting, a secret or a card of the configuration is wrong."""
    UNREACHABLE = 4
    """Redis, Postgres, Vault or another server does not answer."""
    SCHEMA = 5
    """The database schema is too old; run: notifier migrate up."""
    INTERNAL = 6
    """An unforeseen error; the log names the place."""
    INTERRUPTED = 130
    """Ctrl-C."""


class NotifierError(Exception):
    """Base of all errors; the CLI prints the message without a traceback."""

    exit_code = ExitCode.FAILED


class ConfigError(NotifierError):
    """A setting is unknown or has a bad value."""

    exit_code = ExitCode.CONFIGURATION


class SecretsError(ConfigError):
    """A secret is missing or malformed; the message never holds its value."""


class TemplateError(NotifierError):
    """A card template does not compile, or its expansion exceeds its bounds."""


class CardError(NotifierError):
    """A card cannot be delivered as it is."""


class CardTooLargeError(CardError):
    """A card is larger than Teams takes."""


class EventError(NotifierError):
    """A stream entry is not an event.

    Args:
        field: Name of the field at fault, as the producer wrote it.
        fault: The fault and its fix; never the field's value.
    """

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


class UnreachableError(NotifierError):
    """A service that the command needs does not answer."""

    exit_code = ExitCode.UNREACHABLE


class StreamError(UnreachableError):
    """Redis does not answer or refuses a command."""


class StoreError(UnreachableError):
    """Postgres does not answer or refuses a statement."""


class StatementTimeoutError(StoreError):
    """A statement took longer than database.statement_timeout_seconds."""


class SchemaError(StoreError):
    """The database schema is older than this version needs."""

    exit_code = ExitCode.SCHEMA


class EncodingError(StoreError):
    """The database's encoding cannot hold every text; use another database."""

    exit_code = ExitCode.SCHEMA


class VaultError(UnreachableError):
    """Vault does not answer, is sealed, or refuses; no message has a secret.

    Args:
        message: The failure and its fix.
        away: Whether waiting may help.
    """

    def __init__(self, message: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.away = away


class BackupError(NotifierError):
    """A backup cannot be written or restored."""


class OutcomeError(NotifierError):
    """Postgres refuses the data of an outcome; a retry does not help."""


class TokenError(NotifierError):
    """An action link is forged, altered or expired; pages show the message."""

    def __init__(self, message: str, *, expired: bool) -> None:
        super().__init__(message)
        self.expired = expired


class SandboxError(NotifierError):
    """The sandbox cannot start one of its servers."""


class InternalError(NotifierError):
    """Something failed unforeseen; the message names only the place.

    The text of an exception may hold data of a patient.
    """

    exit_code = ExitCode.INTERNAL


def place_of(exc: BaseException) -> str:
    """Return the class of an exception and its innermost line in notifier."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    if isinstance(exc, InternalError) and exc.__cause__ is not None:
        exc = exc.__cause__
    frames = traceback.extract_tb(exc.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    if not own:
        return type(exc).__name__
    file = Path(own[-1].filename).relative_to(_PACKAGE.parent).as_posix()
    return f"{type(exc).__name__} at {file}:{own[-1].lineno}"
