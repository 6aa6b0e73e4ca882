"""A federation whose cities run oidc-provider. Its services: two by SAML behind mod_auth_mellon, of which ``/plain/`` is for
Ulvila alone and ``/mfa/`` asks for several factors, and a client of OpenID Connect that the tests play themselves.

Pori is registered with a secret, signs by RS256 and tells of its people in userinfo. Ulvila takes the broker's key, signs by
ES256 and tells everything in the ID token. Harjavalta knows another secret than the broker has. Kokemäki takes the broker's key
and pushed authorization requests alone, and knows the claims parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.keys.keyring import self_signed
from tests.bench.parties import SECRET
from tests.bench.processes import environment_of, free_port, run_once, serving
from tests.interop import apache, mellon, oidc_provider
from tests.interop.apache import HOST
from tests.interop.oidc_provider import PASSWORD
from tests.interop.visitor import Page, Visitor

CLIENT = "http://127.0.0.1:9/client"
"""The redirect_uri of an OpenID Connect client that is not there."""
CITIES = ("pori", "ulvila")
_WRONG_SECRET = "another-secret-of-no-value-0123456789"
_PEOPLE: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "pori": {
        "aino": {"name": "Aino Ä. & Co <Virtanen>", "email": "aino@pori.fi", "preferred_username": "aino@pori.fi"},
        "outi": {"name": "Outi Outola", "email": "outi@pori.fi", "preferred_username": "outi@ulvila.fi"},
        "urho": {"name": "Urho Unohdettu", "email": "urho@pori.fi", "xms_edov": False, "email_verified": True},
    },
    "ulvila": {
        "eero": {"name": "Eero Mäkelä", "email": "eero@ulvila.fi", "preferred_username": "eero@ulvila.fi"},
    },
    "harjavalta": {
        "irja": {"name": "Irja Laine", "email": "irja@harjavalta.fi", "preferred_username": "irja@harjavalta.fi"},
    },
    "kokemaki": {
        "kaisa": {"name": "Kaisa Koski", "email": "kaisa@kokemaki.fi", "preferred_username": "kaisa@kokemaki.fi"},
    },
}

_DOCUMENTS = """\
kind: organisation
id: pori
name: {en: City of Pori}
scopes: [pori.fi]
---
kind: organisation
id: ulvila
name: {en: City of Ulvila}
scopes: [ulvila.fi]
---
kind: organisation
id: harjavalta
name: {en: City of Harjavalta}
scopes: [harjavalta.fi]
---
kind: organisation
id: kokemaki
name: {en: City of Kokemäki}
scopes: [kokemaki.fi]
---
kind: identity-provider
id: pori-login
protocol: oidc
organisations: [pori]
issuer: ISSUER-PORI
client_id: broker
client_secret: env:BENCH_CITY_SECRET
scopes: [openid, profile, email]
dialect: entra-oidc
assurance:
  "https://refeds.org/profile/mfa": {mfa: true}
---
kind: identity-provider
id: ulvila-login
protocol: oidc
organisations: [ulvila]
issuer: ISSUER-ULVILA
client_id: broker
client_auth: private_key_jwt
scopes: [openid, profile, email, personnel]
dialect: entra-oidc
subject: {keyspace: ulvila-hr, from: employeeNumber}
attributes:
  employeeNumber: {from: employeeid}
assurance:
  "https://refeds.org/profile/mfa": {mfa: true}
---
kind: identity-provider
id: harjavalta-login
protocol: oidc
organisations: [harjavalta]
issuer: ISSUER-HARJAVALTA
client_id: broker
client_secret: env:BENCH_CITY_SECRET
scopes: [openid, profile, email]
dialect: entra-oidc
---
kind: identity-provider
id: kokemaki-login
protocol: oidc
organisations: [kokemaki]
issuer: ISSUER-KOKEMAKI
client_id: broker
client_auth: private_key_jwt
scopes: [openid, profile, email]
dialect: entra-oidc
assurance:
  "https://refeds.org/profile/mfa": {mfa: true}
