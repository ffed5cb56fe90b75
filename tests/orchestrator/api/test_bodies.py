"""Bodies as tables, editors and programs make them: taken where they are clear, else refused with help."""

import json
import pickle
import time
import unicodedata
from contextlib import suppress
from typing import Any

import pytest

from orchestrator.api.errors import ApiError
from orchestrator.api.schemas import parse_request
from orchestrator.config import Settings
from orchestrator.jobs import Item
from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start

SETTINGS = Settings()
TEXT = "Les plantes agafen energia del sòl i de la llum amb la clorofil·la; així creixen."


def body(*answers: str, **fields: str) -> str:
    """A body whose items hold these answers, and these other fields, given as JSON; an item a line."""
    others = {"id_alumno": '"A"', "curso": '"3r"', "consigna": '"Explica-ho."', **fields}
    start = ", ".join(f'"{name}": {value}' for name, value in others.items())
    items = ",\n".join(f'{{{start}, "respuesta": {answer}}}' for answer in answers)
    return f'{{"items": [\n{items}\n]}}'


def parse(content: str | bytes, settings: Settings = SETTINGS) -> list[Item]:
    items, _ = parse_request(content.encode() if isinstance(content, str) else content, settings)
    return items


def refusal(content: str | bytes, settings: Settings = SETTINGS) -> ApiError:
    with pytest.raises(ApiError) as refused:
        parse(content, settings)
    return refused.value


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32"),
        ("utf-32-be", "UTF-32"),
        ("cp1252", "Windows-1252"),
        ("latin-1", "Windows-1252"),
        ("mac-roman", "Mac Roman"),
        ("cp850", "code page 850"),
    ],
)
@pytest.mark.parametrize("escapes", [False, True])
def test_other_encodings_are_refused_by_name(encoding: str, name: str, escapes: bool) -> None:
    """The sentence says what the file looks like and what to do, also where the body holds an escape."""
    answer = json.dumps(TEXT, ensure_ascii=False)
    error = refusal(body(answer.replace("í", r"\u00ed") if escapes else answer).encode(encoding))
    assert (error.status, error.code) == (400, "invalid_json")
    assert name in error.message
    assert "save the file as UTF-8" in error.message


def test_a_byte_order_mark_is_taken() -> None:
    """Editors on Windows put one before UTF-8; places in what follows don't count it."""
    assert parse(body(json.dumps(TEXT)).encode("utf-8-sig"))[0].respuesta == TEXT
    assert refusal(body("NaN").encode("utf-8-sig")).details == refusal(body("NaN")).details


def test_what_word_writes_is_windows() -> None:
    """Its quotation marks are letters in other code pages."""
    assert "Windows-1252" in refusal(body('"“sí” «no» 5 €"').encode("cp1252")).message


def test_lines_are_counted_as_editors_count_them() -> None:
    """Whether they end as on Windows, on Unix or on old Macs, with tabs and emoji before the fault."""
    text = body('"x"', "\tNaN").replace('"A', '"\U0001f600')
    places = [refusal(text.replace("\n", end)).details for end in ("\n", "\r\n", "\r")]
    assert places[0]["line"] == 3
    assert places[0] == places[1] == places[2]


def test_a_damaged_byte_is_told_from_another_encoding() -> None:
    """One bad byte in UTF-8 is named with its place; an Excel workbook is called one."""
    whole = body(json.dumps(TEXT, ensure_ascii=False), '"x"').encode()
    error = refusal(whole.replace(b'"x"', b'"\xff"'))
    assert "item 1" in error.message
    assert "not UTF-8" in error.message
    assert error.details["line"] == 3
    assert "Excel" in refusal(b"PK\x03\x04...").message


@pytest.mark.parametrize(
    ("answer", "help_"),
    [
        ("NaN", "an empty cell?"),
        ("nan", "an empty cell?"),
        ("Infinity", "write null"),
        ("-Infinity", "write null"),
        ("None", "null"),
        ("undefined", "null"),
        ("True", "small letters"),
        ("'és'", "double quotes"),
        ("“és”", "double quotes"),
        ('"a\nb"', r"\n"),
        ('"a\tb"', r"\t"),
        ('"C:\\dades"', "twice"),
        ('"diu "hola" i surt"', "before a quote"),
        ('"x",', "comma too many"),
        ("3,5", "name in double quotes"),
        ("007", "in quotes"),
        ("/* res */", "no comments"),
        ("", "value is missing"),
    ],
)
@pytest.mark.parametrize("neighbour", ['"é \\" ]}, {["', r'"h\u00e9 \ud83d"'])
def test_what_is_not_json_is_named_with_its_place(answer: str, help_: str, neighbour: str) -> None:
    """Line, column and item, whatever texts come before, with and without escapes, and what to do."""
    text = body(*[neighbour] * 1234, answer, neighbour)
    error = refusal(text)
    assert (error.status, error.code) == (400, "invalid_json")
    place = error.details
    assert (place["index"], place["line"]) == (1234, 1236)
    assert f"line 1236, column {place['column']}, item 1234: " in error.message
    line = text.split("\n", 1235)[-1] if answer == '"a\nb"' else text.split("\n")[1235]
    start = line.index('"respuesta": ') + len('"respuesta": ')
    assert start < place["column"] <= start + len(answer) + 1
    assert help_ in error.message
    assert "hola" not in error.message


