"""The four faults: each refusal has a code of its own, says whose it is, and what each protocol is told."""

import re
from collections import Counter

import pytest

import broker.app  # every package's faults are known once the whole is put together
from broker.errors import BrokerFault, Fault, HomeIdpFault, ServiceFault, UserFault, fault_class

assert broker.app


def _all(base: type[Fault]) -> list[type[Fault]]:
    found = [base, *(each for child in base.__subclasses__() for each in _all(child))]
    return [each for each in found if "code" in vars(each)]


FAULTS = sorted(set(_all(Fault)), key=lambda each: each.code)


def test_no_two_faults_share_a_code() -> None:
    assert [code for code, times in Counter(each.code for each in FAULTS).items() if times > 1] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.code)
def test_each_fault_says_whose_it_is_and_what_is_told(fault: type[Fault]) -> None:
    assert issubclass(fault, (UserFault, ServiceFault, HomeIdpFault, BrokerFault))
    assert re.fullmatch(r"[a-z][a-z0-9_]*", fault.code)
    assert 400 <= fault.http_status < 600
    assert all(status.startswith("urn:oasis:names:tc:SAML:2.0:status:") for status in fault.saml_status)
    assert 1 <= len(fault.saml_status) <= 2
    assert re.fullmatch(r"[a-z_]+", fault.oauth_error)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.code)
def test_a_fault_is_found_again_by_its_code(fault: type[Fault]) -> None:
    assert fault_class(fault.code) is fault


def test_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        fault_class("no_such_code")
