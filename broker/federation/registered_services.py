"""RegisteredServices: the ServiceRegistry port on the Registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from broker.errors import BrokerFault, RegistryUnavailable
from broker.federation import service_document
from broker.federation.current import Build
from broker.federation.document_types import Document, DocumentErrors, DocumentSet
from broker.federation.model import Federation, Service, ServiceId
from broker.federation.registry import Registry, RevisionConflict
from broker.federation.service_document import KIND, Edit, ServiceKnown, ServiceNeeded, ServiceUnknown, Written

log = structlog.get_logger(__name__)

ATTEMPTS = 5
"""How often a change is tried when others change the registry at the same time."""

_Wanted = Callable[[DocumentSet], Awaitable[tuple[Document, Mapping[str, object] | None]]]
"""All documents → the one that is concerned, and its body as it shall be; None: it is removed."""


class RegisteredServices:
    """``refresh``: takes the newest revision into use in this worker. ``build``: as for the snapshot itself."""

    def __init__(
        self,
        registry: Registry,
        build: Build,
        federation: Callable[[], Federation],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._build = build
        self._federation = federation
        self._refresh = refresh
        # Within one worker nobody has to try twice.
        self._one_at_a_time = asyncio.Lock()

    async def latest(self) -> Federation:
        await self._refresh()
        return self._federation()

    async def add(self, body: Mapping[str, object], *, author: str, reason: str) -> Written:
        document = service_document.unwritten(body)

        async def added(_: DocumentSet) -> tuple[Document, Mapping[str, object]]:
            if await self._registry.ever_held(KIND, document.id):
                raise ServiceKnown(document.id)
            return document, body

        return await self._applied(added, author, reason)

    async def change(self, id: ServiceId, edit: Edit, *, author: str, reason: str) -> Written:
        async def changed(documents: DocumentSet) -> tuple[Document, Mapping[str, object] | None]:
            document = service_document.find(documents, id)
            if document is None:
                raise ServiceUnknown(id)
            return document, edit(document.body)

        return await self._applied(changed, author, reason)

    async def _applied(self, wanted: _Wanted, author: str, reason: str) -> Written:
        async with self._one_at_a_time:
            for _ in range(ATTEMPTS):
                revision, documents = await self._registry.current()
                changed, service = await self._changed(documents, *await wanted(documents))
                try:
                    number = await self._registry.apply(
                        changed, author=author, reason=reason, origin="api", expect_revision=revision
                    )
                except RevisionConflict:
                    continue
                await self._try_to_refresh()
                return Written(service=service, revision=number)
        raise RegistryUnavailable(f"{ATTEMPTS} times somebody else changed the registry meanwhile")

    async def _changed(
        self, documents: DocumentSet, document: Document, body: Mapping[str, object] | None
    ) -> tuple[DocumentSet, Service | None]:
        """Every document as it shall be, proven to be usable together. Raises: DocumentErrors, ServiceNeeded."""
        if body is None:
            rest = service_document.without(documents, document.id)
            await self._check(rest, removed=document.id)
            return rest, None
        # Alone first: what is wrong with it is its author's to know, and the rest is not.
        service = self._alone(documents, replace(document, body=body))
        whole = service_document.with_document(documents, service_document.rewritten(document, body))
        await self._check(whole)
        return whole, service

    def _alone(self, documents: DocumentSet, document: Document) -> Service:
        """With its owner only. Raises: DocumentErrors."""
        key = ("organisation", document.body.get("owner"))
        owner = tuple(each for each in documents.documents if (each.kind, each.id) == key)
        built = self._build(DocumentSet(documents=(*owner, document), files={}), 0)
        return built.services[ServiceId(document.id)]

    async def _check(self, documents: DocumentSet, removed: str = "") -> None:
        """Raises: ServiceNeeded, RegistryUnavailable."""
        try:
            await asyncio.to_thread(self._build, documents, 0)
        except DocumentErrors as errors:
            if removed and all(removed in each.message for each in errors.problems):
                raise ServiceNeeded(removed) from errors
            log.error("registry.not_usable", problems=[str(each) for each in errors.problems[:20]])
            raise RegistryUnavailable("the documents in use cannot be built anew") from errors

    async def _try_to_refresh(self) -> None:
        """The change is made; if this worker cannot read it now, it will within a second of being able to."""
        try:
            await self._refresh()
        except BrokerFault as fault:
            log.warning("federation.not_reachable", reason=fault.code)
