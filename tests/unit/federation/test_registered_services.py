"""Services that write their own documents: whole revisions, beside others who change the registry at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.database.engine import open_database
from broker.database.migrate import migrate
from broker.errors import RegistryUnavailable
from broker.federation import documents, service_document, yaml_text
from broker.federation.current import CurrentFederation
from broker.federation.documents import Document, DocumentErrors, DocumentSet, UnreadableMetadata
from broker.federation.model import Federation, ServiceId
from broker.federation.registered_services import ATTEMPTS, RegisteredServices
from broker.federation.registry import Registry
from broker.federation.service_document import ServiceKnown, ServiceNeeded, ServiceUnknown

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BY = {"author": "registration:pori", "reason": "registered itself"}
ROOMS = ServiceId("registered-1")


def an_organisation(id: str) -> Document:
    body = {"kind": "organisation", "id": id, "name": {"en": id}, "scopes": [f"{id}.fi"]}
    text = yaml_text.write(body)
    return Document(kind="organisation", id=id, path=f"{id}.yaml", position=0, line=1, text=text, body=body)


def a_body(id: str = ROOMS, **changes: Any) -> dict[str, object]:
    client = {"client_id": id, "redirect_uris": ["https://rooms.example/cb"], "token_endpoint_auth_method": "none"}
    given = {
        "kind": "service",
        "id": id,
        "protocol": "oidc",
        "owner": "pori",
        "name": {"en": "Rooms"},
        "client": client,
    }
    return {**given, "status": "test", **changes}


def build(found: DocumentSet, revision: int) -> Federation:
    def no_metadata(content: bytes, role: str) -> Any:
        raise UnreadableMetadata("none here")

    return documents.build(found, revision=revision, read_metadata=no_metadata, secret=lambda reference, owner: "s")


@dataclass
class Place:
    registry: Registry
    federation: CurrentFederation
    services: RegisteredServices

    async def beside(self, name: str = "ulvila") -> None:
        """Somebody else changes the registry."""
        revision, found = await self.registry.current()
        more = DocumentSet(documents=(*found.documents, an_organisation(name)), files={})
        await self.registry.apply(more, author="other", reason="x", expect_revision=revision)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'broker.sqlite'}"
    await migrate(url)
    database = open_database(url)
    registry = Registry(database, lambda: NOW)
    await registry.apply(DocumentSet(documents=(an_organisation("pori"),), files={}), author="a", reason="b")
    federation = CurrentFederation(registry, build)
    await federation.load()

    async def refresh() -> None:
        await federation.refresh()

    yield Place(registry, federation, RegisteredServices(registry, build, federation, refresh))
    await database.close()


async def test_a_new_one_is_a_revision_and_in_use_when_the_call_returns(place: Place) -> None:
    written = await place.services.add(a_body(), **BY)
    assert written.service is not None
    assert place.federation().services[ROOMS] == written.service
    [newest, *_] = await place.registry.history(1)
    assert (newest.number, newest.author, newest.origin) == (written.revision, "registration:pori", "api")


async def test_its_text_is_read_as_what_was_written(place: Place) -> None:
    body = a_body(name={"fi": "Huoneet: \"A\" & 'B' # ei", "sv": "ja", "en": "null"}, testers=["no@pori.fi"])
    await place.services.add(body, **BY)
    _, found = await place.registry.current()
    document = service_document.find(found, ROOMS)
    assert document is not None
    assert [part.body for part in yaml_text.parts(document.text)] == [body]
    assert document.path == f"registered/{ROOMS}.yaml"


async def test_an_id_that_is_there_or_ever_was_is_not_given_again(place: Place) -> None:
    await place.services.add(a_body(), **BY)
    with pytest.raises(ServiceKnown):
        await place.services.add(a_body(), **BY)
    await place.services.change(ROOMS, lambda body: None, **BY)
    with pytest.raises(ServiceKnown):
        await place.services.add(a_body(), **BY)


async def test_of_many_at_once_every_one_is_added(place: Place) -> None:
    await asyncio.gather(*(place.services.add(a_body(f"registered-{number}"), **BY) for number in range(10)))
    assert len(place.federation().services) == 10


async def test_another_s_change_in_between_is_kept(place: Place) -> None:
    tried = []

    async def slow(*wanted: Any, **more: Any) -> int:
        if not tried:
            tried.append(1)
            await place.beside()
        return await Registry.apply(place.registry, *wanted, **more)

    place.registry.apply = slow  # type: ignore[method-assign]
    await place.services.add(a_body(), **BY)

    assert {*place.federation().organisations} == {"pori", "ulvila"}
    assert ROOMS in place.federation().services


async def test_who_never_gets_through_is_told(place: Place) -> None:
    names = iter("abcdefghij")

    async def always_late(*wanted: Any, **more: Any) -> int:
        await Place.beside(
            Place(Registry(place.registry._database, lambda: NOW), place.federation, place.services), next(names)
        )
        return await Registry.apply(place.registry, *wanted, **more)

    place.registry.apply = always_late  # type: ignore[method-assign]
    with pytest.raises(RegistryUnavailable):
        await place.services.add(a_body(), **BY)
    assert ROOMS not in place.federation().services
    assert len(place.federation().organisations) <= 1 + ATTEMPTS


@pytest.mark.parametrize("changes", [{"owner": "nobody"}, {"attributes": [{"name": "mial", "purpose": {"en": "x"}}]}])
async def test_one_that_is_wrong_changes_nothing(place: Place, changes: dict[str, Any]) -> None:
    before = await place.registry.revision()
    with pytest.raises(DocumentErrors):
        await place.services.add(a_body(**changes), **BY)
    assert await place.registry.revision() == before


async def test_a_change_keeps_its_place_and_its_neighbours(place: Place) -> None:
    await place.services.add(a_body(), **BY)
    revision, found = await place.registry.current()
    document = service_document.find(found, ROOMS)
    assert document is not None
    first = Document(
        kind="organisation",
        id="ulvila",
        path=document.path,
        position=0,
        line=1,
        text=yaml_text.write(an_organisation("ulvila").body),
        body=an_organisation("ulvila").body,
    )
    moved = Document(
        kind="service",
        id=ROOMS,
        path=document.path,
        position=1,
        line=first.text.count("\n") + 2,
        text=f"---\n{document.text}",
        body=document.body,
    )
    others = tuple(each for each in found.documents if each.id != ROOMS)
    await place.registry.apply(
        DocumentSet(documents=(*others, first, moved), files={}), author="a", reason="b", expect_revision=revision
    )

    def edit(body: Mapping[str, object]) -> Mapping[str, object]:
        return {**body, "name": {"en": "Renamed"}}

    await place.services.change(ROOMS, edit, **BY)

    _, found = await place.registry.current()
    whole = "".join(each.text for each in found.documents if each.path == document.path)
    assert [part.body for part in yaml_text.parts(whole)] == [first.body, {**document.body, "name": {"en": "Renamed"}}]
    assert place.federation().services[ROOMS].name == {"en": "Renamed"}


async def test_one_that_is_not_there_cannot_be_changed(place: Place) -> None:
    with pytest.raises(ServiceUnknown):
        await place.services.change(ROOMS, lambda body: body, **BY)


async def test_one_that_an_agreement_names_is_not_removed(place: Place) -> None:
    await place.services.add(a_body(), **BY)
    revision, found = await place.registry.current()
    body = {
        "kind": "agreement", "id": "pact", "name": {"en": "Pact"}, "parties": ["pori", "ulvila"], "services": [ROOMS],
        "valid_from": NOW.date(), "valid_until": NOW.date(),
    }  # fmt: skip
    pact = Document(
        kind="agreement", id="pact", path="pact.yaml", position=0, line=1, text=yaml_text.write(body), body=body
    )
    more = DocumentSet(documents=(*found.documents, an_organisation("ulvila"), pact), files={})
    await place.registry.apply(more, author="a", reason="b", expect_revision=revision)

    with pytest.raises(ServiceNeeded):
        await place.services.change(ROOMS, lambda body: None, **BY)
    assert ROOMS in (await place.services.latest()).services


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
bodies = st.recursive(
    texts | st.integers(-(10**9), 10**9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts.filter(bool), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), bodies, max_size=4))
def test_what_is_written_is_read_as_the_same_or_not_written(body: dict[str, object]) -> None:
    try:
        text = yaml_text.write(body)
    except ValueError:
        return
    assert [part.body for part in yaml_text.parts(text)] == [body]
