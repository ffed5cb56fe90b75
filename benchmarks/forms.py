"""``python -m benchmarks.forms``: how many marks change when the same texts come in another form.

The 25 answers of ``examples/class.json`` as they are and as other programs write them, through a server that
takes texts as they come (``NORMALISE_TEXT=false``), and through one with the default.
"""

from __future__ import annotations

import json
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.neighbours import Marked, compare, mark_in_order
from demo_model.dataset import Item
from testkit.triton import ROOT, TritonProcess

FORMS: dict[str, Callable[[str], str]] = {
    "decomposed (a Mac)": lambda text: unicodedata.normalize("NFD", text),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "three no-break spaces": lambda text: text.replace(" ", "\u00a0", 3),
    "soft hyphens": lambda text: text.replace("ci", "\u00adci"),
    "ligatures (a PDF)": lambda text: text.replace("fi", "ﬁ").replace("fl", "ﬂ"),
    "ŀ": lambda text: text.replace("l·l", "ŀl"),
    "zero-width spaces": lambda text: text.replace(" ", "\u200b "),
    "a byte order mark": lambda text: f"\ufeff{text}",
    "doubled spaces": lambda text: text.replace(" ", "  "),
    "a line end behind it": lambda text: f"{text}\r\n",
}
WINDOW = 160


def in_form(form: Callable[[str], str], items: list[Item]) -> list[Item]:
    """The items with all three texts in another form."""
    return [
        replace(item, curso=form(item.curso), consigna=form(item.consigna), respuesta=form(item.respuesta))
        for item in items
    ]


def marks_changed(server: TritonProcess, items: list[Item]) -> dict[str, int]:
    """For each form, how many items have another mark than as they are."""
    order = range(len(items))

    def mark(made: list[Item]) -> list[Marked]:
        return mark_in_order(server.grpc_url, made, order, WINDOW)

    as_is = mark(items)
    return {name: compare(as_is, mark(in_form(form, items))).marks for name, form in FORMS.items()}


def main() -> None:
    """Run, and print a table."""
    read = json.loads((ROOT / "examples" / "class.json").read_text(encoding="utf-8"))["items"]
    items = [Item(**one, nota=0, feedback="", kind="", asked="", about="") for one in read]
    columns = []
    for normalise in ("false", "true"):
        with tempfile.TemporaryDirectory() as folder:
            server = TritonProcess.vllm(Path(folder), {"NORMALISE_TEXT": normalise})
            try:
                server.start()
                columns.append(marks_changed(server, items))
            finally:
                server.stop()
    print(
        f"| form of the {len(items)} texts | marks changed as they come | normalised |\n| --- | ---: | ---: |"
    )
    for name in FORMS:
        print(f"| {name} | {columns[0][name]} | {columns[1][name]} |")


if __name__ == "__main__":
    main()
