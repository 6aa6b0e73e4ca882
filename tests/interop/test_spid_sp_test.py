"""spid-sp-test, the Italian federation's checks of service providers, by its profile for generic SAML.

Whatever it finds and is not listed here, with the reason why it is SPID's own rule, turns the test red; so does what is listed
and found no more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.saml.names import BINDING_POST, BINDING_REDIRECT
from tests.bench.processes import environment_of, free_port, run_once, serving

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".venv-spid-sp-test" / "bin" / "spid_sp_test"
HERE = Path(__file__).parent / "spid"
STATE = "memory://"

METADATA = {
    # A city that has no other stable key needs the persistent one.
    "The NameIDFormat MUST be urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "One or more SingleLogoutService elements MUST be present",
    # HTTP-Artifact is offered as well.
    f"The Binding attribute MUST be one of [{BINDING_POST}, {BINDING_REDIRECT}]",
    # Ours are Finnish, Swedish and English.
    "The elements OrganizationName, OrganizationDisplayName and OrganizationURL MUST have at least an it language enabled",
    # Ours have the names of attributes.md.
    'The "mail" attribute in RequestedAttribute element MUST be valid',
}
AUTHN_REQUEST = {
    # Issuer and NameIDPolicy: saml-core asks for neither Format nor NameQualifier.
    "The Format attribute MUST be present",
    "The Format attribute MUST have a value",
    "The Format attribute MUST be urn:oasis:names:tc:SAML:2.0:nameid-format:entity",
    "The Format attribute MUST be urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "The NameQualifier attribute MUST be present",
    "The NameQualifier attribute MUST have a value",
    "The AllowCreate attribute MUST not be present",
    # There is one set of attributes, and no level is demanded unless the service does.
    "The AttributeConsumingServiceIndex attribute MUST be present",
    "Only one RequestedAuthnContext element MUST be present",
}
RESPONSES: Mapping[str, str] = {
    "3": "the Response's signature covers the assertion (saml-core 5.3)",
    "14": "InResponseTo says which request is answered, not the time; SAML has no such rule",
    "39": "the same, of the assertion",
    "43": "the person's key is an attribute here (`subject`); no NameID is needed",
    "44": "the same",
    "45": "the same, of its Format",
    "46": "the same",
    "47": "the same",
    "48": "the same, of its NameQualifier",
    "49": "the same",
    "71": "an Issuer without Format is an entity (saml-core 2.2.5)",
    "76": "NotBefore is optional (saml-core 2.5.1)",
    "92": "no level was demanded, and none is claimed",
    "97": "no level was demanded",
}
"""The Responses that the program wants refused and the broker rightly takes, with the reason."""

_DOCUMENTS = """\
kind: organisation
id: pori
name: {fi: Pori}
scopes: [pori.fi]
contacts: [{role: technical, email: yllapito@pori.example}]
---
kind: identity-provider
id: spid
protocol: saml
organisations: [pori]
metadata: idp.xml
dialect: eduperson-oid
subject: {keyspace: spid, from: spidCode}
---
kind: service
id: wiki
protocol: saml
owner: pori
name: {en: Wiki}
metadata: service.xml
unsolicited: true
attributes: [{name: mail, purpose: {en: Notifications}}]
status: production
"""
_SERVICE = """\
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://wiki.example">
  <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
      Location="https://wiki.example/acs" index="0"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
"""


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The broker, and the program as its only city."""
    assert PROGRAM.exists(), "spid-sp-test is not installed: `make setup` installs it"
    with _broker(tmp_path_factory.mktemp("spid")) as base:
        yield base


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    documents = folder / "documents"
    documents.mkdir()
    metadata = subprocess.run([PROGRAM, "--idp-metadata"], check=True, capture_output=True, text=True).stdout
    # By POST: the program knows the status 302 of a redirect, and not 303.
    by_post = re.sub("<[^>]*SingleSignOnService[^>]*HTTP-Redirect[^>]*>", "", metadata)
    (documents / "idp.xml").write_text(by_post, "utf-8")
    (documents / "service.xml").write_text(_SERVICE, "utf-8")
    (documents / "federation.yaml").write_text(_DOCUMENTS, "utf-8")
    base = f"http://127.0.0.1:{free_port()}"
    environment = environment_of(folder / "broker", base, STATE) | {"BROKER_OPERATOR": "pori"}
    (folder / "broker").mkdir()
    run_once(["keys", "create"], environment, folder)
    run_once(["apply", str(documents)], environment, folder)
    with serving(folder / "broker", environment, 1):
        yield base


def run(base_url: str, folder: Path, *more: str) -> Mapping[str, list[Mapping[str, Any]]]:
    """What the program reports: each check's results, by the name of its class."""
    command = [PROGRAM, "--profile", "saml2-sp", "--metadata-url", f"{base_url}/saml/sp/metadata"]
    command += ["--authn-url", f"{base_url}/saml/idp/unsolicited?service=wiki&organisation=pori"]
    command += ["-rf", "json", "-o", str(folder / "report"), "-d", "CRITICAL", "--exit-zero", *more]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "report").exists(), done.stdout[-2000:] + done.stderr[-2000:]
    report = json.loads((folder / "report").read_text("utf-8"))["test"]["sp"]
    return {name: results for group in report.values() for name, results in group.items()}


def failed(results: list[Mapping[str, Any]]) -> set[str]:
    return {each["test"] for each in results if each["result"] != "success"}


def number(test: str) -> str:
    """Of ``Test [14] …``."""
    return test.partition("[")[2].partition("]")[0]


def test_our_metadata_and_authn_request(base_url: str, tmp_path: Path) -> None:
    found = run(base_url, tmp_path)
    assert failed(found["SpidSpMetadataCheck"]) == METADATA
    assert failed(found["SpidSpAuthnReqCheck"]) == AUTHN_REQUEST
    assert {len(found["SpidSpMetadataCheck"]) > 70, len(found["SpidSpAuthnReqCheck"]) > 40} == {True}


def test_its_hundred_responses(base_url: str, tmp_path: Path) -> None:
    results = run(base_url, tmp_path, "-tr", "-ap", "broker_plugin.Plugin")["SpidSpResponseCheck"]
    assert len(results) > 100
    assert {number(each) for each in failed(results)} == set(RESPONSES)
    # The program takes 500 for a refusal; here it would be a fault of ours.
    assert [each["test"] for each in results if not re.search(r"code: [24]\d\d\]", each["value"])] == []
