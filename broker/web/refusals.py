"""The texts of the refusal page: for each ``message_key`` of ``broker.errors``, what happened, what to do, who can mend it.

Names come in as placeholders. ``home`` is the person's organisation, ``place`` its short name, ``owner`` the service's
owner; with ``_s`` in the genitive, with a capital letter at the beginning of a sentence. A name that is not known is
replaced by plain words ("your organisation"), in Finnish the service's by nothing: so there a word for it goes before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for a text that is translated later
    return text


class Ask(Enum):
    """To whom the page gives a telephone number and a message with the reference code."""

    NOBODY = auto()
    HELP_DESK = auto()
    COORDINATOR = auto()
    OWNER = auto()


class Way(Enum):
    """What most people should do: the page's one filled button."""

    TRY_AGAIN = auto()
    WRITE = auto()
    START_AGAIN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Texts in English, as translators get them. ``about``: shown when the attribute in question is known."""

    title: str
    cause: str
    about: str = ""
    do: str
    who: str = ""
    ask: Ask = Ask.NOBODY
    way: Way


_LOOKS_AFTER_USER_DATA = N_("%(Home_s)s ICT help desk looks after your user data.")
_LOOKS_AFTER_LOGIN = N_("%(Home_s)s ICT help desk looks after the login service.")
_OWNER_MENDS = N_("%(Owner)s is responsible for the service and can put it right.")

REFUSALS: Mapping[str, Refusal] = {
    "home_unreachable": Refusal(
        title=N_("%(Place_s)s login is not answering"),
        cause=N_(
            "%(Home_s)s own login service gave no answer in time, or one that cannot be understood. "
            "The fault is not yours."
        ),
        do=N_("Wait a few minutes and try again. You do not need to do anything else."),
        who=_LOOKS_AFTER_LOGIN,
        ask=Ask.HELP_DESK,
        way=Way.TRY_AGAIN,
    ),
    "home_refused": Refusal(
        title=N_("%(Place_s)s login did not let you in"),
        cause=N_(
            "%(Home_s)s own login service ended the login. Perhaps it was cancelled, or your user name is not allowed "
            "here."
        ),
        do=N_("Try again. If you end here once more, ask your help desk and give them the reference code."),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.TRY_AGAIN,
    ),
    "home_answer_wrong": Refusal(
        title=N_("We cannot accept the answer of %(place_s)s login"),
        cause=N_(
            "%(Home_s)s login service answered, but the answer failed a check, so we did not use it. "
            "The fault is not yours."
        ),
        do=N_("Try again once. If this page comes back, tell your help desk and give them the reference code."),
        who=_LOOKS_AFTER_LOGIN,
        ask=Ask.HELP_DESK,
        way=Way.TRY_AGAIN,
    ),
    "foreign_scope": Refusal(
        title=N_("%(Place)s cannot vouch for this user name"),
        cause=N_(
            "%(Home_s)s login service sent a user name that ends with another organisation’s domain. Each organisation "
            "vouches only for its own, so the login stopped here."
        ),
        do=N_(
            "If you work for another organisation, choose that one. Otherwise tell your help desk and give them the "
            "reference code."
        ),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.WRITE,
    ),
    "organisation_undecided": Refusal(
        title=N_("We cannot tell which organisation you belong to"),
        cause=N_(
            "The login service holds the user names of several organisations, and its answer does not say which of them "
            "is yours."
        ),
        do=N_("Ask your help desk to add your organisation to your user data. Then sign in again."),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.WRITE,
    ),
    "subject_missing": Refusal(
        title=N_("Your user data lacks its permanent identifier"),
        cause=N_(
            "You signed in correctly, but %(home_s)s login did not pass on the identifier by which services know you "
            "the next time."
        ),
        do=N_("Tell your help desk and give them the reference code. Trying again does not help before they mend it."),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.WRITE,
    ),
    "service_status": Refusal(
        title=N_("%(Service)s is not in use"),
        cause=N_(
            "The service has not been opened yet, or it has been closed. While it is tested, only those whom its owner has "
            "named can sign in to it."
        ),
        do=N_("If you should have access, write to the owner of the service."),
        who=N_("%(Owner)s decides to whom the service is open."),
        ask=Ask.OWNER,
        way=Way.WRITE,
    ),
    "no_agreement": Refusal(
        title=N_("%(Place)s has no agreement on %(service)s yet"),
        cause=N_(
            "Nothing is wrong with your user name. But no co-operation agreement in force between %(home)s and "
            "%(owner)s covers this service."
        ),
        do=N_(
            "Tell your organisation’s coordinator what you need the service for. The message already holds the "
            "reference code."
        ),
        who=N_("%(Home_s)s coordinator and %(owner)s agree on it together."),
        ask=Ask.COORDINATOR,
        way=Way.WRITE,
    ),
    "requirement_not_met": Refusal(
        title=N_("%(Service)s sets a condition that this login does not meet"),
        cause=N_(
            "You signed in correctly. But the owner of the service has decided who uses it and how they sign in, and "
            "something in this login differs from that."
        ),
        about=N_("The condition is about this information: %(attribute)s."),
        do=N_("Ask your help desk whether your user data is right. If it is, ask the owner of the service."),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.WRITE,
    ),
    "mfa_not_proven": Refusal(
        title=N_("%(Service)s asks for a stronger login"),
        cause=N_(
            "You signed in, but %(home_s)s login did not tell that you used two factors, such as a password and a "
            "telephone."
        ),
        do=N_(
            "Try again, and use your second factor if you are asked for it. If you are not asked, ask your help desk to "
            "turn it on."
        ),
        who=_LOOKS_AFTER_LOGIN,
        ask=Ask.HELP_DESK,
        way=Way.TRY_AGAIN,
    ),
    "attribute_missing": Refusal(
        title=N_("Your user data lacks something that %(service)s needs"),
        cause=N_("You signed in correctly, but %(home_s)s login did not pass on one piece of information."),
        about=N_("What is missing: %(attribute)s."),
        do=N_("Ask your help desk to add it to your user data. Then sign in again."),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.WRITE,
    ),
    "attribute_missing.mail": Refusal(
        title=N_("Your work e-mail is missing"),
        cause=N_(
            "%(Service)s needs your e-mail address. You signed in correctly, but %(home_s)s login did not pass the "
            "address on."
        ),
        do=N_("Ask your help desk to add your e-mail address to your user data. Then sign in again."),
        who=_LOOKS_AFTER_USER_DATA,
        ask=Ask.HELP_DESK,
        way=Way.WRITE,
    ),
    "login_used": Refusal(
        title=N_("This login has already been used or has expired"),
        cause=N_(
            "A login works once, in one browser, and for 15 minutes. This usually happens after the browser’s Back "
            "button, or with a bookmark saved in the middle of signing in."
        ),
        do=N_("Start again from the service. If you want a bookmark, save the service’s own front page."),
        way=Way.START_AGAIN,
    ),
    "not_understood": Refusal(
        title=N_("We cannot read what your browser brought"),
        cause=N_("A message between a service and its login was cut off or changed on the way."),
        do=N_(
            "Start again from the service. If this page comes back, tell the service’s own support and give them the "
            "reference code."
        ),
        way=Way.START_AGAIN,
    ),
    "not_found": Refusal(
        title=N_("There is no page at this address"),
        cause=N_("The address may be mistyped, or it was part of a login that is over."),
        do=N_("To sign in, open the service that you want to use. It brings you here by itself."),
        way=Way.START_AGAIN,
    ),
    "unknown_service": Refusal(
        title=N_("We do not know this service"),
        cause=N_(
            "The service that sent you here has not joined %(federation)s, or its registration has ended. So we cannot "
            "sign you in to it."
        ),
        do=N_("Tell the service’s own support, and give them the reference code."),
        who=N_("The owner of the service can register it."),
        way=Way.START_AGAIN,
    ),
    "service_request_wrong": Refusal(
        title=N_("The service asked for the login in a wrong way"),
        cause=N_("Its request does not match its registration, so we passed nothing on. The fault is not yours."),
        do=N_(
            "Start again from the service. If this page comes back, tell the service’s own support and give them the "
            "reference code."
        ),
        who=_OWNER_MENDS,
        ask=Ask.OWNER,
        way=Way.START_AGAIN,
    ),
    "broker_unavailable": Refusal(
        title=N_("Signing in is not possible just now"),
        cause=N_("One of our own systems does not answer, and without it we let nobody in. The fault is not yours."),
        do=N_("Wait a few minutes and start again from the service."),
        way=Way.TRY_AGAIN,
    ),
    "unexpected": Refusal(
        title=N_("Something is broken here"),
        cause=N_("The login stopped because of a fault of ours, not of yours. It has been recorded."),
        do=N_(
            "Wait a few minutes and start again from the service. If this page comes back, tell your help desk and give "
            "them the reference code."
        ),
        way=Way.TRY_AGAIN,
    ),
}

_MAIL = N_("work e-mail address")
_NAME = N_("name")
_USER_NAME = N_("user name")
_AFFILIATION = N_("relation to the organisation (such as employee)")
_IDENTIFIER = N_("permanent identifier")

ATTRIBUTES: Mapping[str, str] = {
    "subjectId": _IDENTIFIER,
    "pairwiseId": _IDENTIFIER,
    "uniqueId": _IDENTIFIER,
    "previousSubjectId": _IDENTIFIER,
    "previousPairwiseId": _IDENTIFIER,
    "eppn": _USER_NAME,
    "employeeNumber": N_("employee number"),
    "personalUniqueCode": N_("employee number"),
    "nationalId": N_("personal identity code"),
    "givenName": N_("given name"),
    "surname": N_("family name"),
    "displayName": _NAME,
    "commonName": _NAME,
    "mail": _MAIL,
    "mailVerified": N_("a work e-mail address in the organisation’s own domain"),
    "mailLocalAddress": _MAIL,
    "phone": N_("work telephone number"),
    "preferredLanguage": N_("language"),
    "homeOrganization": N_("organisation’s domain"),
    "homeOrganizationType": N_("kind of organisation"),
    "organizationType": N_("kind of organisation"),
    "organizationName": N_("organisation’s name"),
    "businessId": N_("organisation’s business ID"),
    "municipalityCode": N_("municipality number"),
    "affiliation": _AFFILIATION,
    "affiliationUnscoped": _AFFILIATION,
    "externalAffiliation": _AFFILIATION,
    "personType": N_("role in the organisation"),
    "title": N_("job title"),
    "department": N_("department"),
    "departmentNumber": N_("department’s number"),
    "costCentre": N_("cost centre"),
    "entitlement": N_("access right"),
    "assurance": N_("how the identity was verified"),
}


def refusal_for(message_key: str, attribute: str = "") -> Refusal:
    """The texts for this key, those made for this attribute first. Raises: KeyError."""
    return REFUSALS.get(f"{message_key}.{attribute}") or REFUSALS[message_key]
