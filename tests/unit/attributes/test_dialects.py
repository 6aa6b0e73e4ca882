"""attributes.md 5 and 7: every preset has a recorded sample of an invented person, and what must come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.attributes import dialects, transforms
from broker.attributes.mapping import map_attributes
from broker.attributes.schema import ATTRIBUTES, Origin
from broker.attributes.scope import hold_to_scopes
from broker.attributes.trace import TraceStep, Verdict
from broker.federation.model import Organisation

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("name", dialects.names())
def test_7_a_recorded_sample_becomes_the_canonical_record_byte_for_byte(
    name: str, pori: Organisation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    assertion = an_assertion({source: tuple(values) for source, values in sample["sent"].items()})

    record = hold_to_scopes(map_attributes(assertion, an_idp(name), trace), pori, trace)

    assert _bytes(record) == _bytes(sample["canonical"])
    unknown = [step.subject for step in trace if step.verdict is Verdict.NOT_MAPPED and "no rule" in step.note]
    assert unknown == sample["unknown"]


@pytest.mark.parametrize("name", dialects.names())
def test_p7_the_trace_of_a_sample_holds_no_value(
    name: str, pori: Organisation, trace: list[TraceStep], an_idp: Any, an_assertion: Any
) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    assertion = an_assertion({source: tuple(values) for source, values in sample["sent"].items()})

    hold_to_scopes(map_attributes(assertion, an_idp(name), trace), pori, trace)

    told = "\n".join(f"{step.subject}\n{step.rule}\n{step.note}" for step in trace)
    values = [value for values in sample["sent"].values() for value in values if len(value) > 8]
    assert [value for value in values if value in told] == []


@pytest.mark.parametrize("name", dialects.names())
def test_every_rule_makes_an_attribute_that_the_home_may_say(name: str) -> None:
    dialect = dialects.load(name)

    for rule in dialect.rules.values():
        assert ATTRIBUTES[rule.attribute].origin is not Origin.BROKER
        assert rule.attribute != "nationalId"
        assert rule.sources
        for transform in rule.transforms:
            transforms.find(transform)


def test_an_unknown_dialect_is_an_error() -> None:
    with pytest.raises(dialects.UnknownDialect):
        dialects.load("../adfs")


@given(
    name=st.sampled_from(dialects.names()),
    data=st.data(),
)
def test_mapping_never_raises_and_never_invents(name: str, data: st.DataObject, an_idp: Any, an_assertion: Any) -> None:
    dialect = dialects.load(name)
    sources = sorted({source for rule in dialect.rules.values() for source in rule.sources} | set(dialect.ignored))
    texts = st.one_of(st.text(max_size=30), st.from_regex(r"[a-z]{1,5}@(pori\.fi|ulvila\.fi)", fullmatch=True))
    sent = data.draw(
        st.dictionaries(st.one_of(st.sampled_from(sources), st.text()), st.lists(texts, max_size=4).map(tuple))
    )

    mapped = map_attributes(an_assertion(sent), an_idp(name), [])

    assert mapped.keys() <= ATTRIBUTES.keys()
    nothing = {"personType", "affiliationUnscoped"} if _is_guest(sent) else set()
    assert bool(mapped.keys() - nothing) <= any(value.strip() for values in sent.values() for value in values)
    for attribute, values in mapped.items():
        assert all(ATTRIBUTES[attribute].validate(value) == value for value in values)


def _is_guest(sent: dict[str, tuple[str, ...]]) -> bool:
    return bool(sent.get("idp")) or "1" in sent.get("acct", ())


def _bytes(record: object) -> bytes:
    return json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1).encode("utf-8")
