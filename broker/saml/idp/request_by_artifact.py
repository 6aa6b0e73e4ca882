"""An AuthnRequest by HTTP-Artifact: what came by the browser only names it, it is fetched from the service (saml-bindings 3.6)."""

from __future__ import annotations

from collections.abc import Mapping

from broker.errors import MalformedMessage, UnknownService
from broker.federation.model import Federation, Protocol, Service
from broker.login.request import LoginRequest
from broker.saml import bindings
from broker.saml.artifact import Artifact, read_artifact, source_id
from broker.saml.artifact_resolution import ArtifactRefused, ArtifactUnreachable, Partner, Resolved, Resolver
from broker.saml.errors import RequestNotResolved, RequestSignatureInvalid
from broker.saml.idp.single_sign_on_service import ORGANISATION, Incoming, Place, check, descriptor_of
from broker.saml.names import saml
from broker.saml.signature import SignatureRefused
from broker.saml.xml import XmlRefused, child_text


class RequestsByArtifact:
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._known: tuple[Federation, Mapping[bytes, Service]] | None = None

    async def read(self, fields: Mapping[str, str], place: Place) -> LoginRequest:
        """``fields``: of the form or the query, each once. Raises: RequestNotResolved, and as ``read_redirect``."""
        try:
            text, artifact, relay_state = _read(fields)
        except bindings.BindingRefused as error:
            raise MalformedMessage(f"SAMLart: {error}") from error
        service = self._service(artifact, place.federation)
        found = await self._resolved(text, artifact, service, place)
        incoming = Incoming(
            element=found.message,
            relay_state=relay_state,
            organisation=fields.get(ORGANISATION),
            enveloped=True,
            by_artifact=True,
            vouched=found.verified is not None,
        )
        return check(incoming, place)

    def _service(self, artifact: Artifact, federation: Federation) -> Service:
        """saml-bindings 3.6.4.2: whose SourceID it is. Raises: UnknownService."""
        if self._known is None or self._known[0] is not federation:
            services = (each for each in federation.services.values() if each.protocol is Protocol.SAML)
            self._known = (federation, {source_id(each.entity_id): each for each in services})
        service = self._known[1].get(artifact.source_id)
        if service is None:
            raise UnknownService("no service has the entityID that the artifact's SourceID names")
        return service

    async def _resolved(self, text: str, artifact: Artifact, service: Service, place: Place) -> Resolved:
        """Raises: RequestNotResolved, RequestSignatureInvalid, ServiceMetadataExpired, MetadataUnusable."""
        sp = descriptor_of(service, place.now)
        partner = Partner(
            entity_id=sp.entity_id,
            artifact_resolution_services=sp.artifact_resolution_services,
            signing_keys=sp.signing_keys,
        )
        try:
            found = await self._resolver.resolve(text, artifact, partner, place.now)
            if child_text(found.message, saml("Issuer")) != sp.entity_id:
                raise ArtifactRefused("the message is another service's")
        except (ArtifactUnreachable, ArtifactRefused, XmlRefused) as error:
            raise RequestNotResolved(str(error), service=service.id) from error
        except SignatureRefused as error:
            raise RequestSignatureInvalid(str(error), check=error.code, service=service.id) from error
        return found


def _read(fields: Mapping[str, str]) -> tuple[str, Artifact, str | None]:
    """Raises: BindingRefused."""
    if "SAMLRequest" in fields:
        raise bindings.BindingRefused("not either SAMLRequest or SAMLart")
    return fields["SAMLart"], read_artifact(fields["SAMLart"]), bindings.checked_relay_state(fields.get("RelayState"))
