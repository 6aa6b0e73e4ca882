"""The form or query that a city's answer comes in (saml-bindings 3.5.4, 3.6.3)."""

from __future__ import annotations

from collections.abc import Mapping

from broker.saml import bindings
from broker.saml.artifact import Artifact, read_artifact
from broker.saml.errors import UnreadableResponse


def read(fields: Mapping[str, str]) -> bytes | tuple[str, Artifact]:
    """The octets of the Response; or the artifact that stands for it, as it is written and what it says.

    Raises: UnreadableResponse.
    """
    if ("SAMLResponse" in fields) is ("SAMLart" in fields):
        raise UnreadableResponse("not either SAMLResponse or SAMLart", check="binding")
    try:
        bindings.checked_relay_state(fields.get("RelayState"))
        if "SAMLart" in fields:
            return fields["SAMLart"], read_artifact(fields["SAMLart"])
        return bindings.read_post(fields["SAMLResponse"])
    except bindings.BindingRefused as error:
        raise UnreadableResponse(str(error), check="binding") from error
