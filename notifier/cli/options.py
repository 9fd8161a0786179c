"""Options that several commands share, each with one spelling.

| option         | short | value                                    | on                                            |
|----------------|-------|------------------------------------------|-----------------------------------------------|
| `--help`       | `-h`  |                                          | everything                                    |
| `--config`     | `-c`  | FILE                                     | every command that reads settings; or before it |
| `--output`     | `-o`  | `table`, `json`; report also `html`      | every command with `--json`                   |
| `--json`       |       | short for `-o json`                      | every command but `run`                       |
| `--file`       | `-f`  | FILE to read (publish) or write (report) | publish, report                               |
| `--limit`      | `-n`  | how many at most                         | dlq list, trace                               |
| `--yes`        | `-y`  | do not ask                               | commands that destroy something               |
| `--quiet`      | `-q`  | print errors only                        | commands that change something                |
| `--dry-run`    |       | only say what would be done              | commands that change many things              |
| `--since`, `--until` |  | AGO or TIME                             | dlq, replay, report                           |
| `--by`, `--why` |      | who and why, for the record              | dlq, lanes, replay                            |

`-o` and the old `--format` are added to each command with `--json` when it is loaded (notifier.cli.lazy).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from notifier.errors import NotifierError

if TYPE_CHECKING:
    from notifier.broker.streams import Streams
    from notifier.config import Config
    from notifier.config.secrets import Secrets
    from notifier.store.database import Database

Result = TypeVar("Result")

TIME = "AGO|TIME"
"""How help names a time that notifier.cli.times reads."""


class OutputFormat(StrEnum):
    """How a command writes its result."""

    TABLE = "table"
    JSON = "json"


class CommandError(NotifierError):
    """A command was given something it cannot use."""


def _config_of(ctx: typer.Context, given: Path | None) -> Path | None:
    """Return --config of the command, else before it, else NOTIFIER_CONFIG."""
    root = ctx.find_root()
    source = ctx.get_parameter_source("config")
    if ctx is root or (source is not None and source.name == "COMMANDLINE"):
        return given
    before: Path | None = root.params.get("config")
    return before or given


def _json_of(ctx: typer.Context, given: bool) -> bool:
    """Return whether JSON is wanted; raises BadParameter for a contradiction."""
    output = ctx.meta.get("output")
    if given and output not in (None, OutputFormat.JSON):
        raise typer.BadParameter(f"give only one of --json and --output {output}")
    return given or output == OutputFormat.JSON


def _keep_output(ctx: typer.Context, given: OutputFormat | None) -> OutputFormat | None:
    if given is not None:
        ctx.meta["output"] = given
    return given


def _keep_format(ctx: typer.Context, given: OutputFormat | None) -> OutputFormat | None:
    if given is not None:
        hint_at("--format", "--output (-o)")
    return _keep_output(ctx, given)


def hint_at(old: str, new: str) -> None:
    """Say on standard error that the next version drops a spelling."""
    typer.echo(
        f"notifier: {old} is deprecated; use {new}: the next version drops {old}", err=True
    )


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="NOTIFIER_CONFIG",
        callback=_config_of,
        metavar="FILE",
        help="TOML file laid over the shipped config.toml.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", callback=_json_of, help="Short for --output json.")
]
AlwaysJsonOption = Annotated[
    bool, typer.Option("--json", callback=_json_of, help="The output is always JSON.")
]
OutputOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--output",
        "-o",
        is_eager=True,
        callback=_keep_output,
        help="table for people, the default; json for programs.",
    ),
]
"""Added to each command that has a JsonOption."""
FormatOption = Annotated[
    OutputFormat | None,
    typer.Option("--format", hidden=True, is_eager=True, callback=_keep_format),
]
"""The old spelling of --output."""
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; without a terminal nothing is asked.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
RateOption = Annotated[
    float, typer.Option(min=0, help="At most this many per second; 0 = no limit.")
]
ByOption = Annotated[str | None, typer.Option(help="Name for the record; default: the user.")]
WhyOption = Annotated[str | None, typer.Option(help="Reason for the record.")]
RequiredWhyOption = Annotated[str, typer.Option(help="Reason for the record.")]
ChannelOption = Annotated[str | None, typer.Option(help="Only this channel.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar=TIME,
        help="Only dead letters made at this time or later: 2h, today, 2026-11-24T10:00 (UTC), …+03:00.",
    ),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar=TIME, help="Only dead letters made before this time.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All of them.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Only this event type.")]


def settings(config: Path | None) -> Config:
    """Load the configuration of this command; raises ConfigError."""
    from notifier.config import load_config

    return load_config(config, os.environ)


def database(config: Config, command: str, seconds: float, *, write: bool = False) -> Database:
    """Return the database for a command; a statement may take `seconds`."""
    from notifier.store.database import Access, Database

    url, connect_seconds = config.database.url, config.database.connect_timeout_seconds
    access = Access.WRITE if write else Access.READ
    return Database(url, connect_seconds, seconds, access, f"notifier {command}")


def found_secrets(config: Config) -> Secrets:
    """Find the secrets as the daemon would, Vault included.

    Raises:
        SecretsError, VaultError: They cannot be used or read.
    """
    import time

    from notifier.config.secrets import load_secrets, open_vault, secret_sources

    vault = open_vault(config.vault, os.environ, clock=time.monotonic)
    if vault is not None:
        vault.refresh()
    return load_secrets(config, secret_sources(os.environ, vault))


def with_redis(config: Config, work: Callable[[Streams], Awaitable[Result]]) -> Result:
    """Run `work` with a connection that is closed afterwards."""
    import asyncio

    from notifier.broker.streams import open_streams

    async def connected() -> Result:
        async with open_streams(config.redis) as streams:
            return await work(streams)

    return asyncio.run(connected())


def require_one(given: Mapping[str, object], *, param_hint: str) -> None:
    """Raise typer.BadParameter unless exactly one is given.

    None, False and [] count as not given.
    """
    named = [name for name, value in given.items() if value not in (None, False, [])]
    if len(named) > 1:
        raise typer.BadParameter(
            f"give only one of {' and '.join(named)}", param_hint=param_hint
        )
    if not named:
        raise typer.BadParameter(f"give {', or '.join(given)}", param_hint=param_hint)


def require_why(why: str) -> None:
    """Raise typer.BadParameter if no reason is given for the record."""
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="--why")


def require_channel(config: Config, name: str | None, option: str) -> None:
    """Raise typer.BadParameter if the given channel is not configured."""
    if name is not None and name not in config.channels:
        raise typer.BadParameter(
            f"unknown channel {name}; channels are {', '.join(config.channels)}",
            param_hint=option,
        )


async def require_known_channel(streams: Streams, config: Config, name: str | None) -> None:
    """Refuse a channel that settings, lanes and dead letters do not know.

    A removed channel stays usable. This reads all dead letters, so ask only if none was found.

    Raises:
        typer.BadParameter: Nothing knows it.
        StreamError: Redis is away.
    """
    from notifier.dead_letters.abandoned_lanes import removed_channels
    from notifier.dead_letters.listing import Filter, newest_dead_letters

    if name is None or name in config.channels:
        return
    removed = await removed_channels(streams, config.streams, config.channels)
    if name in removed or await newest_dead_letters(
        streams, config.streams, Filter(channel=name), limit=1
    ):
        return
    known = ", ".join(sorted({*config.channels, *removed}))
    raise typer.BadParameter(
        f"unknown channel {name}, and no dead letter names it; known channels: {known}",
        param_hint="--channel",
    )
