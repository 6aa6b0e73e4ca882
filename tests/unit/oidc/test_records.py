"""What is remembered between two steps comes back as it was, whatever a service or city wrote into it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.federation.model import OrganisationId, ServiceId
from broker.oidc.op import grants, reply
from broker.oidc.op.grants import AccessGrant, CodeGrant, LoginGrant, RefreshGrant
from broker.oidc.op.reply import Reply
from broker.oidc.rp import authorization_request
from broker.oidc.rp.authorization_request import Sent
from tests.unit.oidc.parties import NOW

words = st.text(max_size=8)
lists = st.lists(words, max_size=3).map(tuple)
claims = st.dictionaries(words, words | st.booleans() | st.lists(words, max_size=2), max_size=3)


@given(
    st.builds(
        Reply, redirect_uri=words, state=words | st.none(), nonce=words | st.none(), scopes=lists, essential_acr=lists
    )
)
@settings(max_examples=50)
def test_a_reply_is_remembered(found: Reply) -> None:
    assert reply.read(found.strings()) == found


def access_grant(**changes: Any) -> AccessGrant:
    good = {"id": "i", "scopes": (), "family": None, "confirmation": {}, "reference": "r", "userinfo": {}} | changes
    return AccessGrant(service=ServiceId("s"), issued_at=NOW, expires_at=NOW + timedelta(minutes=10), **good)


@given(userinfo=claims, id_token=claims, challenge=words | st.none(), scopes=lists)
@settings(max_examples=50)
def test_grants_are_remembered(
    userinfo: dict[str, object], id_token: dict[str, object], challenge: str | None, scopes: tuple[str, ...]
) -> None:
    login = LoginGrant(
        service=ServiceId("s"),
        organisation=OrganisationId("o"),
        scopes=scopes,
        until=NOW,
        answered_at=NOW,
        home_session=scopes,
        reference="r",
        person=challenge,
        id_token=id_token,
        userinfo=userinfo,
    )
    code = CodeGrant(redirect_uri="https://x", code_challenge=challenge, login=login, dpop_jkt=challenge)
    assert grants.read_code_grant(code.write()) == code
    refresh = RefreshGrant(family="f", login=login, key=challenge)
    assert grants.read_refresh_grant(refresh.write()) == refresh
    for each in (None, "f"):
        about = {"family": each, "actor": each, "parent": each, "person": each}
        access = access_grant(scopes=scopes, userinfo=userinfo, confirmation={"jkt": "k"}, **about)
        assert grants.read_access_grant(access.write()) == access


def test_a_request_to_a_city_is_remembered() -> None:
    for age in (None, timedelta(0), timedelta(minutes=5)):
        sent = Sent(issuer="https://x", nonce="n", code_verifier="v", sent_at=NOW, max_age=age)
        assert authorization_request.read(sent.strings()) == sent


def test_P7_nothing_that_opens_something_is_in_a_representation() -> None:
    sent = Sent(issuer="https://x", nonce="s3cret", code_verifier="s3cret", sent_at=NOW)
    access = access_grant(userinfo={"email": "s3cret"}, person="s3cret")
    assert "s3cret" not in f"{sent!r} {access!r}"
