"""notifier config: check the settings and show them."""

from __future__ import annotations

import os

import typer

from notifier.cli.options import ConfigOption, JsonOption, found_secrets, print_json, settings
from notifier.config import masked, overrides
from notifier.secrets import State
from notifier.telemetry.spans import check_installed

app = typer.Typer(help="Check the settings and show what is in force.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check files, environment and secrets; exit 3 and name every fault if something is wrong."""
    loaded = settings(config)
    secrets = found_secrets(loaded)
    check_installed(loaded.tracing)
    typer.echo(
        f"configuration is sound: {len(loaded.routes)} routes, {len(loaded.channels)} channels"
    )
    for name, (section, key), _ in overrides(os.environ):
        typer.echo(f"  {section}.{key} comes from {name}")
    for channel, webhook in secrets.found.items():
        line = f"  channel {channel}: webhook {webhook.state}"
        if webhook.state is State.CONFIGURED:
            typer.echo(f"{line}, host {webhook.host}, from {webhook.where}")
        elif webhook.state is State.PLACEHOLDER:
            typer.echo(f"{line} in {webhook.where}; put the workflow's URL there")
        else:
            typer.echo(f"{line}; set {webhook.where}")
    if secrets.keys is None:
        typer.echo("  posts are not signed; make a key with: notifier keys new")
    else:
        typer.echo(f"  posts and links are signed with key {secrets.keys.ids[0]}")
    for warning in secrets.warnings:
        typer.echo(f"  warning: {warning}")


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