---
kind: service
id: wiki
protocol: saml
owner: ulvila
name: {en: Wiki}
metadata: plain.xml
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
  - {name: displayName, purpose: {en: Shown beside edits}}
  - {name: pairwiseId, purpose: {en: Account}}
status: production
---
kind: service
id: strong
protocol: saml
owner: pori
name: {en: Strong}
metadata: mfa.xml
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
  - {name: displayName, purpose: {en: Shown beside edits}}
status: production
---
kind: service
id: client
protocol: oidc
owner: pori
name: {en: Client}
client:
  client_id: client
  client_secret: env:BENCH_SERVICE_SECRET
  redirect_uris: [CLIENT]
  token_endpoint_auth_method: client_secret_basic
  grant_types: [authorization_code, refresh_token]
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
  - {name: displayName, purpose: {en: Shown beside edits}}
  - {name: eppn, purpose: {en: Rights}}
status: production
---
kind: agreement
id: all
name: {en: All}
parties: [pori, ulvila, harjavalta, kokemaki]
services: [strong, client]
valid_from: FROM
valid_until: UNTIL
signed: {pori: FROM, ulvila: FROM, harjavalta: FROM, kokemaki: FROM}
""".replace("CLIENT", CLIENT)


@dataclass(frozen=True, kw_only=True)
class Towns:
    """``issuers``: of the cities' logins, by organisation."""

    broker: str
    service: str
    issuers: Mapping[str, str]

    @property
    def callback(self) -> str:
        return f"{self.broker}/oidc/callback"

    def visitor(self) -> Visitor:
        return Visitor(stops=lambda url: url.startswith(CLIENT))

    def authorization(self, city: str, **more: str) -> str:
        """What begins a login at the client of OpenID Connect."""
        given = {
            "response_type": "code",
            "client_id": "client",
            "redirect_uri": CLIENT,
            "scope": "openid profile email",
        }
        asked = given | {"state": "s", "nonce": "n", "organisation": city} | more
        return f"{self.broker}/oidc/authorize?{urlencode(asked)}"

    def choose(self, visitor: Visitor, page: Page, city: str) -> Page:
        """On the broker's page, where people name their home."""
        (link,) = page.tree.xpath("//ul[@id='orgs']//a/@href[contains(., $wanted)]", wanted=f"organisation={city}")
        return visitor.open(self.broker + str(link))

    def log_in(self, visitor: Visitor, page: Page, person: str, one_time: str | None = None) -> Page:
        """At the city's own pages. ``one_time``: where it asks for more than the password."""
        assert prompt(page) == "login", (page.url, page.status, page.text[:2000])
        second = {} if one_time is None else {"one_time": one_time}
        page = visitor.submit(page, login=person, password=PASSWORD, **second)
        return visitor.submit(page) if prompt(page) == "consent" else page

    def tokens(self, page: Page) -> dict[str, Any]:
        """Of the person who came back to the client."""
        found = self.ask(grant_type="authorization_code", code=answer(page)["code"], redirect_uri=CLIENT)
        assert found.status_code == 200, found.text
        tokens: dict[str, Any] = found.json()
        return tokens

    def ask(self, **form: str) -> requests.Response:
        """What the client gets at the token endpoint."""
        return requests.post(f"{self.broker}/oidc/token", data=form, auth=("client", SECRET), timeout=10)

    def claims(self, page: Page) -> dict[str, Any]:
        """Of the person who came back to the client: userinfo's and the ID token's together."""
        got = self.tokens(page)
        keys = jwt.PyJWKSet.from_dict(requests.get(f"{self.broker}/oidc/jwks", timeout=10).json())
        key = keys[jwt.get_unverified_header(got["id_token"])["kid"]]
        signed: dict[str, Any] = jwt.decode(got["id_token"], key, algorithms=["RS256"], audience="client")
        bearer = {"Authorization": f"Bearer {got['access_token']}"}
        told: dict[str, Any] = requests.get(f"{self.broker}/oidc/userinfo", headers=bearer, timeout=10).json()
        return signed | told

    def asked(self, visitor: Visitor, city: str) -> dict[str, str]:
        """The newest authorization request that the browser carried to the city."""
        start = f"{self.issuers[city]}/auth?"
        return query(next(url for url in reversed(visitor.trail) if url.startswith(start)))

    def answered(self, visitor: Visitor) -> dict[str, str]:
        """The newest answer of a city that the browser carried to the broker."""
        return query(next(url for url in reversed(visitor.trail) if url.startswith(self.callback)))


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def answer(page: Page) -> dict[str, str]:
    """What came back to the client of OpenID Connect."""
    assert page.url.startswith(CLIENT), (page.url, page.status, page.reason)
    return query(page.url)


