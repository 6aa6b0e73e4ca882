"""A federation of independent products: SimpleSAMLphp is the city's login, mod_auth_mellon guards the service, and between
them runs ``broker serve``. Each is registered at the others by the metadata that it publishes itself."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.keys.keyring import self_signed
from tests.bench.parties import SECRET
from tests.bench.processes import environment_of, free_port, run_once, serving
from tests.interop import apache, mellon, openidc, simplesamlphp
from tests.interop.apache import HOST
from tests.interop.visitor import Page, Visitor

CLIENT = "http://127.0.0.1:9/client"
"""The redirect_uri of an OpenID Connect client that is not there."""
_STATE = "memory://"
_PATIENCE_SECONDS = 20.0

_DOCUMENTS = """\
kind: organisation
id: pori
name: {fi: Porin kaupunki, en: City of Pori}
scopes: [pori.fi]
---
kind: identity-provider
id: pori-ssp
protocol: saml
organisations: [pori]
metadata: ssp.xml
dialect: eduperson-oid
unsolicited: true
# more
assurance:
  "https://refeds.org/profile/mfa": {mfa: true}
---
kind: service
id: wiki
protocol: saml
owner: pori
name: {en: Wiki}
metadata: plain.xml
unsolicited: true
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
  - {name: displayName, purpose: {en: Shown beside edits}}
  - {name: affiliation, purpose: {en: Rights}}
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
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
status: production
---
kind: service
id: rooms
protocol: oidc
owner: pori
name: {en: Rooms}
client:
  client_id: rooms
  client_secret: env:BENCH_SERVICE_SECRET
  redirect_uris: [ROOMS/app/callback]
  token_endpoint_auth_method: client_secret_basic
  grant_types: [authorization_code, refresh_token]
  require_pkce: true
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
  - {name: displayName, purpose: {en: Shown beside edits}}
  - {name: affiliation, purpose: {en: Rights}}
status: production
---
kind: service
id: keyed
protocol: oidc
owner: pori
name: {en: Keyed}
client:
  client_id: keyed
  jwks_uri: KEYED/app/callback?jwks=rsa
  redirect_uris: [KEYED/app/callback]
  token_endpoint_auth_method: private_key_jwt
attributes:
  - {name: mail, purpose: {en: Notifications}, required: true}
status: production
""".replace("CLIENT", CLIENT)


@dataclass(frozen=True, kw_only=True)
class Peers:
    """The addresses of the three, and what tests change of them."""

    folder: Path
    broker: str
    service: str
    city: str
    rooms: str
    keyed: str

    @property
    def issuer(self) -> str:
        """SimpleSAMLphp's entityID."""
        return f"{self.city}/simplesaml/saml2/idp/metadata.php"

    def register(self, **city: object) -> None:
        """The documents in use. ``city``: further keys of the identity provider's."""
        more = "".join(f"{name}: {json.dumps(value)}\n" for name, value in city.items())
        text = _DOCUMENTS.replace("# more\n", more).replace("ROOMS", self.rooms).replace("KEYED", self.keyed)
        (self.folder / "documents" / "federation.yaml").write_text(text, "utf-8")
        _save(self.issuer, self.folder / "documents" / "ssp.xml")
        _apply(self.folder, self.broker)

    def set_city(self, **options: object) -> None:
        simplesamlphp.set_options(self.folder, **options)

    def visitor(self) -> Visitor:
        return Visitor(stops=lambda url: url.startswith(CLIENT))

    def log_in(self, visitor: Visitor, page: Page, person: str = simplesamlphp.AINO) -> Page:
        """At SimpleSAMLphp's own form."""
        assert "loginuserpass" in page.url, (page.url, page.status, page.text[:2000])
        return visitor.submit(page, username=person, password=simplesamlphp.PASSWORD)


@pytest.fixture(scope="session")
def _running() -> Iterator[Peers]:
    # The web server's user must reach the files, which pytest's own folders do not allow.
    folder = Path(tempfile.mkdtemp(prefix="interop-"))
    folder.chmod(0o755)
    try:
        with _peers(folder) as peers:
            yield peers
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def peers(_running: Peers) -> Peers:
    _running.set_city()
    return _running


@contextmanager
def _peers(folder: Path) -> Iterator[Peers]:
    ports = {name: free_port() for name in ("broker", "service", "city", "rooms", "keyed")}
    base = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    documents = folder / "documents"
    documents.mkdir()
    environment = environment_of(folder / "broker", base["broker"], _STATE)
    _publish(folder, base["broker"], environment)
    with serving(folder / "broker", environment, 1):
        _make_key(folder / "wiki.key", folder / "wiki.crt")
        hosts = mellon.host(folder, ports["service"], base["service"])
        hosts += simplesamlphp.host(folder, ports["city"], base["city"])
        _make_key(folder / "rooms.key", folder / "rooms.crt")
        hosts += openidc.host(folder, ports["rooms"], base["broker"], "rooms", SECRET)
        hosts += openidc.host(folder, ports["keyed"], base["broker"], "keyed", "")
        _make_key(folder / "ssp" / "cert" / "idp.key", folder / "ssp" / "cert" / "idp.crt")
        (folder / "run").mkdir()
        listening = [port for name, port in ports.items() if name != "broker"]
        httpd = apache.configuration(folder, listening, hosts)
        (folder / "httpd.conf").write_text(httpd, "utf-8")
        peers = Peers(folder=folder, **base)
        with apache.running(folder, f"{peers.service}/plain/mellon/metadata"):
            for name in ("plain", "mfa"):
                _save(f"{peers.service}/{name}/mellon/metadata", documents / f"{name}.xml")
            peers.register()
            yield peers


def _publish(folder: Path, base_url: str, environment: Mapping[str, str]) -> None:
    """The broker's metadata, which the partners load before its keys roll over: everything here is signed with what was the
    next key then, and encrypted for what was the next one or is the previous one."""
    (folder / "broker").mkdir()
    run_once(["keys", "create"], environment, folder)
    for use in ("saml-signing", "saml-encryption"):
        run_once(["keys", "create", "--next", use], environment, folder)
    with serving(folder / "broker", environment, 1):
        _save(f"{base_url}/saml/idp/metadata", folder / "broker-idp.xml")
        _save(f"{base_url}/saml/sp/metadata", folder / "broker-sp.xml")
    for use in ("saml-signing", "saml-encryption"):
        run_once(["keys", "rotate", use], environment, folder)


def _apply(folder: Path, base_url: str) -> None:
    """The running broker takes the new revision into use by itself."""
    before = _revision(base_url)
    environment = environment_of(folder / "broker", base_url, _STATE)
    run_once(["apply", str(folder / "documents"), "--reason", "interop"], environment, folder)
    until = time.monotonic() + _PATIENCE_SECONDS
    while _revision(base_url) == before:
        assert time.monotonic() < until, "the broker does not take the revision into use"
        time.sleep(0.05)


def _revision(base_url: str) -> str:
    lines = requests.get(f"{base_url}/metrics", timeout=10).text.splitlines()
    return next(line for line in lines if line.startswith("broker_federation_revision"))


def _save(url: str, path: Path) -> None:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200, (url, answer.status_code, answer.text[:1000])
    path.write_bytes(answer.content)


def _make_key(key_path: Path, certificate_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate = self_signed(private, key_path.stem, datetime.now(UTC), timedelta(days=1))
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
