"""The bench's people, keys and addresses, and the documents that register its city and service with the broker."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import xmlsec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.keys.keyring import self_signed

HOST = "127.0.0.1"
CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
EMPLOYEE_ID = "http://schemas.bench.example/claims/employeeid"
SAML_CITY = "bench-saml"
OIDC_CITY = "bench-oidc"
SECRET = "bench-secret-of-no-value-0123456789"
SECRETS = {"BENCH_CITY_SECRET": SECRET, "BENCH_SERVICE_SECRET": SECRET}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One of the bench's staff. ``scope``: of the city, for example bench-saml.fi."""

    number: int
    scope: str

    @property
    def mail(self) -> str:
        return f"user{self.number}@{self.scope}"

    @property
    def employee_number(self) -> str:
        return f"E{self.number:06}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """RSA-2048, made before anything is measured. ``certificate``: self-signed, base64 of the DER."""

    private: rsa.RSAPrivateKey
    certificate: str
    xml: xmlsec.Key

    @classmethod
    def make(cls, name: str) -> SigningKey:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = self_signed(private, name, datetime.now(UTC), timedelta(days=2)).public_bytes(Encoding.DER)
        key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
        return cls(private=private, certificate=b64encode(certificate).decode("ascii"), xml=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """``base``: where the driver listens. Only the OIDC city is ever called there; the rest are names."""

    base: str
    city_key: SigningKey
    service_key: SigningKey

    @classmethod
    def make(cls, port: int) -> Parties:
        base = f"http://{HOST}:{port}"
        return cls(base=base, city_key=SigningKey.make("bench city"), service_key=SigningKey.make("bench service"))

    @property
    def city_entity_id(self) -> str:
        return f"{self.base}/city"

    @property
    def city_sso(self) -> str:
        return f"{self.base}/city/sso"

    @property
    def issuer(self) -> str:
        return self.base

    @property
    def service_entity_id(self) -> str:
        return f"{self.base}/service"

    @property
    def service_acs(self) -> str:
        return f"{self.base}/service/acs"

    @property
    def redirect_uri(self) -> str:
        return f"{self.base}/service/callback"


CLIENT_ID = "bench-service"
CITY_CLIENT_ID = "broker"


def write_documents(folder: Path, parties: Parties) -> None:
    """What ``broker apply`` reads: two cities and two services, one of each protocol, and an agreement on all."""
    folder.mkdir(parents=True)
    (folder / "city.xml").write_text(_city_metadata(parties), "utf-8")
    (folder / "service.xml").write_text(_service_metadata(parties), "utf-8")
    (folder / "bench.yaml").write_text(_documents(parties), "utf-8")


def _documents(parties: Parties) -> str:
    today = datetime.now(UTC).date()
    attributes = "\n".join(
        f"  - {{name: {name}, purpose: {{en: Bench}}, required: true}}" for name in ("mail", "displayName")
    )
    return f"""\
kind: organisation
id: {SAML_CITY}
name: {{fi: Penkki, sv: Bänk, en: Bench}}
scopes: [{SAML_CITY}.fi]
---
kind: organisation
id: {OIDC_CITY}
name: {{fi: Penkki, sv: Bänk, en: Bench}}
scopes: [{OIDC_CITY}.fi]
---
kind: identity-provider
id: {SAML_CITY}-idp
protocol: saml
organisations: [{SAML_CITY}]
metadata: city.xml
dialect: adfs
subject: {{keyspace: {SAML_CITY}-hr, from: employeeNumber}}
attributes:
  employeeNumber: {{from: "{EMPLOYEE_ID}"}}
---
kind: identity-provider
id: {OIDC_CITY}-idp
protocol: oidc
organisations: [{OIDC_CITY}]
issuer: {parties.issuer}
client_id: {CITY_CLIENT_ID}
client_secret: env:BENCH_CITY_SECRET
scopes: [openid, profile, email]
dialect: entra-oidc
subject: {{keyspace: {OIDC_CITY}-hr, from: employeeNumber}}
attributes:
  employeeNumber: {{from: employeeid}}
---
kind: service
id: bench-saml-service
protocol: saml
owner: {SAML_CITY}
name: {{en: Bench SAML service}}
metadata: service.xml
attributes:
{attributes}
status: production
---
kind: service
id: bench-oidc-service
protocol: oidc
owner: {SAML_CITY}
name: {{en: Bench OIDC service}}
client:
  client_id: {CLIENT_ID}
  client_secret: env:BENCH_SERVICE_SECRET
  redirect_uris: ["{parties.redirect_uri}"]
  token_endpoint_auth_method: client_secret_basic
  id_token_signed_response_alg: ES256
attributes:
{attributes}
status: production
---
kind: agreement
id: bench
name: {{en: Bench}}
parties: [{SAML_CITY}, {OIDC_CITY}]
services: [bench-saml-service, bench-oidc-service]
valid_from: {today - timedelta(days=2)}
valid_until: {today + timedelta(days=30)}
signed: {{{SAML_CITY}: {today - timedelta(days=3)}, {OIDC_CITY}: {today - timedelta(days=3)}}}
"""


def _city_metadata(parties: Parties) -> str:
    return f"""\
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{parties.city_entity_id}">
  <md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    {_key_descriptor(parties.city_key)}
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{parties.city_sso}"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>
"""


def _service_metadata(parties: Parties) -> str:
    return f"""\
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{parties.service_entity_id}">
  <md:SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="false"
      protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    {_key_descriptor(parties.service_key)}
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
      Location="{parties.service_acs}" index="0" isDefault="true"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
"""


def _key_descriptor(key: SigningKey) -> str:
    return (
        '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"<ds:X509Certificate>{key.certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
