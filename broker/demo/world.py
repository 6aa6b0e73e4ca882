"""The demo's world on this machine: keys, secrets, documents and SAML metadata, made in one folder.

cities/pori.key.pem, pori.crt.pem     Pori's identity provider        (mode 0600, kept from run to run)
cities/ulvila.jwks.json               Ulvila's OpenID Provider        (mode 0600, kept)
services/shared-wiki.key.pem, .crt.pem                                (mode 0600, kept)
secrets.json                          the clients' secrets            (mode 0600, kept)
metadata/                             documents for ``broker apply``  (written anew each time)
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.demo import saml_peer
from broker.keys.keyring import self_signed

HOST = "127.0.0.1"
_SECRETS = ("ULVILA_CLIENT_SECRET", "MEETING_ROOMS_SECRET")
_CERTIFICATE_LIFETIME = timedelta(days=3650)


class DemoUnavailable(Exception):
    """The demo cannot run here. The message says what is missing and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    broker: int = 8080
    meeting_rooms: int = 8081
    shared_wiki: int = 8082
    pori: int = 8083
    ulvila: int = 8084


def base_url(port: int) -> str:
    return f"http://{HOST}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedDemo:
    """``documents``: the folder for ``broker apply``. ``environment``: what its ``env:`` references mean."""

    folder: Path
    ports: Ports
    documents: Path
    environment: Mapping[str, str] = field(repr=False)
    pori: saml_peer.KeyFiles
    shared_wiki: saml_peer.KeyFiles
    ulvila_keys: Path


def shipped_metadata() -> Path:
    """The demo federation's documents: in the installed package, else in the checkout.

    Raises: DemoUnavailable.
    """
    package = Path(str(resources.files("broker.demo")))
    for folder in (package / "metadata", package.parent.parent / "metadata"):
        if (folder / "organisations").is_dir():
            return folder
    raise DemoUnavailable("The demo's metadata/ is missing: neither in the package nor in the checkout.")


def prepare(folder: Path, ports: Ports, metadata_source: Path) -> PreparedDemo:
    """Makes what is missing under ``folder`` and writes the documents for these ports. Blocking; under a second.

    Raises: DemoUnavailable.
    """
    if not saml_peer.xmlsec1():
        raise DemoUnavailable("The demo's SAML city and service need the program xmlsec1: apt-get install xmlsec1")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepared = PreparedDemo(
        folder=folder,
        ports=ports,
        documents=folder / "metadata",
        environment=_client_secrets(folder / "secrets.json"),
        pori=_key_and_certificate(folder / "cities", "pori", "Demo: City of Pori"),
        shared_wiki=_key_and_certificate(folder / "services", "shared-wiki", "Demo: Shared wiki"),
        ulvila_keys=folder / "cities" / "ulvila.jwks.json",
    )
    _write_documents(prepared, metadata_source)
    return prepared


def _write_documents(prepared: PreparedDemo, source: Path) -> None:
    if prepared.documents.exists():
        shutil.rmtree(prepared.documents)
    for document in sorted(source.rglob("*.yaml")):
        target = prepared.documents / document.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_with_ports(document.read_text(encoding="utf-8"), prepared.ports), encoding="utf-8")
    pori = saml_peer.city_metadata(base_url(prepared.ports.pori), prepared.pori)
    (prepared.documents / "identity-providers" / "pori-adfs.xml").write_bytes(pori)
    wiki = saml_peer.service_metadata(base_url(prepared.ports.shared_wiki), prepared.shared_wiki)
    (prepared.documents / "services" / "shared-wiki.xml").write_bytes(wiki)


def _with_ports(text: str, ports: Ports) -> str:
    """The document with every address of the default ports replaced, all at once."""
    defaults = Ports()
    chosen = {str(getattr(defaults, each.name)): str(getattr(ports, each.name)) for each in fields(Ports)}

    def replace(match: re.Match[str]) -> str:
        return f"{HOST}:{chosen.get(match[1], match[1])}"

    return re.sub(rf"{re.escape(HOST)}:(\d+)", replace, text)


def _client_secrets(path: Path) -> Mapping[str, str]:
    def new() -> bytes:
        return json.dumps({name: secrets.token_urlsafe(32) for name in _SECRETS}).encode()

    found: dict[str, str] = json.loads(kept_file(path, new))
    return found


def _key_and_certificate(folder: Path, name: str, common_name: str) -> saml_peer.KeyFiles:
    files = saml_peer.KeyFiles(key=folder / f"{name}.key.pem", certificate=folder / f"{name}.crt.pem")
    if files.key.exists() and files.certificate.exists():
        return files
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_private(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write_private(
        files.certificate,
        self_signed(key, common_name, datetime.now(UTC), _CERTIFICATE_LIFETIME).public_bytes(Encoding.PEM),
    )
    return files


def kept_file(path: Path, new: Callable[[], bytes]) -> bytes:
    """The file's content; ``new`` makes it the first time, with mode 0600."""
    if not path.exists():
        _write_private(path, new())
    return path.read_bytes()


def _write_private(path: Path, content: bytes) -> None:
    """Mode 0600 from the first moment on; whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    unfinished.replace(path)
