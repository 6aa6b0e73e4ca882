"""Client metadata as a client sends and gets them (RFC 7591 2, OpenID Connect Registration 2), and as our documents hold them.

What we do not know is ignored. Of ``grant_types`` and ``response_types`` what we offer is registered, if that is enough for a
login (RFC 7591 3.2.1); every other wish that we cannot fulfil is refused, so that no client believes itself safer than it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from broker.errors import ServiceFault
from broker.federation.document_models import ClientModel
from broker.federation.document_types import DocumentErrors
from broker.federation.model import LANGUAGES, OidcClient, Service, Texts
from broker.oidc import jose
from broker.oidc.errors import InvalidClientMetadata, InvalidRedirectUri, InvalidToken, SoftwareStatementRefused

# A grant beyond these is an operator's to give.
GRANT_TYPES = ("authorization_code", "refresh_token")
RESPONSE_TYPES = ("code",)
_OURS = ("client_id", "client_secret", "registration_access_token")
_MEMBERS = tuple(name for name in ClientModel.model_fields if name not in _OURS)
_SIGNED_BY_US = ("id_token_signed_response_alg", "userinfo_signed_response_alg")
# RFC 7517 4, RFC 7518 6. Private ones are kept until they are refused.
_KEY_MEMBERS = ("kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e", "x5c", "x5t", "x5t#S256")
_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """``methods``: of client authentication. ``algorithms``: by which we sign."""

    methods: Collection[str]
    algorithms: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """``name``: empty, if the client has none. ``client``: of the document, without what is ours to give; its form is not proven
    yet."""

    name: Mapping[str, object]
    client: Mapping[str, object]


def read(members: Mapping[str, object], offered: Offered, *, public_subject: bool) -> ClientMetadata:
    """What is asked for, as far as it is not the documents' own rules. ``public_subject``: it may ask for that.

    Raises: InvalidClientMetadata, SoftwareStatementRefused.
    """
    given = {name: value for name, value in members.items() if value is not None}
    if "software_statement" in given:
        raise SoftwareStatementRefused("software_statement")
    client = {name: given[name] for name in _MEMBERS if name in given}
    _narrow(client, "grant_types", GRANT_TYPES)
    _narrow(client, "response_types", RESPONSE_TYPES)
    _check_offered(client, "token_endpoint_auth_method", offered.methods)
    for name in _SIGNED_BY_US:
        _check_offered(client, name, offered.algorithms)
    if isinstance(jwks := client.get("jwks"), dict):
        client["jwks"] = _key_set(jwks)
    if client.get("subject_type") == "public" and not public_subject:
        raise InvalidClientMetadata("subject_type: public is for services whose operator allowed it")
    _check_sector(client)
    _check_visible(client)
    return ClientMetadata(name=_names(given), client=client)


def _narrow(client: dict[str, object], name: str, offered: tuple[str, ...]) -> None:
    """Those that we offer, in our order; the first must be among them. Raises: InvalidClientMetadata."""
    asked = client.get(name)
    if asked is None:
        return
    if not isinstance(asked, list):
        raise InvalidClientMetadata(f"{name}: must be a list")
    if offered[0] not in asked:
        raise InvalidClientMetadata(f"{name}: must hold {offered[0]}")
    client[name] = [each for each in offered if each in asked]


def _check_offered(client: Mapping[str, object], name: str, offered: Collection[str]) -> None:
    if name in client and client[name] not in offered:
        raise InvalidClientMetadata(f"{name}: must be one of {', '.join(offered)}")


def _key_set(jwks: Mapping[str, object]) -> dict[str, object]:
    """The members of keys that the standard has. Raises: InvalidClientMetadata."""
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        return {}
    if len(keys) > jose.MAX_KEYS:
        raise InvalidClientMetadata(f"jwks: must have at most {jose.MAX_KEYS} keys")
    for key in keys:
        for name, value in key.items():
            if name in _KEY_MEMBERS and not _is_text_or_texts(value):
                raise InvalidClientMetadata(f"jwks: {name} must be text, or a list of texts")
    return {"keys": [{name: key[name] for name in (*_KEY_MEMBERS, *_PRIVATE_MEMBERS) if name in key} for key in keys]}


def _is_text_or_texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _check_sector(client: Mapping[str, object]) -> None:
    """OIDC Registration 5. Raises: InvalidClientMetadata."""
    sector = client.get("sector_identifier_uri")
    if isinstance(sector, str):
        if not sector.startswith("https://"):
            raise InvalidClientMetadata("sector_identifier_uri: must be https")
    elif client.get("subject_type", "pairwise") == "pairwise" and len(_hosts(client.get("redirect_uris"))) > 1:
        # OIDC Core 8.1. Our pairwise identifiers hang on no host, but a client that goes by the standard expects to be told.
        raise InvalidClientMetadata("redirect_uris: several hosts need a sector_identifier_uri")


def _hosts(uris: object) -> frozenset[str]:
    """Of those that are web addresses at all."""
    found = set()
    for uri in uris if isinstance(uris, list) else ():
        try:
            found.add(urlsplit(uri).hostname if isinstance(uri, str) else None)
        except ValueError:
            continue
    return frozenset(host for host in found if host)


def _check_visible(client: Mapping[str, object]) -> None:
    """Whatever is written into a document must be there to be seen. Raises: InvalidClientMetadata."""
    for name, value in client.items():
        if not all(text.isprintable() for text in _texts(value)):
            raise InvalidClientMetadata(f"{name}: holds an invisible character")


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)


def _names(given: Mapping[str, object]) -> dict[str, object]:
    """``client_name`` and ``client_name#fi`` … → by language (RFC 7591 2.2).

    One without a tag is of no known language: it stands for every language of ours that has none of its own.
    """
    tagged: dict[str, object] = {}
    for member in sorted(given, key=len):
        name, _, tag = member.partition("#")
        language = tag.partition("-")[0].lower()
        if name == "client_name" and language in LANGUAGES:
            tagged.setdefault(language, given[member])
    if "client_name" not in given:
        return tagged
    untagged = given["client_name"]
    return {language: tagged.get(language, untagged) for language in LANGUAGES} if tagged else {"en": untagged}


def refusal(errors: DocumentErrors) -> ServiceFault:
    """What the documents' own rules say, in RFC 7591's words. What an operator decided and is wrong by now is the token's fault."""
    told = [(each.field.removeprefix("client."), each) for each in errors.problems]
    if any(not each.field.startswith(("client.", "name.")) for each in errors.problems):
        return InvalidToken("; ".join(f"{each.field}: {each.message}" for each in errors.problems))
    text = "; ".join(
        f"{f'client_{member}' if member.startswith('name') else member}: {each.message}" for member, each in told
    )
    fault = (
        InvalidRedirectUri if any(member.startswith("redirect_uris") for member, _ in told) else InvalidClientMetadata
    )
    return fault(text)


def information(service: Service, registration_client_uri: str) -> dict[str, object]:
    """The client information response (RFC 7591 3.2.1, RFC 7592 3), with every registered value, ours too."""
    client = service.client
    assert client is not None, "only clients register"
    values = {each.name: getattr(client, each.name) for each in fields(OidcClient)}
    found: dict[str, object] = {name: _json(value) for name, value in values.items() if value not in (None, ())}
    if client.jwks is not None:
        found["jwks"] = json.loads(client.jwks)
    for use in ("id_token", "userinfo"):
        if f"{use}_encrypted_response_alg" not in found:
            del found[f"{use}_encrypted_response_enc"]
    if client.client_secret is not None:
        found["client_secret_expires_at"] = 0
    return found | _tagged(service.name) | {"registration_client_uri": registration_client_uri}


def _json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _tagged(names: Texts) -> dict[str, object]:
    """The English name is the one without a tag."""
    plain: dict[str, object] = {"client_name": names["en"]} if "en" in names else {}
    return plain | {f"client_name#{each}": names[each] for each in names if names[each] != names.get("en")}
