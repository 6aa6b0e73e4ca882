"""Our own messages, written in exclusive canonical form from the start (xml-exc-c14n without comments).

What is hashed for a signature is then the text itself: nothing is parsed or canonicalised again to sign it. lxml and
xmlsec1 prove in the tests that the form is canonical.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from broker.saml.names import PREFIXES, XML

# What XML 1.0 cannot carry at all.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_IN_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})


@dataclass(frozen=True, slots=True)
class Rendered:
    """Canonical text of a whole element that declares its own prefix; it may stand where that prefix is not in use."""

    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """``name``: prefixed. ``attributes``: unprefixed names, or ``xml:lang``."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple[Child, ...]


Child = Node | Rendered | str


def element(name: str, attributes: Mapping[str, str | None] | None = None, *children: Child | None) -> Node:
    """An element; attributes and children that are None are left out."""
    given = ((key, value) for key, value in (attributes or {}).items() if value is not None)
    return Node(
        name=name,
        attributes=tuple(sorted(given, key=_order)),
        children=tuple(child for child in children if child is not None),
    )


def canonical(node: Node) -> str:
    """Raises: ValueError, for a character that XML cannot carry."""
    return "".join(parts(node))


def parts(node: Node) -> list[str]:
    """The canonical text in pieces: the start tag, each child, the end tag. Raises: ValueError."""
    pieces = _parts(node, frozenset())
    if any(_ILLEGAL.search(piece) for piece in pieces):
        raise ValueError("a character that XML cannot carry")
    return pieces


def _parts(node: Node, rendered: frozenset[str]) -> list[str]:
    prefix = node.name.partition(":")[0]
    declared = "" if prefix in rendered else f' xmlns:{prefix}="{PREFIXES[prefix]}"'
    inner = rendered | {prefix}
    written = "".join(f' {name}="{value.translate(_IN_ATTRIBUTE)}"' for name, value in node.attributes)
    return [
        f"<{node.name}{declared}{written}>",
        *(_child(child, inner) for child in node.children),
        f"</{node.name}>",
    ]


def _child(child: Child, rendered: frozenset[str]) -> str:
    if isinstance(child, str):
        return child.translate(_IN_TEXT)
    if isinstance(child, Rendered):
        return child.text
    return "".join(_parts(child, rendered))


def _order(attribute: tuple[str, str]) -> tuple[str, str]:
    """Canonical order: by namespace, then by name; those without a namespace come first."""
    prefix, _, local = attribute[0].rpartition(":")
    return (XML if prefix else "", local)
