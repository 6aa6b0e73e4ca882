"""A city's answer as a sample, for the dry run of a login that has not happened. Nothing of it is verified: nobody logs in by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from broker.errors import HomeAnswerInvalid
from broker.federation.model import IdentityProvider
from broker.login.identity import VerifiedAssertion
from broker.saml.encryption import DecryptionRefused
from broker.saml.names import saml
from broker.saml.sp.assertion import Expected, attributes, subject_key
from broker.saml.xml import Element, XmlRefused, child_text, instant, parse, refuse_comments, text_of


class SampleUnusable(Exception):
    """What was given is not a SAML assertion that can be read. The text says what to do."""


def read(octets: bytes, idp: IdentityProvider, sp_entity_id: str) -> VerifiedAssertion:
    """``octets``: a Response, or its Assertion alone, in the clear. Raises: SampleUnusable."""
    try:
        root = parse(octets)
        refuse_comments(root)
        return _read(_assertion(root), idp, sp_entity_id)
    except XmlRefused as error:
        place = f", line {error.line}" if error.line else ""
        raise SampleUnusable(f"not readable{place}: {error}") from error
    except DecryptionRefused as error:
        raise SampleUnusable("a part of it is encrypted; take it in the clear, from the city's own log") from error
    except HomeAnswerInvalid as fault:
        raise SampleUnusable(f"{fault.code}: {fault.detail}") from fault


def _assertion(root: Element) -> Element:
    found = root if root.tag == saml("Assertion") else root.find(f".//{saml('Assertion')}")
    if found is not None:
        return found
    if root.find(f".//{saml('EncryptedAssertion')}") is not None:
        raise SampleUnusable("the assertion is encrypted; take it in the clear, from the city's own log")
    raise SampleUnusable("there is no Assertion of SAML 2.0 in it")


def _read(assertion: Element, idp: IdentityProvider, sp_entity_id: str) -> VerifiedAssertion:
    expected = _whoever(idp, sp_entity_id)
    statement = assertion.find(saml("AuthnStatement"))
    context = None if statement is None else statement.find(saml("AuthnContext"))
    at = None if statement is None else statement.get("AuthnInstant")
    return VerifiedAssertion(
        idp=idp.id,
        subject=subject_key(assertion.find(f"{saml('Subject')}/{saml('NameID')}"), expected),
        attributes=attributes(assertion, expected),
        authn_instant=None if at is None else instant(at),
        authn_context=None if context is None else child_text(context, saml("AuthnContextClassRef")),
        authenticating_authorities=()
        if context is None
        else tuple(text_of(each) for each in context.iterfind(saml("AuthenticatingAuthority"))),
    )


def _whoever(idp: IdentityProvider, sp_entity_id: str) -> Expected:
    """Whose it would be. Nothing that has to do with signatures and time is looked at."""
    return Expected(
        idp=idp.id,
        idp_entity_id=idp.entity_id,
        signing_keys=(),
        sp_entity_id=sp_entity_id,
        acs="",
        request_id="",
        decryption_keys=(),
        now=datetime.max.replace(tzinfo=UTC),
        skew=timedelta(0),
    )
