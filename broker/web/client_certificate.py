"""The certificate of a client's TLS connection, as the proxy where TLS ends passes it on in a header (RFC 9440, RFC 8705 6.5)."""

from __future__ import annotations

import binascii
import ssl
from base64 import b64decode
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import unquote

from aiohttp import web

from broker.errors import MalformedMessage
from broker.web.inbound import is_one_of


class ClientCertificateHeader:
    """``name``: of the header; "": nobody passes certificates on. It is believed of ``proxies`` alone."""

    def __init__(self, name: str, proxies: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self._name = name
        self._proxies = proxies

    def of(self, request: web.Request) -> bytes | None:
        """DER; None: the client showed none. Raises: MalformedMessage."""
        if not self._name or not is_one_of(request.remote or "", self._proxies):
            return None
        values = request.headers.getall(self._name, [])
        if len(values) > 1:
            raise MalformedMessage("the header of the client certificate comes twice")
        return read(values[0]) if values and values[0].strip() else None


def read(value: str) -> bytes:
    """RFC 9440's form (``:base64:``), or PEM in percent-encoding, as nginx and others write it. Raises: MalformedMessage."""
    text = value.strip()
    try:
        if text.startswith(":") and text.endswith(":"):
            return b64decode(text[1:-1], validate=True)
        return ssl.PEM_cert_to_DER_cert(unquote(text, errors="strict"))
    except (binascii.Error, ValueError) as error:
        raise MalformedMessage("the header of the client certificate cannot be read") from error
