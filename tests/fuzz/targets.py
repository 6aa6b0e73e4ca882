"""What is fuzzed: each target takes octets and lets nothing but our own typed refusals pass.

A target makes what it needs once, when it is first called. Octets reach a reader as directly as possible, so that what a fuzzer
learns is about our code and not about base64: ``saml_signed`` signs what it is given, as a city would that wants to harm us.
"""

from __future__ import annotations

import asyncio
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote

import xmlsec
from lxml import etree

from broker.attributes.schema import ATTRIBUTES
from broker.attributes.values import InvalidValue
from broker.errors import Fault
from broker.federation import yaml_text
from broker.federation.documents import UnreadableMetadata
from broker.fetch import Fetched
from broker.keys import keyring
from broker.login.edges import RefusedRequest
from broker.login.transaction import TransactionId
from broker.oidc import jose, json_object
from broker.oidc.op import claims_request
from broker.oidc.rp import callback, discovery, pushed_request, userinfo
from broker.saml import soap
from broker.saml.metadata import read_facts, read_idp, read_sp
from broker.saml.xml import XmlRefused
from broker.state.transaction_json import from_octets
from broker.web import cookies, i18n
from tests.spec.saml import conftest as saml

Target = Callable[[bytes], None]
_REFUSALS = (Fault, RefusedRequest)


@cache
def _parties() -> Any:
    folder = Path(mkdtemp(prefix="fuzz-"))
    keyring.create(folder, common_name="broker.example", now=saml.NOW)
    keys = keyring.load(folder)
    pairs = {name: saml.make_pair(name) for name in ("city", "service")}
    city = saml.identity_provider("pori-adfs", saml.PORI, saml.CITY, saml.idp_metadata(saml.CITY, pairs["city"]))
    service = saml.Downstream(keys, pairs, [city])
    upstream = saml.Upstream(keys, pairs, city, service.federation)
    signing = xmlsec.Key.from_memory(pairs["city"].pem, xmlsec.constants.KeyDataFormatPem)
    return SimpleNamespace(keys=keys, pairs=pairs, upstream=upstream, downstream=service, signing=signing)


# --- SAML -------------------------------------------------------------------------------------------------------------


def saml_response(octets: bytes) -> None:
    """A Response as it comes out of the form."""
    _arrive(octets)


