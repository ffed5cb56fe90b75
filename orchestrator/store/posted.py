"""A posted job in the form in which it is stored, made once, beside the event loop where it is large."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from orchestrator.jobs import Item, Priority, by_prompt

CHUNK_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Posted:
    """What a POST asks for: `chunks` hold the items in the order of sending, `digest` is of the content."""

    total: int
    priority: Priority
    digest: str
    chunks: list[bytes]


def posted(items: Sequence[Item], priority: Priority) -> Posted:
    """The items made ready for the store."""
    return Posted(len(items), priority, _digest(items, priority), item_chunks(by_prompt(list(items))))


def item_chunks(items: Sequence[Item]) -> list[bytes]:
    """The items as JSON lists of lists, some to a chunk."""
    rest = iter(items)
    chunks = []
    while chunk := list(islice(rest, CHUNK_ITEMS)):
        chunks.append(orjson.dumps([_row(item) for item in chunk]))
    return chunks


def _row(item: Item) -> list[Any]:
    error = [item.error.code, item.error.message] if item.error else []
    return [item.index, item.id_alumno, item.curso, item.consigna, item.respuesta, *error]


def _digest(items: Sequence[Item], priority: Priority) -> str:
    """Of the content, so that a body that is only laid out differently is the same one."""
    # Row by row: all of them as one document would be the whole body in memory once more.
    digest = hashlib.sha256(b"[%b,[" % orjson.dumps(priority))
    for place, item in enumerate(items):
        row = orjson.dumps(_row(item)[1:])
        digest.update(b",%b" % row if place else row)
    digest.update(b"]]")
    return digest.hexdigest()
