"""A city and a service that share no code with the broker, and a broker between them.

The city's messages are text, signed by signxml and encrypted by xmlsec; a test changes one field and shows only that.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import XMLSigner, methods

from broker.attributes.schema import saml_name
from broker.breaker import Breaker
from broker.federation.model import (
    Agreement,
    AgreementId,
    Federation,
    IdentityProvider,
    IdentityProviderId,
    MetadataFile,
    Organisation,
    OrganisationId,
    Protocol,
    RegisteredAttribute,
    Service,
    ServiceId,
    Status,
    SubjectRule,
)
from broker.fetch import Fetched
from broker.keys import keyring
from broker.keys.keyring import KeyRing
from broker.login.edges import FormPost, Redirect
from broker.login.identity import Identity, VerifiedAssertion
from broker.login.request import LoginRequest
from broker.login.steps import Answer, Release, SendToIdp
from broker.login.transaction import LoginTransaction, Stage, new_reference_code, new_transaction_id
from broker.saml.about import About
from broker.saml.idp.edge import SamlIdentityProvider
from broker.saml.soap import SoapAnswer
from broker.saml.sp.edge import SamlServiceProvider
from broker.state.grants import GrantRecords
from broker.state.memory import MemoryStore

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
BASE = "https://broker.example"
ACS = f"{BASE}/saml/sp/acs"
US = f"{BASE}/saml/sp/metadata"
SSO = f"{BASE}/saml/idp/sso"
CITY = "https://adfs.pori.example/adfs/services/trust"
CITY_SSO = "https://adfs.pori.example/adfs/ls/"
OTHER_CITY = "https://idp.ulvila.example/idp"
SERVICE = "https://wiki.example/saml/metadata"
SERVICE_ACS = "https://wiki.example/saml/acs"

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
NS = {"saml": SAML, "samlp": SAMLP, "md": MD, "ds": DS, "xenc": "http://www.w3.org/2001/04/xmlenc#"}
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
MAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"


# --- artifacts ---------------------------------------------------------------------------------------------------------


def artifact(entity_id: str, index: int, kind: bytes = b"\x00\x04") -> str:
    """saml-bindings 3.6.4."""
    source = hashlib.sha1(entity_id.encode()).digest()  # noqa: S324 - the clause says so
    return b64encode(kind + index.to_bytes(2, "big") + source + b"h" * 20).decode()


def artifact_response(asked: bytes, issuer: str, *messages: str, **changes: str) -> str:
    """What ``issuer`` hands out to this ArtifactResolve, not yet signed (saml-core 3.5.2)."""
    id = etree.fromstring(asked).find(".//samlp:ArtifactResolve", NS).get("ID")
    success = "urn:oasis:names:tc:SAML:2.0:status:Success"
    given = {"InResponseTo": id, "Issuer": issuer, "Version": "2.0", "status": success} | changes
    return (
        f'<samlp:ArtifactResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_ar" Version="{given["Version"]}"'
        f' IssueInstant="2026-01-15T12:00:00Z" InResponseTo="{given["InResponseTo"]}">'
        f"<saml:Issuer>{given['Issuer']}</saml:Issuer><samlp:Status><samlp:StatusCode"
        f' Value="{given["status"]}"/></samlp:Status>{"".join(messages)}</samlp:ArtifactResponse>'
    )


# --- keys ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Pair:
    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def certificate_text(self) -> str:
        return b64encode(self.certificate.public_bytes(Encoding.DER)).decode("ascii")


def make_pair(name: str, bits: int = 2048) -> Pair:
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=3650))
        .sign(private, hashes.SHA256())
    )
    return Pair(private=private, certificate=certificate)


@pytest.fixture(scope="session")
def pairs() -> Mapping[str, Pair]:
    """Key pairs of the city, of another city, of the service, and of nobody."""
    return {name: make_pair(name) for name in ("city", "other_city", "service", "stranger")}


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    folder = tmp_path_factory.mktemp("certs")
    keyring.create(folder, common_name="broker.example", now=NOW)
    return keyring.load(folder)


# --- metadata of partners ------------------------------------------------------------------------------------------------


def key_descriptor(pair: Pair, use: str | None = "signing", methods: tuple[str, ...] = ()) -> str:
    attribute = f' use="{use}"' if use else ""
    listed = "".join(f'<md:EncryptionMethod Algorithm="{each}"/>' for each in methods)
    return (
        f'<md:KeyDescriptor{attribute}><ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>'
        f"{pair.certificate_text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{listed}</md:KeyDescriptor>"
    )


def idp_metadata(
    entity_id: str, *pairs: Pair, location: str = CITY_SSO, binding: str = "HTTP-Redirect", more: str = ""
) -> bytes:
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{entity_id}"{more}>'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">{"".join(key_descriptor(each) for each in pairs)}'
        f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}" Location="{location}"/>'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    ).encode()


def acs_element(location: str = SERVICE_ACS, index: int = 0, binding: str = "HTTP-POST", more: str = "") -> str:
    return (
        f'<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}"'
        f' Location="{location}" index="{index}"{more}/>'
    )


def sp_metadata(
    *, role: str = "", key_descriptors: str = "", formats: tuple[str, ...] = (), acs: str = "", more: str = ""
) -> bytes:
    listed = "".join(f"<md:NameIDFormat>{each}</md:NameIDFormat>" for each in formats)
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{SERVICE}"{more}>'
        f'<md:SPSSODescriptor protocolSupportEnumeration="{SAMLP}"{role}>'
        f"{key_descriptors}{listed}{acs or acs_element()}</md:SPSSODescriptor></md:EntityDescriptor>"
    ).encode()


# --- the federation ------------------------------------------------------------------------------------------------------

PORI, ULVILA = OrganisationId("pori"), OrganisationId("ulvila")


def identity_provider(id: str, organisation: OrganisationId, entity_id: str, content: bytes) -> IdentityProvider:
    return IdentityProvider(
        id=IdentityProviderId(id),
        protocol=Protocol.SAML,
        organisations=(organisation,),
        dialect="adfs",
        subject=SubjectRule(keyspace=id),
        metadata=MetadataFile(path=f"{id}.xml", content=content, entity_id=entity_id),
    )


def federation_of(idps: list[IdentityProvider], service: Service) -> Federation:
    return Federation(
        revision=1,
        organisations={
            PORI: Organisation(id=PORI, name={"fi": "Pori"}, scopes=("pori.fi",)),
            ULVILA: Organisation(id=ULVILA, name={"fi": "Ulvila"}, scopes=("ulvila.fi",)),
        },
        identity_providers={each.id: each for each in idps},
        services={service.id: service},
        agreements={
            AgreementId("all"): Agreement(
                id=AgreementId("all"),
                name={"fi": "Sopimus"},
                parties=frozenset({PORI, ULVILA}),
                services=frozenset({service.id}),
                valid_from=date(2026, 1, 1),
                valid_until=date(2029, 12, 31),
                signed={PORI: date(2025, 12, 1), ULVILA: date(2025, 12, 1)},
            )
        },
    )


class Replay:
    """The ReplayCache port, remembering what it was asked."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], timedelta] = {}

    async def first_use(self, issuer: str, message_id: str, lifetime: timedelta) -> bool:
        return self.seen.setdefault((issuer, message_id), lifetime) is lifetime


