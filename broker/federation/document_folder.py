"""Files → documents: every YAML file of a folder, octet for octet, and the metadata files that the documents name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from broker.federation import yaml_text
from broker.federation.document_problems import problem
from broker.federation.document_types import (
    OUTSIDE,
    Document,
    DocumentErrors,
    DocumentSet,
    Problem,
    leads_out,
    metadata_path,
)

MAX_METADATA_OCTETS = 16 * 1024 * 1024
MAX_DOCUMENT_OCTETS = 64 * 1024 * 1024
_YAML = {".yaml", ".yml"}


def read_folder(folder: Path) -> DocumentSet:
    """Every ``*.yaml`` and ``*.yml`` in the folder and below, and the metadata files that they name.

    Files and folders whose name begins with a dot are passed over. Raises: DocumentErrors, of all files together.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    for path in _document_files(folder):
        try:
            documents += _read_file(path, path.relative_to(folder).as_posix())
        except DocumentErrors as errors:
            problems += errors.problems
    files: dict[str, bytes] = {}
    for document in documents:
        try:
            files |= _metadata_file(folder, document)
        except DocumentErrors as errors:
            problems += errors.problems
    if problems:
        raise DocumentErrors(tuple(sorted(problems)))
    return DocumentSet(documents=tuple(documents), files=files)


def _document_files(folder: Path) -> list[Path]:
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _YAML
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _read_file(path: Path, name: str) -> list[Document]:
    text = _decoded(path, name)
    try:
        parts = yaml_text.parts(text)
    except yaml_text.UnreadableYaml as error:
        raise DocumentErrors(
            tuple(Problem(path=name, line=each.line, field=each.field, message=each.message) for each in error.mistakes)
        ) from error
    documents, problems = [], []
    for position, part in enumerate(parts):
        if problem := _not_a_document(part, name):
            problems.append(problem)
            continue
        assert isinstance(part.body, dict)
        document = Document(
            kind=part.body["kind"],
            id=part.body["id"],
            path=name,
            position=position,
            line=part.line,
            text=part.text,
            body=part.body,
        )
        documents.append(document)
    if problems:
        raise DocumentErrors(tuple(problems))
    return documents


def _decoded(path: Path, name: str) -> str:
    def refused(message: str) -> DocumentErrors:
        return DocumentErrors((Problem(path=name, line=1, field="", message=message),))

    try:
        content = path.read_bytes()
    except OSError as error:
        raise refused(f"cannot be read: {type(error).__name__}") from error
    if len(content) > MAX_DOCUMENT_OCTETS:
        raise refused(f"is longer than {MAX_DOCUMENT_OCTETS} octets")
    if content.startswith(b"\xef\xbb\xbf"):
        raise refused("begins with a byte order mark: save it as UTF-8 without one")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentErrors((Problem(path=name, line=line, field="", message="is not UTF-8"),)) from error


def _not_a_document(part: yaml_text.Part, name: str) -> Problem | None:
    if part.body is None:
        return Problem(path=name, line=part.line, field="", message="is empty: remove the --- or write a document")
    if not isinstance(part.body, dict):
        return Problem(path=name, line=part.line, field="", message="must be keys with values: kind, id, …")
    for key in ("kind", "id"):
        value = part.body.get(key)
        if value is None:
            return Problem(path=name, line=part.line, field=key, message="is missing")
        if not isinstance(value, str):
            line = part.line + yaml_text.lines(part.text, [(key,)])[0]
            return Problem(path=name, line=line, field=key, message="must be text: write it in quotes")
    return None


def _metadata_file(folder: Path, document: Document) -> Mapping[str, bytes]:
    """The file that the document names, by its path in the folder; nothing when it names none.

    Raises: DocumentErrors, when it is outside the folder, missing or too long.
    """
    name = document.body.get("metadata")
    if not isinstance(name, str):
        return {}
    path = metadata_path(document, name)
    target = (folder / path).resolve()
    message = ""
    if leads_out(path) or not target.is_relative_to(folder.resolve()):
        message = OUTSIDE
    elif not target.is_file():
        message = f"there is no file {path} in the documents' folder"
    elif target.stat().st_size > MAX_METADATA_OCTETS:
        message = f"{path} is longer than {MAX_METADATA_OCTETS} octets"
    if message:
        raise DocumentErrors((problem(document, ("metadata",), message),))
    return {path: target.read_bytes()}