@pytest.mark.parametrize(
    ("content", "index", "help_"),
    [
        (body('"x"', '"y"')[:-12], 1, "cut off"),
        (body('"x"', '"y"')[:-3], 1, "cut off"),
        (body('"x"') + body('"y"'), None, "one value"),
        (body('"x"').replace("\n]", ",\n]"), 0, "comma too many"),
        (body('"x"', '"y"').replace("},\n", "}\n"), 1, "comma is missing"),
        ('{"items": [], "priority": NaN}', None, "an empty cell?"),
        ('{"x": [1, {}], "items": [1, {"a": [2, 3]}, {"b" 4}]}', 2, "colon"),
        ("[1, 2, NaN]", 2, "an empty cell?"),
        ("[" * 100_000, 0, "deep"),
        ("", None, "empty"),
        ("<html>", None, "value is missing"),
    ],
)
def test_faults_outside_of_values_have_a_place_too(content: str, index: int | None, help_: str) -> None:
    error = refusal(content)
    assert error.details.get("index") == index
    assert help_ in error.message


def test_a_bare_list_is_shown_the_right_shape() -> None:
    error = refusal("[" + json.dumps(make_items(1)[0]) + "]")
    assert (error.status, error.code) == (400, "invalid_body")
    assert '{"items": [' in error.message


@pytest.mark.parametrize(
    ("content", "index", "field"),
    [
        (body('"x"', '"y", "respuesta": "z"'), 1, "respuesta"),
        (body('"x", "id_alumno": "B"', '"y"'), 0, "id_alumno"),
        ('{"items": [1], "items": []}', None, "items"),
    ],
)
def test_what_is_given_twice_is_not_lost_in_silence(content: str, index: int | None, field: str) -> None:
    """Readers of JSON keep the last of two equal names: 422 names the item and the field."""
    error = refusal(content)
    assert error.status == 422
    assert [(problem["index"], problem["field"]) for problem in error.details["problems"]] == [(index, field)]


def test_one_item_alone_is_told_where_it_belongs() -> None:
    """A person's first try: the refusal shows the right shape."""
    error = refusal(b'{"id_alumno": "A1", "curso": "1r", "consigna": "c", "respuesta": "r"}')
    assert (error.status, error.code) == (400, "no_items")
    assert error.message.endswith("This is one item: put it into a list with that name.")


def test_a_text_that_is_the_name_of_a_field_is_no_repetition() -> None:
    answers = ["respuesta", "items", "id_alumno"]
    assert [item.respuesta for item in parse(body(*map(json.dumps, answers)))] == answers


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1234", "1234"),
        ("-12", "-12"),
        ("0", "0"),
        ('"012"', "012"),
        ("12.0", "12"),
        ('"12.0"', "12.0"),
        ("113370000000000000001", "113370000000000000001"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("1" * 256, "1" * 256),
    ],
)
def test_a_whole_number_is_an_id(written: str, text: str) -> None:
    assert parse(body('"x"', id_alumno=written))[0].id_alumno == text


def test_a_long_number_is_an_id_nowhere_else() -> None:
    """What looks like one within a text stays text."""
    answer = '"id_alumno": 113370000000000000001, "'
    items = parse(body(json.dumps(answer), id_alumno="113370000000000000001"))
    assert (items[0].respuesta, items[0].id_alumno) == (answer, "113370000000000000001")


@pytest.mark.parametrize("written", ["1.5", "true", "null", "[1]", "1e30", "9007199254740993.0", "1" * 257])
def test_what_has_more_than_one_way_to_be_written_is_no_id(written: str) -> None:
    """A decimal number could not be joined with its student again."""
    error = refusal(body('"x"', id_alumno=written))
    assert error.status == 422
    assert error.details["problems"][0]["field"] == "id_alumno"