# --- a city's answer -----------------------------------------------------------------------------------------------------


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class _AnyAlgorithm(XMLSigner):
    """signxml that also makes what nobody should accept."""

    def check_deprecated_methods(self) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A Response before it is signed. Texts of XML where a test may put anything; None leaves an attribute out."""

    request_id: str
    response_id: str = "_response"
    assertion_id: str = "_assertion"
    version: str = "2.0"
    destination: str | None = ACS
    in_response_to: str | None = ""
    confirmed_in_response_to: str | None = ""
    issuer: str | None = CITY
    assertion_issuer: str = CITY
    status: tuple[str, ...] = ("urn:oasis:names:tc:SAML:2.0:status:Success",)
    issue_instant: datetime = NOW
    name_id: str = f'<saml:NameID Format="{PERSISTENT}">pori-4711</saml:NameID>'
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    recipient: str | None = ACS
    confirmed_until: datetime | None = NOW + timedelta(minutes=5)
    confirmed_from: datetime | None = None
    confirmations: str | None = None
    not_before: datetime | None = NOW - timedelta(minutes=1)
    not_on_or_after: datetime | None = NOW + timedelta(minutes=5)
    audiences: tuple[tuple[str, ...], ...] = ((US,),)
    conditions: str = ""
    no_conditions: bool = False
    authn_instant: datetime = NOW - timedelta(seconds=30)
    session_until: datetime | None = None
    authn_statement: str | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({MAIL: ("aino@pori.fi",)})
    )
    with_assertion: bool = True

    def assertion(self) -> str:
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
            f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="{self.assertion_id}" Version="{self.version}"'
            f' IssueInstant="{at(self.issue_instant)}"><saml:Issuer>{self.assertion_issuer}</saml:Issuer>'
            f"<saml:Subject>{self.name_id}{self._confirmations()}</saml:Subject>{self._conditions()}"
            f"{self._authn_statement()}{self._attribute_statement()}</saml:Assertion>"
        )

    def response(self, assertions: str) -> str:
        code = ""
        for each in reversed(self.status):
            code = f'<samlp:StatusCode Value="{each}">{code}</samlp:StatusCode>'
        issuer = "" if self.issuer is None else f'<saml:Issuer xmlns:saml="{SAML}">{self.issuer}</saml:Issuer>'
        return (
            f'<samlp:Response xmlns:samlp="{SAMLP}" ID="{self.response_id}" Version="{self.version}"'
            f' IssueInstant="{at(self.issue_instant)}"{_attribute("Destination", self.destination)}'
            f"{_attribute('InResponseTo', self._request(self.in_response_to))}>{issuer}"
            f"<samlp:Status>{code}</samlp:Status>{assertions}</samlp:Response>"
        )

    def _request(self, given: str | None) -> str | None:
        return self.request_id if given == "" else given

    def _confirmations(self) -> str:
        if self.confirmations is not None:
            return self.confirmations
        return (
            f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData'
            f"{_attribute('InResponseTo', self._request(self.confirmed_in_response_to))}"
            f"{_attribute('Recipient', self.recipient)}{_time('NotOnOrAfter', self.confirmed_until)}"
            f"{_time('NotBefore', self.confirmed_from)}/></saml:SubjectConfirmation>"
        )

    def _conditions(self) -> str:
        if self.no_conditions:
            return ""
        restrictions = "".join(
            "<saml:AudienceRestriction>"
            + "".join(f"<saml:Audience>{each}</saml:Audience>" for each in restriction)
            + "</saml:AudienceRestriction>"
            for restriction in self.audiences
        )
        times = _time("NotBefore", self.not_before) + _time("NotOnOrAfter", self.not_on_or_after)
        return f"<saml:Conditions{times}>{restrictions}{self.conditions}</saml:Conditions>"

    def _authn_statement(self) -> str:
        if self.authn_statement is not None:
            return self.authn_statement
        return (
            f'<saml:AuthnStatement AuthnInstant="{at(self.authn_instant)}" SessionIndex="_s1"'
            f"{_time('SessionNotOnOrAfter', self.session_until)}><saml:AuthnContext><saml:AuthnContextClassRef>"
            "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>"
            "</saml:AuthnContext></saml:AuthnStatement>"
        )

    def _attribute_statement(self) -> str:
        if not self.attributes:
            return ""
        return (
            "<saml:AttributeStatement>"
            + "".join(
                f'<saml:Attribute Name="{name}">'
                + "".join(
                    f'<saml:AttributeValue xsi:type="xs:string">{value}</saml:AttributeValue>' for value in values
                )
                + "</saml:Attribute>"
                for name, values in self.attributes.items()
            )
            + "</saml:AttributeStatement>"
        )


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f' {name}="{value}"'


def _time(name: str, moment: datetime | None) -> str:
    return _attribute(name, None if moment is None else at(moment))


def sign(xml: str, pair: Pair, *, algorithm: str = "rsa-sha256", digest: str = "sha256", exclusive: bool = True) -> str:
    """Enveloped, behind the Issuer, by signxml."""
    root = etree.fromstring(xml)
    placeholder = etree.Element(f"{{{DS}}}Signature", nsmap={"ds": DS})
    placeholder.set("Id", "placeholder")
    root.insert(1, placeholder)
    c14n = "http://www.w3.org/2001/10/xml-exc-c14n#" if exclusive else "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    signer = _AnyAlgorithm(
        method=methods.enveloped, signature_algorithm=algorithm, digest_algorithm=digest, c14n_algorithm=c14n
    )
    signed = signer.sign(root, key=pair.private, cert=[pair.certificate], reference_uri=root.get("ID"))
    return etree.tostring(signed, encoding="unicode")


def encrypt(assertion: str, certificate_pem: bytes, *, data: str = "Aes256Gcm", transport: str = "RsaOaep") -> str:
    """An EncryptedAssertion, made by xmlsec."""
    root = etree.fromstring(f'<saml:EncryptedAssertion xmlns:saml="{SAML}">{assertion}</saml:EncryptedAssertion>')
    template = xmlsec.template.encrypted_data_create(
        root, getattr(xmlsec.constants, f"Transform{data}"), type=xmlsec.constants.TypeEncElement, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(template)
    key_info = xmlsec.template.encrypted_data_ensure_key_info(template, ns="ds")
    encrypted_key = xmlsec.template.add_encrypted_key(key_info, getattr(xmlsec.constants, f"Transform{transport}"))
    xmlsec.template.encrypted_data_ensure_cipher_value(encrypted_key)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate_pem, xmlsec.constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(manager)
    kind, bits = ("Aes", data[3:6]) if data.startswith("Aes") else ("Des", "192")
    context.key = xmlsec.Key.generate(
        getattr(xmlsec.constants, f"KeyData{kind}"), int(bits), xmlsec.constants.KeyDataTypeSession
    )
    context.encrypt_xml(template, root[0])
    return etree.tostring(root, encoding="unicode")


# --- the broker between them ---------------------------------------------------------------------------------------------


class BackChannel:
    """The broker's Fetcher as far as SAML uses it: remembers what is posted, and answers as the test says."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.headers: Mapping[str, str] = {}
        self.answer: Callable[[bytes], bytes] = lambda _: b""

    def toward(self, _: Breaker) -> BackChannel:
        return self

    async def post(self, url: str, body: bytes, *, content_type: str, headers: Mapping[str, str]) -> Fetched:
        self.posted.append((url, body))
        self.headers = {"Content-Type": content_type, **headers}
        return Fetched(content_type="text/xml", body=self.answer(body))


