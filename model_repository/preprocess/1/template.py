"""The prompt's text around a student's: a file with three checked placeholders. Pure but for reading it.

The default is the prompt that the model was trained on (``prompt.py``), as ``prompt_template.txt``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

FIELDS = ("curso", "consigna", "respuesta")
ORIGINAL = Path(__file__).resolve().parent / "prompt_template.txt"
# A word alone in braces. The original's own JSON example, {"nota": X, ...}, is none.
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class TemplateError(ValueError):
    """The template can't be used. Its text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """``literals`` stand around the placeholders, so there is one more of them than of ``order``."""

    literals: tuple[str, ...]
    order: tuple[str, ...]
    sha256: str

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises TemplateError unless each placeholder is there once, and no other."""
        parts = _PLACEHOLDER.split(text)
        order = tuple(parts[1::2])
        if unknown := sorted(set(order) - set(FIELDS)):
            raise TemplateError(f"it has a placeholder that nobody fills: {{{unknown[0]}}}.")
        for name in FIELDS:
            if order.count(name) != 1:
                raise TemplateError(f"it needs {{{name}}} once, not {order.count(name)} times.")
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        return cls(tuple(parts[::2]), order, digest)

    @classmethod
    def read(cls, path: Path) -> Template:
        """The template in a file, whose last line break doesn't belong to it. Raises TemplateError.

        Its hash is the file's, as `sha256sum` prints it.
        """
        try:
            content = path.read_bytes()
            template = cls.parse(content.decode("utf-8").removesuffix("\n"))
            return replace(template, sha256=hashlib.sha256(content).hexdigest())
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise TemplateError(f"it can't be read: {reason}.") from None

    def fill(self, fields: dict[str, str]) -> tuple[str, int]:
        """The prompt, and the place in it where the student's text ends."""
        pieces, length, end = [self.literals[0]], len(self.literals[0]), 0
        for name, literal in zip(self.order, self.literals[1:], strict=True):
            length += len(fields[name])
            if name == "respuesta":
                end = length
            pieces += fields[name], literal
            length += len(literal)
        return "".join(pieces), end
