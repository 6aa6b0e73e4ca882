"""The one hardened way from octets to a tree, and the helpers that read values from it.

Promise P1: no DTD, no entity, no network, no comment or processing instruction, no ID twice, sizes and depth bounded.
What was parsed here is the tree that is validated, verified and read; nothing is parsed a second time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from lxml import etree

from broker.saml import names

Element = etree._Element

MESSAGE_LIMIT = 256 * 1024
"""Octets of a protocol message, after inflation; real ones have 2 to 40 kB."""


class XmlRefused(Exception):
    """XML that is not read. ``code``: the check that failed. ``line``: where, 0 when not of one line."""

    code: ClassVar[str]

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class TooLarge(XmlRefused):
    code = "too_large"


class NotWellFormed(XmlRefused):
    code = "not_well_formed"


class DoctypeRefused(XmlRefused):
    code = "doctype"


class CommentRefused(XmlRefused):
    """A comment splits a value for some readers and not for others (CVE-2017-11427)."""

    code = "comment"


class DuplicateId(XmlRefused):
    """Two elements of one ID: the signed and the read one could differ."""

    code = "duplicate_id"


class NotValid(XmlRefused):
    """Breaks the OASIS schema."""

    code = "schema"


class BadValue(XmlRefused):
    """A value that the schema admits and we cannot read: a date outside the calendar, an element with children."""

    code = "value"


def parse(octets: bytes, limit: int = MESSAGE_LIMIT) -> Element:
    """The root element. UTF-8 only, whatever the XML declaration says. Raises: TooLarge, DoctypeRefused, NotWellFormed."""
    if len(octets) > limit:
        raise TooLarge(f"larger than {limit} octets")
    # Every document that reaches the parser is read as UTF-8, so this looks at what the parser will see.
    if b"<!DOCTYPE" in octets:
        raise DoctypeRefused("a DOCTYPE is not allowed", octets[: octets.index(b"<!DOCTYPE")].count(b"\n") + 1)
    try:
        return etree.fromstring(octets, _PARSER)
    except etree.XMLSyntaxError as error:
        raise NotWellFormed(f"not XML: {error.msg}", error.lineno or 0) from error


def parse_message(octets: bytes) -> Element:
    """A SAML protocol message: parsed, without comments, no ID twice, valid by the schema. Raises: XmlRefused."""
    root = parse(octets)
    check_message(root)
    return root


def check_message(root: Element) -> None:
    """``parse_message`` for a tree that is there already. Raises: CommentRefused, DuplicateId, NotValid."""
    refuse_comments(root)
    refuse_duplicate_ids(root)
    schema = _protocol_schema()
    if not schema.validate(root):
        error = schema.error_log.last_error  # type: ignore[attr-defined]  # the stubs leave the log empty
        # The error's own message quotes values, which must not reach a log (P7).
        raise NotValid(f"breaks the schema: {error.type_name}", error.line)


def refuse_comments(root: Element) -> None:
    """Raises: CommentRefused, also for a processing instruction."""
    found = next(root.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity), None)
    if found is not None:
        raise CommentRefused("comments and processing instructions are not allowed", line_of(found))


def refuse_duplicate_ids(root: Element) -> None:
    """Every attribute that XML Signature could take for an ID counts. Raises: DuplicateId."""
    seen: set[str] = set()
    for element in root.iter():
        for name in _ID_ATTRIBUTES:
            value = element.get(name)
            if value is None:
                continue
            if value in seen:
                raise DuplicateId("an ID comes twice", line_of(element))
            seen.add(value)


def text_of(element: Element) -> str:
    """The element's whole text, without the white space around it. Raises: BadValue, when it has children."""
    if len(element):
        raise BadValue(f"{local_name(element)} holds elements where text is expected", line_of(element))
    return (element.text or "").strip()


def child_text(element: Element, name: str) -> str | None:
    """The text of the first child of that qualified name; None when there is none. Raises: BadValue."""
    child = element.find(name)
    return None if child is None else text_of(child)


def is_true(value: str | None) -> bool:
    """An xs:boolean attribute; absent is false."""
    return value is not None and value.strip() in ("true", "1")


def number(text: str) -> int:
    """A non-negative integer that the schema has checked. Raises: BadValue, when no reasonable one is so long."""
    if len(text) > 20:
        raise BadValue("a number of too many digits")
    return int(text)


def line_of(element: Element) -> int:
    """0 when it was not read from a document."""
    line = element.sourceline
    return line if isinstance(line, int) else 0


def local_name(element: Element) -> str:
    return etree.QName(element).localname


def instant(text: str) -> datetime:
    """An xs:dateTime. saml-core 1.3.3: UTC; without a zone it is UTC as well. Raises: BadValue."""
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadValue("not a time") from error


def write_instant(moment: datetime) -> str:
    """``2026-01-31T10:00:00Z``; whole seconds, which every partner reads."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


_ID_ATTRIBUTES = ("ID", "Id", "id", f"{{{names.XML}}}id")

_PARSER = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    attribute_defaults=False,
    huge_tree=False,
    recover=False,
)


class _LocalSchemas(etree.Resolver):
    """Schemas import each other by addresses of oasis-open.org and w3.org: each is taken from pysaml2's files."""

    # The stubs forget the context, without which nothing can be resolved.
    def resolve(self, system_url: str, public_id: str, context: object) -> object:  # type: ignore[override]
        name = system_url.rsplit("/", 1)[-1]
        return self.resolve_string((_schema_folder() / name).read_bytes(), context, base_url=name)


def _schema_folder() -> Path:
    """Found without importing pysaml2, which the rest of the broker does not need."""
    spec = find_spec("saml2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "schemas"


def schema(namespaces: dict[str, str]) -> etree.XMLSchema:
    """The schema of these namespaces: namespace → pysaml2's file."""
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_LocalSchemas())
    imports = "".join(f'<xs:import namespace="{ns}" schemaLocation="{file}"/>' for ns, file in namespaces.items())
    text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text, parser, base_url="all.xsd"))


@cache
def _protocol_schema() -> etree.XMLSchema:
    return schema({names.SAMLP: "saml-schema-protocol-2.0.xsd"})
