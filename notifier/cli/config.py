"""notifier config: check the settings and show them."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from notifier.broker.consumer import Consumer
from notifier.cli.formats import FormatOption, JsonOption, wants_json
from notifier.cli.options import ConfigOption, print_json, settings, with_redis
from notifier.config import assets, load_config, masked, overrides
from notifier.config.secrets import State
from notifier.errors import ConfigError, SecretsError
from notifier.ops.doctor import Level
from notifier.ops.doctor.names import unused_names
from notifier.ops.doctor.pages import check_public_pages
from notifier.telemetry.tracing import check_installed

app = typer.Typer(help="Check the settings and show what is in force.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check settings, environment, secrets and cards as a start or a reload does; exit 3 and name every fault if something is wrong.

    What works and is probably not meant is a warning: names that belong to nothing, action pages that no card links to.
    """
    # The daemon is imported only here: every other command would wait for it.
    from notifier.daemon.snapshot import Blueprint

    snapshot = Blueprint(lambda: settings(config), os.environ, clock=time.monotonic).build(None)
    loaded, secrets = snapshot.config, snapshot.secrets
    check_installed(loaded.tracing)
    with_redis(loaded, _nothing)
    if secrets.webhook_faults:
        raise SecretsError(
            "the daemon starts, but these channels cannot deliver:\n"
            + "\n".join(secrets.webhook_faults.values())
        )
    if loaded.stop_fault:
        raise ConfigError(loaded.stop_fault)
    typer.echo(
        f"configuration is sound: {len(loaded.routes)} routes, {len(loaded.channels)} channels, {len(snapshot.cards.templates)} cards"
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
    doubts = [webhook.doubt for webhook in secrets.found.values() if webhook.doubt]
    for warning in (*doubts, *secrets.warnings):
        typer.echo(f"  warning: {warning}")
    vault = snapshot.vault.keys if snapshot.vault is not None else {}
    for found in (
        *unused_names(loaded, os.environ, vault),
        *check_public_pages(loaded, secrets),
    ):
        if found.level is not Level.OK:
            typer.echo(f"  warning: {found}")


async def _nothing(group: Consumer) -> None:
    """Connect to nothing: that a client can be made shows that the files for TLS are there."""


@app.command()
def show(
    config: ConfigOption = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    defaults: Annotated[
        bool,
        typer.Option(
            "--defaults", help="Print the shipped config.toml, in which each is explained."
        ),
    ] = False,
) -> None:
    """Print every setting in force, passwords as ***; webhook URLs and keys are never part of it."""
    if defaults and not wants_json(form, as_json):
        typer.echo(assets.config_file().read_text(encoding="utf-8"), nl=False)
        return
    data = masked(load_config(None, {}) if defaults else settings(config))
    if wants_json(form, as_json):
        print_json(data)
        return
    for section, value in data.items():
        if not isinstance(value, dict):
            typer.echo(f"{section} = {value}")
            continue
        for key, item in value.items():
            typer.echo(f"{section}.{key} = {item}")
