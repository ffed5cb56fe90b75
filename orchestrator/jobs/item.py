"""Items: what students wrote, and in which order it is sent."""

from dataclasses import dataclass

from orchestrator.jobs.normalising import is_blank


@dataclass(frozen=True, slots=True)
class ItemError:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Item:
    """One student's answer to one prompt; `index` is its place in the request.

    `error`: why it is not sent to the model, where that was known when it came.
    """

    index: int
    id_alumno: str
    curso: str
    consigna: str
    respuesta: str
    error: ItemError | None = None

    @property
    def chars(self) -> int:
        """What the model may have to read of it, in characters."""
        return len(self.curso) + len(self.consigna) + len(self.respuesta)

    @property
    def blank(self) -> bool:
        """Whether there is nothing to read in the answer, as Triton's preprocess sees it, too."""
        return is_blank(self.respuesta)


def by_prompt(items: list[Item]) -> list[Item]:
    """The items grouped by what shares a prompt prefix, groups and members in order of appearance.

    vLLM caches the prefix of a prompt: students of one class who answer the same prompt share it.
    """
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.curso, item.consigna), []).append(item)
    return [item for group in groups.values() for item in group]
