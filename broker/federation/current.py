"""CurrentFederation: the snapshot that this process decides by, kept equal to the registry's newest revision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from broker.federation.documents import DocumentErrors, DocumentSet
from broker.federation.model import Federation
from broker.federation.registry import Registry

log = structlog.get_logger(__name__)

Build = Callable[[DocumentSet, int], Federation]
"""From documents at a revision to the snapshot. Raises: DocumentErrors."""


class CurrentFederation:
    """Called, it gives the snapshot; a login uses one snapshot from its decision to its record."""

    def __init__(self, registry: Registry, build: Build) -> None:
        self._registry = registry
        self._build = build
        self._snapshot = Federation(revision=0, organisations={}, identity_providers={}, services={}, agreements={})
        self._tried = -1
        # Two builds at once could end in the wrong order.
        self._refreshing = asyncio.Lock()

    def __call__(self) -> Federation:
        return self._snapshot

    async def load(self) -> None:
        """The newest revision, at the start. Raises: DocumentErrors (promise P9)."""
        revision, documents = await self._registry.current()
        self._tried = revision
        self._snapshot = self._build(documents, revision)

    async def refresh(self) -> bool:
        """Whether a newer revision was taken into use. One that cannot be built leaves the last good one, and says so."""
        async with self._refreshing:
            return await self._refreshed()

    async def _refreshed(self) -> bool:
        if await self._registry.revision() == self._tried:
            return False
        revision, documents = await self._registry.current()
        self._tried = revision
        try:
            self._snapshot = await asyncio.to_thread(self._build, documents, revision)
        except DocumentErrors as errors:
            log.error("federation.not_usable", revision=revision, problems=[str(each) for each in errors.problems[:20]])
            return False
        log.info("federation.revision", revision=revision)
        return True
