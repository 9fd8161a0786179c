"""Options and output that several commands share."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from notifier.broker.client import close, connect
from notifier.broker.consumer import Consumer
from notifier.config import Config, load_config
from notifier.config.secrets import Secrets, load_secrets, open_vault, secret_sources
from notifier.errors import NotifierError
from notifier.events.json_out import to_indented_json

_UNSEEN = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters that JSON leaves as they are, and what turns the direction of text."""

Result = TypeVar("Result")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="NOTIFIER_CONFIG",
        help="TOML file laid over the shipped config.toml.",
        show_default=False,
    ),
]


class CommandError(NotifierError):
    """A command was given something it cannot use."""


def settings(config: Path | None) -> Config:
    """Load the configuration of this command."""
    return load_config(config, os.environ)


def found_secrets(config: Config) -> Secrets:
    """Find the secrets as the daemon would, Vault included; raises SecretsError or VaultError."""
    vault = open_vault(config.vault, os.environ, clock=time.monotonic)
    if vault is not None:
        vault.refresh()
    return load_secrets(config, secret_sources(os.environ, vault))


def with_redis(config: Config, work: Callable[[Consumer], Awaitable[Result]]) -> Result:
    """Run `work` with a connection that is closed afterwards."""

    async def connected() -> Result:
        client = connect(config.redis)
        try:
            return await work(Consumer(client, config.redis, f"cli.{os.getpid()}"))
        finally:
            await close(client)

    return asyncio.run(connected())


def require_one(given: Mapping[str, object], *, param_hint: str) -> None:
    """Raise typer.BadParameter unless exactly one of these is given, by what to call it; None, False and [] are not."""
    named = [name for name, value in given.items() if value not in (None, False, [])]
    if len(named) > 1:
        raise typer.BadParameter(
            f"give only one of {' and '.join(named)}", param_hint=param_hint
        )
    if not named:
        raise typer.BadParameter(f"give {', or '.join(given)}", param_hint=param_hint)


def print_json(value: object) -> None:
    """Print indented JSON; what moves a cursor or turns text round is escaped, for it comes from producers."""
    text = to_indented_json(value)
    typer.echo(_UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text))


def plain(text: str) -> Text:
    """Return text that is no markup and moves no cursor: it comes from producers."""
    return Text("".join(sign if sign.isprintable() else "\ufffd" for sign in text))