def saml_signed(octets: bytes) -> None:
    """An assertion of any kind, in a Response that the city really signed."""
    upstream = _parties().upstream
    try:
        inner = octets.decode("utf-8")
        root = etree.fromstring(upstream.draft.response(inner))
    except (UnicodeDecodeError, etree.XMLSyntaxError, ValueError):
        return
    template = xmlsec.template.create(
        root, xmlsec.constants.TransformExclC14N, xmlsec.constants.TransformRsaSha256, ns="ds"
    )
    root.insert(1, template)
    reference = xmlsec.template.add_reference(template, xmlsec.constants.TransformSha256, uri=f"#{root.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    context = xmlsec.SignatureContext()
    context.key = _parties().signing
    context.register_id(root, "ID")
    with suppress(xmlsec.Error):
        context.sign(template)
        _arrive(etree.tostring(root))


def _arrive(octets: bytes) -> None:
    upstream = _parties().upstream
    upstream.replay.seen.clear()
    with suppress(Fault):
        upstream.post_raw(b64encode(octets).decode("ascii"))


def saml_response_form(octets: bytes) -> None:
    """The form's field itself, and RelayState."""
    upstream = _parties().upstream
    text = octets.decode("utf-8", "surrogateescape")
    message = {"SAMLResponse": text, "RelayState": text[:64]}
    with suppress(Fault):
        asyncio.run(upstream.edge.arrive(upstream.transaction, message, upstream.idp))


def saml_request(octets: bytes) -> None:
    """An AuthnRequest by POST, and the same by Redirect."""
    downstream = _parties().downstream
    packer = zlib.compressobj(wbits=-15)
    packed = b64encode(packer.compress(octets) + packer.flush()).decode("ascii")
    with suppress(*_REFUSALS):
        downstream.edge.read_post({"SAMLRequest": b64encode(octets).decode("ascii")}, "", downstream.federation)
    with suppress(*_REFUSALS):
        downstream.edge.read_redirect(f"SAMLRequest={quote(packed, safe='')}", downstream.federation)


def saml_redirect(octets: bytes) -> None:
    """The whole query."""
    downstream = _parties().downstream
    with suppress(*_REFUSALS):
        downstream.edge.read_redirect(octets.decode("utf-8", "surrogateescape"), downstream.federation)


def saml_artifact(octets: bytes) -> None:
    """A service's ArtifactResolve, a city's ArtifactResponse, and the artifact itself."""
    parties = _parties()
    answer = asyncio.run(parties.downstream.edge.resolve(octets, parties.downstream.federation))
    assert answer.status < 500
    with suppress(XmlRefused):
        soap.unwrap(octets)
    with suppress(Fault):
        parties.upstream.by_artifact(octets.decode("utf-8", "surrogateescape"))


def saml_metadata(octets: bytes) -> None:
    for read in (read_idp, read_sp):
        with suppress(UnreadableMetadata):
            read(octets)
    for role in ("idp", "sp"):
        with suppress(UnreadableMetadata):
            read_facts(octets, role)  # type: ignore[arg-type]  # a Literal


# --- OpenID Connect -----------------------------------------------------------------------------------------------------


def jose_key_set_and_token(octets: bytes) -> None:
    """A JWKS, and behind an empty line a token that is verified with it."""
    key_set, _, token = octets.partition(b"\n\n")
    jose.unverified(token.decode("utf-8", "surrogateescape"), "sub")
    with suppress(jose.JoseError):
        keys = jose.read_key_set(key_set)
        jose.verify(token.decode("utf-8", "surrogateescape"), keys)


def oidc_answers(octets: bytes) -> None:
    """What a city's provider says: discovery, tokens, pushed requests, userinfo."""
    with suppress(ValueError):
        json_object.read(octets)
    with suppress(discovery.MetadataUnusable):
        discovery.read_metadata(octets, "https://login.example")
    for content_type in ("application/json", "application/jwt"):
        fetched = Fetched(content_type=content_type, body=octets)
        with suppress(Fault):
            callback.read_tokens(fetched)
        with suppress(Fault):
            pushed_request.read(fetched)
        with suppress(Fault):
            userinfo.read(fetched)


def oidc_claims(octets: bytes) -> None:
    with suppress(Fault):
        claims_request.read(octets.decode("utf-8", "surrogateescape"))


# --- ours -------------------------------------------------------------------------------------------------------------


def kept(octets: bytes) -> None:
    """What we stored ourselves, and somebody changed."""
    with suppress(Fault):
        from_octets(TransactionId("x"), octets)


def documents(octets: bytes) -> None:
    with suppress(yaml_text.UnreadableYaml):
        yaml_text.parts(octets.decode("utf-8", "replace"))


def values(octets: bytes) -> None:
    """Every check of the schema."""
    text = octets.decode("utf-8", "replace")
    for attribute in ATTRIBUTES.values():
        with suppress(InvalidValue):
            attribute.validate(text)


def headers(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    i18n.choose_language(query=text[:20], cookie=text[:5], accept_language=text)
    cookies.Cookies(secure=True).browser({"__Host-broker-browser": text, "broker-browser": text})
    with suppress(ValueError):
        parse_qsl(text, strict_parsing=True)


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        saml_response,
        saml_signed,
        saml_response_form,
        saml_request,
        saml_redirect,
        saml_artifact,
        saml_metadata,
        jose_key_set_and_token,
        oidc_answers,
        oidc_claims,
        kept,
        documents,
        values,
        headers,
    )
}
