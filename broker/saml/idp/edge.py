"""SamlIdentityProvider: the downstream edge toward services that speak SAML (``broker/login/edges.py``)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from broker.attributes.schema import ATTRIBUTES
from broker.errors import Fault
from broker.federation.documents import UnreadableMetadata
from broker.federation.model import Federation, Service
from broker.fetch import Fetcher
from broker.keys.keyring import KeyRing, KeyUse
from broker.login.edges import Delivery, FormPost, Redirect
from broker.login.ports import Clock, GrantStore
from broker.login.request import Hints, LoginRequest
from broker.login.steps import Answer
from broker.login.transaction import LoginTransaction
from broker.saml import bindings, names
from broker.saml.about import About
from broker.saml.artifact import new_artifact
from broker.saml.artifact_resolution import Resolver
from broker.saml.descriptor import Document, Published
from broker.saml.idp import metadata, response, single_sign_on_service, unsolicited
from broker.saml.idp.artifact_resolution_service import ArtifactResolutionService
from broker.saml.idp.asked import NAME_ID_FORMATS
from broker.saml.idp.request_by_artifact import RequestsByArtifact
from broker.saml.idp.response import Addressed
from broker.saml.idp.single_sign_on_service import ACS, ACS_BINDING, RELAY_STATE, REQUEST_ID, Place, descriptor_of
from broker.saml.metadata import read_sp
from broker.saml.names import SamlNames
from broker.saml.signature import Signer
from broker.saml.soap import SoapAnswer

log = structlog.get_logger(__name__)


class SamlIdentityProvider:
    """``saml_names``: the schema's. ``about``: who we are, in our metadata."""

    def __init__(
        self,
        *,
        base_url: str,
        keys: KeyRing,
        clock: Clock,
        clock_skew: timedelta,
        saml_names: SamlNames,
        grants: GrantStore,
        fetcher: Fetcher,
        about: About,
    ) -> None:
        self.entity_id = f"{base_url}/saml/idp/metadata"
        self.location = f"{base_url}/saml/idp/sso"
        self.unsolicited_location = f"{base_url}/saml/idp/unsolicited"
        self.artifact_location = f"{base_url}/saml/idp/artifact"
        self._clock = clock
        self._skew = clock_skew
        self._saml_names = saml_names
        self._canonical_names = {found[0]: name for name in ATTRIBUTES if (found := saml_names(name)) is not None}
        self._signer = Signer(*keys.all_active(KeyUse.SAML_SIGNING))
        self._by_artifact = RequestsByArtifact(
            Resolver(entity_id=self.entity_id, fetcher=fetcher, signer=self._signer, clock=clock)
        )
        self._artifacts = ArtifactResolutionService(entity_id=self.entity_id, grants=grants, signer=self._signer)
        describe = partial(
            metadata.describe,
            entity_id=self.entity_id,
            location=self.location,
            artifact_location=self.artifact_location,
            keys=keys,
            about=about,
        )
        self._published = Published(describe, about, Signer(keys.active(KeyUse.METADATA_SIGNING)))

    def read_redirect(self, raw_query: str, federation: Federation) -> LoginRequest:
        """An AuthnRequest by HTTP-Redirect; ``raw_query`` as it was sent, not decoded.

        Raises: ServiceFault or MalformedMessage for a page of ours, RefusedRequest for the service.
        """
        return single_sign_on_service.read_redirect(raw_query, self._place(federation, self.location))

    def read_post(self, form: Mapping[str, str], raw_query: str, federation: Federation) -> LoginRequest:
        """An AuthnRequest by HTTP-POST; ``raw_query`` of the address that was posted to. Raises: as ``read_redirect``."""
        return single_sign_on_service.read_post(form, raw_query, self._place(federation, self.location))

    async def read_artifact(self, fields: Mapping[str, str], federation: Federation) -> LoginRequest:
        """An AuthnRequest by HTTP-Artifact, fetched from the service. ``fields``: of the form or the query, each once.

        Raises: as ``read_redirect``.
        """
        return await self._by_artifact.read(fields, self._place(federation, self.location))

    def begin_unsolicited(
        self, service: str, hints: Hints, relay_state: str | None, federation: Federation
    ) -> LoginRequest:
        """A login that no request of the service began. ``service``: its id.

        Raises: UnknownService, UnsolicitedNotRegistered, MalformedMessage, ServiceMetadataExpired, MetadataUnusable.
        """
        return unsolicited.begin(service, hints, relay_state, self._place(federation, self.unsolicited_location))

    async def resolve(self, octets: bytes, federation: Federation) -> SoapAnswer:
        """The body of a POST to the ArtifactResolutionService. Raises: StateUnavailable."""
        return await self._artifacts.answer(octets, self._place(federation, self.artifact_location))

    async def answer(self, transaction: LoginTransaction, answer: Answer, service: Service) -> Delivery:
        """A signed Response with one assertion. Raises: InvalidNameIdPolicy, ServiceMetadataExpired, MetadataUnusable."""
        reply, now = transaction.request.reply, self._clock()
        sp = descriptor_of(service, now)
        formats = tuple(reply[NAME_ID_FORMATS].split())
        name_id = response.name_id(formats, answer.release, self.entity_id, sp)
        addressed = self._addressed(reply, now)
        assertion = response.assertion(answer, name_id, sp, addressed, self._saml_names)
        signer = self._signer.preferred_by(sp.signing_methods)
        content = response.sealed(assertion, sp, signer, cbc=service.cbc)
        if service.cbc and sp.encryption_key is not None:
            log.warning("saml.cbc_used", service=service.id)
        # One signature is made; others may have the event loop before the next (docs/adr/0010).
        await asyncio.sleep(0)
        message = response.write_answer(content, addressed, signer)
        return await self._delivery(reply, message, service)

    async def refuse(self, transaction: LoginTransaction, fault: Fault, service: Service) -> Delivery:
        """A signed Response with the fault's status; its message is the reason's code and the login's reference."""
        reply = transaction.request.reply
        said = f"{fault.code} {transaction.reference}"
        addressed = self._addressed(reply, self._clock())
        signer = self._signer.preferred_by(_signing_methods(service))
        message = response.write_error(fault.saml_status, said, addressed, signer)
        return await self._delivery(reply, message, service)

    def metadata(self, federation: Federation) -> Document:
        """Our EntityDescriptor, signed."""
        return self._published.document(federation, self._clock())

    async def _delivery(self, reply: Mapping[str, str], message: str, service: Service) -> Delivery:
        """By the binding of the verified address."""
        if reply[ACS_BINDING] != names.BINDING_ARTIFACT:
            return _form(reply, message)
        artifact = new_artifact(self.entity_id)
        await self._artifacts.keep(artifact, message, service.id)
        return Redirect(url=bindings.write_artifact(reply[ACS], artifact, reply.get(RELAY_STATE)))

    def _place(self, federation: Federation, location: str) -> Place:
        return Place(
            location=location,
            canonical_names=self._canonical_names,
            federation=federation,
            now=self._clock(),
            skew=self._skew,
        )

    def _addressed(self, reply: Mapping[str, str], now: datetime) -> Addressed:
        return Addressed(
            issuer=self.entity_id, acs=reply[ACS], request_id=reply.get(REQUEST_ID), now=now, skew=self._skew
        )


def _signing_methods(service: Service) -> tuple[str, ...]:
    """An error is told also to a service whose metadata ran out or cannot be read any more."""
    assert service.metadata is not None, "the registry gives a SAML service its metadata"
    try:
        return read_sp(service.metadata.content).signing_methods
    except UnreadableMetadata:
        return ()


def _form(reply: Mapping[str, str], message: str) -> FormPost:
    fields = {"SAMLResponse": bindings.write_post(message)}
    if RELAY_STATE in reply:
        fields["RelayState"] = reply[RELAY_STATE]
    return FormPost(url=reply[ACS], fields=fields)
