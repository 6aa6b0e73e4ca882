"""How long partners' metadata may still be used (saml-metadata 2.3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.federation.model import Federation, MetadataFile

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingMetadata:
    """``id``: of the identity provider or service. ``ended``: nobody can log in there, or through it, any more."""

    path: str
    id: str
    valid_until: datetime
    ended: bool

    def __str__(self) -> str:
        verb = "ended" if self.ended else "ends"
        consequence = "logins are refused" if self.ended else "logins will be refused then"
        return f"{self.path}: the metadata of {self.id} {verb} {self.valid_until.date()}; {consequence}: get it anew"


def ending(federation: Federation, now: datetime) -> Iterator[EndingMetadata]:
    """What has ended, and what ends within ``SOON``."""
    for id, file in _files(federation):
        if file is not None and file.valid_until is not None and file.valid_until <= now + SOON:
            yield EndingMetadata(path=file.path, id=id, valid_until=file.valid_until, ended=file.valid_until <= now)


def _files(federation: Federation) -> Iterator[tuple[str, MetadataFile | None]]:
    yield from ((each.id, each.metadata) for each in federation.identity_providers.values())
    yield from ((each.id, each.metadata) for each in federation.services.values())
