"""P11: every text of every page in Finnish and Swedish, with the names that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

WEB = Path(str(resources.files("broker.web")))
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def texts() -> set[str]:
    """What the sources say, as ``broker/web/i18n.py`` tells to extract it."""
    with (WEB / "locales" / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
    found = extract_from_dir(WEB, methods, options, keywords=keywords)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalogue(language: str) -> Catalog:
    with (WEB / "locales" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(language: str) -> Iterator[Message]:
    return (message for message in catalogue(language) if message.id)


def forms(text: object) -> tuple[str, ...]:
    """One text, or one for each plural form."""
    return (text,) if isinstance(text, str) else tuple(text) if isinstance(text, (list, tuple)) else ()


def test_the_sources_have_texts() -> None:
    assert "Choose your organisation" in texts()


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_P11_the_catalogue_holds_exactly_the_texts_of_the_sources(language: str) -> None:
    assert {forms(message.id)[0] for message in messages(language)} == texts()


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_P11_no_text_is_missing_or_guessed(language: str) -> None:
    wanting = [m.id for m in messages(language) if m.fuzzy or not forms(m.string) or not all(forms(m.string))]
    assert wanting == []


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_a_translation_names_nothing_that_its_text_does_not(language: str) -> None:
    """A name in another case (``home`` for ``Home``) stands for the same party elsewhere in its sentence."""
    for message in messages(language):
        known = {name.lower() for text in forms(message.id) for name in PLACEHOLDER.findall(text)}
        kinds = {name.removesuffix("_s") for name in known}
        used = {name.lower().removesuffix("_s") for text in forms(message.string) for name in PLACEHOLDER.findall(text)}
        assert used <= kinds, message.id


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_a_translation_has_no_space_too_many(language: str) -> None:
    wrong = [m.id for m in messages(language) for text in forms(m.string) if text != text.strip() or "  " in text]
    assert wrong == []
