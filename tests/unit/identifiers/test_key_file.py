"""The operator's file of keys: read whole or refused whole, with the lines and never with a key (P7, P9)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.attributes import subject
from broker.identifiers import key_file
from broker.identifiers.key_file import KeyFileError, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.csv"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"old,new\nA1,B1\nA2,B2\n", id="plain"),
        pytest.param(b"old,new\r\nA1,B1\r\nA2,B2", id="crlf_and_no_end"),
        pytest.param(b"\xef\xbb\xbfold;new\r\nA1;B1\r\nA2;B2\r\n", id="as_a_finnish_spreadsheet_saves_it"),
        pytest.param(b'"OLD"," New "\n"A1","B1"\n\nA2,B2\n\n', id="quotes_capitals_and_empty_lines"),
        pytest.param(b"new,old\nB1,A1\nB2,A2\n", id="columns_the_other_way_round"),
    ],
)
def test_it_is_read(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert [(each.old, each.new) for each in read(file)] == [("A1", "B1"), ("A2", "B2")]


def test_a_key_is_taken_as_it_is(file: Path) -> None:
    file.write_text('old,new\n"Pöri\\åke, ""1""",tid/OID=\n', "utf-8")

    (line,) = read(file)
    assert (line.number, line.old, line.new) == (2, 'Pöri\\åke, "1"', "tid/OID=")
    assert "tid" not in repr(line)


BAD = {
    "empty": (b"", "line 1: the columns must be old and new"),
    "header_alone": (b"old,new\n", "no line beside the header"),
    "one_column_missing": (b"old\nA1\n", "line 1: the columns must be old and new"),
    "one_column_more": (b"old,new,name\nA1,B1,Aino\n", "and no others"),
    "a_column_twice": (b"old,new,new\nA1,B1,B1\n", "line 1"),
    "no_header": (b"A1,B1\nA2,B2\n", "line 1"),
    "too_few_cells": (b"old,new\nA1\n", "line 2: 1 cells instead of 2"),
    "too_many_cells": (b"old,new\nA1,B1,C1\n", "line 2: 3 cells instead of 2"),
    "empty_old": (b"old,new\n,B1\n", "line 2: old is empty"),
    "empty_new": (b"old,new\nA1,  \n", "line 2: new is empty"),
    "space_around": (b"old,new\nA1, B1\n", "line 2: new begins or ends with a space"),
    "control_character": (b"old,new\nA\x011,B1\n", "line 2: old holds an invisible character"),
    "nul": (b"old,new\nA1,B\x001\n", "line 2"),
    "line_feed_in_a_cell": (b'old,new\n"A\n1",B1\n', "old holds an invisible character"),
    "zero_width": ("old,new\nA\u200b1,B1\n".encode(), "line 2: old holds an invisible character"),
    "mark_in_the_middle": ("old,new\nA1,B\ufeff1\n".encode(), "line 2: new holds an invisible character"),
    "line_separator": ("old,new\nA1,B\u20281\n".encode(), "line 2: new holds an invisible character"),
    "bidi": ("old,new\nA1,\u202eB1\n".encode(), "line 2: new holds an invisible character"),
    "too_long": (b"old,new\nA1," + b"B" * 1025 + b"\n", "line 2: new holds an invisible character, or is longer"),
    "field_without_end": (b"old,new\nA1," + b"B" * 200_000 + b"\n", "line 2"),
    "open_quote": (b'old,new\n"A1,B1\nA2,B2\n', "line"),
    "utf_16": ("\ufeffold,new\nA1,B1\n".encode("utf-16-le"), "is UTF-16: save it as"),
    "utf_16_big": ("\ufeffold,new\nA1,B1\n".encode("utf-16-be"), "is UTF-16: save it as"),
    "latin_1": ("old,new\nA1,B1\nÄ1,B2\n".encode("latin-1"), "line 3: not UTF-8"),
    "not_text": (b"\x89PNG\r\n\x1a\n\x00\x00", "line 1: not UTF-8"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD)
def test_P9_a_wrong_file_is_refused_with_its_line_and_P7_without_a_key(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)

    with pytest.raises(KeyFileError) as refusal:
        read(file)

    assert why in str(refusal.value)
    assert not any(key in str(refusal.value) for key in ("A1", "B1", "A2", "B2", "BBB", "Aino"))


@given(
    st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: f"old,new\n{text}".encode("utf-8", "replace"))
    )
)
def test_whatever_is_in_it_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    try:
        found = read(file)
    except KeyFileError:
        return
    assert all(subject.is_usable(key) for line in found for key in (line.old, line.new))


def test_every_problem_is_told_up_to_a_number(file: Path) -> None:
    file.write_text("old,new\n" + "A1\n" * 1000, "utf-8")

    with pytest.raises(KeyFileError) as refusal:
        read(file)

    told = str(refusal.value).splitlines()
    assert told[:2] == ["line 2: 1 cells instead of 2", "line 3: 1 cells instead of 2"]
    assert told[-1] == "and perhaps more"
    assert len(told) == key_file.MAX_PROBLEMS + 1


def test_a_million_lines_are_refused_before_they_are_kept(file: Path) -> None:
    file.write_text("old,new\n" + "".join(f"A{n},B{n}\n" for n in range(1_000_000)), "utf-8")

    with pytest.raises(KeyFileError, match="more than 200000 lines: divide it"):
        read(file)


def test_a_file_of_many_megabytes_is_not_read(file: Path) -> None:
    with file.open("wb") as huge:
        huge.truncate(key_file.MAX_OCTETS + 1)

    with pytest.raises(KeyFileError, match="more than 64 MiB"):
        read(file)


@pytest.mark.parametrize("name", [".", "nowhere.csv"])
def test_what_is_no_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="directory"):
        read(tmp_path / name)
