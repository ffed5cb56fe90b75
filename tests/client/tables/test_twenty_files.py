"""Files as people have them: each is read rightly, or refused in one sentence."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from avalua_client.tables import Prepared, Table, TableError, find_columns, prepare, read, write
from tests.client.tables import workbooks
from tests.client.tables.workbooks import HEAD, ROW

CLASS = "\r\n".join([
    "alumne;curs;pregunta;resposta;nota", "001;3r ESO;Què és?;Això és, més o menys.;7,5",
    "002;3r;Què?;Núvols;", "",
])  # fmt: skip
IDS = ["001", "002"]
ANSWERS = ["Això és, més o menys.", "Núvols"]
QUOTED = (
    'id,curs,pregunta,resposta\n1,3r,"Què, com?","Primera línia\nsegona ""línia"", fi"\n2,3r,Què?,Curta\n'
)
ORIGINAL = (
    "id_participante;curso;pregunta;respuesta;evaluacion_1;evaluacion_2;evaluacion_3\n"
    "P01;1º;¿Qué es?;El agua.;3;2,5;\nP02;1º;¿Qué es?;La lluvia.;0;1;1\n"
)


@dataclass(frozen=True)
class File:
    """A file's bytes, and what is in it."""

    data: bytes
    ids: list[str]
    answers: list[str]
    name: str = "class.csv"
    encoding: str | None = None
    separator: str | None = None


FILES = {
    "; in Windows-1252": File(CLASS.encode("cp1252"), IDS, ANSWERS, encoding="cp1252", separator=";"),
    "; in UTF-8 with a mark": File(CLASS.encode("utf-8-sig"), IDS, ANSWERS, encoding="utf-8-sig"),
    "; in UTF-8": File(CLASS.encode(), IDS, ANSWERS, encoding="utf-8", separator=";"),
    "; in UTF-16 with a mark": File(CLASS.encode("utf-16"), IDS, ANSWERS, encoding="utf-16", separator=";"),
    "; in UTF-16 without": File(CLASS.encode("utf-16-le"), IDS, ANSWERS, encoding="utf-16-le", separator=";"),
    "tabs in UTF-16, as Excel's Unicode text": File(
        CLASS.replace(";", "\t").encode("utf-16"), IDS, ANSWERS, "class.txt", "utf-16", "\t"
    ),
    "a line that says the separator": File(b"sep=;\r\n" + CLASS.encode(), IDS, ANSWERS, separator=";"),
    "commas, and line ends in quotes": File(
        QUOTED.encode(), ["1", "2"], ['Primera línia\nsegona "línia", fi', "Curta"], separator=","
    ),
    "pipes": File(CLASS.replace(";", "|").encode(), IDS, ANSWERS, separator="|"),
    "line ends of an old Mac": File(
        CLASS.replace("\r\n", "\r").encode("mac_roman"), IDS, ANSWERS, encoding="mac_roman"
    ),
    "empty last rows and columns": File(
        (CLASS.replace("\r\n", ";;\r\n") + ";;;;;;\r\n" * 50).encode(), IDS, ANSWERS, separator=";"
    ),
    "a title and an empty row above the headings": File(
        ("Avaluació inicial;;;;\r\n;;;;\r\n" + CLASS).encode(), IDS, ANSWERS, separator=";"
    ),
    "the original's format": File(ORIGINAL.encode(), ["P01", "P02"], ["El agua.", "La lluvia."]),
    "answers with semicolons in quotes, cells of decimal commas": File(
        b'id,resposta,curs,pregunta,nota\n1,"a; b; c",3r,x,"3,5"\n2,"d; e",3r,x,"2,5"\n',
        ["1", "2"], ["a; b; c", "d; e"], separator=",",
    ),
    "JSON": File(
        b'{"items": [{"id_alumno": 12, "curso": "3r", "consigna": "x", "respuesta": "a"}]}',
        ["12"], ["a"], "x.json",
    ),
    "NDJSON with U+2028 in a text": File(
        ('{"id":"1","curs":"3r","pregunta":"x","resposta":"a\u2028b"}\n\n'
         '{"id":"2","curs":"3r","pregunta":"x","resposta":null}\n').encode(),
        ["1", "2"], ["a\u2028b", ""], "x.ndjson",
    ),
    "XLSX": File(
        workbooks.plain([HEAD, ROW, ("", "", "", ""), ("A2", *ROW[1:])]),
        ["A1", "A2"], ["Plou."] * 2, "x.xlsx",
    ),
    "XLSX that is called CSV": File(workbooks.plain([HEAD, ROW]), ["A1"], ["Plou."]),
    "XLSX with formulas": File(workbooks.with_formulas(stored=True), ["A1", "A1"], ["Plou."] * 2, "x.xlsx"),
    "XLSX with dates and leading zeros": File(
        workbooks.with_dates_and_zeros(), ["0012", "7"], ["Plou."] * 2, "x.xlsx"
    ),
    "XLSX with merged heads": File(workbooks.with_merged_heads(), ["A1", "A2"], ["Plou.", "Neva."], "x.xlsx"),
    "XLSX with hidden parts": File(workbooks.with_hidden_parts(), ["A1", "A2"], ["Plou."] * 2, "x.xlsx"),
    "XLSX with formats far away": File(workbooks.formatted_far_away(), ["A1"], ["Plou."], "x.xlsx"),
}  # fmt: skip


