"""ArtifactResolve and ArtifactResponse, the asking side: a partner's message, fetched from where its metadata says
(saml-core 3.5, saml-profiles 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.breaker import Breakers
from broker.fetch import Fetcher, FetchError
from broker.login.ports import Clock
from broker.saml import names, soap
from broker.saml.artifact import Artifact, source_id
from broker.saml.canonical import element
from broker.saml.ids import new_id
from broker.saml.metadata import IndexedEndpoint
from broker.saml.names import saml, samlp
from broker.saml.signature import (
    STRONG,
    Allowed,
    Signer,
    VerificationKey,
    VerifiedElement,
    covered,
    is_signed,
    verify,
)
from broker.saml.status import is_success, read_status
from broker.saml.xml import Element, child_text, write_instant


class ArtifactUnreachable(Exception):
    """The partner did not answer."""


class ArtifactRefused(Exception):
    """It is another's, or the partner does not hand out what it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """Who is said to have made the artifact."""

    entity_id: str
    artifact_resolution_services: tuple[IndexedEndpoint, ...]
    signing_keys: tuple[VerificationKey, ...]
    signatures: Allowed = STRONG


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """``verified``: the message, when the ArtifactResponse's signature covers it; else it must prove itself."""

    message: Element
    verified: VerifiedElement | None


class Resolver:
    """``entity_id``: who we are in this role."""

    def __init__(self, *, entity_id: str, fetcher: Fetcher, signer: Signer, clock: Clock) -> None:
        self._entity_id = entity_id
        self._fetcher = fetcher
        self._signer = signer
        self._breakers = Breakers(clock)

    async def resolve(self, text: str, artifact: Artifact, partner: Partner, now: datetime) -> Resolved:
        """The message that the artifact stands for. Raises: ArtifactUnreachable, ArtifactRefused, XmlRefused,
        SignatureRefused."""
        location = endpoint_of(artifact, partner)
        id = new_id()
        try:
            found = await self._fetcher.toward(self._breakers.of(partner.entity_id)).post(
                location,
                soap.wrap(self._request(text, id, location, now)),
                content_type=soap.CONTENT_TYPE,
                headers={"SOAPAction": f'"{soap.ACTION}"'},
            )
        except FetchError as error:
            raise ArtifactUnreachable(str(error)) from error
        return read_artifact_response(found.body, id, partner)

    def _request(self, text: str, id: str, location: str, now: datetime) -> str:
        node = element(
            "samlp:ArtifactResolve",
            {"ID": id, "Version": "2.0", "IssueInstant": write_instant(now), "Destination": location},
            element("saml:Issuer", None, self._entity_id),
            element("samlp:Artifact", None, text),
        )
        return self._signer.enveloped(node, after=1).text


def endpoint_of(artifact: Artifact, partner: Partner) -> str:
    """saml-bindings 3.6.4.2: the artifact is the partner's, and its index one of the metadata. Raises: ArtifactRefused."""
    if artifact.source_id != source_id(partner.entity_id):
        raise ArtifactRefused("the artifact's SourceID is another partner")
    for each in partner.artifact_resolution_services:
        if each.index == artifact.endpoint_index and each.binding == names.BINDING_SOAP:
            return each.location
    raise ArtifactRefused("the metadata has no ArtifactResolutionService of that index by SOAP")


def read_artifact_response(octets: bytes, request_id: str, partner: Partner) -> Resolved:
    """Raises: ArtifactRefused, XmlRefused, SignatureRefused."""
    response = soap.unwrap(octets)
    check_answers(response, request_id, partner)
    verified = verify(response, partner.signing_keys, partner.signatures) if is_signed(response) else None
    message = message_in(response)
    return Resolved(message=message, verified=None if verified is None else covered(verified, message))


def check_answers(response: Element, request_id: str, partner: Partner) -> None:
    """saml-core 3.5.2, 3.2.2: ours, from the one we asked, and successful. Raises: ArtifactRefused."""
    if response.tag != samlp("ArtifactResponse") or response.get("Version") != "2.0":
        raise ArtifactRefused("not an ArtifactResponse of SAML 2.0")
    if response.get("InResponseTo") != request_id:
        raise ArtifactRefused("InResponseTo is not our ArtifactResolve")
    if child_text(response, saml("Issuer")) != partner.entity_id:
        raise ArtifactRefused("Issuer is not the partner that was asked")
    if not is_success(read_status(response)):
        raise ArtifactRefused("the partner did not resolve it")


def message_in(response: Element) -> Element:
    """saml-core 3.5.3: an artifact that is unknown or used gets a response without a message. Raises: ArtifactRefused."""
    status = response.find(samlp("Status"))
    assert status is not None, "the schema asks for it"
    messages = list(status.itersiblings())
    if len(messages) != 1:
        raise ArtifactRefused(f"{len(messages)} messages in the ArtifactResponse")
    return messages[0]
