"""SHA-1 is refused, unless an identity provider's registration allows it until a day that has not passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.saml import errors

TODAY = date(2026, 1, 15)


def answer(upstream: Any, tool: Any, **how: str) -> Any:
    draft = replace(upstream.draft, issue_instant=upstream.now)
    signed = tool.sign(
        draft.response(tool.sign(draft.assertion(), upstream.pairs["city"], **how)), upstream.pairs["city"]
    )
    return upstream.post(signed)


@pytest.mark.parametrize(
    "how", [{"algorithm": "rsa-sha1"}, {"digest": "sha1"}, {"algorithm": "rsa-sha1", "digest": "sha1"}]
)
def test_saml2int_SHA1_is_refused(upstream: Any, tool: Any, how: dict[str, str]) -> None:
    with pytest.raises(errors.SignatureInvalid) as refused:
        answer(upstream, tool, **how)
    assert refused.value.context["check"] == "signature_algorithm"


@pytest.mark.parametrize("how", [{"algorithm": "rsa-sha1"}, {"digest": "sha1"}])
def test_a_registration_allows_it_to_the_end_of_a_day(upstream: Any, tool: Any, how: dict[str, str]) -> None:
    upstream.idp = replace(upstream.idp, sha1_until=TODAY)
    with capture_logs() as logs:
        assert answer(upstream, tool, **how).subject == "pori-4711"
    assert [(each["event"], each["identity_provider"]) for each in logs] == [("saml.sha1_used", upstream.idp.id)]


def test_what_is_signed_better_is_not_told(upstream: Any) -> None:
    upstream.idp = replace(upstream.idp, sha1_until=TODAY)
    with capture_logs() as logs:
        assert upstream.answer().subject == "pori-4711"
    assert logs == []


def test_the_day_is_a_Finnish_one(upstream: Any, tool: Any) -> None:
    upstream.idp = replace(upstream.idp, sha1_until=date(2026, 1, 14))
    with pytest.raises(errors.SignatureInvalid):
        answer(upstream, tool, algorithm="rsa-sha1")
    # 23.30 of the 14th in UTC is the 15th in Helsinki.
    upstream.now = datetime(2026, 1, 14, 23, 30, tzinfo=UTC)
    with pytest.raises(errors.SignatureInvalid):
        answer(upstream, tool, algorithm="rsa-sha1")


@pytest.mark.parametrize("algorithm", ["rsa-md5", "hmac-sha256", "dsa-sha1"])
def test_no_registration_allows_anything_else(upstream: Any, tool: Any, algorithm: str) -> None:
    upstream.idp = replace(upstream.idp, sha1_until=TODAY)
    xml = upstream.signed(upstream.draft).replace("xmldsig-more#rsa-sha256", f"xmldsig-more#{algorithm}")
    with pytest.raises(errors.SignatureInvalid) as refused:
        upstream.post(xml)
    assert refused.value.context["check"] == "signature_algorithm"
