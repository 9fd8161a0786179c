"""notifier config: check the settings and show them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, settings, with_redis
from notifier.cli.output import error_findings, findings_document, print_findings, print_json
from notifier.errors import ConfigError, NotifierError, SecretsError
from notifier.telemetry.findings import Finding, Level, warning_of

if TYPE_CHECKING:
    from notifier.broker.streams import Streams
    from notifier.daemon.snapshot import Snapshot

app = typer.Typer()


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check settings, environment, secrets and cards as a start does.

    Exit code 3: a start or a reload would fail. Every fault is named. Warnings are about names that belong to nothing and action pages that no card links to.
    """
    try:
        snapshot = _checked(config)
    except NotifierError as exc:
        if not as_json:
            raise
        print_json({"sound": False, **findings_document(error_findings("settings", exc))})
        raise typer.Exit(exc.exit_code) from None
    findings = _warnings(snapshot)
    if as_json:
        print_json({"sound": True, **findings_document(findings), **_document(snapshot)})
        return
    for line in _lines(snapshot):
        typer.echo(line)
    print_findings(findings)


def _checked(file: Path | None) -> Snapshot:
    """Return what a daemon would start with; raises NotifierError."""
    from notifier.daemon.snapshot import Blueprint
    from notifier.telemetry.tracing import check_installed

    snapshot = Blueprint(lambda: settings(file), os.environ, clock=time.monotonic).build(None)
    check_installed(snapshot.config.tracing)
    # A client can only be made if the files for TLS are there.
    with_redis(snapshot.config, _connect_to_nothing)
    if snapshot.secrets.webhook_faults:
        raise SecretsError(
            "the daemon starts, but these channels cannot deliver:\n"
            + "\n".join(snapshot.secrets.webhook_faults.values())
        )
    if snapshot.config.stop_fault:
        raise ConfigError(snapshot.config.stop_fault)
    return snapshot


async def _connect_to_nothing(streams: Streams) -> None: ...


def _warnings(snapshot: Snapshot) -> list[Finding]:
    from notifier.ops.doctor.pages import check_public_pages
    from notifier.ops.doctor.secrets import unused_names

    secrets = snapshot.secrets
    doubts = [webhook.doubt for webhook in secrets.found.values() if webhook.doubt]
    vault = snapshot.vault.keys if snapshot.vault is not None else {}
    return [
        *(warning_of("secrets", text) for text in (*doubts, *secrets.warnings)),
        *unused_names(snapshot.config, os.environ, vault),
        *(
            each
            for each in check_public_pages(snapshot.config, secrets)
            if each.level is not Level.OK
        ),
    ]


def _document(snapshot: Snapshot) -> dict[str, object]:
    from notifier.config.load import overrides

    secrets = snapshot.secrets
    return {
        "routes": len(snapshot.config.routes),
        "cards": len(snapshot.cards.templates),
        "channels": [
            {
                "channel": name,
                "webhook": webhook.state.value,
                "host": webhook.host,
                "where": webhook.where,
            }
            for name, webhook in secrets.found.items()
        ],
        "overrides": [
            {"setting": f"{section}.{key}", "variable": name}
            for name, (section, key), _ in overrides(os.environ)
        ],
        "key_ids": list(secrets.keys.ids) if secrets.keys else [],
    }


def _lines(snapshot: Snapshot) -> Iterator[str]:
    from notifier.config.load import overrides
    from notifier.config.secrets import State

    config, secrets = snapshot.config, snapshot.secrets
    yield f"configuration is sound: {len(config.routes)} routes, {len(config.channels)} channels, {len(snapshot.cards.templates)} cards"
    for name, (section, key), _ in overrides(os.environ):
        yield f"  {section}.{key} comes from {name}"
    for channel, webhook in secrets.found.items():
        line = f"  channel {channel}: webhook {webhook.state}"
        if webhook.state is State.CONFIGURED:
            yield f"{line}, host {webhook.host}, from {webhook.where}"
        elif webhook.state is State.PLACEHOLDER:
            yield f"{line} in {webhook.where}; put the workflow's URL there"
        else:
            yield f"{line}; set {webhook.where}"
    if secrets.keys is None:
        yield "  posts are not signed; make a key with: notifier keys new"
    else:
        yield f"  posts and links are signed with key {secrets.keys.ids[0]}"


@app.command()
def show(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    defaults: Annotated[
        bool,
        typer.Option(
            "--defaults", help="Print the shipped config.toml, which explains every setting."
        ),
    ] = False,
) -> None:
    """Print every setting in force, passwords as ***, without secrets."""
    from notifier.config import assets, load_config
    from notifier.config.load import masked

    if defaults and not as_json:
        typer.echo(assets.config_file().read_text(encoding="utf-8"), nl=False)
        return
    data = masked(load_config(None, {}) if defaults else settings(config))
    if as_json:
        print_json(data)
        return
    for section, value in data.items():
        if not isinstance(value, dict):
            typer.echo(f"{section} = {value}")
            continue
        for key, item in value.items():
            typer.echo(f"{section}.{key} = {item}")
