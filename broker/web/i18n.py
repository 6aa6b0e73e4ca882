"""Languages: which one a person reads, the catalogues, and how a moment is written.

English texts stand in the templates and in ``refusals.py``; ``locales/`` holds the Finnish and Swedish catalogues, read as
they are, so that there is nothing to compile. To bring them up to date with the sources, at the top of the repository:

    pybabel extract -F broker/web/locales/babel.cfg -k N_ --no-location -o messages.pot broker/web
    pybabel update -i messages.pot -d broker/web/locales --no-fuzzy-matching --ignore-obsolete
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources

from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from broker.federation.model import HOME_ZONE, LANGUAGES

DEFAULT_LANGUAGE = "fi"
NAMES: Mapping[str, str] = {"fi": "Suomi", "sv": "Svenska", "en": "English"}

_HEADER_LIMIT = 512
_MOMENT = {"fi": "d.M.y 'klo' H.mm", "sv": "d.M.y 'kl.' H.mm", "en": "d MMM y 'at' H:mm"}


def choose_language(
    *, query: str = "", cookie: str = "", ui_locales: Sequence[str] = (), accept_language: str = ""
) -> str:
    """The first that names a language of ours: ``?lang=``, the cookie, the service's ``ui_locales``, Accept-Language.

    The cookie holds what the person chose on our own page; so it goes before what the service supposes.
    """
    wishes = (query, cookie, *ui_locales, *_accepted(accept_language))
    return next((found for wish in wishes if (found := _language_of(wish))), DEFAULT_LANGUAGE)


def _language_of(tag: str) -> str:
    """ "sv" for "sv-FI"; "" for a language that we have not (BCP 47)."""
    language = tag.strip().lower().partition("-")[0]
    return language if language in LANGUAGES else ""


def _accepted(header: str) -> list[str]:
    """RFC 9110 12.5.4: the tags of Accept-Language, most wanted first; those of weight 0 and the unreadable left out."""
    weighed = [
        (_weight(parameters), tag)
        for tag, _, parameters in (entry.partition(";") for entry in header[:_HEADER_LIMIT].split(","))
    ]
    # sorted() keeps the order of equals.
    return [tag for weight, tag in sorted(weighed, key=lambda each: -each[0]) if weight > 0]


def _weight(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if not name.strip():
        return 1.0
    try:
        weight = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of one of our languages; English is the sources' own."""
    if language == "en":
        return NullTranslations()
    source = resources.files("broker.web") / "locales" / language / "LC_MESSAGES" / "messages.po"
    compiled = io.BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def moment(when: datetime, language: str) -> str:
    """An aware time, as Finnish clocks show it: "20.11.2026 klo 9.14"."""
    return format_datetime(when, _MOMENT[language], tzinfo=HOME_ZONE, locale=language)
