"""What each page shows, as values: names and addresses, not yet in any language. ``pages.py`` turns them into HTML.

``here``, in every view, is the address that shows the same page again by GET: the language links add ``?lang=`` to it.
None: there is no such address (the page answers a POST, or shows itself once), so the page has no language links.

``monograms``: by organisation id, as ``monograms()`` makes them for the whole federation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.federation.model import Organisation, OrganisationId, Service, text_in

Monograms = Mapping[OrganisationId, str]

_VOWELS = frozenset("aeiouyåäö")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationChoice:
    """One organisation of the list. ``href``: the link that chooses it. A link, since it leaves our origin."""

    organisation: Organisation
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosePage:
    """The choice of the home organisation.

    ``choices`` come in no order. ``remembered`` is one of them, or None. ``hint_ignored``: the service named an
    organisation that is not among them. ``search``: what the person typed into one of the page's two search fields
    (``q`` or ``mail``); "" at first. ``here`` also takes the form that forgets the remembered choice, by POST.
    """

    service: Service
    owner: Organisation | None
    choices: tuple[OrganisationChoice, ...]
    here: str
    remembered: OrganisationChoice | None = None
    hint_ignored: bool = False
    search: str = ""
    monograms: Monograms = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPage:
    """Why a login was refused, or why there is no page here; what to do; whom to ask.

    ``code``, ``message_key`` and ``context`` are the fault's. ``reference``: "" when nothing was recorded. ``at``: aware
    UTC. ``organisation``: the home organisation, as far as known. ``again``: the link to the choice of organisation.
    ``back``: the link that tells the service.
    """

    code: str
    message_key: str
    at: datetime
    reference: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    organisation: Organisation | None = None
    service: Service | None = None
    owner: Organisation | None = None
    again: str | None = None
    back: str | None = None
    here: str | None = None
    monograms: Monograms = field(default_factory=dict)


class Forwarding(StrEnum):
    """What the POST carries: a person to the service, a refusal to the service, or a request to the person's city."""

    SIGNED_IN = "signed_in"
    RETURNED = "returned"
    TO_HOME = "to_home"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPage:
    """The page that lets the browser POST ``fields`` to ``action``. ``organisation``: the home organisation."""

    forwarding: Forwarding
    action: str
    fields: Mapping[str, str]
    service: Service
    organisation: Organisation | None = None
    monograms: Monograms = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPage:
    """What this is, for a person who came to the broker's own address."""

    here: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCodePage:
    """Asks for the code that a device shows. ``typed``: what no device shows; "" at first."""

    typed: str = ""
    here: str = "/device"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfirmPage:
    """Asks whether the device that shows this code is the person's. ``sign_in``: the link that says yes."""

    service: Service
    owner: Organisation | None
    user_code: str
    sign_in: str
    here: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEndPage:
    """What the device will be told, or was."""

    signed_in: bool
    here: str


def monograms(organisations: Iterable[Organisation]) -> Monograms:
    """Two letters for each: the first, and the next consonant that no earlier organisation has (in the order of ids)."""
    taken: set[str] = set()
    found: dict[OrganisationId, str] = {}
    for each in sorted(organisations, key=lambda organisation: organisation.id):
        candidates = list(_monograms_of(text_in(each.short_name, "fi") or text_in(each.name, "fi")))
        found[each.id] = next((one for one in candidates if one not in taken), candidates[0])
        taken.add(found[each.id])
    return found


def service_monogram(service: Service) -> str:
    """The initials of the id's words: ``shared-wiki`` is "Sw"; of one word, its first two letters."""
    words = [word for word in service.id.split("-") if word]
    letters = words[0][0] + words[1][0] if len(words) > 1 else service.id[:2]
    return letters.capitalize()


def _monograms_of(name: str) -> Iterator[str]:
    """Initial and a consonant, in order; then initial and a vowel; the initial alone, if there is nothing else."""
    letters = [letter for letter in unicodedata.normalize("NFC", name).lower() if letter.isalpha()] or ["–"]
    initial, rest = letters[0].upper(), letters[1:]
    yield from (initial + letter for letter in rest if letter not in _VOWELS)
    yield from (initial + letter for letter in rest if letter in _VOWELS)
    yield initial
