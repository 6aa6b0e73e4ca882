"""Our own messages, written in exclusive canonical form from the start (xml-exc-c14n without comments).

What is hashed for a signature is then the text itself: nothing is parsed or canonicalised again to sign it. lxml and
xmlsec1 prove in the tests that the form is canonical.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from broker.saml.names import PREFIXES

# What XML 1.0 cannot carry at all.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_IN_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})
# Most values hold none of them, and looking is ten times cheaper than translating.
_SPECIAL = re.compile('[&<>"\t\n\r]')


@dataclass(frozen=True, slots=True)
class Rendered:
    """Canonical text of a whole element that declares its own prefix; it may stand where that prefix is not in use."""

    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """``name``: prefixed. ``prefixes``: those that the name and the attributes' names use, but for ``xml``, in order."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple[Child, ...]
    prefixes: tuple[str, ...]


Child = Node | Rendered | str


def element(name: str, attributes: Mapping[str, str | None] | None = None, *children: Child | None) -> Node:
    """An element; attributes and children that are None are left out."""
    given = [(key, value) for key, value in (attributes or {}).items() if value is not None]
    if len(given) > 1:
        given.sort(key=_order)
    prefixes: tuple[str, ...] = (name.partition(":")[0],)
    if any(":" in key for key, _ in given):
        foreign = {key.partition(":")[0] for key, _ in given if ":" in key} - {"xml"}
        prefixes = tuple(sorted({*prefixes, *foreign}))
    return Node(name, tuple(given), tuple(child for child in children if child is not None), prefixes)


def canonical(node: Node) -> str:
    """Raises: ValueError, for a character that XML cannot carry."""
    return "".join(parts(node))


def parts(node: Node) -> list[str]:
    """The canonical text in pieces: the start tag, each child, the end tag. Raises: ValueError."""
    inner = frozenset(node.prefixes)
    pieces = [_start_tag(node, _declarations(node.prefixes))]
    for child in node.children:
        written: list[str] = []
        _write(child, inner, written)
        pieces.append("".join(written))
    pieces.append(f"</{node.name}>")
    # Nothing that can be printed is illegal, and asking for that is the cheaper question.
    if any(not piece.isprintable() and _ILLEGAL.search(piece) for piece in pieces):
        raise ValueError("a character that XML cannot carry")
    return pieces


def _write(child: Child, rendered: frozenset[str], out: list[str]) -> None:
    """Appends the text of a child. ``rendered``: the prefixes that an element around it declares."""
    if isinstance(child, str):
        out.append(child.translate(_IN_TEXT) if _SPECIAL.search(child) else child)
    elif isinstance(child, Rendered):
        out.append(child.text)
    else:
        new = [each for each in child.prefixes if each not in rendered]
        if new:
            out.append(_start_tag(child, _declarations(new)))
            rendered = rendered.union(new)
        else:
            out.append(_start_tag(child, ""))
        for each in child.children:
            _write(each, rendered, out)
        out.append(f"</{child.name}>")


def _declarations(prefixes: Iterable[str]) -> str:
    return "".join([f' xmlns:{prefix}="{PREFIXES[prefix]}"' for prefix in prefixes])


def _start_tag(node: Node, declared: str) -> str:
    if not node.attributes:
        return f"<{node.name}{declared}>"
    written = "".join([f' {name}="{_attribute(value)}"' for name, value in node.attributes])
    return f"<{node.name}{declared}{written}>"


def _attribute(value: str) -> str:
    return value.translate(_IN_ATTRIBUTE) if _SPECIAL.search(value) else value


def _order(attribute: tuple[str, object]) -> tuple[str, str]:
    """Canonical order: by namespace, then by name; those without a namespace come first."""
    prefix, _, local = attribute[0].rpartition(":")
    return (PREFIXES[prefix] if prefix else "", local)
