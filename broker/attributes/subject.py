"""subject: who a person is to services, by identifiers that outlive mail, name and the city's login product.

Derived from (organisation, keyspace, key), never from an entityID or issuer (attributes.md 1.7 and 2.1).
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from broker.attributes import dialects
from broker.attributes.mapping import Mapped
from broker.attributes.schema import ATTRIBUTES
from broker.errors import SubjectMissing
from broker.federation.model import IdentityProvider, OrganisationId, Service
from broker.keys.keyring import SubjectKeys
from broker.login.identity import VerifiedAssertion

MAX_KEY_CHARACTERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose identifiers: what they are derived from. ``scope``: what stands behind their @, lower-case."""

    organisation: OrganisationId
    keyspace: str
    key: str = field(repr=False)
    scope: str


def subject_key(assertion: VerifiedAssertion, mapped: Mapped, idp: IdentityProvider) -> tuple[str, str]:
    """The keyspace and the person's stable key in it. Raises: SubjectMissing."""
    return idp.subject.keyspace, _checked(_key(assertion, mapped, idp), idp)


def subject_id(keys: SubjectKeys, subject: Subject) -> str:
    """subject-id of who has none from home: 52 characters and the scope."""
    return _scoped(keys.subject, subject)


def pairwise_id(keys: SubjectKeys, subject: Subject, service: Service) -> str:
    """pairwise-id: another for each service, or the same for the services of one sector."""
    return _scoped(keys.pairwise, subject, sector_of(service))


def sector_of(service: Service) -> str:
    """The host of ``sector_identifier_uri`` (OIDC Core 8.1), else the entityID or client_id.

    Stricter than the clause, which would let clients with redirect URIs on one host share identifiers unasked.
    """
    if service.client is not None and service.client.sector_identifier_uri:
        return urlsplit(service.client.sector_identifier_uri).hostname or service.entity_id
    return service.entity_id


def _key(assertion: VerifiedAssertion, mapped: Mapped, idp: IdentityProvider) -> str | None:
    source = idp.subject.source
    if source is None:
        return assertion.subject
    if source in ATTRIBUTES:
        values = mapped.get(source, ())
    else:
        dialect = dialects.load(idp.dialect)
        values = dialect.folded(assertion.attributes).get(dialect.fold(source), ())
    return values[0] if len(values) == 1 else None


def is_usable(key: str) -> bool:
    """A key holds no invisible character: NUL separates the parts of what identifiers are derived from."""
    return bool(key.strip()) and len(key) <= MAX_KEY_CHARACTERS and key.isprintable()


def _checked(key: str | None, idp: IdentityProvider) -> str:
    source = idp.subject.source or "the subject"
    if key is None or not key.strip():
        raise SubjectMissing(f"no single value of {source}", identity_provider=idp.id, attribute=source)
    if not is_usable(key):
        raise SubjectMissing(f"{source} is not usable as a key", identity_provider=idp.id, attribute=source)
    return key


def message_of(organisation: str, keyspace: str, key: str, *more: str) -> bytes:
    """What is hashed of a person (attributes.md 2.1): no other person's is the same."""
    return b"\0".join(part.encode("utf-8") for part in (organisation, keyspace, key, *more))


def _scoped(secret: bytes, subject: Subject, *more: str) -> str:
    digest = hmac.digest(secret, message_of(subject.organisation, subject.keyspace, subject.key, *more), "sha256")
    return f"{b32encode(digest).decode('ascii').rstrip('=').lower()}@{subject.scope}"
