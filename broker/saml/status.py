"""samlp:Status, in and out (saml-core 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence

from broker.saml import names
from broker.saml.canonical import Node, element
from broker.saml.names import samlp
from broker.saml.xml import Element


def status(codes: Sequence[str], message: str | None = None) -> Node:
    """``codes``: the top-level status, then those inside it."""
    inner: Node | None = None
    for code in reversed(codes):
        inner = element("samlp:StatusCode", {"Value": code}, inner)
    said = None if message is None else element("samlp:StatusMessage", None, message)
    return element("samlp:Status", None, inner, said)


def read_status(response: Element) -> tuple[str, ...]:
    """The status codes of a response, from the top-level one inwards."""
    found = []
    code = response.find(f"{samlp('Status')}/{samlp('StatusCode')}")
    while code is not None:
        found.append(code.get("Value", ""))
        code = code.find(samlp("StatusCode"))
    return tuple(found)


def is_success(codes: tuple[str, ...]) -> bool:
    return codes[:1] == (names.SUCCESS,)
