"""Claims as texts, as VerifiedAssertion promises them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.oidc.rp.claim_texts import texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"name": "Åsa"}, {"name": ("Åsa",)}),
        ({"roles": ["a", "b"]}, {"roles": ("a", "b")}),
        ({"ok": True, "acct": 0}, {"ok": ("true",), "acct": ("0",)}),
        ({"realm_access": {"roles": ["a"]}}, {"realm_access.roles": ("a",)}),
        ({"_claim_names": {"groups": "src1"}}, {"_claim_names.groups": ("src1",)}),
        ({"list": [{"a": 1}, None, "x"]}, {"list": ('{"a": 1}', "x")}),
        ({"nothing": None, "none": [], "empty": {}}, {}),
        ({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, {"a.b.c.d.e": ('{"f": 1}',)}),
        ({"iss": "x", "aud": "y", "nonce": "z", "acr": "a", "amr": ["b"], "sid": "s"}, {}),
    ],
)
def test_claims_become_texts(claims: dict[str, object], found: dict[str, tuple[str, ...]]) -> None:
    assert texts(claims) == found


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
@settings(max_examples=100)
def test_whatever_json_comes_only_texts_leave_and_none_is_empty(claims: dict[str, object]) -> None:
    for values in texts(claims).values():
        assert values
        assert all(isinstance(value, str) for value in values)
