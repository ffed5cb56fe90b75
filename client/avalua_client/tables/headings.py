"""Which column holds what, by the headings that people give."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from avalua_client.tables.table import TableError, letter

RATERS = ("evaluacion_1", "evaluacion_2", "evaluacion_3")
NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "respuesta": (
        "respuesta", "resposta", "answer", "response", "respuesta del alumno", "respuesta alumno",
        "resposta de l alumne", "resposta alumne", "resposta de l alumnat", "student answer", "text", "texto",
        "text de l alumne", "texto del alumno", "redaccio", "redaccion", "respostes", "respuestas", "answers",
    ),
    "id_alumno": (
        "id alumno", "id alumne", "id participante", "id participant", "id student", "student id", "id",
        "identificador", "identifier", "codi alumne", "codi de l alumne", "codigo alumno",
        "codigo del alumno", "student code", "student number", "alumno", "alumne", "alumna", "participante",
        "participant", "student", "estudiant", "estudiante", "codi", "codigo", "code", "num", "numero",
        "number", "n", "nom", "nombre", "name", "nom i cognoms", "nombre y apellidos",
        "full name", "nom complet",
    ),
    "curso": ("curso", "curs", "course", "grade", "nivell", "nivel", "level", "year", "curs escolar"),
    "consigna": (
        "consigna", "pregunta", "question", "prompt", "enunciat", "enunciado", "assignment", "task", "tasca",
        "tarea", "instruccio", "instruccion", "instruction", "instructions", "exercici", "ejercicio",
    ),
    **{
        f"evaluacion_{n}": (f"evaluacion {n}", f"avaluacio {n}", f"evaluation {n}", f"rater {n}")
        for n in (1, 2, 3)
    },
})  # fmt: skip
ANSWERS = frozenset(NAMES["respuesta"])
GENERIC = frozenset({"text", "texto", "codi", "codigo", "code", "numero", "number", "nombre", "name"})
"""What a heading may begin with that is about something else: ``Nombre de paraules``."""
MODEL = frozenset({"correcta", "correcte", "correcto", "correct", "esperada", "expected", "model", "modelo"})
"""Words of headings over answers that no student wrote."""
MAX_HEADING_CHARS = 300
_NOTHING: Mapping[str, str] = MappingProxyType({})
_LETTERS = re.compile(r"[A-Za-z]{1,3}")


@dataclass(frozen=True)
class Columns:
    """Places of columns, counted from 0; None where a file has no such column."""

    respuesta: int
    id_alumno: int | None = None
    curso: int | None = None
    consigna: int | None = None
    evaluaciones: tuple[int, ...] = ()


def plain(heading: object) -> str:
    """A heading in small letters, without accents and signs: ``Resposta de l'alumne:`` and such."""
    # Decomposing takes the square of the length of some texts; a cell may be long, a heading is not.
    decomposed = unicodedata.normalize("NFKD", str(heading or "")[:MAX_HEADING_CHARS]).casefold()
    kept = [sign if sign.isalnum() else " " for sign in decomposed if not unicodedata.combining(sign)]
    return " ".join("".join(kept).split())


def names_answer(heading: str) -> bool:
    """Whether a plain heading is a name of the answers' column, alone or followed by more."""
    return heading in ANSWERS or any(heading.startswith(f"{name} ") for name in ANSWERS if len(name) > 3)


def are_headings(cells: Sequence[object], *, alone: bool) -> bool:
    """Whether a row names the answers' column and another one, or just it, where that may stand ``alone``."""
    headings = [plain(cell) for cell in cells]
    named = any(heading in ANSWERS for heading in headings)
    others = recognised(cells) - named
    return (named and alone) or (others > 0 and any(map(names_answer, headings)))


def recognised(headings: Sequence[object]) -> int:
    """How many of our fields these headings name."""
    names = [plain(heading) for heading in headings]
    return sum(any(name in known for name in names) for known in NAMES.values())


def find_columns(columns: Sequence[str], chosen: Mapping[str, str] = _NOTHING) -> Columns:
    """The columns of each field.

    ``chosen`` says which, where it is not by its name: a heading, a spreadsheet's letter, or a number from 1.
    Raises TableError (``missing_column``, ``ambiguous_column``, ``unknown_column``).
    """
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        names = ", ".join(NAMES)
        raise TableError("unknown_field", f"There is no field {unknown[0]}: a column can hold {names}.")
    found = {name: _chosen(columns, name, choice) for name, choice in chosen.items()}
    taken = set(found.values())
    for name, known in NAMES.items():
        if name not in found and (place := _by_name(columns, name, known, taken)) is not None:
            found[name] = place
            taken.add(place)
    if "respuesta" not in found:
        raise TableError(
            "missing_column",
            f"No column is called respuesta or alike; there are {_listed(columns)}: say which one holds the "
            "answers (respuesta=B).",
            {"field": "respuesta", "columns": list(columns)},
        )
    raters = tuple(found[name] for name in RATERS if name in found)
    return Columns(
        found["respuesta"], found.get("id_alumno"), found.get("curso"), found.get("consigna"), raters
    )


def _by_name(columns: Sequence[str], name: str, known: Sequence[str], taken: set[int]) -> int | None:
    """The column with the first of our names that any has; more may follow the name, if only one is so."""
    names = [plain(column) for column in columns]
    for alias in known:
        places = [place for place, heading in enumerate(names) if heading == alias and place not in taken]
        if len(places) > 1:
            raise _ambiguous(columns, name, places)
        if places:
            return places[0]
    beginnings = tuple(f"{alias} " for alias in known if len(alias) > 3 and alias not in GENERIC)
    places = [
        place
        for place, heading in enumerate(names)
        if place not in taken and heading.startswith(beginnings) and MODEL.isdisjoint(heading.split())
    ]
    return places[0] if len(places) == 1 else None


def _ambiguous(columns: Sequence[str], name: str, places: Sequence[int]) -> TableError:
    words = " and ".join(f"{letter(place)} ({columns[place]})" for place in places[:3])
    return TableError(
        "ambiguous_column",
        f"More than one column could be {name}: {words}; say which one ({name}={letter(places[0])}).",
        {"field": name, "columns": [letter(place) for place in places]},
    )


def _chosen(columns: Sequence[str], name: str, choice: str) -> int:
    for same in (str, plain):
        places = [place for place, column in enumerate(columns) if column and same(column) == same(choice)]
        if len(places) == 1:
            return places[0]
    place = -1
    if choice.isascii() and choice.isdigit():
        place = int(choice[:6]) - 1
    elif _LETTERS.fullmatch(choice):
        for sign in choice.upper():
            place = (place + 1) * 26 + ord(sign) - ord("A")
    if not 0 <= place < len(columns):
        raise TableError(
            "unknown_column",
            f"There is no column {choice!r} for {name}; there are {_listed(columns)}.",
            {"field": name, "columns": list(columns)},
        )
    return place


def _listed(columns: Sequence[str]) -> str:
    """The columns' letters with their headings, as many as one line holds."""
    some = [
        f"{letter(place)} ({str(name)[:30]})" if name else letter(place) for place, name in enumerate(columns)
    ]
    return ", ".join(some[:12]) + (f" and {len(some) - 12} more" if len(some) > 12 else "")
