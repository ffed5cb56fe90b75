"""CSV as people and programs leave it: each is read as the eye reads it, or says what is wrong."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest

from avalua_client.tables import Prepared, Table, TableError, find_columns, prepare, read, write
from avalua_client.tables.formulas import guarded, unguarded

HEAD = "id;curs;pregunta;resposta\n"
CLASS = (Path(__file__).parents[3] / "examples" / "class.csv").read_bytes().decode("utf-8-sig").splitlines()

WORDS = "això camí plaça col·legi ¿Qué? ¡Sí! 10_€ “hola” l’aigua it’s 1º 3ª —no— …_fi i_això… Àlex És Ñu"


def prepared(text: str | bytes) -> tuple[Table, Prepared]:
    table = read(text.encode() if isinstance(text, str) else text)
    return table, prepare(table, find_columns(table.columns), curso="3r", consigna="Què?")


def answers(text: str | bytes) -> list[str]:
    return [item["respuesta"] for item in prepared(text)[1].items]


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp850"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_encodings_are_found_by_a_few_rows(encoding: str, rows: int) -> None:
    """Windows, old Macs and DOS write the same letters as other bytes; any few rows of a class tell which."""
    for first in range(1, len(CLASS) - rows):
        text = "\r\n".join([CLASS[0], *CLASS[first : first + rows]])
        assert read(text.encode(encoding)).source.encoding == encoding or text.isascii(), text


@pytest.mark.parametrize("word", WORDS.split())
def test_windows_encoding_is_found_by_one_word(word: str) -> None:
    """The encoding of most such files is not given up for another one because of a word."""
    word = word.replace("_", " ")
    assert answers(f"{HEAD}1;3r;x;{word}\n".encode("cp1252")) == [word]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_damage_is_told_and_the_rest_is_read(encoding: str) -> None:
    """A few bytes of another encoding don't turn all accents of a file into something else."""
    text = HEAD + "1;3r;Què?;això és així, més o menys\n2;3r;Què?;cel"
    table, found = prepared(text.encode(encoding) + b"\xf1")
    assert found.items[0]["respuesta"] == "això és així, més o menys"
    assert found.items[1]["respuesta"] == "cel\ufffd"
    assert any("could not be read" in note for note in table.notes)


def test_codecs_that_are_no_encodings_of_files_are_refused() -> None:
    """Some of Python's take the square of a text's length."""
    for name in ("punycode", "idna", "unicode_escape", "utf-7", "rot13", "zip", "a\0b", "x" * 999):
        with pytest.raises(TableError) as refused:
            read(HEAD.encode() * 100_000, encoding=name)
        assert refused.value.code in ("unknown_encoding", "wrong_encoding")


@pytest.mark.parametrize("heading", ["resposta", "Què opines?"])
def test_one_column_of_texts_with_commas(heading: str) -> None:
    """Nothing separates cells there: no text loses what stands behind its first comma."""
    table = read(f"{heading}\nHola, com va\nBé, gràcies, i tu\nSí\nNo\n".encode())
    assert [row[0] for row in table.rows] == ["Hola, com va", "Bé, gràcies, i tu", "Sí", "No"]
    assert (len(table.columns), table.source.separator) == (1, None)


def test_a_text_cut_at_a_separator_is_no_item() -> None:
    """Half a text gets no mark; columns without a heading are left alone."""
    _, found = prepared(f"{HEAD}1;3r;x;Plou\n2;3r;x;Plou; i neva\n3;3r;x;Neva\n")
    assert [item["id_alumno"] for item in found.items] == ["1", "3"]
    assert [(problem.row, problem.code) for problem in found.problems] == [(3, "unreadable_cell")]
    _, found = prepared(f"{HEAD}1;3r;x;Plou;bé\n2;3r;x;Neva;bé\n3;3r;x;Sol\n")
    assert (len(found.items), found.problems) == (3, [])


def test_headings_that_are_repeated_are_no_student() -> None:
    """As between two files that were joined, or two pages."""
    _, found = prepared(f"{HEAD}1;3r;x;a\n{HEAD.upper()}2;3r;x;b\n")
    assert [item["id_alumno"] for item in found.items] == ["1", "2"]
    assert [(problem.row, problem.code) for problem in found.problems] == [(3, "not_an_item")]


def test_an_end_of_file_of_dos_is_text() -> None:
    assert answers(f"{HEAD}1;3r;x;a\n\x1a") == ["a"]


@pytest.mark.parametrize("shown", ["#N/A", "#¡VALOR!", "#REF!", "#DIV/0!"])
def test_errors_of_a_spreadsheet_are_no_answers(shown: str) -> None:
    """A CSV keeps what a formula showed, and nothing of the formula."""
    _, found = prepared(f"{HEAD}1;3r;x;a\n2;3r;x;{shown}\n3;3r;x;{shown} surt\n")
    assert [item["id_alumno"] for item in found.items] == ["1", "3"]
    assert [(problem.row, problem.column, problem.code) for problem in found.problems] == [
        (3, "D", "unreadable_cell")
    ]