def prepared(file: File) -> tuple[Table, Prepared]:
    table = read(file.data, name=file.name)
    return table, prepare(table, find_columns(table.columns))


@pytest.mark.parametrize("name", FILES)
def test_it_is_read_rightly(name: str) -> None:
    """Ids and answers as the eye sees them, and how the file was read."""
    file = FILES[name]
    table, found = prepared(file)
    assert [item["id_alumno"] for item in found.items] == file.ids
    assert [item["respuesta"] for item in found.items] == file.answers
    assert all(item["curso"] and item["consigna"] for item in found.items)
    assert found.problems == []
    if file.encoding:
        assert table.source.encoding == file.encoding
    if file.separator:
        assert table.source.separator == file.separator


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_all_of_it_comes_back_with_the_marks(name: str, kind: str) -> None:
    """Every row and column in its order, and each mark beside the text that it is of."""
    table, found = prepared(FILES[name])
    results = {
        row: {"nota": place % 6, "feedback": f"de {item['respuesta']}", "status": "ok"}
        for place, (row, item) in enumerate(zip(found.rows, found.items, strict=True))
    }
    again = read(write(table, results, kind=kind), name=f"marks.{kind}")  # type: ignore[arg-type]
    width = len(table.columns)
    if kind != "json":  # which names columns without a heading
        assert again.columns[:width] == table.columns
    shown = [["" if cell is None else str(cell) for cell in row[:width]] for row in again.rows]
    comma = kind == "csv"
    expected = [["" if cell is None else as_text(cell, comma=comma) for cell in row] for row in table.rows]
    assert shown == expected[: len(shown)]
    assert all(not any(row) for row in expected[len(shown) :])
    feedback = again.columns.index("feedback")
    marks = {row: again.rows[row][feedback] for row in range(len(again.rows)) if again.rows[row][feedback]}
    assert marks == {row: result["feedback"] for row, result in results.items()}


def as_text(cell: object, *, comma: bool) -> str:
    return str(cell).replace(".", ",") if comma and isinstance(cell, float) else str(cell)


