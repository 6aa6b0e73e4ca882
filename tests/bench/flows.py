"""One login of each protocol pair, as a browser goes through it; every answer is checked on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import SimpleCookie

import jwt
from aiohttp import ClientSession
from yarl import URL

from tests.bench import oidc, saml
from tests.bench.errors import WrongAnswerError, expect
from tests.bench.parties import OIDC_CITY, SAML_CITY, Parties, User

PAIRS = ("saml-saml", "saml-oidc", "oidc-saml", "oidc-oidc")
"""The service's protocol, then the city's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    location: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class BrokerParties:
    """The broker in its four roles, as its own metadata and discovery say."""

    saml_idp: saml.Peer
    saml_sp: saml.Peer
    issuer: str
    endpoints: Mapping[str, str]
    keys: oidc.Keys


@dataclass(kw_only=True)
class Browser:
    """A new browser for each login: it follows nothing by itself, and keeps the cookies that it is given."""

    session: ClientSession
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self._send("GET", url, None, headers)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        return await self._send("POST", url, form, headers)

    async def _send(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Answer:
        # Signatures are over the octets of the query: they are sent as they are.
        request = self.session.request(
            method,
            URL(url, encoded=True),
            data=form,
            headers={"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **(headers or {})},
            allow_redirects=False,
        )
        async with request as answer:
            for line in answer.headers.getall("Set-Cookie", ()):
                self.cookies.update({name: each.value for name, each in SimpleCookie(line).items()})
            return Answer(status=answer.status, location=answer.headers.get("Location", ""), body=await answer.read())


async def discover(session: ClientSession, base_url: str) -> BrokerParties:
    """What a careful partner reads once."""
    browser = Browser(session=session)
    idp = await _content(browser, f"{base_url}/saml/idp/metadata")
    sp = await _content(browser, f"{base_url}/saml/sp/metadata")
    configuration = json.loads(await _content(browser, f"{base_url}/.well-known/openid-configuration"))
    expect("issuer", configuration["issuer"], base_url)
    jwks = jwt.PyJWKSet.from_dict(json.loads(await _content(browser, configuration["jwks_uri"])))
    return BrokerParties(
        saml_idp=saml.read_metadata(idp),
        saml_sp=saml.read_metadata(sp),
        issuer=configuration["issuer"],
        endpoints=configuration,
        keys={str(key.key_id): key for key in jwks.keys},
    )


@dataclass(frozen=True, kw_only=True)
class Logins:
    """Logs people in. ``subjects`` remembers what each person is called at each service: it must never change."""

    parties: Parties
    broker: BrokerParties
    city: oidc.City
    session: ClientSession
    subjects: dict[tuple[str, str], str] = field(default_factory=dict)

    async def log_in(self, pair: str, number: int) -> None:
        """Raises: WrongAnswerError."""
        service, home = pair.split("-")
        organisation = SAML_CITY if home == "saml" else OIDC_CITY
        user = User(number=number, scope=f"{organisation}.fi")
        subject = await self.name_at(service, home, organisation, user)
        if self.subjects.setdefault((service, user.mail), subject) != subject:
            raise WrongAnswerError("the same person got another subject identifier than before")

    async def name_at(self, service: str, home: str, organisation: str, user: User) -> str:
        """What the person is called at the service of one protocol, after a login at a home of another. Raises: WrongAnswerError."""
        login = self._saml_service if service == "saml" else self._oidc_service
        return await login(Browser(session=self.session), home, organisation, user)

    async def _saml_service(self, browser: Browser, home: str, organisation: str, user: User) -> str:
        asked = saml.authn_request(self.parties, self.broker.saml_idp, organisation)
        answer = await self._at_home(browser, home, asked.url, user)
        expect("status at the service", answer.status, 200)
        content = saml.check_form(answer.body, self.parties, asked)
        return saml.check_response(content, self.parties, self.broker.saml_idp, asked, user, datetime.now(UTC))

    async def _oidc_service(self, browser: Browser, home: str, organisation: str, user: User) -> str:
        endpoints = self.broker.endpoints
        asked = oidc.authorization_request(self.parties, endpoints["authorization_endpoint"], organisation)
        answer = await self._at_home(browser, home, asked.url, user)
        expect("status at the service", answer.status, 303)
        code = oidc.check_redirect(answer.location, self.parties, asked, self.broker.issuer)
        # The service's own calls: not the browser's, so without its cookies.
        back = Browser(session=self.session)
        form, headers = oidc.token_request(self.parties, asked, code)
        tokens = _json(await back.post(endpoints["token_endpoint"], form, headers))
        subject = oidc.check_id_token(str(tokens.get("id_token")), self.broker.keys, asked, self.broker.issuer)
        bearer = {"Authorization": f"Bearer {tokens.get('access_token')}"}
        oidc.check_userinfo(_json(await back.get(endpoints["userinfo_endpoint"], bearer)), subject, user)
        return subject

    async def _at_home(self, browser: Browser, home: str, url: str, user: User) -> Answer:
        """From the service's request to the broker's answer, through the city."""
        sent = await browser.get(url)
        expect("status toward the city", sent.status, 303)
        if home == "oidc":
            return await browser.get(self.city.log_in(sent.location, user))
        received = saml.read_authn_request(sent.location, self.parties, self.broker.saml_sp)
        form = saml.response(self.parties, self.broker.saml_sp, received, user, datetime.now(UTC))
        return await browser.post(self.broker.saml_sp.address, form)


async def _content(browser: Browser, url: str) -> bytes:
    answer = await browser.get(url)
    expect(f"status of {url}", answer.status, 200)
    return answer.body


def _json(answer: Answer) -> dict[str, object]:
    expect("status of a JSON answer", answer.status, 200)
    found = json.loads(answer.body)
    if not isinstance(found, dict):
        raise WrongAnswerError("not a JSON object")
    return found
