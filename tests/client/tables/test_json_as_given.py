"""JSON and NDJSON: what is no JSON is refused, and what no file can hold is replaced."""

from __future__ import annotations

import json

import pytest

from avalua_client.tables import find_columns, prepare, read, write


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json", "ndjson"])
def test_halves_of_characters_are_replaced(kind: str) -> None:
    """In names, texts and nested values; whole ones stay."""
    data = rb'{"id": "\udc00", "respuesta": "a\ud83d\ude00\ud800", "x\ud800": ["\ud800"]}'
    table = read(data, name="x.ndjson")
    assert table.rows == (("\ufffd", "a😀\ufffd", '["\ufffd"]'),)
    assert read(write(table, {}, kind=kind), name=f"x.{kind}").rows[0][:3] == table.rows[0]  # type: ignore[arg-type]


def test_names_are_columns_in_their_order() -> None:
    """Numbers as ids are text to the service and numbers in what comes back; no row is one of headings."""
    data = b'[{"respuesta": "a", "id": 7}, {"id": 7.5, "curso": true, "consigna": "x", "respuesta": null}]'
    table = read(data)
    assert (table.columns, table.row_numbers) == (("respuesta", "id", "curso", "consigna"), (1, 2))
    assert table.notes == ()
    found = prepare(
        read(b'[{"answer": 5, "id": 12}]'), find_columns(["answer", "id"]), curso="3r", consigna="x"
    )
    assert found.items == [{"id_alumno": "12", "curso": "3r", "consigna": "x", "respuesta": "5"}]
    assert json.loads(write(table, {}, kind="json"))[1]["id"] == 7.5
