"""Checks of single values: each takes what the home sent and returns the canonical form, or says why it is refused.

attributes.md 1.3–1.5 and the columns "type, validation" of section 2. Patterns are full matches. A reason never holds
the value (promise P7).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection

from email_validator import EmailNotValidError, validate_email
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu, ytunnus

from broker.attributes import municipalities

Validator = Callable[[str], str]
"""From a value to its canonical form. Raises: InvalidValue."""

MAX_CHARACTERS = 256

AFFILIATIONS = frozenset(
    {"employee", "staff", "faculty", "student", "member", "affiliate", "alum", "library-walk-in"},
)
# attributes.md 2.4: what each Finnish municipal role is in eduPerson's words.
AFFILIATIONS_OF: dict[str, tuple[str, ...]] = {
    "employee": ("employee", "staff", "member"),
    "office-holder": ("employee", "staff", "member"),
    "teacher": ("employee", "faculty", "member"),
    "elected-official": ("affiliate",),
    "trainee": ("affiliate",),
    "contractor": ("affiliate",),
    "student": ("student", "member"),
    "guest": ("affiliate",),
}
ORGANIZATION_TYPES = frozenset(
    {
        "municipality",
        "joint-municipal-authority",
        "wellbeing-services-county",
        "municipal-company",
        "state",
        "other",
    }
)

_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBJECT_LEFT = re.compile(r"[A-Za-z0-9][A-Za-z0-9=-]{0,126}")
_EMPLOYEE_NUMBER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNIT_CODE = re.compile(r"[A-Za-z0-9._/-]{1,64}")
_UNIQUE_CODE = re.compile(r"(urn:schac:personalUniqueCode:fi:)([^:]+):([A-Za-z0-9._-]{1,64})", re.IGNORECASE)
_BUSINESS_ID = re.compile(r"([0-9]{6,7})-?([0-9])")
_MUNICIPALITY = re.compile(r"(?:KU)?([0-9]{3})")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TELEPHONE_PUNCTUATION = str.maketrans("", "", " -().\u00a0")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_RAF = "https://refeds.org/assurance"
# RFC 5646 2.1, langtag, without the grandfathered tags.
_LANGUAGE_TAG = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)


class InvalidValue(ValueError):
    """Why a value is not accepted; never the value itself."""


def text(value: str, limit: int = MAX_CHARACTERS) -> str:
    """NFC, trimmed, of 1 to ``limit`` characters, without what could mislead a reader (attributes.md 1.3)."""
    cleaned = unicodedata.normalize("NFC", value).strip()
    if not cleaned:
        raise InvalidValue("empty")
    if len(cleaned) > limit:
        raise InvalidValue(f"longer than {limit} characters")
    # isprintable: no control, format, separator, surrogate or unassigned character, and the only blank is the space.
    if not cleaned.isprintable():
        _refuse_misleading(cleaned)
    return cleaned


def short_text(value: str) -> str:
    return text(value, 128)


def eppn(value: str) -> str:
    """``left@scope``. The scope is judged by ``attributes/scope.py``: a foreign one refuses the login."""
    return _scoped(value, _plain)


def subject_id(value: str) -> str:
    """saml-subject-id-attr 3.3.1. The scope is judged by ``attributes/scope.py``."""
    return _scoped(value, _matching(_SUBJECT_LEFT, "not the syntax of subject-id"))


def affiliation(value: str) -> str:
    """An eduPerson affiliation; case does not matter (caseIgnoreMatch)."""
    return _one_of(AFFILIATIONS, value, "not an eduPerson affiliation")


def scoped_affiliation(value: str) -> str:
    return _scoped(value, affiliation)


def person_type(value: str) -> str:
    return _one_of(AFFILIATIONS_OF.keys(), value, "not a kind of person of the schema")


def organization_type(value: str) -> str:
    return _one_of(ORGANIZATION_TYPES, value, "not a kind of organisation of the schema")


def mail(value: str) -> str:
    """An RFC 5321 mailbox with an IDNA domain, which becomes its lower-case A-label.

    Stricter than the standard: no quoted local part, no address literal, and the local part is ASCII; no municipality
    uses them, and services misread them.
    """
    if len(value) > MAX_CHARACTERS:
        raise InvalidValue(f"longer than {MAX_CHARACTERS} characters")
    try:
        found = validate_email(
            value.strip(" "),
            allow_smtputf8=False,
            check_deliverability=False,
            globally_deliverable=False,
            strict=True,
        )
    except EmailNotValidError as error:
        raise InvalidValue("not an e-mail address") from error
    if found.ascii_domain is None or "." not in found.ascii_domain:
        raise InvalidValue("an e-mail address without a full domain")
    return f"{found.local_part}@{found.ascii_domain.lower()}"


def phone(value: str) -> str:
    """E.164: ``+`` and 7 to 15 digits. Blanks and punctuation of the written form are left out."""
    number = _plain(value.removeprefix("tel:"), blanks=True).translate(_TELEPHONE_PUNCTUATION)
    if not _E164.fullmatch(number):
        raise InvalidValue("not an international telephone number (E.164)")
    return number


def language(value: str) -> str:
    """BCP 47; every form of Finnish, Swedish and English becomes ``fi``, ``sv``, ``en``."""
    tag = _plain(value).replace("_", "-")
    if not _LANGUAGE_TAG.fullmatch(tag):
        raise InvalidValue("not a language tag (BCP 47)")
    primary = tag.partition("-")[0].lower()
    return primary if primary in {"fi", "sv", "en"} else tag


def domain(value: str) -> str:
    """A DNS name of at least two labels, lower-case, as A-labels."""
    lowered = _plain(value).lower()
    if not value.isascii() or not _DOMAIN.fullmatch(lowered):
        raise InvalidValue("not a domain name (an internationalised one must be written as xn--…)")
    return lowered


def business_id(value: str) -> str:
    """Y-tunnus: ``1234567-1``. Without a hyphen, or with six digits before it (old numbers), it is completed."""
    match = _BUSINESS_ID.fullmatch(_plain(value))
    if not match:
        raise InvalidValue("not a Y-tunnus: seven digits, a hyphen and a check digit")
    number = f"{match[1]:0>7}-{match[2]}"
    if not ytunnus.is_valid(number):
        raise InvalidValue("the check digit of the Y-tunnus is wrong")
    return number


def municipality_code(value: str) -> str:
    """Three digits of the current classification; ``KU609`` → ``609``. 198, 199 and 200 are not in it."""
    match = _MUNICIPALITY.fullmatch(_plain(value))
    if not match:
        raise InvalidValue("not a municipality number: three digits")
    if match[1] not in municipalities.names():
        raise InvalidValue(f"no municipality has this number in the classification of {municipalities.date()}")
    return match[1]


def national_id(value: str) -> str:
    """Henkilötunnus, with every century sign in use since 2023; not the numbers 900–999 of temporary persons."""
    code = _plain(value)
    if not code.isascii():
        raise InvalidValue("not a henkilötunnus")
    try:
        return hetu.validate(code)
    except ValidationError as error:
        raise InvalidValue("not a henkilötunnus") from error


def employee_number(value: str) -> str:
    return _matching(_EMPLOYEE_NUMBER, "not an employee number: letters, digits and . _ - only, at most 64")(value)


def unit_code(value: str) -> str:
    return _matching(_UNIT_CODE, "not a code: letters, digits and . _ / - only, at most 64")(value)


def personal_unique_code(value: str) -> str:
    """``urn:schac:personalUniqueCode:fi:{home-domain}:{code}``. The domain is judged by ``attributes/scope.py``."""
    match = _UNIQUE_CODE.fullmatch(_plain(value))
    if not match:
        raise InvalidValue("not the form urn:schac:personalUniqueCode:fi:{domain}:{code}")
    return f"urn:schac:personalUniqueCode:fi:{_lower_ascii(match[2])}:{match[3]}"


def entitlement(value: str) -> str:
    """An absolute URI, exact to the letter (caseExactMatch)."""
    return _matching(_URI, "not an absolute URI")(value)


def assurance(value: str) -> str:
    """A value of the REFEDS Assurance Framework."""
    uri = _matching(_URI, "not a URI")(value)
    if uri != _RAF and not uri.startswith(_RAF + "/"):
        raise InvalidValue("not a value of the REFEDS Assurance Framework")
    return uri


def boolean(value: str) -> str:
    return _one_of({"true", "false"}, value, "neither true nor false")


def scope_of(value: str) -> str:
    """What stands after the first ``@``: a second one makes it a scope that nobody has."""
    return value.partition("@")[2]


def _scoped(value: str, left_part: Validator) -> str:
    """``left@scope`` with the left part checked. The scope is only made lower-case, and only if it is ASCII: folding a
    look-alike letter (K, the Kelvin sign) would make a foreign scope equal to a registered one."""
    left, at, scope = value.strip(" ").partition("@")
    if not at:
        raise InvalidValue("has no @")
    joined = f"{left_part(left)}@{_lower_ascii(scope)}"
    if len(joined) > MAX_CHARACTERS:
        raise InvalidValue(f"longer than {MAX_CHARACTERS} characters")
    return joined


def _lower_ascii(value: str) -> str:
    return value.lower() if value.isascii() else value


def _plain(value: str, *, blanks: bool = False) -> str:
    """For identifiers and codes: no blank inside and no invisible character; only spaces around it are forgiven."""
    stripped = value.strip(" ")
    if not stripped:
        raise InvalidValue("empty")
    if len(stripped) > MAX_CHARACTERS:
        raise InvalidValue(f"longer than {MAX_CHARACTERS} characters")
    normalised = unicodedata.normalize("NFC", stripped)
    if blanks:
        normalised = normalised.replace("\u00a0", " ")
    if not normalised.isprintable() or (not blanks and " " in normalised):
        raise InvalidValue("holds a blank, control or invisible character")
    return normalised


def _matching(pattern: re.Pattern[str], otherwise: str) -> Validator:
    def check(value: str) -> str:
        plain = _plain(value)
        if not pattern.fullmatch(plain):
            raise InvalidValue(otherwise)
        return plain

    return check


def _one_of(allowed: Collection[str], value: str, otherwise: str) -> str:
    lowered = _plain(value).lower()
    if lowered not in allowed:
        raise InvalidValue(otherwise)
    return lowered


def _refuse_misleading(value: str) -> None:
    for character in value:
        category = unicodedata.category(character)
        if category == "Cc":
            raise InvalidValue("holds a control character")
        if "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069":
            raise InvalidValue("holds a bidirectional override")
        if category in {"Cs", "Zl", "Zp"}:
            raise InvalidValue("holds a character that is no text")
