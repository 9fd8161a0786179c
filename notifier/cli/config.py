"""notifier config: check the settings and show them."""

from __future__ import annotations

import os

import typer

from notifier.cli.options import ConfigOption, JsonOption, print_json, settings
from notifier.config import masked, overrides
from notifier.secrets import load_secrets

app = typer.Typer(help="Check the settings and show what is in force.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check files, environment and secrets; exit 3 and name every fault if something is wrong."""
    loaded = settings(config)
    secrets = load_secrets(loaded, os.environ)
    typer.echo(
        f"configuration is sound: {len(loaded.routes)} routes, {len(loaded.channels)} channels"
    )
    for name, (section, key), _ in overrides(os.environ):
        typer.echo(f"  {section}.{key} comes from {name}")
    for channel in loaded.channels:
        if channel not in secrets.webhooks:
            typer.echo(
                f"  channel {channel} has no webhook yet; set TEAMS_WEBHOOK_{channel.upper()}"
            )
    if secrets.hmac_key is None:
        typer.echo(
            "  posts are not signed; set TEAMS_HMAC_SECRET_KEY to `openssl rand -hex 32`"
        )


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every setting in force, passwords as ***; webhook URLs and keys are never part of it."""
    data = masked(settings(config))
    if as_json:
        print_json(data)
        return
    for section, value in data.items():
        if not isinstance(value, dict):
            typer.echo(f"{section} = {value}")
            continue
        for key, item in value.items():
            typer.echo(f"{section}.{key} = {item}")
