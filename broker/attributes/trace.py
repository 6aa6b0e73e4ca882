"""TraceStep: one thing that was decided about a login, and by which rule. Holds names and verdicts, never values (P7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    MAPPED = "mapped"
    NOT_MAPPED = "not_mapped"
    DROPPED = "dropped"
    PASSED = "passed"
    FAILED = "failed"
    RELEASED = "released"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStep:
    """``stage``: map, scope, assurance, access, identifiers, release. ``subject``: the attribute or rule judged. ``rule``: which rule
    or source decided (a source attribute's name, a transform, a rule of access). ``note``: why, in words for an operator.
    """

    stage: str
    subject: str
    verdict: Verdict
    rule: str = ""
    note: str = ""


Trace = tuple[TraceStep, ...]


def members(trace: Trace) -> dict[str, object]:
    """As an audit record keeps them."""
    return {
        "trace": [
            {
                "stage": step.stage,
                "subject": step.subject,
                "verdict": step.verdict,
                "rule": step.rule,
                "note": step.note,
            }
            for step in trace
        ]
    }
