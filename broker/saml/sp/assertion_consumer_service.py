"""The form that a city's answer comes in (saml-bindings 3.5.4)."""

from __future__ import annotations

from collections.abc import Mapping

from broker.saml import bindings
from broker.saml.errors import UnreadableResponse


def read_post(form: Mapping[str, str]) -> tuple[str, bytes]:
    """RelayState, "" if there is none, and the octets of the Response. Raises: UnreadableResponse."""
    if "SAMLResponse" not in form:
        raise UnreadableResponse("no SAMLResponse", check="binding")
    try:
        octets = bindings.read_post(form["SAMLResponse"])
        return bindings.checked_relay_state(form.get("RelayState")) or "", octets
    except bindings.BindingRefused as error:
        raise UnreadableResponse(str(error), check="binding") from error
