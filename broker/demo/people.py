"""The demo's staff: who they are, what their home directory says of them, and what must come of each login.

Nobody here is real. ``refused`` is the truth that ``broker demo --check`` holds the broker to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PORI_DIRECTORY = "pori-adfs"
ULVILA_DIRECTORY = "ulvila-entra"
SHARED_WIKI = "shared-wiki"
MEETING_ROOMS = "meeting-rooms"

Texts = Mapping[str, str]
"""A text in ``en`` and ``fi``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """``id`` stands in the login page's links. ``directory``: the identity provider that holds the account.

    ``organisation``: whose staff this is. ``choose``: the organisation that the person chooses on the broker's page;
    another than ``organisation`` when one directory serves several. ``user_name``: the UPN. ``person_type``:
    attributes.md 2.4. ``refused``: fault code by service; a service that is not in it admits the person.
    """

    id: str
    given_name: str
    surname: str
    directory: str
    organisation: str
    choose: str
    user_name: str
    mail: str | None
    person_type: str
    employee_number: str
    role: Texts
    outcome: Texts
    mfa: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.surname}"


_ADMITTED_EVERYWHERE = {
    "en": "Gets in to both services.",
    "fi": "Pääsee kumpaankin palveluun.",
}
_ONLY_MEETING_ROOMS = {
    "en": "Gets in to the meeting rooms. The shared wiki admits employees only and refuses.",
    "fi": "Pääsee kokoushuoneisiin. Yhteinen wiki ottaa vain työntekijöitä eikä päästä sisään.",
}

PEOPLE: tuple[Person, ...] = (
    Person(
        id="aino-korhonen",
        given_name="Aino",
        surname="Korhonen",
        directory=PORI_DIRECTORY,
        organisation="pori",
        choose="pori",
        user_name="aino.korhonen@pori.fi",
        mail="aino.korhonen@pori.fi",
        person_type="employee",
        employee_number="10417",
        role={"en": "Employee, signs in with two factors", "fi": "Työntekijä, kirjautuu kahdella tunnisteella"},
        outcome=_ADMITTED_EVERYWHERE,
        mfa=True,
    ),
    Person(
        id="mikael-lindqvist",
        given_name="Mikael",
        surname="Lindqvist",
        directory=PORI_DIRECTORY,
        organisation="pori",
        choose="pori",
        user_name="ext.mikael.lindqvist@pori.fi",
        mail="ext.mikael.lindqvist@pori.fi",
        person_type="contractor",
        employee_number="90032",
        role={"en": "Contractor", "fi": "Palveluntuottaja"},
        outcome=_ONLY_MEETING_ROOMS,
        refused={SHARED_WIKI: "requirement_not_met"},
    ),
    Person(
        id="veikko-salo",
        given_name="Veikko",
        surname="Salo",
        directory=PORI_DIRECTORY,
        organisation="pori",
        choose="pori",
        user_name="veikko.salo@pori.fi",
        mail=None,
        person_type="employee",
        employee_number="10988",
        role={"en": "Employee without an e-mail address", "fi": "Työntekijä, jolla ei ole sähköpostia"},
        outcome={
            "en": "Is refused: both services require an e-mail address.",
            "fi": "Ei pääse: kumpikin palvelu vaatii sähköpostiosoitteen.",
        },
        refused={SHARED_WIKI: "required_attribute_missing", MEETING_ROOMS: "required_attribute_missing"},
    ),
    Person(
        id="helena-nieminen",
        given_name="Helena",
        surname="Nieminen",
        directory=PORI_DIRECTORY,
        organisation="harjavalta",
        choose="pori",
        user_name="helena.nieminen@harjavalta.fi",
        mail="helena.nieminen@harjavalta.fi",
        person_type="employee",
        employee_number="20051",
        role={
            "en": "Employee of Harjavalta, whose accounts are in Pori’s directory",
            "fi": "Harjavallan työntekijä; Harjavallan tunnukset ovat Porin hakemistossa",
        },
        outcome={
            "en": "Is refused: Harjavalta has not signed its agreement yet.",
            "fi": "Ei pääse: Harjavalta ei ole vielä allekirjoittanut sopimusta.",
        },
        refused={SHARED_WIKI: "no_agreement", MEETING_ROOMS: "no_agreement"},
    ),
    Person(
        id="juhani-makela",
        given_name="Juhani",
        surname="Mäkelä",
        directory=ULVILA_DIRECTORY,
        organisation="ulvila",
        choose="ulvila",
        user_name="juhani.makela@ulvila.fi",
        mail="juhani.makela@ulvila.fi",
        person_type="employee",
        employee_number="3107",
        role={"en": "Employee", "fi": "Työntekijä"},
        outcome=_ADMITTED_EVERYWHERE,
    ),
    Person(
        id="sofia-nystrom",
        given_name="Sofia",
        surname="Nyström",
        directory=ULVILA_DIRECTORY,
        organisation="ulvila",
        choose="ulvila",
        user_name="sofia.nystrom@ulvila.fi",
        mail="sofia.nystrom@ulvila.fi",
        person_type="office-holder",
        employee_number="3015",
        role={
            "en": "Office-holder, signs in with two factors",
            "fi": "Viranhaltija, kirjautuu kahdella tunnisteella",
        },
        outcome=_ADMITTED_EVERYWHERE,
        mfa=True,
    ),
    Person(
        id="oskari-lehto",
        given_name="Oskari",
        surname="Lehto",
        directory=ULVILA_DIRECTORY,
        organisation="ulvila",
        choose="ulvila",
        user_name="oskari.lehto@ulvila.fi",
        mail="oskari.lehto@ulvila.fi",
        person_type="elected-official",
        employee_number="3902",
        role={"en": "Elected official", "fi": "Luottamushenkilö"},
        outcome=_ONLY_MEETING_ROOMS,
        refused={SHARED_WIKI: "requirement_not_met"},
    ),
    Person(
        id="elina-virtanen",
        given_name="Elina",
        surname="Virtanen",
        directory=ULVILA_DIRECTORY,
        organisation="ulvila",
        choose="ulvila",
        user_name="elina.virtanen@pori.fi",
        mail="elina.virtanen@ulvila.fi",
        person_type="employee",
        employee_number="3240",
        role={
            "en": "Employee whose user name is in Pori’s domain",
            "fi": "Työntekijä, jonka käyttäjätunnus on Porin verkkotunnuksessa",
        },
        outcome={
            "en": "Is refused: Ulvila may not vouch for a user name at pori.fi.",
            "fi": "Ei pääse: Ulvila ei voi taata pori.fi-loppuista käyttäjätunnusta.",
        },
        refused={SHARED_WIKI: "foreign_scope", MEETING_ROOMS: "foreign_scope"},
    ),
)


def people_of(directory: str) -> tuple[Person, ...]:
    """The people whose accounts are in this identity provider's directory."""
    return tuple(person for person in PEOPLE if person.directory == directory)


def find_person(directory: str, person_id: str) -> Person | None:
    """None when that directory has no such person."""
    return next((person for person in people_of(directory) if person.id == person_id), None)
