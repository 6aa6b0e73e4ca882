"""pysaml2 set up as a city's identity provider and as a service: the one place that knows its configuration."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.utils import CryptographyDeprecationWarning
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.attribute_converter import AttributeConverter
from saml2.config import IdPConfig, SPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAME_FORMAT_UNSPECIFIED, NAMEID_FORMAT_PERSISTENT, NAMEID_FORMAT_TRANSIENT
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

with warnings.catch_warnings():
    # pysaml2 7.5 looks for the CFB mode at the place that cryptography has left; it is never used here.
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
    from saml2.client import Saml2Client
    from saml2.server import Server

# The addresses are where AD FS has them, so that the demo looks like a city's own.
CITY_ENTITY_ID = "/adfs/services/trust"
CITY_SSO = "/adfs/ls/"
CITY_METADATA = "/FederationMetadata/2007-06/FederationMetadata.xml"
SERVICE_ENTITY_ID = "/saml/metadata"
SERVICE_ACS = "/saml/acs"

_IDENTITY = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
_PORI = "http://schemas.pori.example/claims/"
CLAIMS: Mapping[str, str] = {
    "upn": f"{_IDENTITY}upn",
    "givenName": f"{_IDENTITY}givenname",
    "surname": f"{_IDENTITY}surname",
    "name": f"{_IDENTITY}name",
    "emailAddress": f"{_IDENTITY}emailaddress",
    "windowsAccountName": f"{_MICROSOFT}windowsaccountname",
    "employeeId": f"{_PORI}employeeid",
    "personType": f"{_PORI}persontype",
}
"""The claim types that Pori's identity provider issues, by the short names used here."""

# pysaml2 reads these from the role's own section; its defaults are of SHA-1.
_ALGORITHMS = {"signing_algorithm": SIG_RSA_SHA256, "digest_algorithm": DIGEST_SHA256}

# What pysaml2 hands out is untyped.
Pysaml2 = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """PEM files; the certificate is self-signed."""

    key: Path
    certificate: Path


def xmlsec1() -> str | None:
    """The program that pysaml2 signs and verifies with, if this machine has it."""
    return shutil.which("xmlsec1")


def identity_provider(base: str, keys: KeyFiles, partner_metadata: str) -> Pysaml2:
    """A saml2.server.Server that knows one service provider: the broker."""
    return Server(config=city_config(base, keys, partner_metadata))


def service_provider(base: str, keys: KeyFiles, partner_metadata: str) -> Pysaml2:
    """A saml2.client.Saml2Client that knows one identity provider: the broker."""
    return Saml2Client(config=service_config(base, keys, partner_metadata))


def city_config(base: str, keys: KeyFiles, partner_metadata: str | None = None) -> Pysaml2:
    """An IdPConfig. ``partner_metadata``: the service provider's EntityDescriptor (here: the broker's)."""
    config = IdPConfig()
    config.load(
        _common(f"{base}{CITY_ENTITY_ID}", keys, partner_metadata)
        | {
            "service": {
                "idp": _ALGORITHMS
                | {
                    "endpoints": {"single_sign_on_service": [(f"{base}{CITY_SSO}", BINDING_HTTP_REDIRECT)]},
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT, NAMEID_FORMAT_TRANSIENT],
                    "sign_response": True,
                    "sign_assertion": True,
                    "want_authn_requests_signed": True,
                    "policy": {
                        "default": {
                            "lifetime": {"minutes": 5},
                            "attribute_restrictions": None,
                            "name_form": NAME_FORMAT_UNSPECIFIED,
                            "nameid_format": NAMEID_FORMAT_PERSISTENT,
                        }
                    },
                }
            }
        }
    )
    claims = AttributeConverter()
    claims.from_dict({"identifier": NAME_FORMAT_UNSPECIFIED, "to": dict(CLAIMS)})
    config.attribute_converters = [claims]
    return config


def service_config(base: str, keys: KeyFiles, partner_metadata: str | None = None) -> Pysaml2:
    """An SPConfig that takes signed, solicited assertions only. ``partner_metadata``: the identity provider's."""
    config = SPConfig()
    pair = {"key_file": str(keys.key), "cert_file": str(keys.certificate)}
    config.load(
        _common(f"{base}{SERVICE_ENTITY_ID}", keys, partner_metadata)
        | {
            "encryption_keypairs": [pair],
            "allow_unknown_attributes": True,
            "service": {
                "sp": _ALGORITHMS
                | {
                    "endpoints": {"assertion_consumer_service": [(f"{base}{SERVICE_ACS}", BINDING_HTTP_POST)]},
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                    "name_id_policy_format": NAMEID_FORMAT_PERSISTENT,
                    "authn_requests_signed": True,
                    "want_assertions_signed": True,
                    "want_response_signed": False,
                    "allow_unsolicited": False,
                }
            },
        }
    )
    return config


def city_metadata(base: str, keys: KeyFiles) -> bytes:
    """The EntityDescriptor that Pori gives to the broker."""
    return _descriptor(city_config(base, keys))


def service_metadata(base: str, keys: KeyFiles) -> bytes:
    """The EntityDescriptor that the shared wiki gives to the broker."""
    return _descriptor(service_config(base, keys))


def _descriptor(config: Pysaml2) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + str(entity_descriptor(config)).encode()


def _common(entity_id: str, keys: KeyFiles, partner_metadata: str | None) -> dict[str, object]:
    return {
        "entityid": entity_id,
        "xmlsec_binary": xmlsec1(),
        "key_file": str(keys.key),
        "cert_file": str(keys.certificate),
        "metadata": {"inline": [partner_metadata]} if partner_metadata else {},
    }
