"""What recent logins had, by identity provider: how many there were, and which rules found something. Names, never values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from broker.audit.events import AuditEvent

Rules = Mapping[tuple[str, str], int]
"""(canonical attribute, source) → in how many logins the source had a value that passed."""


def seen(logins: Iterable[AuditEvent]) -> Mapping[str, tuple[int, Rules]]:
    """By identity provider: the logins whose answer was mapped, and their rules."""
    counts: Counter[str] = Counter()
    rules: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for login in logins:
        mapped = _mapped(login)
        if mapped is not None:
            counts[login.identity_provider] += 1
            rules[login.identity_provider].update(mapped)
    return {idp: (counts[idp], rules[idp]) for idp in counts}


def _mapped(login: AuditEvent) -> set[tuple[str, str]] | None:
    """None: the login ended before anything was mapped."""
    trace: Any = login.detail.get("trace", ())
    steps = [step for step in trace if step.get("stage") == "map"]
    if not steps:
        return None
    return {(step["subject"], step["rule"]) for step in steps if step.get("verdict") == "mapped"}
