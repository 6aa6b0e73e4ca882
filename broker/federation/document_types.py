"""Documents, and what can be wrong with them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document as it stands in its file.

    ``path``: of the file, relative to the documents folder, with ``/``. ``position``: 0 for the first document of its
    file. ``line``: where it begins, from 1. ``text``: the exact text of the document. ``body``: the same, parsed; secrets
    are still references (``env:NAME``).
    """

    kind: str
    id: str
    path: str
    position: int
    line: int
    text: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSet:
    """A whole folder: its documents in the order of (path, position), and the metadata files that they name, by path."""

    documents: tuple[Document, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing wrong: ``path`` and ``line`` where, ``field`` (dotted) which, ``message`` what and what to do."""

    path: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class DocumentErrors(Exception):
    """Every problem of a folder at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UnreadableMetadata(Exception):
    """A SAML metadata file cannot be used; ``line`` within that file, 0 when not of one line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFacts:
    """What a SAML metadata file says, as far as documents depend on it. ``signs``: it has a key for signing; ``encrypts``: one
    for encryption; ``resolves_artifacts``: an ArtifactResolutionService by SOAP."""

    entity_id: str
    valid_until: datetime | None = None
    signs: bool = False
    encrypts: bool = False
    resolves_artifacts: bool = False


ReadMetadata = Callable[[bytes, Literal["idp", "sp"]], MetadataFacts]
"""Reads a metadata file and proves that it has a usable descriptor of that role.

``broker.saml.metadata`` has it; it is handed in, because the federation knows no SAML. Raises: UnreadableMetadata.
"""


class SecretError(Exception):
    """A reference to a secret leads to nothing. The message names the reference, never a secret."""


ResolveSecret = Callable[[str, str], str]
"""(reference, owner) → the secret. ``owner``: whose secret and which (``client_secret rooms``), for one that is generated; "":
of somebody else's making. Raises: SecretError."""


def metadata_path(document: Document, name: str) -> str:
    """Metadata is named relative to the document's own folder; here, relative to the documents' folder."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(document.path), name))


def leads_out(path: str) -> bool:
    return path.startswith(("/", "../")) or path == ".." or "\0" in path or "\\" in path


OUTSIDE = "must be in the documents' folder"
