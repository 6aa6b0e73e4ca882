"""YAML documents ↔ the model: every complaint with file, line and field (promise P9).

``read_folder``: files → documents. ``build``: documents → the snapshot. This page is the door; behind it stand
``document_types.py`` (what a document is), ``yaml_text.py`` (text → values and lines), ``document_folder.py``,
``document_models.py`` (the shape of each kind), ``document_build.py`` and ``document_problems.py``.
Formats: FEDERATION.md in the reference documentation.
"""

from __future__ import annotations

import re
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
    ResolveSecret,
    SecretError,
    UnreadableMetadata,
)
from broker.keys.client_secrets import ClientSecrets
from broker.keys.keyring import KeyRingError

__all__ = [
    "Document",
    "DocumentErrors",
    "DocumentSet",
    "MetadataFacts",
    "Problem",
    "ReadMetadata",
    "ResolveSecret",
    "SecretError",
    "UnreadableMetadata",
    "build",
    "json_schemas",
    "read_folder",
    "secret_resolver",
]

_ENVIRONMENT, _FILE = "env:", "file:"


def secret_resolver(environment: Mapping[str, str], base: Path, generated: ClientSecrets) -> ResolveSecret:
    """``env:NAME`` → that variable; ``file:PATH`` → that file's content without the line's end, relative to ``base``;
    ``generated:NONCE`` → what is derived of it for its owner."""

    def resolve(reference: str, owner: str) -> str:
        if reference.startswith(_ENVIRONMENT):
            return _from_environment(reference.removeprefix(_ENVIRONMENT), environment)
        if reference.startswith(_FILE):
            return _from_file(base / reference.removeprefix(_FILE))
        if reference.startswith(models.GENERATED):
            return _generated(reference, owner, generated)
        raise SecretError("secrets are never written in: name it by env:NAME or file:PATH")

    return resolve


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name, "")
    if not value:
        raise SecretError(f"the environment variable {name} is not set")
    return value


def _from_file(path: Path) -> str:
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path} cannot be read: {type(error).__name__}") from error
    if not value:
        raise SecretError(f"{path} is empty")
    return value


def _generated(reference: str, owner: str, generated: ClientSecrets) -> str:
    if not owner:
        raise SecretError("only secrets of our own making are generated: name it by env:NAME or file:PATH")
    if not re.fullmatch(models.GENERATED_PATTERN, reference):
        raise SecretError("must be generated:NONCE, of 22 to 86 letters, digits, hyphens and underlines")
    try:
        return generated.of(owner, reference.removeprefix(models.GENERATED))
    except KeyRingError as error:
        raise SecretError(f"a generated secret needs the sealing key: {error}") from error


def json_schemas() -> Mapping[str, dict[str, Any]]:
    """The JSON Schema of each kind of document, for editors."""
    return {
        "organisation": TypeAdapter(models.OrganisationModel).json_schema(by_alias=True),
        "identity-provider": TypeAdapter(models.IdentityProviderModel).json_schema(by_alias=True),
        "service": TypeAdapter(models.ServiceModel).json_schema(by_alias=True),
        "agreement": TypeAdapter(models.AgreementModel).json_schema(by_alias=True),
    }
