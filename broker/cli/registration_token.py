"""``broker registration-token``: lets one service register itself, as an operator decides (RFC 7591 3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from broker.cli.console import Json, fail, out, print_json
from broker.cli.opening import build_here, now, registry, run
from broker.federation import service_document, yaml_text
from broker.federation.documents import DocumentErrors, DocumentSet
from broker.federation.service_document import KIND
from broker.federation.yaml_text import UnreadableYaml
from broker.keys import keyring
from broker.keys.keyring import KeyRingError
from broker.oidc.jose import Signer
from broker.oidc.op.initial_access import DECIDED, Admission, InitialAccessTokens, admission
from broker.settings import load

# Stands in for what the client will say of itself, so that the rest is judged now.
_ANYBODY = {"redirect_uris": ["https://client.example/callback"], "token_endpoint_auth_method": "none"}


def registration_token(
    draft: Annotated[
        Path,
        typer.Argument(
            help="A service's document without id, protocol, client and status.", exists=True, dir_okay=False
        ),
    ],
    days: Annotated[int, typer.Option(min=1, max=90, help="How long the service has time to register.")] = 7,
    public_subject: Annotated[
        bool, typer.Option("--public-subject", help="It may register identifiers that other services know too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a token by which one service of OpenID Connect registers itself, once, into status test.

    The draft says what is not the service's to decide: owner, attributes with their purposes, testers.
    Example: broker registration-token drafts/meeting-rooms.yaml --days 7
    """
    settings = load()
    admitted = admission(_decided(draft), public_subject=public_subject)
    try:
        run(_check(admitted))
        signer = Signer(keyring.load(settings.certs_dir))
    except DocumentErrors as errors:
        fail("\n".join(f"{draft}: {each.field}: {each.message}" for each in errors.problems))
    except KeyRingError as error:
        fail(str(error))
    lifetime = timedelta(days=days)
    token = InitialAccessTokens(issuer=settings.base_url, signer=signer, clock=now).make(admitted, lifetime)
    found = {
        "initial_access_token": token,
        "registration_endpoint": f"{settings.base_url}/oidc/register",
        "client_id": admitted.id,
        "expires_at": (now() + lifetime).isoformat(timespec="seconds"),
    }
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        out.print(f"{name}: {value}", markup=False, soft_wrap=True)


def _decided(draft: Path) -> Mapping[str, object]:
    try:
        parts = yaml_text.parts(draft.read_text("utf-8"))
    except UnreadableYaml as error:
        fail("\n".join(f"{draft}:{each.line}: {each.message}" for each in error.mistakes))
    except (UnicodeDecodeError, OSError) as error:
        fail(f"{draft}: {error}")
    if len(parts) != 1 or not isinstance(body := parts[0].body, dict):
        fail(f"{draft}: must hold one document")
    if body.get("kind", KIND) != KIND:
        fail(f"{draft}: kind: must be {KIND}")
    if unknown := sorted(body.keys() - {"kind", *DECIDED}):
        fail(f"{draft}: {unknown[0]}: is not for a draft; it may have {', '.join(DECIDED)}")
    if "owner" not in body:
        fail(f"{draft}: owner: is missing")
    return {name: value for name, value in body.items() if name != "kind"}


async def _check(admitted: Admission) -> None:
    """Raises: DocumentErrors, of the draft."""
    named = {"name": {"en": admitted.id}, **admitted.decided}
    body = {"kind": KIND, "id": admitted.id, "protocol": "oidc", **named, "status": "test"}
    document = service_document.unwritten({**body, "client": {"client_id": admitted.id, **_ANYBODY}})
    async with registry() as opened:
        _, documents = await opened.current()
    owners = tuple(each for each in documents.documents if each.kind == "organisation")
    build_here(DocumentSet(documents=(*owners, document), files={}), 0)
