"""The rules of marking: jobs, items, results, batches. Pure, with the standard library alone."""

from orchestrator.jobs.item import Item, ItemError, by_prompt
from orchestrator.jobs.job import HEAD_START_S, TERMINAL, WEIGHTS, Job, Priority, Status
from orchestrator.jobs.result import NO_EVIDENCE, Evidence, Result

__all__ = [
    "HEAD_START_S",
    "NO_EVIDENCE",
    "TERMINAL",
    "WEIGHTS",
    "Evidence",
    "Item",
    "ItemError",
    "Job",
    "Priority",
    "Result",
    "Status",
    "by_prompt",
]
