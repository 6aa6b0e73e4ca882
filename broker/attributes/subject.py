"""subject: who a person is to services, by identifiers that outlive mail, name and the city's login product.

Derived from (organisation, keyspace, key), never from an entityID or issuer (attributes.md 1.7 and 2.1).
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from urllib.parse import urlsplit

from broker.attributes import dialects
from broker.attributes.mapping import Mapped
from broker.attributes.schema import ATTRIBUTES
from broker.errors import SubjectMissing
from broker.federation.model import IdentityProvider, Organisation, Service
from broker.keys.keyring import SubjectKeys
from broker.login.identity import VerifiedAssertion

MAX_KEY_CHARACTERS = 1024


def subject_key(assertion: VerifiedAssertion, mapped: Mapped, idp: IdentityProvider) -> tuple[str, str]:
    """The keyspace and the person's stable key in it. Raises: SubjectMissing."""
    return idp.subject.keyspace, _checked(_key(assertion, mapped, idp), idp)


def subject_id(
    keys: SubjectKeys, organisation: Organisation, keyspace: str, key: str, passed_through: str | None
) -> str:
    """subject-id: the home's own where it asserts one (already held to its scopes), else 52 characters and the scope."""
    if passed_through is not None:
        return passed_through
    return _scoped(keys.subject, organisation, keyspace, key)


def pairwise_id(keys: SubjectKeys, organisation: Organisation, keyspace: str, key: str, service: Service) -> str:
    """pairwise-id: another for each service, or the same for the services of one sector."""
    return _scoped(keys.pairwise, organisation, keyspace, key, sector_of(service))


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


def _checked(key: str | None, idp: IdentityProvider) -> str:
    """A key holds no invisible character: NUL separates the parts of what identifiers are derived from."""
    source = idp.subject.source or "the subject"
    if key is None or not key.strip():
        raise SubjectMissing(f"no single value of {source}", identity_provider=idp.id, attribute=source)
    if len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
        raise SubjectMissing(f"{source} is not usable as a key", identity_provider=idp.id, attribute=source)
    return key


def _scoped(secret: bytes, organisation: Organisation, *parts: str) -> str:
    message = b"\0".join(part.encode("utf-8") for part in (organisation.id, *parts))
    digest = hmac.digest(secret, message, "sha256")
    return f"{b32encode(digest).decode('ascii').rstrip('=').lower()}@{organisation.scopes[0]}"
