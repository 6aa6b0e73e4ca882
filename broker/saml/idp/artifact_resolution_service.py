"""The ArtifactResolutionService: a service fetches the Response that an artifact stands for (saml-profiles 5, saml-core 3.5)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import structlog

from broker.errors import Fault
from broker.federation.model import Service, ServiceId
from broker.login.ports import GrantStore
from broker.saml import names, soap
from broker.saml.canonical import Rendered, element
from broker.saml.errors import RequestSignatureInvalid, RequestUnsupported, RequestWrongDestination
from broker.saml.idp.single_sign_on_service import Place, check_issue_instant, descriptor_of, known_service
from broker.saml.ids import new_id
from broker.saml.names import samlp
from broker.saml.signature import SignatureRefused, Signer, verify
from broker.saml.soap import SoapAnswer
from broker.saml.status import status
from broker.saml.xml import Element, XmlRefused, child_text, write_instant

log = structlog.get_logger(__name__)

LIFETIME = timedelta(seconds=60)
"""How long a service may take to fetch the message; browsers bring the artifact within a second or two."""
_KIND = "saml_artifact"
# Inside an element that declares the prefix, the canonical form of the message does not declare it again.
_DECLARED = f' xmlns:samlp="{names.SAMLP}"'


class ArtifactResolutionService:
    """``entity_id``: ours, as the services' identity provider."""

    def __init__(self, *, entity_id: str, grants: GrantStore, signer: Signer) -> None:
        self._entity_id = entity_id
        self._grants = grants
        self._signer = signer

    async def keep(self, artifact: str, message: str, service: ServiceId) -> None:
        """Remembers our signed message for the one service that may fetch it, once."""
        record = json.dumps({"service": service, "message": message}).encode("utf-8")
        await self._grants.put(_KIND, artifact, record, LIFETIME)

    async def answer(self, octets: bytes, place: Place) -> SoapAnswer:
        """saml-bindings 3.2.3.3: who is not who it says gets 403 and no word of SAML. Raises: StateUnavailable."""
        try:
            request = soap.unwrap(octets)
            service = check_artifact_resolve(request, place)
        except XmlRefused as error:
            log.info("saml.artifact_refused", reason=error.code)
            return SoapAnswer(status=400, body=soap.fault("Client", error.code))
        except Fault as fault:
            log.info("saml.artifact_refused", reason=fault.code, service=fault.context.get("service"))
            return SoapAnswer(status=403, body=b"")
        message = await self._take(child_text(request, samlp("Artifact")) or "", service)
        return SoapAnswer(status=200, body=soap.wrap(self._response(request.get("ID", ""), message, place.now)))

    async def _take(self, artifact: str, service: Service) -> str | None:
        """Another service's question leaves the message where it is."""
        found = await self._grants.get(_KIND, artifact)
        if found is None or json.loads(found)["service"] != service.id:
            log.info("saml.artifact_unknown", service=service.id)
            return None
        taken = await self._grants.take(_KIND, artifact)
        return None if taken is None else str(json.loads(taken)["message"])

    def _response(self, request_id: str, message: str | None, now: datetime) -> str:
        """saml-core 3.5.3: an artifact that is unknown, used, or another's gets a success without a message."""
        node = element(
            "samlp:ArtifactResponse",
            {"ID": new_id(), "Version": "2.0", "IssueInstant": write_instant(now), "InResponseTo": request_id},
            element("saml:Issuer", None, self._entity_id),
            status((names.SUCCESS,)),
            None if message is None else Rendered(message.replace(_DECLARED, "", 1)),
        )
        return self._signer.enveloped(node, after=1).text


def check_artifact_resolve(request: Element, place: Place) -> Service:
    """The service that asks, proven by its signature. Raises: UnknownService, RequestSignatureInvalid and others."""
    if request.tag != samlp("ArtifactResolve") or request.get("Version") != "2.0":
        raise RequestUnsupported("not an ArtifactResolve of SAML 2.0")
    service = known_service(request, place.federation)
    check_signed(request, service, place.now)
    if request.get("Destination", place.location) != place.location:
        raise RequestWrongDestination("Destination is not our ArtifactResolutionService", service=service.id)
    check_issue_instant(request, service, place)
    return service


def check_signed(request: Element, service: Service, now: datetime) -> None:
    """saml-bindings 3.6.5: only who is authenticated may resolve. Raises: RequestSignatureInvalid."""
    try:
        verify(request, descriptor_of(service, now).signing_keys)
    except SignatureRefused as error:
        raise RequestSignatureInvalid(str(error), check=error.code, service=service.id) from error
