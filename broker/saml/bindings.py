"""HTTP-Redirect and HTTP-POST, in and out (saml-bindings 3.4 and 3.5)."""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from broker.saml import names
from broker.saml.signature import Signer
from broker.saml.xml import MESSAGE_LIMIT

RELAY_STATE_LIMIT = 1024
"""Octets of a service's RelayState. saml-bindings 3.4.3 says 80, which many products exceed."""
_LINE_BREAKS = str.maketrans("", "", "\r\n")
_SIGNATURE_PARAMETERS = ("SigAlg", "Signature")
_SIG_ALG = quote(names.RSA_SHA256, safe="")


class BindingRefused(Exception):
    """The message cannot be taken out of its binding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detached:
    """A signature beside the message: ``octets`` are what it covers, as they were received."""

    octets: bytes
    algorithm: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message out of its binding. ``other``: the query's other parameters, for the endpoint."""

    octets: bytes
    relay_state: str | None
    detached: Detached | None
    other: dict[str, str]


def read_redirect(raw_query: str, name: str) -> Received:
    """``raw_query``: as it was sent, not decoded. ``name``: SAMLRequest or SAMLResponse. Raises: BindingRefused."""
    raw = _raw_parameters(raw_query)
    values = {each: _decoded(value) for each, value in raw.items()}
    if name not in values:
        raise BindingRefused(f"no {name}")
    if values.get("SAMLEncoding", names.DEFLATE) != names.DEFLATE:
        raise BindingRefused("an encoding other than DEFLATE")
    taken = {name, "RelayState", "SAMLEncoding", *_SIGNATURE_PARAMETERS}
    return Received(
        octets=_inflated(strict_base64(values[name])),
        relay_state=checked_relay_state(values.get("RelayState")),
        detached=_detached(raw, values, name),
        other={each: value for each, value in values.items() if each not in taken},
    )


def read_query(raw_query: str) -> dict[str, str]:
    """The parameters of the address to which a message was posted. Raises: BindingRefused."""
    return {name: _decoded(value) for name, value in _raw_parameters(raw_query).items()}


def write_redirect(location: str, name: str, message: str, relay_state: str | None, signer: Signer) -> str:
    """The address to send the browser to, with the signed message in its query."""
    relay = "" if relay_state is None else f"&RelayState={quote(relay_state, safe='')}"
    query = f"{name}={_quoted_base64(_deflated(message))}{relay}&SigAlg={_SIG_ALG}"
    signature = _quoted_base64(signer.detached(query.encode("ascii")))
    return f"{location}{'&' if '?' in location else '?'}{query}&Signature={signature}"


def write_artifact(location: str, artifact: str, relay_state: str | None) -> str:
    """saml-bindings 3.6.3.1: the address to send the browser to, with the artifact in its query."""
    relay = "" if relay_state is None else f"&RelayState={quote(relay_state, safe='')}"
    return f"{location}{'&' if '?' in location else '?'}SAMLart={quote(artifact, safe='')}{relay}"


def read_post(value: str) -> bytes:
    """The form's SAMLRequest or SAMLResponse. Raises: BindingRefused."""
    if len(value) > 2 * MESSAGE_LIMIT:
        raise BindingRefused("too large")
    # Many products break base64 into lines of 76.
    return strict_base64(value.translate(_LINE_BREAKS))


def write_post(message: str) -> str:
    return b64encode(message.encode("utf-8")).decode("ascii")


def checked_relay_state(value: str | None) -> str | None:
    """Raises: BindingRefused."""
    if value is None:
        return None
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise BindingRefused("RelayState is not UTF-8") from error
    if size > RELAY_STATE_LIMIT:
        raise BindingRefused(f"RelayState has more than {RELAY_STATE_LIMIT} octets")
    return value


def _raw_parameters(raw_query: str) -> dict[str, str]:
    """Name → value, still encoded. Two parameters of one name, however it is spelt, are refused: which one counts?"""
    found: dict[str, str] = {}
    for pair in raw_query.split("&"):
        if not pair:
            continue
        encoded, _, value = pair.partition("=")
        name = _decoded(encoded)
        if name in found:
            raise BindingRefused("a parameter comes twice")
        found[name] = value
    return found


def _decoded(value: str) -> str:
    try:
        return unquote_plus(value, errors="strict")
    except UnicodeDecodeError as error:
        raise BindingRefused("a parameter is not UTF-8") from error


def _detached(raw: dict[str, str], values: dict[str, str], name: str) -> Detached | None:
    """saml-bindings 3.4.4.1: over the message, RelayState and SigAlg, in this order, as they were encoded by the sender."""
    if not any(each in raw for each in _SIGNATURE_PARAMETERS):
        return None
    if not all(each in raw for each in _SIGNATURE_PARAMETERS):
        raise BindingRefused("SigAlg and Signature come together")
    signed = "&".join(f"{each}={raw[each]}" for each in (name, "RelayState", "SigAlg") if each in raw)
    return Detached(
        octets=signed.encode("utf-8", "surrogateescape"),
        algorithm=values["SigAlg"],
        signature=strict_base64(values["Signature"].translate(_LINE_BREAKS)),
    )


def strict_base64(value: str) -> bytes:
    """Raises: BindingRefused."""
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BindingRefused("not base64") from error


def _inflated(octets: bytes) -> bytes:
    """At most one octet over the limit is ever made, however much is packed in."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(octets, MESSAGE_LIMIT + 1)
    except zlib.error as error:
        raise BindingRefused("not DEFLATE") from error
    if len(found) > MESSAGE_LIMIT:
        raise BindingRefused("too large")
    if not inflater.eof or inflater.unused_data:
        raise BindingRefused("not DEFLATE, or more than that")
    return found


def _deflated(message: str) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(message.encode("utf-8")) + deflater.flush()


def _quoted_base64(octets: bytes) -> str:
    """As ``quote`` would: these three characters are the only ones of base64 that a query may not hold."""
    return b64encode(octets).decode("ascii").replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
