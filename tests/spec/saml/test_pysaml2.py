"""An independent implementation, with its own signatures and decryption (xmlsec1), on the other end of both sides."""

from __future__ import annotations

import gc
import warnings
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.utils import CryptographyDeprecationWarning

from broker.keys.keyring import KeyUse
from broker.saml.errors import NotDecrypted

with warnings.catch_warnings():
    # pysaml2 looks for a cipher mode at the place that cryptography has left.
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
    from saml2.client import Saml2Client
    from saml2.config import IdPConfig, SPConfig
    from saml2.metadata import entity_descriptor
    from saml2.saml import AUTHN_PASSWORD_PROTECTED, NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT
    from saml2.samlp import response_from_string
    from saml2.server import Server
    from saml2.sigver import pre_encryption_part
    from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

# pysaml2 leaves its temporary files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CITY = "https://adfs.pori.example/adfs/services/trust"
SERVICE = "https://wiki.example/saml/metadata"
ACS = "https://wiki.example/saml/acs"
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Within the test whose garbage it is."""
    yield
    gc.collect()


@pytest.fixture
def files(pairs: Any, tmp_path: Path) -> dict[str, str]:
    found = {}
    for name in ("city", "service"):
        (tmp_path / f"{name}.key").write_bytes(pairs[name].pem)
        (tmp_path / f"{name}.crt").write_bytes(pairs[name].certificate_pem)
        found |= {f"{name}_key": str(tmp_path / f"{name}.key"), f"{name}_crt": str(tmp_path / f"{name}.crt")}
    return found


def common(name: str, entity_id: str, files: dict[str, str], partner: bytes | None) -> dict[str, Any]:
    return {
        "entityid": entity_id,
        "key_file": files[f"{name}_key"],
        "cert_file": files[f"{name}_crt"],
        "metadata": {"inline": [partner.decode()]} if partner else {},
    }


@pytest.fixture
def idp(upstream: Any, files: dict[str, str]) -> Any:
    """pysaml2's identity provider, which demands signed requests and knows the broker by its own metadata."""
    upstream.now = datetime.now(UTC)
    service = {
        "endpoints": {"single_sign_on_service": [("https://adfs.pori.example/adfs/ls/", BINDING_HTTP_REDIRECT)]},
        "want_authn_requests_signed": True,
        "policy": {
            "default": {
                "lifetime": {"minutes": 5},
                "name_form": NAME_FORMAT_URI,
                "nameid_format": NAMEID_FORMAT_PERSISTENT,
            }
        },
    }
    config = IdPConfig()
    config.load(
        common("city", CITY, files, upstream.edge.metadata(upstream.federation).body) | {"service": {"idp": service}}
    )
    return with_sha256(Server(config=config))


def with_sha256(entity: Any) -> Any:
    """Its configuration has no setting that reaches both of these."""
    entity.signing_algorithm, entity.digest_algorithm = SIG_RSA_SHA256, DIGEST_SHA256
    return entity


def answered(idp: Any, upstream: Any, **how: Any) -> bytes:
    """The Response of pysaml2 to the broker's AuthnRequest."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(upstream.depart().url).query).items()}
    request = idp.parse_authn_request(
        query["SAMLRequest"],
        BINDING_HTTP_REDIRECT,
        relay_state=query["RelayState"],
        sigalg=query["SigAlg"],
        signature=query["Signature"],
    )
    arguments = idp.response_args(request.message, [BINDING_HTTP_POST])
    response = idp.create_authn_response(
        identity={"mail": ["aino@pori.fi"]},
        in_response_to=arguments["in_response_to"],
        destination=arguments["destination"],
        sp_entity_id=arguments["sp_entity_id"],
        name_id_policy=arguments["name_id_policy"],
        userid="aino",
        authn={"class_ref": AUTHN_PASSWORD_PROTECTED},
        **how,
    )
    return str(response).encode()


@pytest.mark.parametrize(
    ("response", "assertion"), [(True, True), (True, False), (False, True)], ids=["both", "response", "assertion"]
)
def test_a_pysaml2_city_takes_the_AuthnRequest_and_its_answer_is_accepted(
    idp: Any, upstream: Any, response: bool, assertion: bool
) -> None:
    accepted = upstream.post(answered(idp, upstream, sign_response=response, sign_assertion=assertion))

    assert accepted.subject
    assert accepted.attributes == {MAIL: ("aino@pori.fi",)}
    assert accepted.authn_context == AUTHN_PASSWORD_PROTECTED


def encrypted_by_pysaml2(idp: Any, upstream: Any, octets: bytes, tmp_path: Path, **how: str) -> bytes:
    """pysaml2's own identity provider knows Triple DES only; its tools know more."""
    certificate = tmp_path / "broker.crt"
    certificate.write_bytes(upstream.keys.active(KeyUse.SAML_ENCRYPTION).certificate)
    template = pre_encryption_part(**({"msg_enc": how["data"]} if "data" in how else {}))
    statement = response_from_string(octets.decode())
    encrypted = idp.sec.encrypt_assertion(statement, str(certificate), template, how.get("session", "des-192"))
    return str(encrypted).encode()


