"""Pages: from the views of ``views.py`` to HTML, in the person's language.

Templates hold the markup, ``refusals.py`` the texts of refusals, ``locales/`` the translations. Whatever comes from the
registry or from a request is text, and is escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from broker.federation.model import Contact, Organisation, Service, Texts, text_in
from broker.web import i18n, names
from broker.web.headers import static_address
from broker.web.names import Phrase
from broker.web.refusals import ATTRIBUTES, N_, Ask, Refusal, Way, refusal_for
from broker.web.views import (
    ChoosePage,
    DeviceCodePage,
    DeviceConfirmPage,
    DeviceEndPage,
    Forwarding,
    ForwardPage,
    Monograms,
    OrganisationChoice,
    RefusedPage,
    StartPage,
    service_monogram,
)

FEW = 12
"""So many organisations are shown with their monograms; more get first letters and a search field."""

_FRAMES = 2048
"""So many pages that send a form on are kept, some 2 kB each."""
# NUL is in no name of the registry: no document can hold it.
_PLACE = Markup("\0fields\0")

_HELP_DESK_ROLES = ("helpdesk", "operations", "technical", "coordinator")
_COORDINATOR_ROLES = ("coordinator", *_HELP_DESK_ROLES)

_NOT_WORDS = re.compile(r"[^\w]+|_+")
# å, ä and ö are letters of their own, the last of the Finnish and the Swedish alphabet.
_LAST_LETTERS = str.maketrans({"å": "{", "ä": "|", "ö": "}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A row of the list. ``letter``: the first of its kind, else ""; ``words``: what the filter looks through."""

    href: str
    name: Markup
    second_name: Markup
    monogram: str
    letter: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    href: str
    label: Markup
    main: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    label: str
    value: str
    href: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A rendered page without its hidden fields, and what it was rendered from: the same objects, not equal ones."""

    service: Service
    organisation: Organisation | None
    monograms: Monograms
    before: str
    after: str

    def fits(self, view: ForwardPage) -> bool:
        """False after a new revision of the federation: its names may have changed."""
        return (
            self.service is view.service and self.organisation is view.organisation and self.monograms is view.monograms
        )


class Pages:
    """Everything is read when this is made: templates are compiled, catalogues loaded."""

    def __init__(self, federation_name: str) -> None:
        self._federation_name = federation_name
        environment = _environment()
        environment.globals.update(
            federation_name=federation_name, languages=i18n.NAMES, static=static_address, few=FEW
        )
        self._choose = environment.get_template("choose.html")
        self._refused = environment.get_template("refused.html")
        self._forward = environment.get_template("forward.html")
        self._start = environment.get_template("start.html")
        self._device_code = environment.get_template("device_code.html")
        self._device_confirm = environment.get_template("device_confirm.html")
        self._device_end = environment.get_template("device_end.html")
        self._frames: dict[tuple[str, ...], _Frame] = {}
        for language in i18n.NAMES:
            i18n.translations(language)

    def choose(self, view: ChoosePage, language: str) -> str:
        entries = _entries(_found(view.choices, view.search), view.monograms, language)
        remembered = () if view.remembered is None or view.search else (view.remembered,)
        return self._choose.render(
            language=language,
            here=view.here,
            service=names.plain(view.service.name, language).html(),
            service_monogram=service_monogram(view.service),
            owner=names.nominative(view.owner.name, language).html() if view.owner else "",
            hint_ignored=view.hint_ignored,
            search=view.search,
            has_filter=len(view.choices) > FEW,
            entries=entries,
            remembered=next(iter(_entries(remembered, view.monograms, language)), None),
        )

    def refused(self, view: RefusedPage, language: str) -> str:
        """Raises: KeyError, for a message key that has no texts."""
        attribute = view.context.get("attribute", "")
        refusal = refusal_for(view.message_key, attribute)
        say = _speaker(language, self._placeholders(view, attribute, language))
        service_letters = service_monogram(view.service) if view.service else ""
        home_letters = view.monograms.get(view.organisation.id, "") if view.organisation else ""
        asked = _asked(view, refusal)
        return self._refused.render(
            language=language,
            here=view.here,
            code=view.code,
            monograms=(home_letters, service_letters) if home_letters else (service_letters, ""),
            title=say(refusal.title),
            cause=say(refusal.cause),
            about=say(refusal.about) if refusal.about and attribute in ATTRIBUTES else "",
            purpose=_purpose(view, attribute, language),
            do=say(refusal.do),
            who=say(refusal.who) if refusal.who else "",
            actions=_actions(view, refusal, asked, say),
            contacts=_contact_facts(view, asked, language),
            reference=view.reference,
            details=_details(view, language),
        )

    def forward(self, view: ForwardPage, language: str) -> str:
        """Most logins end with this page: what surrounds the fields is rendered once for each service and home."""
        home = view.organisation.id if view.organisation else ""
        key = (language, view.forwarding, view.action, view.service.id, home)
        frame = self._frames.get(key)
        if frame is None or not frame.fits(view):
            if len(self._frames) >= _FRAMES:
                self._frames.clear()
            frame = self._frames[key] = self._frame(view, language)
        return f"{frame.before}{_hidden(view.fields)}{frame.after}"

    def _frame(self, view: ForwardPage, language: str) -> _Frame:
        service_letters = service_monogram(view.service)
        home_letters = view.monograms.get(view.organisation.id, "") if view.organisation else ""
        say = _speaker(
            language,
            _forms("service", _service(view.service, language)) | _home_forms(view.organisation, language),
        )
        texts = _FORWARDING[view.forwarding]
        to_home = view.forwarding is Forwarding.TO_HOME
        page = self._forward.render(
            language=language,
            here=None,
            monograms=(service_letters, home_letters) if to_home else (home_letters, service_letters),
            broken=view.forwarding is Forwarding.RETURNED,
            title=say(texts.title),
            lead=say(texts.lead),
            button=say(texts.button),
            action=view.action,
            fields=_PLACE,
        )
        before, _, after = page.partition(_PLACE)
        return _Frame(
            service=view.service,
            organisation=view.organisation,
            monograms=view.monograms,
            before=before,
            after=after,
        )

    def start(self, view: StartPage, language: str) -> str:
        return self._start.render(language=language, here=view.here)

    def device_code(self, view: DeviceCodePage, language: str) -> str:
        return self._device_code.render(language=language, here=view.here, typed=view.typed)

    def device_confirm(self, view: DeviceConfirmPage, language: str) -> str:
        return self._device_confirm.render(
            language=language,
            here=view.here,
            service=names.plain(view.service.name, language).html(),
            service_monogram=service_monogram(view.service),
            owner=names.nominative(view.owner.name, language).html() if view.owner else "",
            user_code=view.user_code,
            sign_in=view.sign_in,
        )

    def device_end(self, view: DeviceEndPage, language: str) -> str:
        return self._device_end.render(language=language, here=view.here, signed_in=view.signed_in)

    def _placeholders(self, view: RefusedPage, attribute: str, language: str) -> dict[str, Markup]:
        translate = i18n.translations(language).gettext
        owner = view.owner
        owner_forms = (
            _forms("owner", names.nominative(owner.name, language))
            if owner
            else _forms("owner", Phrase(name="", before=translate(N_("the service’s owner"))))
        )
        return {
            **_forms("service", _service(view.service, language)),
            **_home_forms(view.organisation, language),
            **owner_forms,
            "attribute": Markup.escape(translate(ATTRIBUTES[attribute])) if attribute in ATTRIBUTES else Markup(),
            "federation": Markup.escape(self._federation_name),
        }


# --- environment ---------------------------------------------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("broker.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # Jinja2's i18n extension adds this method.
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    return environment


@pass_context
def _gettext(context: Context, text: str) -> str:
    return i18n.translations(context["language"]).gettext(text)


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int) -> str:
    return i18n.translations(context["language"]).ngettext(one, many, count)


# --- sentences with names ------------------------------------------------------------------------------------------------

_Say = Callable[[str], Markup]

_SERVICE_UNKNOWN = {"fi": "", "sv": "tjänsten", "en": "the service"}


def _speaker(language: str, placeholders: Mapping[str, Markup]) -> _Say:
    """Translates a text and fills in its names. The unknown name of a service leaves no gap."""
    translate = i18n.translations(language).gettext
    return lambda text: Markup(" ").join(
        (Markup(translate(text)) % placeholders).split()  # noqa: S704 - texts are the project's own
    )


def _forms(placeholder: str, phrase: Phrase) -> dict[str, Markup]:
    """The phrase within a sentence, and under the capitalised name as its beginning."""
    return {placeholder: phrase.html(), placeholder.capitalize(): phrase.html(first=True)}


def _service(service: Service | None, language: str) -> Phrase:
    """In Finnish the catalogue puts a word for it before the name, as names of services cannot be inflected."""
    if service is not None:
        return names.plain(service.name, language)
    return Phrase(name="", before=_SERVICE_UNKNOWN[language])


def _home_forms(organisation: Organisation | None, language: str) -> dict[str, Markup]:
    if organisation is None:
        translate = i18n.translations(language).gettext
        nominative = Phrase(name="", before=translate(N_("your organisation")))
        genitive = Phrase(name="", before=translate(N_("your organisation’s")))
        return {
            **_forms("home", nominative),
            **_forms("home_s", genitive),
            **_forms("place", nominative),
            **_forms("place_s", genitive),
        }
    return {
        **_forms("home", names.nominative(organisation.name, language)),
        **_forms("home_s", names.genitive(organisation.name, language)),
        **_forms("place", names.place(organisation, language)),
        **_forms("place_s", names.place_genitive(organisation, language)),
    }


# --- the list of organisations -------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """Lower case without accents, words apart by one space; as ``filter.js`` does."""
    return _NOT_WORDS.sub(" ", _without_accents(text).lower()).strip()


def _without_accents(text: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))


def _found(choices: Iterable[OrganisationChoice], search: str) -> list[OrganisationChoice]:
    """What a search finds: by the domain of an e-mail address, else by the beginnings of words."""
    if "@" in search:
        domain = search.rpartition("@")[2].strip().lower()
        return [each for each in choices if domain in _domains(each.organisation)]
    wanted = f" {fold(search)}"
    return [each for each in choices if wanted in f" {fold(_words(each.organisation))}"]


def _domains(organisation: Organisation) -> frozenset[str]:
    return organisation.mail_domains or frozenset(organisation.scopes)


def _words(organisation: Organisation) -> str:
    return " ".join((*organisation.name.values(), *organisation.short_name.values(), *organisation.scopes))


def _entries(choices: Iterable[OrganisationChoice], monograms: Monograms, language: str) -> list[_Entry]:
    """In the order of the alphabet, each first letter marked once."""
    ordered = sorted((_sort_key(each.organisation, language), index, each) for index, each in enumerate(choices))
    letters = [""] + [key[0][:1] for key, _, _ in ordered]
    return [
        _Entry(
            href=choice.href,
            name=names.plain(choice.organisation.name, language).html(),
            second_name=_second_name(choice.organisation.name, language),
            monogram=monograms.get(choice.organisation.id, ""),
            letter="" if letter == before else _listed_by(choice.organisation, language)[:1].upper(),
            words=_words(choice.organisation),
        )
        for (_, _, choice), (before, letter) in zip(ordered, pairwise(letters), strict=True)
    ]


def _listed_by(organisation: Organisation, language: str) -> str:
    """The place rather than "City of …"."""
    return text_in(organisation.short_name, language) or text_in(organisation.name, language)


def _sort_key(organisation: Organisation, language: str) -> tuple[str, str]:
    name = unicodedata.normalize("NFC", _listed_by(organisation, language)).lower().translate(_LAST_LETTERS)
    return _without_accents(name), organisation.id


def _second_name(name: Texts, language: str) -> Markup:
    """The Finnish name under a Swedish or English one: that is what stands on the wall at work."""
    if language == "fi" or language not in name or name.get("fi", name[language]) == name[language]:
        return Markup()
    return Markup('<small lang="fi">{}</small>').format(name["fi"])


# --- the refusal page ------------------------------------------------------------------------------------------------------


def _asked(view: RefusedPage, refusal: Refusal) -> tuple[tuple[str, Contact], ...]:
    """Whom to ask, with what they are, the one to write to first. Those of whom the registry knows nothing are left out."""
    home, owner = view.organisation, view.owner
    help_desk = (N_("Your organisation’s help desk"), home.contact(*_HELP_DESK_ROLES) if home else None)
    coordinator = (N_("Your organisation’s coordinator"), home.contact(*_COORDINATOR_ROLES) if home else None)
    service_owner = (N_("Owner of the service"), owner.contact(*_HELP_DESK_ROLES) if owner else None)
    wanted = {
        Ask.NOBODY: (),
        Ask.HELP_DESK: (help_desk,),
        Ask.COORDINATOR: (coordinator, service_owner),
        Ask.OWNER: (service_owner,),
    }[refusal.ask]
    return tuple((label, contact) for label, contact in wanted if contact is not None)


def _actions(
    view: RefusedPage, refusal: Refusal, asked: tuple[tuple[str, Contact], ...], say: _Say
) -> tuple[_Action, ...]:
    """The one filled button is what most people should do; it stands first, and is not offered twice."""
    offered = _offered(view, refusal, asked, say)
    mains = {
        Way.TRY_AGAIN: ("again",),
        Way.WRITE: ("write", "again"),
        Way.START_AGAIN: ("start", "again"),
    }[refusal.way]
    main = next((kind for kind in mains if kind in offered), "")
    ordered = sorted(offered, key=lambda kind: kind != main)
    return tuple(_Action(href=offered[kind][0], label=offered[kind][1], main=kind == main) for kind in ordered)


def _offered(
    view: RefusedPage, refusal: Refusal, asked: tuple[tuple[str, Contact], ...], say: _Say
) -> dict[str, tuple[str, Markup]]:
    offered: dict[str, tuple[str, Markup]] = {}
    if refusal.way is Way.WRITE and asked and asked[0][1].email:
        offered["write"] = (_mailto(asked[0][1], view.reference), say(_WRITE[refusal.ask]))
    if view.again:
        trying = N_("Try again") if refusal.way is Way.TRY_AGAIN else N_("Choose another organisation")
        offered["again"] = (view.again, say(trying))
    if view.back:
        offered["back"] = (view.back, say(N_("Back to %(service)s")))
    elif view.service and view.service.url:
        offered["start"] = (view.service.url, say(N_("Start again from %(service)s")))
    return offered


def _mailto(contact: Contact, reference: str) -> str:
    subject = f"?subject={quote(reference)}" if reference else ""
    return f"mailto:{quote(contact.email, safe='@')}{subject}"


def _contact_facts(view: RefusedPage, asked: tuple[tuple[str, Contact], ...], language: str) -> tuple[_Fact, ...]:
    """One party: how to reach it; several: a line for each."""
    translate = i18n.translations(language).gettext
    if len(asked) == 1:
        contact = asked[0][1]
        telephone = _Fact(label=translate(N_("Telephone")), value=_telephone(contact, language))
        mail = _Fact(label=translate(N_("E-mail")), value=contact.email, href=_mailto(contact, view.reference))
        return tuple(fact for fact in (telephone, mail) if fact.value)
    return tuple(
        _Fact(label=translate(label), value=contact.email, href=_mailto(contact, view.reference))
        if contact.email
        else _Fact(label=translate(label), value=_telephone(contact, language))
        for label, contact in asked
    )


def _telephone(contact: Contact, language: str) -> str:
    return ", ".join(each for each in (contact.phone, text_in(contact.hours, language)) if each)


def _purpose(view: RefusedPage, attribute: str, language: str) -> str:
    """What the service registered as its purpose for the attribute that is missing."""
    if view.service is None or not view.message_key.startswith("attribute_missing"):
        return ""
    purposes = (each.purpose for each in view.service.attributes if each.name == attribute)
    return text_in(next(purposes, {}), language)


def _details(view: RefusedPage, language: str) -> tuple[_Fact, ...]:
    """Names and codes for who helps; never a value of the person's (promise P7)."""
    translate = i18n.translations(language).gettext
    codes = {
        N_("Service"): view.service.id if view.service else view.context.get("service", "–"),
        N_("Organisation"): view.organisation.id if view.organisation else "–",
        N_("Reason"): view.code,
        N_("Rule that failed"): view.context.get("rule", ""),
        N_("Check that failed"): view.context.get("check", ""),
        N_("Attribute"): view.context.get("attribute", ""),
        N_("Agreement on its way"): view.context.get("agreement", ""),
        N_("Identity provider"): view.context.get("identity_provider", ""),
    }
    time = _Fact(label=translate(N_("Time")), value=i18n.moment(view.at, language))
    return (time, *(_Fact(label=translate(label), value=value, code=True) for label, value in codes.items() if value))


_WRITE = {
    Ask.HELP_DESK: N_("Write to the help desk"),
    Ask.COORDINATOR: N_("Write to the coordinator"),
    Ask.OWNER: N_("Write to the owner of the service"),
}


# --- the page that POSTs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _ForwardTexts:
    title: str
    lead: str
    button: str


def _hidden(fields: Mapping[str, str]) -> str:
    return "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )


_FORWARDING = {
    Forwarding.SIGNED_IN: _ForwardTexts(
        title=N_("Taking you to %(service)s"),
        lead=N_("You are signed in. If nothing happens, press the button."),
        button=N_("Continue to %(service)s"),
    ),
    Forwarding.RETURNED: _ForwardTexts(
        title=N_("Taking you back to %(service)s"),
        lead=N_("You are not signed in. If nothing happens, press the button."),
        button=N_("Back to %(service)s"),
    ),
    Forwarding.TO_HOME: _ForwardTexts(
        title=N_("Taking you to %(place_s)s login"),
        lead=N_("There you sign in with your own user name. If nothing happens, press the button."),
        button=N_("Continue to sign in"),
    ),
}
