"""The shapes of what the API answers, as JSON Schema. What it takes lies in schemas.py."""

from typing import Any, Final

from orchestrator.api.components.files import FILES
from orchestrator.api.components.jobs import JOBS
from orchestrator.api.components.marks import MARKS
from orchestrator.api.components.refusals import REFUSALS
from orchestrator.api.components.service import SERVICE

ANSWERS: Final[dict[str, Any]] = {**REFUSALS, **JOBS, **MARKS, **FILES, **SERVICE}
