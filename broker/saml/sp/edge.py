"""SamlServiceProvider: the upstream edge toward cities that speak SAML (``broker/login/edges.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog
from cryptography.hazmat.primitives.asymmetric import rsa

from broker.errors import HomeUnreachable, MessageReplayed
from broker.federation.documents import UnreadableMetadata
from broker.federation.model import HOME_ZONE, Federation, IdentityProvider
from broker.federation.quirks import takes_name_id_policy, takes_scoping
from broker.fetch import Fetcher
from broker.keys.keyring import KeyRing, KeyUse
from broker.login.edges import Departure
from broker.login.identity import VerifiedAssertion
from broker.login.ports import Clock, ReplayCache
from broker.login.steps import SendToIdp
from broker.login.transaction import LoginTransaction
from broker.saml import names
from broker.saml.about import About
from broker.saml.artifact import Artifact
from broker.saml.artifact_resolution import ArtifactRefused, ArtifactUnreachable, Partner, Resolver
from broker.saml.descriptor import Document, Published
from broker.saml.errors import ArtifactNotResolved, IdentityProviderMetadataExpired, MetadataUnusable
from broker.saml.ids import new_id
from broker.saml.metadata import IdpDescriptor, read_idp
from broker.saml.names import SamlNames
from broker.saml.signature import STRONG, WITH_SHA1, Allowed, Signer
from broker.saml.sp import assertion_consumer_service, authn_request, metadata, unsolicited
from broker.saml.sp.assertion import Expected, Received, judge, read_response, refusals_of
from broker.saml.sp.authn_request import AuthnRequest, Scoping

log = structlog.get_logger(__name__)

_REQUEST_ID = "request_id"
_REMEMBERED = timedelta(days=1)


class SamlServiceProvider:
    """``saml_names``: the schema's. ``about``: who we are. Both are told in our metadata."""

    def __init__(
        self,
        *,
        base_url: str,
        keys: KeyRing,
        clock: Clock,
        clock_skew: timedelta,
        replay: ReplayCache,
        fetcher: Fetcher,
        saml_names: SamlNames,
        about: About,
    ) -> None:
        self.entity_id = f"{base_url}/saml/sp/metadata"
        self.acs = f"{base_url}/saml/sp/acs"
        self._clock = clock
        self._skew = clock_skew
        self._replay = replay
        self._signer = Signer(keys.active(KeyUse.SAML_SIGNING))
        self._resolver = Resolver(entity_id=self.entity_id, fetcher=fetcher, signer=self._signer, clock=clock)
        describe = partial(
            metadata.describe,
            entity_id=self.entity_id,
            location=self.acs,
            keys=keys,
            about=about,
            saml_names=saml_names,
        )
        self._published = Published(describe, about, Signer(keys.active(KeyUse.METADATA_SIGNING)))
        self._decryption_keys = tuple(
            key.private for key in keys.published(KeyUse.SAML_ENCRYPTION) if isinstance(key.private, rsa.RSAPrivateKey)
        )

    async def depart(
        self, transaction: LoginTransaction, step: SendToIdp, idp: IdentityProvider, federation: Federation
    ) -> Departure:
        """A signed AuthnRequest. Raises: IdentityProviderMetadataExpired, MetadataUnusable."""
        now = self._clock()
        descriptor = self._descriptor(idp, now)
        request = AuthnRequest(
            id=new_id(),
            issuer=self.entity_id,
            destination=descriptor.single_sign_on_service,
            by_post=descriptor.single_sign_on_service_by(names.BINDING_POST),
            assertion_consumer_service=self.acs,
            issued_at=now,
            # SAML cannot ask for a greatest age: only a new login is sure to be young enough.
            force_authn=step.force_authn or step.max_age is not None,
            passive=step.passive,
            contexts=step.requested_contexts,
            comparison=step.comparison,
            response_binding=_response_binding(idp, descriptor),
            name_id_policy=takes_name_id_policy(idp),
            scoping=_scoping(step, idp),
        )
        delivery = authn_request.delivery(request, transaction.id, self._signer)
        return Departure(delivery=delivery, remember={_REQUEST_ID: request.id})

    async def arrive(
        self, transaction: LoginTransaction, message: Mapping[str, str], idp: IdentityProvider
    ) -> VerifiedAssertion:
        """Raises: HomeAnswerInvalid (a subclass for each check), HomeRefused, HomeUnreachable, NoPassive, MessageReplayed."""
        found = assertion_consumer_service.read(message)
        now = self._clock()
        descriptor = self._descriptor(idp, now)
        expected = Expected(
            idp=idp.id,
            idp_entity_id=descriptor.entity_id,
            signing_keys=descriptor.signing_keys,
            sp_entity_id=self.entity_id,
            acs=self.acs,
            request_id=transaction.upstream[_REQUEST_ID],
            decryption_keys=self._decryption_keys,
            now=now,
            skew=self._skew,
            signatures=signatures_of(idp, now),
        )
        if isinstance(found, bytes):
            accepted = read_response(found, expected)
        else:
            accepted = judge(await self._resolved(*found, descriptor, expected), expected)
        # As long as the checks of time would still accept it, and a moment more; but no login lives for a day.
        lifetime = min(accepted.until - now, _REMEMBERED) + self._skew + timedelta(seconds=1)
        if not await self._replay.first_use(descriptor.entity_id, accepted.id, lifetime):
            raise MessageReplayed("the assertion was used before", identity_provider=idp.id)
        if accepted.by_sha1:
            log.warning("saml.sha1_used", identity_provider=idp.id, until=str(idp.sha1_until))
        return accepted.assertion

    def read_unsolicited(self, message: Mapping[str, str], federation: Federation) -> IdentityProvider:
        """Whose unsolicited Response this is said to be: a hint, no more. Raises: UnreadableResponse, UnsolicitedFromHome."""
        return unsolicited.read(message, federation, self.acs)

    async def _resolved(self, text: str, artifact: Artifact, descriptor: IdpDescriptor, expected: Expected) -> Received:
        """The city's message, fetched. Raises: HomeUnreachable, ArtifactNotResolved, UnreadableResponse, SignatureInvalid."""
        partner = Partner(
            entity_id=descriptor.entity_id,
            artifact_resolution_services=descriptor.artifact_resolution_services,
            signing_keys=descriptor.signing_keys,
            signatures=expected.signatures,
        )
        try:
            with refusals_of(expected):
                found = await self._resolver.resolve(text, artifact, partner, expected.now)
        except ArtifactUnreachable as error:
            raise HomeUnreachable(str(error), identity_provider=expected.idp) from error
        except ArtifactRefused as error:
            raise ArtifactNotResolved(str(error), identity_provider=expected.idp) from error
        return Received(message=found.message, vouched=found.verified, by_artifact=True)

    def metadata(self, federation: Federation) -> Document:
        """Our EntityDescriptor, signed."""
        return self._published.document(federation, self._clock())

    def _descriptor(self, idp: IdentityProvider, now: datetime) -> IdpDescriptor:
        assert idp.metadata is not None, "the registry gives a SAML identity provider its metadata"
        try:
            descriptor = read_idp(idp.metadata.content)
        except UnreadableMetadata as error:
            raise MetadataUnusable(str(error), identity_provider=idp.id) from error
        if descriptor.valid_until is not None and descriptor.valid_until <= now:
            raise IdentityProviderMetadataExpired("validUntil has passed", identity_provider=idp.id)
        return descriptor


def signatures_of(idp: IdentityProvider, now: datetime) -> Allowed:
    """SHA-1 to the end of the day that the registration names, in Finnish time."""
    by_sha1 = idp.sha1_until is not None and now.astimezone(HOME_ZONE).date() <= idp.sha1_until
    return WITH_SHA1 if by_sha1 else STRONG


def _response_binding(idp: IdentityProvider, descriptor: IdpDescriptor) -> str:
    """Where the metadata cannot say how an artifact is resolved, the answer comes by POST."""
    resolvable = any(each.binding == names.BINDING_SOAP for each in descriptor.artifact_resolution_services)
    return names.BINDING_ARTIFACT if idp.artifact and resolvable else names.BINDING_POST


def _scoping(step: SendToIdp, idp: IdentityProvider) -> Scoping | None:
    """saml-core 3.4.1.5.1. None for products that refuse it: then ProxyCount cannot be kept, which they do not do anyway."""
    return Scoping(requesters=step.requesters, proxy_count=step.proxy_count) if takes_scoping(idp) else None
