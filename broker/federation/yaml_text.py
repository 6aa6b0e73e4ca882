"""YAML text → plain values, document by document, and the line on which a field stands; and a value → its text.

Stricter than YAML, so that a document means what it looks like: no anchors, aliases, tags or directives, no key twice,
keys are text, and of plain scalars only ``true``, ``false``, ``null``, whole numbers and dates are anything but text
(``no`` is the word no, ``079`` keeps its zero).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

MAX_DEPTH = 20
_WIDTH = 120
Location = tuple[str | int, ...]
# The parser's events: their published types leave out the attributes that are read here.
YamlEvent = Any

_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORDS: dict[str, object] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """``line``: in the text, from 1. ``field``: dotted, as far as known."""

    line: int
    field: str
    message: str


class UnreadableYaml(Exception):
    """The mistakes of one file; after an error of syntax the rest of the file is not looked at."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(mistake.message for mistake in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One document of a file. ``text``: from its ``---`` line (the first: from the beginning) to the next one's.

    ``line``: where its content begins, from 1, in the file.
    """

    text: str
    line: int
    body: object


def parts(text: str) -> list[Part]:
    """The documents of one file; none for a file of nothing but comments. Raises: UnreadableYaml."""
    reader = _Reader(text)
    try:
        found = list(reader.documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UnreadableYaml(
            [*reader.mistakes, _mistake(line, f"not YAML: {error.problem or error.context}")]
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableYaml([_mistake(line, f"not YAML: {error.reason}")]) from error
    if reader.mistakes:
        raise UnreadableYaml(reader.mistakes)
    starts = [0, *(start for start, _, _ in found[1:]), len(text)]
    return [
        Part(text=text[starts[index] : starts[index + 1]], line=line, body=body)
        for index, (_, line, body) in enumerate(found)
    ]


def first_line(text: str) -> int:
    """The line on which a document's content begins in its own text, from 1; 1 for a document without a text."""
    found = parts(text)
    return found[0].line if found else 1


def write(body: Mapping[str, object]) -> str:
    """A document's text, which ``parts`` reads as the same. Raises: ValueError, for what YAML does not hold as it is."""
    text = yaml.dump(body, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH)
    if [part.body for part in parts(text)] != [body]:
        raise ValueError("the text would mean something else")
    return text


def lines(text: str, locations: list[Location]) -> list[int]:
    """For each field of a document, by how many lines it stands below the document's first; 0 where it is not found.

    Of a field that is missing, its parent's line. Reads ``text`` anew: only for text that ``parts`` accepted.
    """
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    if root is None:
        return [0] * len(locations)
    return [_line(root, location) - root.start_mark.line for location in locations]


def _line(node: yaml.Node, location: Location) -> int:
    line = node.start_mark.line
    for key in location:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == key), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line
        else:
            break
    return line


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """A value that stands twice is written out twice."""
        return True


class _Reader:
    """From the parser's events to values. Mistakes are collected; only an error of syntax ends the reading."""

    def __init__(self, text: str) -> None:
        self.mistakes: list[Mistake] = []
        self._events: Iterator[YamlEvent] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self._path: list[str] = []

    def documents(self) -> Iterator[tuple[int, int, object]]:
        """Of each document: the index of its first character, its content's line, its value."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                start: YamlEvent = event
                if event.version or event.tags:
                    self._note(event, "directives (%) are not used here")
                first = next(self._events)
                yield start.start_mark.index, first.start_mark.line + 1, self._value(first)

    def _value(self, event: YamlEvent) -> object:
        if isinstance(event, yaml.ScalarEvent):
            self._check(event)
            return _scalar(event)
        if isinstance(event, yaml.AliasEvent):
            self._note(event, "anchors and aliases (& and *) are not used here: write the value out")
            return None
        if len(self._path) >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        self._check(event)
        return self._mapping() if isinstance(event, yaml.MappingStartEvent) else self._sequence()

    def _mapping(self) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            self._path.append(key)
            if key in found:
                self._note(event, "the same key stands here twice")
            found[key] = self._value(next(self._events))
            self._path.pop()
        return found

    def _sequence(self) -> list[object]:
        found: list[object] = []
        self._path.append("0")
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._path[-1] = str(len(found))
            found.append(self._value(event))
        self._path.pop()
        return found

    def _key(self, event: YamlEvent) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self._check(event)
            return str(event.value)
        raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=event.start_mark)

    def _check(self, event: YamlEvent) -> None:
        if event.anchor is not None:
            self._note(event, "anchors and aliases (& and *) are not used here: write the value out")
        if event.tag is not None:
            self._note(event, "tags (!) are not used here")

    def _note(self, event: YamlEvent, message: str) -> None:
        self.mistakes.append(Mistake(line=event.start_mark.line + 1, field=".".join(self._path), message=message))


def _scalar(event: YamlEvent) -> object:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-0123456789":
        if _DATE.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                return text
        if _WHOLE_NUMBER.fullmatch(text):
            return int(text)
    return text


def _mistake(line: int, message: str) -> Mistake:
    return Mistake(line=line, field="", message=message)
