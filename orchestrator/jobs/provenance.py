"""What marks were made with, under an id that is its hash."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Provenance:
    """Model, engine, template, sampling and versions as one JSON object, and an id that is its hash."""

    id: str
    payload: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, **json.loads(self.payload)}
