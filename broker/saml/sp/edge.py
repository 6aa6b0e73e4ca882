"""SamlServiceProvider: the upstream edge toward cities that speak SAML (``broker/login/edges.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from broker.errors import MessageReplayed
from broker.federation.documents import UnreadableMetadata
from broker.federation.model import Federation, IdentityProvider
from broker.keys.keyring import KeyRing, KeyUse
from broker.login.edges import Departure
from broker.login.identity import VerifiedAssertion
from broker.login.ports import Clock, ReplayCache
from broker.login.steps import SendToIdp
from broker.login.transaction import LoginTransaction
from broker.saml.errors import IdentityProviderMetadataExpired, MetadataUnusable
from broker.saml.ids import new_id
from broker.saml.metadata import IdpDescriptor, read_idp
from broker.saml.signature import Signer
from broker.saml.sp import assertion_consumer_service, authn_request, metadata
from broker.saml.sp.assertion import Expected, read_response
from broker.saml.sp.authn_request import AuthnRequest

_REQUEST_ID = "request_id"


class SamlServiceProvider:
    """``federation_name``: in our metadata; "" leaves it out."""

    def __init__(
        self,
        *,
        base_url: str,
        keys: KeyRing,
        clock: Clock,
        clock_skew: timedelta,
        replay: ReplayCache,
        federation_name: str = "",
    ) -> None:
        self.entity_id = f"{base_url}/saml/sp/metadata"
        self.acs = f"{base_url}/saml/sp/acs"
        self._keys = keys
        self._clock = clock
        self._skew = clock_skew
        self._replay = replay
        self._name = federation_name
        self._signer = Signer(keys.active(KeyUse.SAML_SIGNING))
        self._metadata_signer = Signer(keys.active(KeyUse.METADATA_SIGNING))
        self._decryption_keys = tuple(
            key.private for key in keys.published(KeyUse.SAML_ENCRYPTION) if isinstance(key.private, rsa.RSAPrivateKey)
        )

    async def depart(
        self, transaction: LoginTransaction, step: SendToIdp, idp: IdentityProvider, federation: Federation
    ) -> Departure:
        """A signed AuthnRequest. Raises: IdentityProviderMetadataExpired, MetadataUnusable."""
        now = self._clock()
        request = AuthnRequest(
            id=new_id(),
            issuer=self.entity_id,
            destination=self._descriptor(idp, now).single_sign_on_service,
            assertion_consumer_service=self.acs,
            issued_at=now,
            # SAML cannot ask for a greatest age: only a new login is sure to be young enough.
            force_authn=step.force_authn or step.max_age is not None,
            passive=step.passive,
            contexts=step.requested_contexts,
            comparison=step.comparison,
        )
        delivery = authn_request.delivery(request, transaction.id, self._signer)
        return Departure(delivery=delivery, remember={_REQUEST_ID: request.id})

    async def arrive(
        self, transaction: LoginTransaction, message: Mapping[str, str], idp: IdentityProvider
    ) -> VerifiedAssertion:
        """Raises: HomeAnswerInvalid (a subclass for each check), HomeRefused, NoPassive, MessageReplayed."""
        _, octets = assertion_consumer_service.read_post(message)
        now = self._clock()
        descriptor = self._descriptor(idp, now)
        accepted = read_response(
            octets,
            Expected(
                idp=idp.id,
                idp_entity_id=descriptor.entity_id,
                signing_keys=descriptor.signing_keys,
                sp_entity_id=self.entity_id,
                acs=self.acs,
                request_id=transaction.upstream[_REQUEST_ID],
                decryption_keys=self._decryption_keys,
                now=now,
                skew=self._skew,
            ),
        )
        # As long as the checks of time would still accept it, and a moment more.
        lifetime = accepted.until + self._skew - now + timedelta(seconds=1)
        if not await self._replay.first_use(descriptor.entity_id, accepted.id, lifetime):
            raise MessageReplayed("the assertion was used before", identity_provider=idp.id)
        return accepted.assertion

    def metadata(self) -> bytes:
        """Our EntityDescriptor, signed now."""
        return metadata.write(
            entity_id=self.entity_id,
            location=self.acs,
            keys=self._keys,
            name=self._name,
            now=self._clock(),
            signer=self._metadata_signer,
        )

    def _descriptor(self, idp: IdentityProvider, now: datetime) -> IdpDescriptor:
        assert idp.metadata is not None, "the registry gives a SAML identity provider its metadata"
        try:
            descriptor = read_idp(idp.metadata.content)
        except UnreadableMetadata as error:
            raise MetadataUnusable(str(error), identity_provider=idp.id) from error
        if descriptor.valid_until is not None and descriptor.valid_until <= now:
            raise IdentityProviderMetadataExpired("validUntil has passed", identity_provider=idp.id)
        return descriptor
