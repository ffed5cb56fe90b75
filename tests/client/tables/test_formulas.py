"""No text of a table is taken for a formula, whatever its reader splits at."""

import time

import pytest

from avalua_client.tables.formulas import guarded
from tests.orchestrator.tables import IDS, NUMBERS, SIGNS, csv_of, read_csv


@pytest.mark.parametrize("written", [",", ";"])
@pytest.mark.parametrize("read", [",", ";", "\t", "|", ":", "\n"])
def test_no_piece_of_a_line_begins_with_a_sign(written: str, read: str) -> None:
    """Split at each separator by a reader that knows no quotes, no piece is one, whatever is dropped."""
    lines = csv_of([name for name in IDS if name not in NUMBERS], written).decode("utf-8-sig").splitlines()
    pieces = [piece for line in lines for piece in line.split(read)]
    assert len(pieces) > len(IDS)
    for piece in pieces:
        first = piece.lstrip('" \u00a0\u3000\u200b\ufeff\t\0\ufffd\x1f')[:1]
        assert first not in set(SIGNS), piece


def test_ids_that_are_numbers_join() -> None:
    """A number is no formula, so it stays what it is; what is guarded loses its `'` to who wants it back."""
    found = [row["id"] for row in read_csv(csv_of(IDS))]
    assert found[-3:] == NUMBERS
    assert [name.replace("'", "") for name in found] == [
        name.replace("\0", "\ufffd").replace("'", "") for name in IDS
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Fa -3 graus.",
        "2+2=4",
        "un punt - un altre",
        "anna@escola.cat",
        "x = 3",
        "pont-aqüeducte",
        "",
        "’=’",
        "Bé :-) :-D",
        "1:-3",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize(
    "piece", ["\n", " ", '"', "=", "-", ", ", ';"', "\u200b", "1", " =", "|\u200b", " \t", ":=", ":-a"]
)
def test_guarding_takes_linear_time(piece: str) -> None:
    """Eight times the text takes about eight times as long, whatever it is made of."""

    def seconds(count: int) -> float:
        text = "x" + piece * count
        started = time.process_time()
        guarded(text)
        return time.process_time() - started

    small = min(seconds(20_000) for _ in range(3))
    assert min(seconds(160_000) for _ in range(3)) < 40 * small + 0.05
