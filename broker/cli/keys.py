"""``broker keys``: make, list and roll over the broker's keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer

from broker.cli.console import Json, fail, out, print_json, print_table
from broker.keys import keyring
from broker.keys.keyring import ROLLING, KeyRingError, KeyUse
from broker.settings import load

app = typer.Typer(help="The broker's keys.", no_args_is_help=True)


@app.command()
def create(
    next: Annotated[str, typer.Option("--next", help="Make the next key of this use, to be published first.")] = "",
    ec: Annotated[bool, typer.Option("--ec", help="An EC key, for SAML services that prefer ECDSA.")] = False,
    as_json: Json = False,
) -> None:
    """Make every key that is missing, and only those. Example: broker keys create

    An EC key for SAML is made by `--next saml-signing --ec`, published, and taken into use by `broker keys rotate`.
    """
    settings = load()
    now = datetime.now(UTC)
    name = urlsplit(settings.base_url).hostname or "broker"
    try:
        if ec:
            if next != KeyUse.SAML_SIGNING:
                fail("--ec goes with --next saml-signing only", status=2)
            made = keyring.create_next_ec(settings.certs_dir, common_name=name, now=now)
        elif next:
            made = keyring.create_next(settings.certs_dir, _use(next), common_name=name, now=now)
        else:
            made = keyring.create(settings.certs_dir, common_name=name, now=now)
    except KeyRingError as error:
        fail(str(error))
    if as_json:
        print_json({"made": [str(path) for path in made]})
        return
    for path in made:
        out.print(f"made {path}", markup=False)
    if not made:
        out.print(f"all keys are there, in {settings.certs_dir}", markup=False)


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """Show each key: its use, state, kid, kind and the date of its certificate. Example: broker keys list"""
    settings = load()
    try:
        ring = keyring.load(settings.certs_dir)
    except KeyRingError as error:
        fail(str(error))
    rows = [
        {"use": str(use), "state": str(key.state), "kid": key.kid, "kind": keyring.kind_of(key), "until": _until(key)}
        for use in ROLLING
        for key in ring.published(use)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(["use", "state", "kid", "kind", "certificate until"], [list(row.values()) for row in rows])


@app.command()
def rotate(
    use: Annotated[str, typer.Argument(help="saml-signing, saml-encryption, metadata-signing, oidc-signing")],
    as_json: Json = False,
) -> None:
    """next becomes active, active becomes previous. Example: broker keys rotate oidc-signing

    Make the next key with `broker keys create --next USE`, and wait until partners have read it.
    """
    settings = load()
    try:
        moved = keyring.rotate(settings.certs_dir, _use(use))
    except KeyRingError as error:
        fail(str(error))
    if as_json:
        print_json([{"before": str(before), "after": str(after)} for before, after in moved])
        return
    for before, after in moved:
        out.print(f"{before.name} is now {after.name}", markup=False)
    out.print("Restart the broker, so that it signs with the new key.")


def _use(text: str) -> KeyUse:
    if text not in {str(use) for use in ROLLING}:
        fail(f"{text}: no such use; the uses are {', '.join(ROLLING)}", status=2)
    return KeyUse(text)


def _until(key: keyring.Key) -> str:
    until = keyring.valid_until(key)
    return until.date().isoformat() if until else "–"
