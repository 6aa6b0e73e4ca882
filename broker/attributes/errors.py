"""Refusals that only the attributes know of."""

from __future__ import annotations

from broker.errors import RESPONDER, SAML_STATUS, RequirementNotMet


class ContextNotMet(RequirementNotMet):
    """The city's login proves none of the authentication contexts that the service demanded (saml-core 3.3.2.2.1)."""

    code = "context_not_met"
    saml_status = (RESPONDER, SAML_STATUS + "NoAuthnContext")
