"""YAML documents ↔ the model: every complaint with file, line and field (promise P9).

``read_folder``: files → documents. ``build``: documents → the snapshot. This page is the door; behind it stand
``document_types.py`` (what a document is), ``yaml_text.py`` (text → values and lines), ``document_folder.py``,
``document_models.py`` (the shape of each kind), ``document_build.py`` and ``document_problems.py``.
Formats: FEDERATION.md in the reference documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from broker.federation import document_models as models
from broker.federation.document_build import build
from broker.federation.document_folder import read_folder
from broker.federation.document_types import (
    Document,
    DocumentErrors,
    DocumentSet,
    MetadataFacts,
    Problem,
    ReadMetadata,
    SecretError,
    UnreadableMetadata,
)

__all__ = [
    "Document",
    "DocumentErrors",
    "DocumentSet",
    "MetadataFacts",
    "Problem",
    "ReadMetadata",
    "SecretError",
    "UnreadableMetadata",
    "build",
    "json_schemas",
    "read_folder",
    "resolve_secret",
]

_ENVIRONMENT, _FILE = "env:", "file:"


def resolve_secret(reference: str, environment: Mapping[str, str], base: Path) -> str:
    """``env:NAME`` → that variable; ``file:PATH`` → that file's content without the line's end, relative to ``base``.

    Raises: SecretError.
    """
    if reference.startswith(_ENVIRONMENT):
        name = reference.removeprefix(_ENVIRONMENT)
        value = environment.get(name, "")
        if not value:
            raise SecretError(f"the environment variable {name} is not set")
        return value
    if reference.startswith(_FILE):
        path = base / reference.removeprefix(_FILE)
        try:
            value = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SecretError(f"{path} cannot be read: {type(error).__name__}") from error
        if not value:
            raise SecretError(f"{path} is empty")
        return value
    raise SecretError("secrets are never written in: name it by env:NAME or file:PATH")


def json_schemas() -> Mapping[str, dict[str, Any]]:
    """The JSON Schema of each kind of document, for editors."""
    return {
        "organisation": TypeAdapter(models.OrganisationModel).json_schema(by_alias=True),
        "identity-provider": TypeAdapter(models.IdentityProviderModel).json_schema(by_alias=True),
        "service": TypeAdapter(models.ServiceModel).json_schema(by_alias=True),
        "agreement": TypeAdapter(models.AgreementModel).json_schema(by_alias=True),
    }
