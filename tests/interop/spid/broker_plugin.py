"""Lets spid-sp-test send its Responses to a service provider that is not SPID's. Runs in that program's own environment.

It takes the audience from the Issuer's NameQualifier, which SPID alone demands: the plugin writes it into the copy of the
AuthnRequest that the program reads.
"""

from __future__ import annotations

from typing import Any

from lxml import etree
from spid_sp_test.authn_request import get_authn_request


class Plugin:
    def __init__(self, session: Any, url: str, *_: object) -> None:
        self._session = session
        self._url = url

    def request(self) -> dict[str, Any]:
        found: dict[str, Any] = get_authn_request(self._url, requests_session=self._session)
        request = etree.fromstring(found["SAMLRequest_xml"])
        issuer = request.find("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer")
        issuer.set("NameQualifier", issuer.text)
        return found | {"SAMLRequest_xml": etree.tostring(request)}

    def response(self, url: str, data: dict[str, Any]) -> Any:
        return self._session.post(url, data=data)
