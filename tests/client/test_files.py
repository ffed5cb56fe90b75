"""What is written for a file, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from avalua_client import files
from avalua_client.errors import ConfigurationError
from avalua_client.files import Reading, check_target, load, save
from avalua_client.models import Result
from tests.client.hostile import result

CLASS = (
    "alumne;curs;pregunta;resposta\r\n0012;3r;Explica.;Plou.\r\n;;;\r\n7;3r;Explica.;No ho sé.\r\n".encode(
        "cp1252"
    )
)


def marked() -> tuple[files.Sheet, dict[int, Result]]:
    sheet = load(CLASS, "class.csv", Reading())
    return sheet, {place: Result.from_json(result(place)) for place in range(2)}


def test_marks_stand_beside_their_own_rows(tmp_path: Path) -> None:
    """An empty row between stays where it is, and an id keeps its zeros."""
    sheet, results = marked()
    assert [sheet.row_number(place) for place in (0, 1)] == [2, 4]
    written = save(sheet, results, tmp_path / "marks.csv", "ca")
    rows = [line.split(";") for line in written.read_text("utf-8-sig").splitlines()]
    assert [row[0] for row in rows] == ['"alumne"', '"0012"', '""', '"7"']
    assert [row[4] for row in rows] == ['"nota"', '"0"', '""', '"1"']
    assert sorted(path.name for path in tmp_path.iterdir()) == ["marks.csv"]


def test_a_file_that_is_open_elsewhere_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace it: the marks get another name, and nothing is lost."""
    target = tmp_path / "marks.xlsx"
    for name in ("marks.xlsx", "marks-2.xlsx"):
        (tmp_path / name).write_text("open")
    replace = Path.replace

    def refuse(self: Path, where: Path) -> Path:
        if Path(where) == target:
            raise PermissionError(13, "in use")
        return replace(self, where)

    monkeypatch.setattr(Path, "replace", refuse)
    sheet, results = marked()
    assert save(sheet, results, target, "ca") == tmp_path / "marks-3.xlsx"
    assert target.read_text() == "open"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["marks-2.xlsx", "marks-3.xlsx", "marks.xlsx"]


def test_what_is_read_is_not_written_to(tmp_path: Path) -> None:
    """Under whatever name it goes."""
    source, link = tmp_path / "class.csv", tmp_path / "other.csv"
    source.write_bytes(CLASS)
    link.symlink_to(source)
    for target in (source, link):
        with pytest.raises(ConfigurationError, match="not written to"):
            check_target(source, target)


def test_control_characters_and_cells_that_are_too_long(tmp_path: Path) -> None:
    """They are cut or replaced so that it can be seen, and the workbook opens."""
    long = "a" * 40_000
    data = f"resposta;curs;pregunta\nun\x08dos\x00;3r;Explica.\n{long};3r;Explica.\n".encode()
    sheet = load(data, "x.csv", Reading())
    results = {place: Result.from_json(result(place)) for place in range(2)}
    written = save(sheet, results, tmp_path / "marks.xlsx", "ca")
    again = load(written.read_bytes(), "marks.xlsx", Reading())
    assert again.table.rows[0][0] == "un\ufffddos\ufffd"
    cut = str(again.table.rows[1][0])
    assert len(cut) == 32_767
    assert cut.endswith(" […]")
