"""notifier keys: make HMAC keys and see which are in force."""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Annotated

import typer

from notifier.cli.formats import FormatOption, JsonOption, wants_json
from notifier.cli.options import ConfigOption, found_secrets, print_json, settings
from notifier.events.signing import key_id, written_key

_KEY_BYTES = 32

app = typer.Typer(
    help="Make keys that sign posts and action links, and change them without breaking posted links.",
    no_args_is_help=True,
)


class Form(StrEnum):
    """How a key is written."""

    WHSEC = "whsec"
    HEX = "hex"


@app.command()
def new(
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="whsec: as Standard Webhooks writes it; hex: 64 hexadecimal digits.",
        ),
    ] = Form.WHSEC,
) -> None:
    """Print a new random key on standard output, and on standard error how to install it."""
    key = written_key(secrets.token_bytes(_KEY_BYTES), hexadecimal=form is Form.HEX)
    typer.echo(key)
    typer.echo(
        f"""
Key id {key_id(key)}. Nobody but the daemon, and receivers that check signatures, may know the key.

First key     set TEAMS_HMAC_SECRET_KEY (or the credential teams_hmac_secret_key, or hmac_secret in Vault) to it.
Rotation      move the present key to TEAMS_HMAC_SECRET_KEY_PREVIOUS (hmac_secret_previous in Vault), put this one in its
              place, and reload each daemon (kill -HUP; systemctl reload; with systemd credentials systemctl restart). Take
              the old one out once public.link_ttl_seconds have passed and every receiver knows the new one.
""",
        err=True,
    )


@app.command(name="list")
def list_keys(
    config: ConfigOption = None, form: FormatOption = None, as_json: JsonOption = False
) -> None:
    """Show the ids of the keys in force, never the keys; the first signs, all verify."""
    keys = found_secrets(settings(config)).keys
    ids = keys.ids if keys else ()
    if wants_json(form, as_json):
        print_json([{"id": each, "signs": number == 0} for number, each in enumerate(ids)])
        return
    if not ids:
        typer.echo("no key is set; make one with: notifier keys new")
    for number, each in enumerate(ids):
        typer.echo(f"{each}  {'signs and verifies' if number == 0 else 'verifies'}")
