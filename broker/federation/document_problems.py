"""Problems in words: where in its file a document is wrong, what is wrong, and what to do (promise P9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from broker.federation import document_models as models
from broker.federation import yaml_text
from broker.federation.document_types import Document, Problem
from broker.federation.yaml_text import Location

MAX_CANDIDATES = 2000


def problem(document: Document, location: Location, message: str) -> Problem:
    return next(iter(located(document, [(location, message)])))


def located(document: Document, problems: list[tuple[Location, str]]) -> Iterator[Problem]:
    below = yaml_text.lines(document.text, [location for location, _ in problems])
    for (location, message), lines in zip(problems, below, strict=True):
        field = ".".join(str(part) for part in location)
        yield Problem(path=document.path, line=document.line + lines, field=field, message=message)


def location_of(detail: ErrorDetails) -> Location:
    """pydantic says of a mapping's key that it is wrong by ``[key]``."""
    return tuple(part for part in detail["loc"] if part != "[key]")


_IN_WORDS = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be keys with values",
    "model_type": "must be keys with values",
    "date_type": "must be a date: 2026-01-31",
    "too_short": "must have at least one entry",
    "string_too_short": "must not be empty",
}

_PATTERNS = {
    models.ID_PATTERN: "must be lower-case letters, digits and hyphens, at most 63",
    models.LANGUAGE_PATTERN: "unknown language: fi, sv or en",
    models.GENERATED_PATTERN: "must be generated:NONCE, of 22 to 86 letters, digits, hyphens and underlines",
}


def in_words(detail: ErrorDetails, model: type[BaseModel], document: Document) -> str:
    """What is wrong and what to do. Never the value: it may be a secret that was written in."""
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(location_of(detail), model, document)
    if kind == "string_type":
        quoted = isinstance(detail["input"], int | float) and not isinstance(detail["input"], bool)
        return "must be text: write it in quotes" if quoted else "must be text"
    if kind == "too_short":
        return f"must have at least {context['min_length']}"
    if kind == "too_long":
        return f"must have at most {context['max_length']}"
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected'].replace(chr(39), '')}"
    if kind == "string_pattern_mismatch":
        return _PATTERNS[context["pattern"]]
    if kind == "value_error":
        return str(context["error"])
    return _IN_WORDS.get(kind, detail["msg"])


def _unknown_key(location: Location, model: type[BaseModel], document: Document) -> str:
    key = str(location[-1])
    for protocol, other in models.MODELS[document.kind].items():
        if len(location) == 1 and other is not model and key in _keys(other):
            return f"unknown key; it is one of protocol {protocol}"
    return f"unknown key{nearest(key, _keys(_model_at(model, location[:-1])))}"


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model of the mapping at this place of a document."""
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.alias) and (inner := _model_in(field.annotation)):
                model = inner
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean …?``, or nothing. Not looked for among very many: it would take too long."""
    candidates = list(known)
    if len(candidates) > MAX_CANDIDATES:
        return ""
    close = get_close_matches(word, candidates, n=1, cutoff=0.6)
    close = close or [each for each in candidates if each.lower() == word.lower()][:1]
    return f"; did you mean {close[0]}?" if close else ""
