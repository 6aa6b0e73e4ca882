"""about: what the broker tells partners of itself, from the settings and the texts of its pages."""

from __future__ import annotations

from broker.federation.model import LANGUAGES
from broker.saml.about import About, Logo
from broker.settings import Settings
from broker.web import i18n
from broker.web.headers import STATIC_PREFIX
from broker.web.refusals import N_

# Also at the foot of each page: base.html.
_DESCRIPTION = N_("%(federation)s joins the municipalities’ logins to the services they share.")
_LOGO_SIZE = 80


def about(settings: Settings) -> About:
    name = settings.federation_name
    said = {each: i18n.translations(each).gettext(_DESCRIPTION) % {"federation": name} for each in LANGUAGES}
    logo = Logo(url=f"{settings.base_url}{STATIC_PREFIX}mark.svg", width=_LOGO_SIZE, height=_LOGO_SIZE)
    return About(
        base_url=settings.base_url,
        name=name,
        description=said,
        information_url=settings.information_url,
        privacy_statement_url=settings.privacy_statement_url,
        logo=logo,
        operator=settings.operator,
    )
