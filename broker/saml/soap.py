"""SOAP 1.1, as far as SAML needs it: one message in a body, in and out (saml-bindings 3.2).

Artifacts and back-channel logout travel in it, over HTTP from server to server.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.saml import names
from broker.saml.xml import Element, XmlRefused, check_message, line_of, local_name, parse, refuse_comments

CONTENT_TYPE = "text/xml; charset=utf-8"
ACTION = "http://www.oasis-open.org/committees/security"
"""The value of SOAPAction that saml-bindings 3.2.3.2 recommends; it is not looked at when it arrives."""

_ENVELOPE, _HEADER, _BODY, _FAULT = (f"{{{names.SOAP}}}{each}" for each in ("Envelope", "Header", "Body", "Fault"))
_MUST_UNDERSTAND = f"{{{names.SOAP}}}mustUnderstand"


class SoapRefused(XmlRefused):
    """Not one SAML message in a SOAP body."""

    code = "soap"


class SoapFault(SoapRefused):
    """The partner could not process what it was sent (saml-bindings 3.2.3.3)."""

    code = "soap_fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapAnswer:
    """What goes back over HTTP; an empty body has no content type."""

    status: int
    body: bytes = field(repr=False)


def wrap(message: str) -> bytes:
    """``message``: canonical text of an element that declares its own prefixes."""
    opening = f'<soap:Envelope xmlns:soap="{names.SOAP}"><soap:Body>'
    return f"{opening}{message}</soap:Body></soap:Envelope>".encode()


def fault(code: str, text: str) -> bytes:
    """``code``: Client or Server (SOAP 1.1, 4.4.1). ``text``: ours, for the partner's log."""
    return wrap(
        f'<soap:Fault xmlns:soap="{names.SOAP}"><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring>'
        "</soap:Fault>"
    )


def unwrap(octets: bytes) -> Element:
    """The message in the body, checked as any other; what stands around it is never read. Raises: XmlRefused."""
    envelope = parse(octets)
    refuse_comments(envelope)
    message = _only_child(_body(envelope))
    if message.tag == _FAULT:
        raise SoapFault("the partner answered by a SOAP fault", line_of(message))
    check_message(message)
    return message


def _body(envelope: Element) -> Element:
    if envelope.tag != _ENVELOPE:
        raise SoapRefused("not an Envelope of SOAP 1.1", line_of(envelope))
    *headers, body = list(envelope) or [envelope]
    if body.tag != _BODY or len(headers) > 1:
        raise SoapRefused("not at most one Header and then one Body", line_of(envelope))
    for header in headers:
        _check_header(header)
    return body


def _check_header(header: Element) -> None:
    """SOAP 1.1, 4.2.3: what must be understood and is not is refused."""
    if header.tag != _HEADER:
        raise SoapRefused(f"{local_name(header)} where a Header is expected", line_of(header))
    if any(block.get(_MUST_UNDERSTAND) in ("1", "true") for block in header):
        raise SoapRefused("a header that must be understood", line_of(header))


def _only_child(body: Element) -> Element:
    if len(body) != 1:
        raise SoapRefused(f"{len(body)} messages in the Body", line_of(body))
    return body[0]