class Upstream:
    """A login that is on its way to the city, and the city's answers to it."""

    def __init__(self, keys: KeyRing, pairs: Mapping[str, Pair], idp: IdentityProvider, federation: Federation) -> None:
        self.pairs = pairs
        self.idp = idp
        self.federation = federation
        self.keys = keys
        self.now = NOW
        self.replay = Replay()
        self.back_channel = BackChannel()
        self.edge = SamlServiceProvider(
            base_url=BASE,
            keys=keys,
            clock=lambda: self.now,
            clock_skew=timedelta(seconds=60),
            replay=self.replay,
            fetcher=self.back_channel,
            saml_names=lambda name: saml_name(name, BASE),
            about=About(base_url=BASE, name="Kuntasilta"),
        )
        self.transaction = a_transaction(LoginRequest(service=ServiceId("wiki"), protocol=Protocol.SAML, reply={}))
        self.depart()

    def depart(self, **asked: Any) -> Redirect | FormPost:
        step = SendToIdp(idp=self.idp.id, organisation=PORI, **asked)
        departure = asyncio.run(self.edge.depart(self.transaction, step, self.idp, self.federation))
        fresh = replace(self.transaction, stage=Stage.RECEIVED)
        self.transaction = fresh.sent_to(self.idp.id, PORI, departure.remember)
        return departure.delivery

    @property
    def draft(self) -> Draft:
        return Draft(request_id=self.transaction.upstream["request_id"])

    def signed(self, draft: Draft, *, response: bool = True, assertion: bool = True, by: str = "city") -> str:
        inner = draft.assertion()
        if assertion:
            inner = sign(inner, self.pairs[by])
        outer = draft.response(inner if draft.with_assertion else "")
        return sign(outer, self.pairs[by]) if response else outer

    def encrypted(
        self,
        draft: Draft,
        *,
        response: bool = True,
        assertion: bool = True,
        encryption_key: bytes | None = None,
        **how: str,
    ) -> str:
        inner = sign(draft.assertion(), self.pairs["city"]) if assertion else draft.assertion()
        certificate = encryption_key or self.keys.active(keyring.KeyUse.SAML_ENCRYPTION).certificate
        assert certificate is not None
        outer = draft.response(encrypt(inner, certificate, **how))
        return sign(outer, self.pairs["city"]) if response else outer

    def post(self, xml: str | bytes) -> VerifiedAssertion:
        octets = xml.encode() if isinstance(xml, str) else xml
        return self.post_raw(b64encode(octets).decode("ascii"))

    def post_raw(self, value: str) -> VerifiedAssertion:
        message = {"SAMLResponse": value, "RelayState": self.transaction.id}
        return asyncio.run(self.edge.arrive(self.transaction, message, self.idp))

    def by_artifact(self, artifact: str) -> VerifiedAssertion:
        message = {"SAMLart": artifact, "RelayState": self.transaction.id}
        return asyncio.run(self.edge.arrive(self.transaction, message, self.idp))

    def answer(self, **changes: Any) -> VerifiedAssertion:
        """The city's good answer, with these changes, signed as cities do it."""
        return self.post(self.signed(replace(self.draft, **changes)))


