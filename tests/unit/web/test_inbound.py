"""What a browser sends: no name twice, bounded, and the client's address believed only from our own proxies."""

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request

from broker.errors import MalformedMessage
from broker.web.inbound import client_address, each_once, query_pairs

PROXIES = (ip_network("10.0.0.0/8"),)


def test_a_parameter_that_comes_twice_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="twice"):
        each_once((("state", "a"), ("state", "a")))


def test_empty_values_are_kept() -> None:
    assert query_pairs(make_mocked_request("GET", "/oidc/callback?code=&state=s")) == (("code", ""), ("state", "s"))


@pytest.mark.parametrize("query", ["a=%ff", "&".join(f"p{n}=1" for n in range(101))])
def test_what_is_no_form_is_refused(query: str) -> None:
    with pytest.raises(MalformedMessage):
        query_pairs(make_mocked_request("GET", f"/oidc/callback?{query}"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.7, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "not-an-address, 10.0.0.2", "not-an-address"),
    ],
)
def test_forwarded_addresses_are_believed_only_from_a_trusted_proxy(peer: str, forwarded: str, expected: str) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": forwarded} if forwarded else {})
    assert client_address(request.clone(remote=peer), PROXIES) == expected
