"""The home organisation's own facts, in the shared schema: from the registry, never from an assertion.

attributes.md 1.6 and 2.3.
"""

from __future__ import annotations

from collections.abc import Mapping

from broker.attributes.schema import ORGANISATION_NAME
from broker.federation.model import LANGUAGES, Organisation, text_in

SCHAC_TYPE = "urn:schac:homeOrganizationType:int:other"
"""SCHAC has no type for municipalities and their companies."""


def facts(organisation: Organisation) -> Mapping[str, tuple[str, ...]]:
    """Canonical attributes of the organisation, each with at least one value.

    ``organizationName`` holds the name in every language that there is, Finnish first; beside it stands each other
    language under its own name (``organizationName#sv``).
    """
    names = [text for language in LANGUAGES if (text := organisation.name.get(language))]
    found: dict[str, tuple[str, ...]] = {
        "homeOrganization": organisation.scopes[:1],
        "homeOrganizationType": (SCHAC_TYPE,),
        "organizationType": _one(organisation.organization_type),
        ORGANISATION_NAME: tuple(dict.fromkeys([text_in(organisation.name, LANGUAGES[0]), *names])),
        "businessId": _one(organisation.business_id),
        "municipalityCode": _one(organisation.municipality_code),
    }
    for language in LANGUAGES[1:]:
        found[f"{ORGANISATION_NAME}#{language}"] = _one(organisation.name.get(language))
    return {name: given for name, given in found.items() if given}


def _one(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()
