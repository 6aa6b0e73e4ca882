"""What a browser or a client sends, read with limits: forms and queries in which no name comes twice."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import parse_qsl

from aiohttp import web

from broker.errors import MalformedMessage

BODY_LIMIT = 1024 * 1024
"""Octets of a request's body; the largest real one is a SAML Response of some ten kilobytes."""
_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"

Pairs = tuple[tuple[str, str], ...]


class BodyTooLarge(MalformedMessage):
    """More octets than any message needs."""

    code = "body_too_large"
    http_status = 413


async def form_pairs(request: web.Request) -> Pairs:
    """Raises: MalformedMessage, BodyTooLarge."""
    if request.content_type != _FORM:
        raise MalformedMessage("the body is not a form")
    return _pairs((await whole_body(request)).decode("utf-8", "surrogateescape"))


async def whole_body(request: web.Request) -> bytes:
    """Raises: BodyTooLarge."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge(f"over {BODY_LIMIT} octets") from error


def query_pairs(request: web.Request) -> Pairs:
    """Raises: MalformedMessage."""
    return _pairs(request.rel_url.raw_query_string)


def each_once(pairs: Pairs) -> Mapping[str, str]:
    """Raises: MalformedMessage, if a name comes twice: which of the two would be meant?"""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedMessage("a parameter comes twice")
    return fields


def client_address(request: web.Request, proxies: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """The nearest address that is not one of our proxies (X-Forwarded-For is read from its end, as far as it is ours)."""
    address = request.remote or ""
    for forwarded in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        if not forwarded.strip() or not is_one_of(address, proxies):
            break
        address = forwarded.strip()
    return address


def _pairs(text: str) -> Pairs:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError as error:
        raise MalformedMessage("not a form") from error
    return tuple(pairs)


def is_one_of(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)
