"""attributes.md 5, "Entra ID, OIDC": one tenant, and tid/oid as the person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.errors import SubjectMissing
from broker.federation.model import SubjectRule
from broker.oidc.errors import WrongIssuer, WrongTenant
from broker.oidc.jose import SignedClaims
from broker.oidc.rp import id_token
from tests.unit.oidc.parties import CitySide

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ANOTHER = "11111111-86f1-41af-91ab-2d7cd011db47"


@pytest.fixture
async def tenant(home: CitySide) -> AsyncIterator[CitySide]:
    """A city whose issuer is of one tenant."""
    app = web.Application()
    app.add_subapp(f"/{TENANT}/v2.0", home.city.application())
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    home.city.issuer = str(server.make_url(f"/{TENANT}/v2.0"))
    yield home
    await server.close()


@pytest.mark.parametrize("tid", [TENANT, TENANT.upper()])
async def test_attributes_5_a_token_of_the_issuers_tenant_is_taken_and_tid_and_oid_are_the_person(
    tenant: CitySide, tid: str
) -> None:
    assert (await tenant.log_in(tid=tid)).subject == f"{tid}/object"


@pytest.mark.parametrize("tid", [None, "", ANOTHER, [TENANT], 1, f"{TENANT} ", "common"])
async def test_attributes_5_a_token_of_another_tenant_or_of_none_is_refused(tenant: CitySide, tid: object) -> None:
    with pytest.raises(WrongTenant):
        await tenant.log_in(tid=tid)
    assert f"/{TENANT}/v2.0/userinfo" not in tenant.city.paths()


async def test_attributes_5_tid_counts_only_where_it_is_signed(tenant: CitySide) -> None:
    tenant.city.userinfo = {"sub": "sub-1", "tid": TENANT}
    with pytest.raises(WrongTenant):
        await tenant.log_in(tid=None)


async def test_attributes_5_a_tenant_of_the_right_name_under_another_issuer_is_refused(tenant: CitySide) -> None:
    with pytest.raises(WrongIssuer):
        await tenant.log_in(iss=tenant.city.issuer.replace(TENANT, ANOTHER), tid=TENANT)


@pytest.mark.parametrize("oid", [None, "", 7])
async def test_attributes_5_without_oid_there_is_no_key_that_lasts(tenant: CitySide, oid: object) -> None:
    with pytest.raises(SubjectMissing) as caught:
        await tenant.log_in(tid=TENANT, oid=oid)
    assert "profile" in caught.value.detail


def test_attributes_5_oid_is_not_needed_where_the_registration_names_another_key(tenant: CitySide) -> None:
    idp = replace(tenant.city.identity_provider(), subject=SubjectRule(keyspace="hr", source="employeeid"))
    claims = SignedClaims({"sub": "sub-1", "tid": TENANT, "employeeid": "7"})
    assert id_token.assertion(idp, claims, {}, "").attributes["employeeid"] == ("7",)


async def test_attributes_5_another_product_that_names_a_realm_by_a_guid_is_not_held_to_tid(tenant: CitySide) -> None:
    registered: dict[str, Any] = {"dialect": "eduperson-oid"}
    assert (await tenant.log_in(registered=registered, tid=None, oid=None)).subject == "sub-1"