def a_transaction(request: LoginRequest) -> LoginTransaction:
    return LoginTransaction(
        id=new_transaction_id(),
        reference=new_reference_code(),
        browser="browser",
        request=request,
        stage=Stage.RECEIVED,
        begun_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
    )


class Downstream:
    """A service that asks the broker, and the broker's answers to it."""

    def __init__(self, keys: KeyRing, pairs: Mapping[str, Pair], idps: list[IdentityProvider]) -> None:
        self.pairs = pairs
        self.idps = idps
        self.keys = keys
        self.now = NOW
        self.store = MemoryStore(lambda: self.now.timestamp())
        self.back_channel = BackChannel()
        self.register()
        self.edge = SamlIdentityProvider(
            base_url=BASE,
            keys=keys,
            clock=lambda: self.now,
            clock_skew=timedelta(seconds=60),
            saml_names=lambda name: saml_name(name, BASE),
            grants=GrantRecords(self.store),
            fetcher=self.back_channel,
            about=About(base_url=BASE, name="Kuntasilta"),
        )

    def register(
        self,
        content: bytes | None = None,
        attributes: tuple[str, ...] = ("mail",),
        registration: Mapping[str, Any] = MappingProxyType({}),
        **metadata: Any,
    ) -> None:
        """``registration``: fields of the Service. ``metadata``: as of ``sp_metadata``."""
        if content is None:
            content = sp_metadata(**{"key_descriptors": key_descriptor(self.pairs["service"]), **metadata})
        given: dict[str, Any] = {
            "id": ServiceId("wiki"),
            "protocol": Protocol.SAML,
            "owner": PORI,
            "name": {"fi": "Wiki"},
            "attributes": tuple(RegisteredAttribute(name=each, purpose={"fi": "Käyttö"}) for each in attributes),
            "status": Status.PRODUCTION,
            "metadata": MetadataFile(path="wiki.xml", content=content, entity_id=SERVICE),
        }
        self.service = Service(**(given | dict(registration)))
        self.federation = federation_of(self.idps, self.service)

    def request(self, inner: str = "", /, id: str = "_request", **attributes: str | None) -> str:
        """An AuthnRequest. ``inner``: what stands behind the Issuer. An attribute that is None is left out."""
        given = {
            "ID": id,
            "Version": "2.0",
            "IssueInstant": at(self.now),
            "Destination": SSO,
            "AssertionConsumerServiceURL": SERVICE_ACS,
            **attributes,
        }
        issuer = given.pop("Issuer", SERVICE)
        written = "".join(_attribute(name, value) for name, value in given.items())
        return (
            f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{written}>'
            f"<saml:Issuer>{issuer}</saml:Issuer>{inner}</samlp:AuthnRequest>"
        )

    def redirect(
        self, xml: str, *, by: str | None = None, relay_state: str | None = "rs", more: str = ""
    ) -> LoginRequest:
        return self.edge.read_redirect(self.query(xml, by=by, relay_state=relay_state) + more, self.federation)

    def query(
        self, xml: str, *, by: str | None = None, relay_state: str | None = "rs", algorithm: str = RSA_SHA256
    ) -> str:
        query = f"SAMLRequest={quote(deflated(xml.encode()), safe='')}"
        if relay_state is not None:
            query += f"&RelayState={quote(relay_state, safe='')}"
        if by is None:
            return query
        query += f"&SigAlg={quote(algorithm, safe='')}"
        # SHA-1 is what a test shows to be refused.
        digest = hashes.SHA1() if algorithm.endswith("rsa-sha1") else hashes.SHA256()  # noqa: S303
        signature = self.pairs[by].private.sign(query.encode(), padding.PKCS1v15(), digest)
        return f"{query}&Signature={quote(b64encode(signature).decode(), safe='')}"

    def posted(self, xml: str, *, by: str | None = None, raw_query: str = "") -> LoginRequest:
        text = sign(xml, self.pairs[by]) if by else xml
        form = {"SAMLRequest": b64encode(text.encode()).decode(), "RelayState": "rs"}
        return self.edge.read_post(form, raw_query, self.federation)

    def response(self, request: LoginRequest | None = None, **release: Any) -> etree._Element:
        """The broker's answer for Aino, as the service gets it."""
        return self.read(self.deliver(request, **release))

    def resolve(self, body: str | bytes) -> SoapAnswer:
        """What the ArtifactResolutionService answers."""
        octets = body.encode() if isinstance(body, str) else body
        return asyncio.run(self.edge.resolve(octets, self.federation))

    def deliver(self, request: LoginRequest | None = None, **changes: Any) -> FormPost | Redirect:
        request = request or self.redirect(self.request())
        answer = an_answer(self.service.id, **changes)
        return asyncio.run(self.edge.answer(a_transaction(request), answer, self.service))

    @staticmethod
    def read(delivery: FormPost) -> etree._Element:
        return etree.fromstring(b64decode(delivery.fields["SAMLResponse"]))


