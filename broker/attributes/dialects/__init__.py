"""Dialects: how each kind of identity provider names its attributes. One YAML file each, shipped as data.

A file holds: ``protocol``; ``ignore_case`` (of source names); ``attributes`` (canonical name → rule, in the words of an
identity provider's document); ``ignored`` (source name → why it is not mapped); ``overage`` (source name → the names that
come instead when it would be too long); ``contexts`` (sources whose values tell how the person logged in); ``policies``
(the named rules of ``attributes/entra.py``); ``quirks`` (of the product, unless the document names others:
``federation/quirks.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from broker.federation.model import AttributeRule, Protocol


class UnknownDialect(KeyError):
    """No dialect has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """``ignored`` has source names as they are compared."""

    name: str
    protocol: Protocol
    ignore_case: bool
    rules: Mapping[str, AttributeRule]
    ignored: Mapping[str, str]
    overage: Mapping[str, tuple[str, ...]]
    contexts: tuple[str, ...]
    policies: frozenset[str]
    quirks: frozenset[str]

    def fold(self, source: str) -> str:
        """A source name as it is compared."""
        return source.lower() if self.ignore_case else source

    def folded(self, attributes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """What the home sent, by names as they are compared."""
        if not self.ignore_case:
            return attributes
        found: dict[str, tuple[str, ...]] = {}
        for name, given in attributes.items():
            found[name.lower()] = found.get(name.lower(), ()) + given
        return found


@cache
def names() -> tuple[str, ...]:
    """Every dialect's name, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@cache
def load(name: str) -> Dialect:
    """Raises: UnknownDialect."""
    if name not in names():
        raise UnknownDialect(name)
    body = yaml.safe_load(resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    ignore_case: bool = body.get("ignore_case", False)
    return Dialect(
        name=name,
        protocol=Protocol(body["protocol"]),
        ignore_case=ignore_case,
        rules={attribute: _rule(attribute, rule) for attribute, rule in body["attributes"].items()},
        ignored={source.lower() if ignore_case else source: why for source, why in body.get("ignored", {}).items()},
        overage={source: tuple(instead) for source, instead in body.get("overage", {}).items()},
        contexts=tuple(body.get("contexts", ())),
        policies=frozenset(body.get("policies", ())),
        quirks=frozenset(body.get("quirks", ())),
    )


def _rule(attribute: str, body: Mapping[str, Any]) -> AttributeRule:
    return AttributeRule(
        attribute=attribute,
        sources=tuple([body["from"]] if isinstance(body["from"], str) else body["from"]),
        transforms=tuple(body.get("transforms", ())),
        split=body.get("split"),
    )