@pytest.mark.parametrize("bits", ["128", "256"])
def test_core_6_2_an_assertion_encrypted_by_pysaml2_is_opened(
    idp: Any, upstream: Any, tmp_path: Path, bits: str
) -> None:
    octets = answered(idp, upstream, sign_response=False, sign_assertion=True)
    gcm = f"http://www.w3.org/2009/xmlenc11#aes{bits}-gcm"

    closed = encrypted_by_pysaml2(idp, upstream, octets, tmp_path, data=gcm, session=f"aes-{bits}")

    assert b"aino@pori.fi" not in closed
    assert upstream.post(closed).attributes == {MAIL: ("aino@pori.fi",)}


def test_core_6_2_pysaml2_s_own_choice_of_Triple_DES_is_refused(idp: Any, upstream: Any, tmp_path: Path) -> None:
    octets = answered(idp, upstream, sign_response=False, sign_assertion=True)

    with pytest.raises(NotDecrypted) as refused:
        upstream.post(encrypted_by_pysaml2(idp, upstream, octets, tmp_path))

    assert refused.value.context["check"] == "encryption_algorithm"


def sp_config(files: dict[str, str], partner: bytes | None, **more: Any) -> Any:
    service = {
        "endpoints": {"assertion_consumer_service": [(ACS, BINDING_HTTP_POST)]},
        "authn_requests_signed": True,
        **more.pop("sp", {}),
    }
    config = SPConfig()
    config.load(
        common("service", SERVICE, files, partner)
        | {"allow_unknown_attributes": True, "service": {"sp": service}}
        | more
    )
    return config


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    "wants",
    [
        pytest.param({}, id="as_it_comes"),
        pytest.param({"want_assertions_signed": True, "want_response_signed": True}, id="both_signed"),
        pytest.param({"want_assertions_signed": True, "want_response_signed": False}, id="assertion_signed"),
    ],
)
def test_a_pysaml2_service_asks_and_takes_the_Response(
    downstream: Any, files: dict[str, str], wants: dict[str, bool], encrypted: bool
) -> None:
    downstream.now = datetime.now(UTC)
    pair = {"key_file": files["service_key"], "cert_file": files["service_crt"]}
    more = {"sp": wants, **({"encryption_keypairs": [pair]} if encrypted else {})}
    config = sp_config(files, downstream.edge.metadata(downstream.federation).body, **more)
    downstream.register(str(entity_descriptor(config)).encode())
    client = with_sha256(Saml2Client(config=config))

    request_id, sent = client.prepare_for_authenticate(relay_state="rs", binding=BINDING_HTTP_REDIRECT)
    url = dict(sent["headers"])["Location"]
    request = downstream.edge.read_redirect(urlsplit(url).query, downstream.federation)
    delivery = downstream.deliver(request, authn_instant=downstream.now)
    read = client.parse_authn_request_response(
        delivery.fields["SAMLResponse"], BINDING_HTTP_POST, outstanding={request_id: "/"}
    )

    assert (b"EncryptedAssertion" in b64decode(delivery.fields["SAMLResponse"])) is encrypted
    assert delivery.url == ACS
    assert delivery.fields["RelayState"] == "rs"
    assert read.ava["mail"] == ["aino@pori.fi"]
    assert read.ava["eduPersonScopedAffiliation"] == ["employee@pori.fi", "member@pori.fi"]
    assert str(read.name_id.text) == "pairwise@pori.fi"


def test_a_pysaml2_service_asks_by_POST(downstream: Any, files: dict[str, str]) -> None:
    downstream.now = datetime.now(UTC)
    config = sp_config(files, downstream.edge.metadata(downstream.federation).body)
    downstream.register(str(entity_descriptor(config)).encode())

    _, request = with_sha256(Saml2Client(config=config)).create_authn_request(
        "https://broker.example/saml/idp/sso", binding=BINDING_HTTP_POST, sign=True
    )

    assert downstream.posted(str(request)).service == "wiki"
