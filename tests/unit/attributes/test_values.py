"""attributes.md 1.3–1.5, the validation columns of section 2, and section 3."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.attributes import municipalities, values
from broker.attributes.schema import ATTRIBUTES
from broker.attributes.values import InvalidValue


@pytest.mark.parametrize(
    ("check", "sent", "canonical"),
    [
        (values.text, "  Åsa Öberg\n", "Åsa Öberg"),
        (values.text, "A\u030asa", "Åsa"),
        (values.eppn, "Aino@PORI.FI", "Aino@pori.fi"),
        (values.eppn, "o'brien_x@pori.fi", "o'brien_x@pori.fi"),
        (values.subject_id, "aB1=-@Pori.fi", "aB1=-@pori.fi"),
        (values.scoped_affiliation, "Employee@PORI.fi", "employee@pori.fi"),
        (values.affiliation, "library-walk-in", "library-walk-in"),
        (values.person_type, "Office-Holder", "office-holder"),
        (values.mail, "Aino.Lindqvist@PORVOO.FI", "Aino.Lindqvist@porvoo.fi"),
        (values.mail, "info@hämeenlinna.fi", "info@xn--hmeenlinna-q5a.fi"),
        (values.phone, "+358 2 621 1100", "+35826211100"),
        (values.phone, "tel:+358-2-6211100", "+35826211100"),
        (values.language, "fi-FI", "fi"),
        (values.language, "sv_FI", "sv"),
        (values.language, "EN", "en"),
        (values.language, "se-FI", "se-FI"),
        (values.language, "zh-Hant-TW", "zh-Hant-TW"),
        (values.domain, "Pori.FI", "pori.fi"),
        (values.business_id, "0737546-2", "0737546-2"),
        (values.business_id, "07375462", "0737546-2"),
        (values.business_id, "737546-2", "0737546-2"),
        (values.municipality_code, "609", "609"),
        (values.municipality_code, "KU609", "609"),
        (values.municipality_code, "005", "005"),
        (values.national_id, "131052-308T", "131052-308T"),
        (values.employee_number, "A.1_2-3", "A.1_2-3"),
        (values.unit_code, "12/34", "12/34"),
        (values.personal_unique_code, "urn:schac:personalUniqueCode:fi:Pori.fi:123", "urn:schac:personalUniqueCode:fi:pori.fi:123"),
        (values.entitlement, "urn:geant:example.fi:group:A:role=b#pori.fi", "urn:geant:example.fi:group:A:role=b#pori.fi"),
        (values.assurance, "https://refeds.org/assurance/IAP/medium", "https://refeds.org/assurance/IAP/medium"),
    ],
)  # fmt: skip
def test_a_right_value_becomes_canonical(check: Callable[[str], str], sent: str, canonical: str) -> None:
    assert check(sent) == canonical


@pytest.mark.parametrize(
    ("check", "sent"),
    [
        pytest.param(values.text, "", id="empty"),
        pytest.param(values.text, " \n ", id="blank"),
        pytest.param(values.text, "a\x00b", id="control_c0"),
        pytest.param(values.text, "a\x85b", id="control_c1"),
        pytest.param(values.text, "a\u202eb", id="bidi_override"),
        pytest.param(values.text, "a\u2066b", id="bidi_isolate"),
        pytest.param(values.text, "a\u2028b", id="line_separator"),
        pytest.param(values.text, "a\ud800b", id="lone_surrogate"),
        pytest.param(values.text, "x" * 257, id="too_long"),
        pytest.param(values.short_text, "x" * 129, id="name_too_long"),
        pytest.param(values.eppn, "aino", id="eppn_without_scope"),
        pytest.param(values.eppn, "@pori.fi", id="eppn_without_user"),
        pytest.param(values.eppn, "ai no@pori.fi", id="eppn_with_blank"),
        pytest.param(values.eppn, "ai\u200bno@pori.fi", id="eppn_zero_width"),
        pytest.param(values.subject_id, "=a@pori.fi", id="subject_id_begins_with_equals"),
        pytest.param(values.subject_id, "a.b@pori.fi", id="subject_id_with_dot"),
        pytest.param(values.subject_id, "a" * 128 + "@pori.fi", id="subject_id_too_long"),
        pytest.param(values.scoped_affiliation, "boss@pori.fi", id="affiliation_unknown"),
        pytest.param(values.person_type, "mayor", id="person_type_unknown"),
        pytest.param(values.mail, "aino", id="mail_without_domain"),
        pytest.param(values.mail, "a..b@pori.fi", id="mail_two_dots"),
        pytest.param(values.mail, '"a b"@pori.fi', id="mail_quoted"),
        pytest.param(values.mail, "a@[192.0.2.1]", id="mail_address_literal"),
        pytest.param(values.mail, "a@localhost", id="mail_single_label"),
        pytest.param(values.mail, "ä@pori.fi", id="mail_non_ascii_local"),
        pytest.param(values.mail, "a@pori.fi\n", id="mail_trailing_newline"),
        pytest.param(values.mail, "a" * 65 + "@pori.fi", id="mail_local_too_long"),
        pytest.param(values.mail, "a@" + "b" * 300 + ".fi", id="mail_too_long"),
        pytest.param(values.phone, "040 123 4567", id="phone_national"),
        pytest.param(values.phone, "+123456789012345678", id="phone_too_long"),
        pytest.param(values.phone, "+358abc4567", id="phone_letters"),
        pytest.param(values.language, "suomi kieli", id="language_no_tag"),
        pytest.param(values.language, "f", id="language_too_short"),
        pytest.param(values.domain, "pori", id="domain_single_label"),
        pytest.param(values.domain, "рori.fi", id="domain_cyrillic"),
        pytest.param(values.domain, "-pori.fi", id="domain_begins_with_hyphen"),
        pytest.param(values.domain, "pori.fi\n", id="domain_trailing_newline"),
        pytest.param(values.municipality_code, "9", id="municipality_no_leading_zeros"),
        pytest.param(values.municipality_code, "999", id="municipality_unknown"),
        pytest.param(values.municipality_code, "198", id="municipality_artificial_198"),
        pytest.param(values.municipality_code, "199", id="municipality_artificial_199"),
        pytest.param(values.municipality_code, "200", id="municipality_artificial_200"),
        pytest.param(values.municipality_code, "６０９", id="municipality_fullwidth_digits"),
        pytest.param(values.employee_number, "1 2", id="employee_number_blank"),
        pytest.param(values.employee_number, "1" * 65, id="employee_number_too_long"),
        pytest.param(values.employee_number, "1\n", id="employee_number_trailing_newline"),
        pytest.param(values.personal_unique_code, "urn:schac:personalUniqueCode:se:a.se:1", id="unique_code_of_sweden"),
        pytest.param(values.entitlement, "admins", id="entitlement_no_uri"),
        pytest.param(values.entitlement, "https://a b", id="entitlement_blank"),
        pytest.param(values.assurance, "https://refeds.org/assurances", id="assurance_of_another_name"),
    ],
)
def test_a_wrong_value_is_refused_and_not_repeated(check: Callable[[str], str], sent: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check(sent)

    assert len(sent) < 8 or sent not in str(refusal.value)


@pytest.mark.parametrize("number", ["1234567-1", "1234562-0", "0737546-2"])
def test_section_3_vectors_of_valid_business_ids(number: str) -> None:
    assert values.business_id(number) == number


@pytest.mark.parametrize("digit", string.digits)
def test_section_3_a_remainder_of_1_has_no_check_digit(digit: str) -> None:
    with pytest.raises(InvalidValue):
        values.business_id(f"1234568-{digit}")


@given(body=st.integers(0, 9_999_999))
def test_section_3_exactly_one_check_digit_fits_or_none(body: int) -> None:
    remainder = sum(int(d) * w for d, w in zip(f"{body:07}", (7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    expected = [] if remainder == 1 else [(11 - remainder) % 11]

    assert [digit for digit in range(10) if _accepted(values.business_id, f"{body:07}-{digit}")] == expected


@pytest.mark.parametrize("sign", [*"+-", *"YXWVU", *"ABCDEF"])
def test_2_1_every_century_sign_of_a_national_id_since_2023(sign: str) -> None:
    assert values.national_id(f"131052{sign}308T") == f"131052{sign}308T"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("131052-308U", id="check_character"),
        pytest.param("310252-308Y", id="no_such_day"),
        pytest.param("131052G308T", id="no_such_sign"),
        pytest.param("010190-900R", id="temporary_person"),
        pytest.param("１３１０５２-308T", id="fullwidth_digits"),
    ],
)
def test_2_1_a_wrong_national_id_is_refused(code: str) -> None:
    with pytest.raises(InvalidValue):
        values.national_id(code)


def test_1_5_a_look_alike_scope_is_never_folded_into_a_registered_one() -> None:
    # U+212A, the Kelvin sign, is K to NFC and to lower().
    assert values.eppn("a@\u212aouvola.fi") != "a@kouvola.fi"
    assert values.scope_of(values.eppn("a@pori.fi@ulvila.fi")) == "pori.fi@ulvila.fi"


def test_the_classification_of_municipalities_is_dated_and_whole() -> None:
    assert municipalities.date() == "2026-01-01"
    assert len(municipalities.names()) == 308
    assert {code: municipalities.names()[code] for code in ("609", "886", "638", "109")} == {
        "609": "Pori",
        "886": "Ulvila",
        "638": "Porvoo",
        "109": "Hämeenlinna",
    }


@given(name=st.sampled_from(sorted(ATTRIBUTES)), value=st.text(max_size=400))
@settings(max_examples=400)
def test_a_check_raises_nothing_but_its_refusal_and_is_idempotent(name: str, value: str) -> None:
    check = ATTRIBUTES[name].validate
    try:
        canonical = check(value)
    except InvalidValue:
        return

    assert check(canonical) == canonical
    assert 0 < len(canonical) <= 256
    # A scope is whatever stands there: one that is nobody's refuses the whole login (attributes.md 7), not the value.
    checked = canonical.partition("@")[0] if ATTRIBUTES[name].scoped else canonical
    assert not any(unicodedata.category(each) in {"Cc", "Cs"} for each in checked)


def _accepted(check: Callable[[str], str], value: str) -> bool:
    try:
        check(value)
    except InvalidValue:
        return False
    return True
