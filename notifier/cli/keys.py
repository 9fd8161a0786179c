"""notifier keys: make HMAC keys and see which are in force."""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Annotated

import typer

from notifier.cli.options import ConfigOption, JsonOption, found_secrets, hint_at, settings

_KEY_BYTES = 32

app = typer.Typer()


class Encoding(StrEnum):
    """How a key is written."""

    WHSEC = "whsec"
    HEX = "hex"


@app.command()
def new(
    encoding: Annotated[
        Encoding,
        typer.Option(help="whsec: as Standard Webhooks writes it; hex: 64 hexadecimal digits."),
    ] = Encoding.WHSEC,
    form: Annotated[Encoding | None, typer.Option("--format", hidden=True)] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new random key, and on standard error how to install it."""
    from notifier.cli.output import print_result
    from notifier.events.signing import key_id, written_key

    if form is not None:
        hint_at("--format", "--encoding")
    hexadecimal = (form or encoding) is Encoding.HEX
    key = written_key(secrets.token_bytes(_KEY_BYTES), hexadecimal=hexadecimal)
    print_result({"id": key_id(key), "key": key}, key, as_json=as_json)
    typer.echo(
        f"""
Key id {key_id(key)}. Only the daemon and receivers that check signatures may know the key.

First key     set TEAMS_HMAC_SECRET_KEY (or the credential teams_hmac_secret_key, or hmac_secret in Vault) to it.
Rotation      move the current key to TEAMS_HMAC_SECRET_KEY_PREVIOUS (hmac_secret_previous in Vault), put this one in its
              place, and reload each daemon (kill -HUP; systemctl reload; with systemd credentials systemctl restart). Take
              the old one out once public.link_ttl_seconds have passed and every receiver knows the new one.
""",
        err=True,
    )


@app.command(name="list")
def list_keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the ids of the keys in force; the first signs, all verify."""
    from notifier.cli.output import print_result

    keys = found_secrets(settings(config)).keys
    ids = keys.ids if keys else ()
    text = "\n".join(
        f"{each}  {'verifies' if number else 'signs and verifies'}"
        for number, each in enumerate(ids)
    )
    print_result(
        [{"id": each, "signs": number == 0} for number, each in enumerate(ids)],
        text or "no key is set; make one with: notifier keys new",
        as_json=as_json,
    )