def prompt(page: Page) -> str:
    """Which page of the city's this is: ``login`` or ``consent``; empty for any other page."""
    return page.form().get("id", "") if "/interaction/" in page.url else ""


@contextmanager
def running(folder: Path) -> Iterator[Towns]:
    """``folder``: which the web server's user can read."""
    ports = {name: free_port() for name in ("broker", "service")}
    base = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    environment = environment_of(folder / "broker", base["broker"], "memory://")
    documents = folder / "documents"
    for each in (folder / "broker", folder / "run", documents):
        each.mkdir()
    run_once(["keys", "create"], environment, folder)
    with serving(folder / "broker", environment, 1):
        _save(f"{base['broker']}/saml/idp/metadata", folder / "broker-idp.xml")
    _write_apache(folder, ports["service"], base["service"])
    settings = [_settings(city, base["broker"]) for city in _PEOPLE]
    with (
        oidc_provider.running(settings, folder / "oidc-provider.log") as issuers,
        apache.running(folder, f"{base['service']}/plain/mellon/metadata"),
    ):
        for name in ("plain", "mfa"):
            _save(f"{base['service']}/{name}/mellon/metadata", documents / f"{name}.xml")
        towns = Towns(issuers=dict(zip(_PEOPLE, issuers, strict=True)), **base)
        (documents / "federation.yaml").write_text(_documents(towns.issuers), "utf-8")
        run_once(["apply", str(documents), "--reason", "interop"], environment, folder)
        with serving(folder / "broker", environment, 1):
            yield towns


def _settings(city: str, broker: str) -> dict[str, Any]:
    people = {
        person: {"xms_edov": True, "employeeid": f"{city}-{person}", **claims}
        for person, claims in _PEOPLE[city].items()
    }
    client: dict[str, object] = {
        "redirect_uris": [f"{broker}/oidc/callback"],
        "backchannel_logout_uri": f"{broker}/oidc/backchannel_logout",
        "backchannel_logout_session_required": True,
    }
    if city in ("ulvila", "kokemaki"):
        client |= {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": f"{broker}/oidc/jwks"}
    if city == "ulvila":
        return oidc_provider.settings("ES256", people, client, claims_in_id_token=True, steps_up=True)
    if city == "kokemaki":
        return oidc_provider.settings("RS256", people, client, takes_pushed_requests=True, takes_claims=True)
    client["client_secret"] = SECRET if city == "pori" else _WRONG_SECRET
    return oidc_provider.settings("RS256", people, client)


def _documents(issuers: Mapping[str, str]) -> str:
    today = datetime.now(UTC).date()
    text = _DOCUMENTS.replace("FROM", str(today - timedelta(days=2))).replace("UNTIL", str(today + timedelta(days=2)))
    for city, issuer in issuers.items():
        text = text.replace(f"ISSUER-{city.upper()}", issuer)
    return text


def _write_apache(folder: Path, port: int, base: str) -> None:
    _make_key(folder / "wiki.key", folder / "wiki.crt")
    hosts = mellon.host(folder, port, base)
    (folder / "httpd.conf").write_text(apache.configuration(folder, [port], hosts), "utf-8")


def _make_key(key_path: Path, certificate_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate = self_signed(private, key_path.stem, datetime.now(UTC), timedelta(days=1))
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))


def _save(url: str, path: Path) -> None:
    found = requests.get(url, timeout=10)
    assert found.status_code == 200, (url, found.status_code, found.text[:1000])
    path.write_bytes(found.content)
