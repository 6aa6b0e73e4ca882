"""Names of the registry inside sentences: English asks for an article, Finnish and Swedish for a genitive.

Names are inflected only where the rule is safe: the official names of Finnish municipalities ("Porin kaupunki"). Any
other name stays as it is, behind a word that can be inflected ("organisaation Keva").
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from broker.federation.model import Organisation, Texts, text_in

_ARTICLE = ("City of ", "Town of ", "Municipality of ", "Joint Authority ", "Wellbeing Services County ")
_FINNISH_HEADS = {
    "kaupunki": "kaupungin",
    "kunta": "kunnan",
    "kuntayhtymä": "kuntayhtymän",
    "hyvinvointialue": "hyvinvointialueen",
}
_MUNICIPALITY = frozenset({"kaupunki", "kunta"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A name with our own words before and after it. ``lang``: the name's language, when it is not the page's."""

    name: str
    before: str = ""
    after: str = ""
    lang: str = ""

    def html(self, *, first: bool = False) -> Markup:
        """``first``: the phrase begins a sentence. A name that begins one keeps its own first letter."""
        before = self.before[:1].upper() + self.before[1:] if first else self.before
        name = (
            Markup('<span lang="{}">{}</span>').format(self.lang, self.name) if self.lang else Markup.escape(self.name)
        )
        return Markup.escape(before) + name + Markup.escape(self.after)


def plain(texts: Texts, language: str) -> Phrase:
    """The name alone."""
    text = text_in(texts, language)
    return Phrase(name=text, lang=_foreign(texts, text, language))


def nominative(texts: Texts, language: str) -> Phrase:
    """ "the City of Pori", "Porin kaupunki", "Björneborgs stad"."""
    name = plain(texts, language)
    has_article = language == "en" and name.name.startswith(_ARTICLE)
    return Phrase(name=name.name, lang=name.lang, before="the " if has_article else "")


def genitive(texts: Texts, language: str) -> Phrase:
    """ "the City of Pori’s", "Porin kaupungin", "Björneborgs stads"."""
    name = nominative(texts, language)
    if language == "fi":
        return _finnish_genitive(name)
    ending = "’s" if language == "en" else _swedish_ending(name.name)
    return Phrase(name=name.name, lang=name.lang, before=name.before, after=ending)


def place(organisation: Organisation, language: str) -> Phrase:
    """The short name: "Pori", "Björneborg"; the whole name when there is none."""
    if organisation.short_name:
        return plain(organisation.short_name, language)
    return nominative(organisation.name, language)


def place_genitive(organisation: Organisation, language: str) -> Phrase:
    """ "Pori’s", "Porin", "Björneborgs": the Finnish one stands in the official name already."""
    if not organisation.short_name:
        return genitive(organisation.name, language)
    if language != "fi":
        return genitive(organisation.short_name, language)
    place_of, _, head = text_in(organisation.name, "fi").rpartition(" ")
    if head in _MUNICIPALITY and "fi" in organisation.name:
        return Phrase(name=place_of)
    return genitive(organisation.name, language)


def _finnish_genitive(name: Phrase) -> Phrase:
    rest, _, head = name.name.rpartition(" ")
    if rest and head in _FINNISH_HEADS and not name.lang:
        return Phrase(name=f"{rest} {_FINNISH_HEADS[head]}")
    return Phrase(name=name.name, lang=name.lang, before="organisaation ")


def _swedish_ending(name: str) -> str:
    return "" if name.endswith(("s", "x", "z")) else "s"


def _foreign(texts: Texts, text: str, language: str) -> str:
    """The language of a text that is not in the page's language; "" when it is, or when there is none."""
    if language in texts or not text:
        return ""
    return next(each for each in ("fi", "en", "sv") if each in texts)