REFUSED = {
    "40 KB that unpack to 1 GB": (workbooks.bomb, "workbook_too_large", "unpacks to"),
    "a bomb that lies": (workbooks.lying_bomb, "damaged_workbook", "save it as XLSX anew"),
    "entities": (workbooks.with_entities, "damaged_workbook", "save it as XLSX anew"),
    "an OpenDocument file": (workbooks.open_document, "unsupported_workbook", "OpenDocument"),
    "an old workbook": (lambda: b"\xd0\xcf\x11\xe0" + bytes(2000), "unsupported_workbook", "save it as XLSX"),
    "half a workbook": (lambda: workbooks.plain([HEAD, ROW])[:2000], "damaged_workbook", "damaged"),
    "a PDF": (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 20, "not_text", "no text"),
    "nothing": (lambda: b"", "empty_table", "nothing"),
    "blanks": (lambda: b" \r\n;;\r\n", "empty_table", "nothing"),
    "headings alone": (CLASS.splitlines()[0].encode, "no_rows", "no rows"),
    "no known heading": (lambda: b"a;b\r\n1;2\r\n", "missing_column", "say which one"),
    "two columns of answers": (lambda: b"resposta;resposta\r\n1;2\r\n", "ambiguous_column", "respuesta=A"),
    "no course": (lambda: b"id;resposta\r\n1;2\r\n", "missing_column", "curso"),
    "a quote that is not closed": (
        lambda: b'id;curs;pregunta;resposta\r\n1;a;b;"c\r\n2;a;b;d\r\n3;a;b;e\r\n', "unclosed_quote", "Row 2",
    ),
    "broken JSON": (lambda: b'[{"respuesta": "a",]', "invalid_json", "line 1"),
    "JSON of numbers": (lambda: b"[1, 2]", "invalid_json", "Entry 1"),
    "JSON that is nested": (lambda: b"[" * 100_000, "invalid_json", "nested"),
    "an empty sheet": (lambda: workbooks.plain([]), "empty_table", "nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_sentence(name: str) -> None:
    """That says what to do; soon, whatever it would unpack to."""
    make, code, words = REFUSED[name]
    data = make()
    assert len(data) < 110_000
    started = time.process_time()
    with pytest.raises(TableError, match=words) as refused:
        prepared(File(data, [], [], ""))
    assert time.process_time() - started < 5
    assert refused.value.code == code
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_formula_without_a_value_is_named() -> None:
    """Its row can't be marked, and says which cell to type; the others are."""
    table, found = prepared(File(workbooks.with_formulas(stored=False), [], [], "x.xlsx"))
    assert [item["respuesta"] for item in found.items] == ["Plou."]
    (problem,) = found.problems
    assert (problem.row, problem.column, problem.code) == (2, "D", "unreadable_cell")
    assert "D2" in problem.message
    assert any("D2" in note for note in table.notes)


def test_what_is_hidden_is_said() -> None:
    """Hidden and other sheets are left alone, hidden rows are read; each is told."""
    table, _ = prepared(FILES["XLSX with hidden parts"])
    assert table.source.sheet == "Respostes"
    told = " / ".join(table.notes)
    assert "hidden sheets were not read: Full1" in told
    assert "other sheets were not read: Notes" in told
    assert "1 hidden rows were read" in told


def test_rows_that_are_no_items() -> None:
    """A line without a text below the class is left out and told; a blank answer is an item."""
    data = b"alumne;curs;pregunta;resposta\n1;3r;x;\n2;;x;Plou\nTotal: 2;;;\n"
    _, found = prepared(File(data, [], []))
    assert [(item["id_alumno"], item["respuesta"]) for item in found.items] == [("1", "")]
    assert [(problem.row, problem.code) for problem in found.problems] == [
        (3, "empty_cell"),
        (4, "not_an_item"),
    ]


def test_a_blank_answer_is_an_item_whatever_columns_are_known() -> None:
    """A student without an answer must not be left out in silence."""
    table = read(b"Grup;resposta\nB;be\nB;\n;\nB;x\n")
    found = prepare(table, find_columns(table.columns), curso="3r", consigna="x")
    assert [item["respuesta"] for item in found.items] == ["be", "", "x"]
    assert found.rows == [0, 1, 3]
    named = read(b"Nom i cognoms;resposta\nAnna;a\n")
    assert find_columns(named.columns).id_alumno == 0


def test_answers_are_no_headings() -> None:
    """One that says just "Resposta" among others; a title that begins so is none either."""
    table = read(b"codi;Resposta 1\nA;uf\nB;hola\nC;Resposta\nD;adeu\n")
    assert (table.source.header_row, len(table.rows)) == (1, 4)
    titled = read(b"Respostes de la classe;;\n;;\nalumne;curs;resposta\n1;3r;a\n")
    assert titled.source.header_row == 3
    objects = b'[{"id":"1","respuesta":"a"},{"id":"id","respuesta":"respuesta"},{"id":"3","respuesta":"c"}]'
    assert len(read(objects).rows) == 3


def test_a_text_that_was_cut_at_its_separator_is_not_marked() -> None:
    """Cells behind the last heading: the row is named, and the others are marked."""
    data = b"id;curs;pregunta;resposta\n1;3r;q;hola; que tal\n2;3r;q;be\n"
    table = read(data)
    found = prepare(table, find_columns(table.columns))
    assert [item["respuesta"] for item in found.items] == ["be"]
    assert [(one.row, one.code) for one in found.problems] == [(2, "unreadable_cell")]
    one_column = read(b"resposta\nhola, que tal; com va\nbe\n")
    assert [row[0] for row in one_column.rows] == ["hola, que tal; com va", "be"]


def test_a_damaged_byte_does_not_change_the_encoding() -> None:
    """The rest of the file is read as it was written, and it is told."""
    data = "resposta;curs;pregunta\nAixò és així, també;3r;Què?\nnom\u00e9s aix\u00f2;3r;q\n".encode()
    table = read(data.replace("aix\u00f2".encode(), b"aix\xc3"))
    assert table.rows[0][0] == "Això és així, també"
    assert table.notes
    assert read(data[:-8] + b"\xc3").rows[0][0] == "Això és així, també"


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json", "ndjson"])
def test_what_no_file_can_hold_is_written_all_the_same(kind: str) -> None:
    """Half an emoji, a number of four hundred digits, and one that is none."""
    data = b'[{"respuesta": "a\\ud83d", "n": 1' + b"0" * 400 + b', "x": NaN, "y": Infinity}]'
    table = read(data)
    written = write(table, {0: {"nota": 3}}, kind=kind)  # type: ignore[arg-type]
    (row,) = read(written, name=f"x.{kind}").rows
    assert row[0] == "a\ufffd"
    assert str(row[1]) == "1" + "0" * 400
    assert row[2] in (None, "")


def test_columns_by_letter_number_and_heading() -> None:
    """For files whose headings are questions."""
    table = read("Marca;Què és la pluja?;D\n1;Plou;z\n".encode())
    assert find_columns(table.columns, {"respuesta": "B"}).respuesta == 1
    assert find_columns(table.columns, {"respuesta": "2"}).respuesta == 1
    assert find_columns(table.columns, {"respuesta": "que es la pluja"}).respuesta == 1
    assert find_columns(table.columns, {"respuesta": "D"}).respuesta == 2
    with pytest.raises(TableError, match="no column 'E'"):
        find_columns(table.columns, {"respuesta": "E"})


def test_what_is_found_can_be_changed() -> None:
    """The encoding and the separator; what can't be is refused."""
    text = "resposta\nAixò\n"
    assert read(text.encode(), encoding="cp1252").rows[0] == ("AixÃ²",)
    assert read(b"resposta,x;y\na,b;c\n", separator=",").rows[0] == ("a", "b;c")
    for options, words in (
        ({"encoding": "klingon"}, "no encoding"),
        ({"encoding": "utf-8"}, "not in utf-8"),
        ({"encoding": "base64"}, "encoding"),
        ({"separator": ";;"}, "one character"),
    ):
        with pytest.raises(TableError, match=words):
            read(text.encode("cp1252"), **options)  # type: ignore[arg-type]


def test_guarded_texts_come_back_byte_for_byte() -> None:
    """What was guarded against being a formula loses exactly its guard when the file is read again."""
    texts = [
        "=1+1",
        "'=1+1",
        "-5 graus",
        "@anna",
        "a\n=b",
        "+34",
        "''-x",
        "l'aigua -va",
        "\t=x",
        " =a",
        "x: =b",
        "-12",
    ]
    data = "id;curs;pregunta;resposta\n" + "".join(f'{n};3r;x;"{text}"\n' for n, text in enumerate(texts))
    table = read(data.encode())
    assert [row[3] for row in table.rows] == texts
    written = write(table, {}, kind="csv")
    cells = written.decode("utf-8-sig")
    assert ';"=' not in cells
    assert [row[3] for row in read(written).rows] == texts


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_time_grows_with_the_file(kind: str) -> None:
    """Four times the rows take about four times as long."""

    def seconds(count: int) -> float:
        data = (
            workbooks.plain([HEAD, *[ROW] * count])
            if kind == "xlsx"
            else (";".join(HEAD) + "\n" + (";".join(ROW) + "\n") * count).encode()
        )
        started = time.perf_counter()
        prepared(File(data, [], []))
        return time.perf_counter() - started

    seconds(100)
    small, large = seconds(2000), seconds(8000)
    assert large < 12 * small + 1