def an_answer(service: ServiceId, *, attributes: Mapping[str, tuple[str, ...]] | None = None, **changes: Any) -> Answer:
    released = {"mail": ("aino@pori.fi",), "affiliation": ("employee@pori.fi", "member@pori.fi")}
    given = {
        "service": service,
        "organisation": PORI,
        "idp": IdentityProviderId("pori-adfs"),
        "identity": Identity(
            organisation=PORI,
            idp=IdentityProviderId("pori-adfs"),
            keyspace="pori-hr",
            key="12345",
            attributes={},
            authn_instant=NOW - timedelta(minutes=2),
        ),
        "release": Release(
            subject_id="subject@pori.fi",
            pairwise_id="pairwise@pori.fi",
            attributes=released if attributes is None else attributes,
        ),
        "authn_instant": NOW - timedelta(minutes=2),
        "authn_context": "https://refeds.org/profile/mfa",
        "authn_methods": (),
        "authenticating_authorities": (CITY,),
        "trace": (),
        **changes,
    }
    return Answer(**given)


def deflated(octets: bytes) -> str:
    packer = zlib.compressobj(wbits=-15)
    return b64encode(packer.compress(octets) + packer.flush()).decode("ascii")


def inflated(delivery: Redirect | FormPost) -> etree._Element:
    """The message in a Redirect of ours."""
    assert isinstance(delivery, Redirect)
    packed = parse_qs(urlsplit(delivery.url).query)["SAMLRequest"][0]
    return etree.fromstring(zlib.decompress(b64decode(packed), -15))


@pytest.fixture(scope="session")
def city(pairs: Mapping[str, Pair]) -> IdentityProvider:
    return identity_provider("pori-adfs", PORI, CITY, idp_metadata(CITY, pairs["city"]))


@pytest.fixture(scope="session")
def other_city(pairs: Mapping[str, Pair]) -> IdentityProvider:
    return identity_provider("ulvila-idp", ULVILA, OTHER_CITY, idp_metadata(OTHER_CITY, pairs["other_city"]))


@pytest.fixture
def downstream(
    keys: KeyRing, pairs: Mapping[str, Pair], city: IdentityProvider, other_city: IdentityProvider
) -> Downstream:
    return Downstream(keys, pairs, [city, other_city])


@pytest.fixture
def upstream(keys: KeyRing, pairs: Mapping[str, Pair], city: IdentityProvider, downstream: Downstream) -> Upstream:
    return Upstream(keys, pairs, city, downstream.federation)


@pytest.fixture(scope="session")
def tool() -> Any:
    """This module, for what a test makes itself: drafts, metadata, signatures."""
    return sys.modules[__name__]
