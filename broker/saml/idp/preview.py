"""What a service would be sent, for the dry run of a login that has not happened. Nothing is signed."""

from __future__ import annotations

from datetime import datetime, timedelta

from lxml import etree

from broker.federation.model import Service
from broker.login.request import LoginRequest
from broker.login.steps import Answer
from broker.saml.canonical import canonical
from broker.saml.idp import response
from broker.saml.idp.asked import NAME_ID_FORMATS
from broker.saml.idp.response import Addressed
from broker.saml.idp.single_sign_on_service import ACS, descriptor_of
from broker.saml.names import SamlNames


def would_send(
    answer: Answer,
    request: LoginRequest,
    service: Service,
    *,
    issuer: str,
    saml_names: SamlNames,
    now: datetime,
    skew: timedelta,
) -> str:
    """The assertion, indented, without signature and encryption. Raises: InvalidNameIdPolicy, ServiceMetadataExpired,
    MetadataUnusable."""
    sp = descriptor_of(service, now)
    addressed = Addressed(issuer=issuer, acs=request.reply[ACS], request_id=None, now=now, skew=skew)
    name_id = response.name_id(tuple(request.reply[NAME_ID_FORMATS].split()), answer.release, issuer, sp)
    tree = etree.fromstring(canonical(response.assertion(answer, name_id, sp, addressed, saml_names)))
    etree.indent(tree)
    return etree.tostring(tree, encoding="unicode")