def test_an_answer_is_as_long_as_it_looks() -> None:
    """Accents of their own and dotted lines don't make it too long; letters do."""
    settings = SETTINGS.model_copy(update={"max_field_chars": 50})
    texts = [unicodedata.normalize("NFD", "é" * 50), "Sí " + "." * 500, "é" * 51]
    items = parse(body(*map(json.dumps, texts)), settings)
    assert [item.error and item.error.code for item in items] == [None, None, "too_long"]
    assert items[0].respuesta == texts[0]


def test_ids_and_courses_have_limits_of_their_own() -> None:
    """Each is refused one character beyond its limit, with index and field."""
    settings = SETTINGS.model_copy(update={"max_id_chars": 3, "max_course_chars": 4})
    parse(body('"x"', id_alumno='"abc"', curso='"abcd"'), settings)
    error = refusal(body('"x"', id_alumno='"abcd"', curso='"abcde"'), settings)
    assert error.status == 422
    assert {problem["field"] for problem in error.details["problems"]} == {"id_alumno", "curso"}


def test_half_an_emoji_becomes_the_replacement_character() -> None:
    """Whole ones stay, halves in any order do not, and an escaped backslash is no escape."""
    texts = parse(body(r'"\ud83d\ud83d\ude00\ude00 \\ud83d \uD83D"', r'"\ud83d\u0041\\\ude00"'))
    assert [item.respuesta for item in texts] == [
        "\ufffd\U0001f600\ufffd \\ud83d \ufffd",
        "\ufffdA\\\ufffd",
    ]


@pytest.mark.parametrize("answer", [r"\ud83dx", r"\\", "\\", r"\ud83d", r"\ud83d\ude00"])
def test_halves_of_emoji_are_found_in_linear_time(answer: str) -> None:
    """Eight times the text takes about eight times as long, whatever it is made of."""

    def seconds(count: int) -> float:
        content = body(rf'"\ud83d{answer * count}"').encode()
        started = time.process_time()
        with suppress(ApiError):
            parse_request(content, SETTINGS)
        return time.process_time() - started

    small = min(seconds(20_000) for _ in range(3))
    assert min(seconds(160_000) for _ in range(3)) < 40 * small + 0.05


def test_errors_and_items_cross_to_another_process() -> None:
    """Large bodies may be read elsewhere: what comes back is the same after a journey as bytes."""
    error = refusal(body("NaN"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (again.status, again.code, again.message, again.details, again.headers) == (
        error.status,
        error.code,
        error.message,
        error.details,
        error.headers,
    )
    items = parse(body('"x"', json.dumps("a" * 20_001)))
    assert pickle.loads(pickle.dumps(items)) == items  # noqa: S301  our own


async def test_one_answer_that_is_too_long_fails_alone(start: Start, scripted_triton: TritonProcess) -> None:
    """Null and over-long answers are failed results of an accepted job; a numeric id comes back as text."""
    items: list[dict[str, Any]] = make_items(4)
    items[0]["respuesta"] = None
    items[1]["respuesta"] = "a" * 51
    items[2]["respuesta"] = "Hola " + "a" * 45
    items[3]["id_alumno"] = 1234
    async with start(scripted_triton, max_field_chars=50) as client:
        job_id = await client.submit(items)
        heard = await client.stream(job_id)
        kept = await client.service.store.reading.items(job_id)
    results = sorted(heard.results, key=lambda result: result["index"])
    assert [result["error"] and result["error"]["code"] for result in results] == [
        "blank_answer",
        "too_long",
        None,
        None,
    ]
    assert "51 characters" in results[1]["error"]["message"]
    assert (results[1]["nota"], results[1]["attempts"], results[1]["id_alumno"]) == (None, 0, "A1")
    assert results[3]["id_alumno"] == "1234"
    assert heard.final["failed_items"] == 2
    assert kept[1].respuesta == "a" * 50 + " […]"
    assert kept[1].error is not None


async def test_a_foreign_encoding_is_refused_and_a_mark_is_taken(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Through the service: 202 for UTF-8 with a mark, 400 in the one shape of errors for the others."""
    plain = body(json.dumps(TEXT, ensure_ascii=False))
    headers = {"Content-Type": "application/json"}
    async with start(scripted_triton) as client:
        for encoding, expected in (("utf-8-sig", 202), ("utf-16", 400), ("cp1252", 400)):
            data = plain.encode(encoding)
            status, answer, _ = await client.call("POST", "/evaluate", data=data, headers=headers)
            assert status == expected, answer
            assert status == 202 or answer["code"] == "invalid_json"