@pytest.mark.parametrize(
    "rows",
    ['1;3r;x;a\n2;3r;x;"b\n3;3r;x;c\n4;3r;x;"d"\n5;3r;x;e\n', '1;3r;x;a\n2;3r;x;"b\n', '1;3r;x;a\n\n"b\n\n'],
)
def test_a_quote_that_is_not_closed_is_named(rows: str) -> None:
    """Also where that of a later row would close it, and give one student the texts of three."""
    with pytest.raises(TableError, match=r"Row [34]: a quotation mark") as refused:
        read((HEAD + rows).encode())
    assert refused.value.code == "unclosed_quote"


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ('5" de llarg', '5" de llarg'),
        ('"a ""b""\n;c"', 'a "b"\n;c'),
        ('"El gat" negre', "El gat negre"),
        ("'a", "'a"),
    ],
)
def test_quotes_as_spreadsheets_read_them(written: str, seen: str) -> None:
    assert answers(f"{HEAD}1;3r;x;{written}\n2;3r;x;b\n") == [seen, "b"]


def test_what_looks_like_rows_in_a_text_is_told() -> None:
    """It may be one: the row is read as it is written."""
    table, found = prepared(f'{HEAD}1;3r;x;"a\n2;3r;x;b"\n3;3r;x;c\n')
    assert len(found.items) == 2
    assert any("row 2" in note and "quotation mark" in note for note in table.notes)


@pytest.mark.parametrize(
    "heading", ["Alumne;Curs;Pregunta;Què opines?", "Alumne;Curs;Pregunta;Resposta correcta"]
)
def test_a_students_word_is_no_heading(heading: str) -> None:
    """Nor is the answer that a teacher expects a student's: which column is meant is asked for."""
    table = read(f"{heading}\n1;3r;x;Plou\n2;3r;x;Text\n3;3r;x;Neva\n".encode())
    assert len(table.rows) == 3
    with pytest.raises(TableError, match="say which one"):
        find_columns(table.columns)


def test_headings_that_only_begin_like_ours() -> None:
    """More words may follow, if they don't make another thing of it."""
    columns = find_columns(
        ["Nombre de paraules", "Curs acadèmic", "Text de la pregunta", "Resposta a la pregunta 1"]
    )
    assert (columns.id_alumno, columns.curso, columns.respuesta) == (None, 1, 3)


def test_files_without_headings_are_told_of() -> None:
    """Their first row would not be marked."""
    table = read(b"001;3r;x;Plou\n002;3r;x;Neva\n")
    assert "row 1 was taken for the headings" in table.notes
    assert prepared(HEAD + "1;3r;x;a\n")[0].notes == ()


@pytest.mark.parametrize(
    "start", ["<html><table>", "\ufeff <!DOCTYPE html>", '<?xml version="1.0"?>', "{\\rtf1 x"]
)
def test_pages_that_are_called_spreadsheets(start: str) -> None:
    with pytest.raises(TableError, match="save it as XLSX"):
        read(f"{start}<td>resposta</td>\n".encode(), name="notes.xls" if start[0] != "{" else "notes.csv")


def test_rows_are_numbered_as_a_spreadsheet_does() -> None:
    """Which doesn't show the line that names the separator, and counts a row of several lines once."""
    table, found = prepared(b'sep=,\r\nid,curs,pregunta,resposta\r\n1,"a\nb",x,y\r\n\r\n2,,x,z\r\n')
    assert table.row_numbers == (2, 3, 4)
    assert [problem.row for problem in found.problems] == [4]


def test_empty_rows_below() -> None:
    """Spreadsheets write them where only a format was set; a row below counts as it should."""
    table = read((f"{HEAD}1;3r;x;a\n" + ";;;\n" * 300_000).encode())
    assert len(table.rows) == 1
    with pytest.raises(TableError, match="300003 rows"):
        read((f"{HEAD}1;3r;x;a\n" + ";;;\n" * 300_000 + "2;3r;x;b\n").encode())


def test_guards_are_undone_exactly() -> None:
    """Whatever a text is made of, and whatever looks like a guard in it."""
    chance = random.Random(1)
    for signs in ("'='-+@,;|\t\n\r \"a1:\u200b\x85\u2028()＝−.x", "' :+=\"-1a(|!)D\n", "':-+1 ,.D|"):
        for _ in range(20_000):
            text = "".join(chance.choice(signs) for _ in range(chance.randint(0, 10)))
            assert unguarded(guarded(text)) == text


def test_undoing_guards_takes_linear_time() -> None:
    for piece in ("'", "='", " '", ":'=", "\n'", '"', "'-1 ", ",\u200b'="):
        started = time.process_time()
        unguarded("x" + piece * 100_000)
        assert time.process_time() - started < 5, piece


@pytest.mark.parametrize("line", ["\n", '""\n', ";\r", '"\n"\n'])
def test_empty_rows_have_an_end(line: str) -> None:
    """More than any spreadsheet has are refused: they take time, and hold nothing."""
    with pytest.raises(TableError, match="empty rows"):
        read(HEAD.encode() + line.encode() * 2_200_000)


@pytest.mark.parametrize("piece", ["\u0301\u0323", '"\n', '"a\n";', "\ufdfa", ";", " ", '""\n', "·l", "é’"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_reading_takes_linear_time(piece: str, encoding: str) -> None:
    """Whatever stands in the first rows, where headings and separators are looked for."""
    data = (f"{piece * (90_000 // len(piece))}\n" * 20).encode(encoding, "replace")
    started = time.process_time()
    with suppress(TableError):
        read(data)
    assert time.process_time() - started < 20


def test_a_title_above_comes_back_without_guards() -> None:
    table = read(f"-- Curs --;;;\n=títol;;;\n{HEAD}1;3r;x;a\n".encode())
    again = read(write(table, {0: {"nota": 3, "feedback": "x"}}, kind="csv"))
    assert (
        [row[0] for row in again.preamble] == [row[0] for row in table.preamble] == ["-- Curs --", "=títol"]
    )
