"""The document of a service that the service itself writes: its text, its place, and what is said of a change of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from broker.federation import yaml_text
from broker.federation.document_types import Document, DocumentSet
from broker.federation.model import Service

KIND = "service"
FOLDER = "registered"
"""Where new ones stand among the documents."""

Edit = Callable[[Mapping[str, object]], Mapping[str, object] | None]
"""A document's body as it is → as it shall be; None: it is removed."""


class ServiceKnown(Exception):
    """A service of this id is there, or was."""


class ServiceUnknown(Exception):
    """No service of this id is there."""


class ServiceNeeded(Exception):
    """Other documents name the service, so that it cannot be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """``service``: as it is from ``revision`` on; None: it was removed."""

    service: Service | None
    revision: int


def unwritten(body: Mapping[str, object]) -> Document:
    """In a file of its own, without a text yet."""
    id = str(body["id"])
    return Document(kind=KIND, id=id, path=f"{FOLDER}/{id}.yaml", position=0, line=1, text="", body=body)


def rewritten(document: Document, body: Mapping[str, object]) -> Document:
    """In its place; an operator may have moved it behind others in their file. Raises: ValueError, as ``yaml_text.write``."""
    separator = "---\n" if document.position else ""
    lines_before = document.line - yaml_text.first_line(document.text)
    line = lines_before + separator.count("\n") + 1
    return replace(document, line=line, text=separator + yaml_text.write(body), body=body)


def find(documents: DocumentSet, id: str) -> Document | None:
    return next((each for each in documents.documents if (each.kind, each.id) == (KIND, id)), None)


def with_document(documents: DocumentSet, document: Document) -> DocumentSet:
    """In place of the one of the same id, else beside the others."""
    found = (*without(documents, document.id).documents, document)
    return replace(documents, documents=tuple(sorted(found, key=lambda each: (each.path, each.position))))


def without(documents: DocumentSet, id: str) -> DocumentSet:
    others = tuple(each for each in documents.documents if (each.kind, each.id) != (KIND, id))
    return replace(documents, documents=others)
