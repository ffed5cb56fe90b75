"""How the service is."""

from typing import Any, Final

from orchestrator.api.components.shapes import COUNT, obj, or_null, words

HEALTH: Final[dict[str, Any]] = {
    "status": words(("healthy", "unhealthy"), "Whether a model answers, and the database can be written."),
    "model_loaded": {"type": "boolean"},
    "gpu_available": {"type": "boolean", "description": "Having none is no fault."},
    "gpu_memory": or_null("GpuMemory", "Of all GPUs together."),
    "active_jobs": {**COUNT, "description": "Being worked on, by whichever process."},
    "queued_jobs": {**COUNT, "description": "Waiting, over all processes."},
    "items_in_flight": COUNT,
    "roles": {"type": "array", "items": words(("api", "worker"), "What this process does.")},
    "workers": {**COUNT, "description": "Processes that work on jobs, over all."},
    "storage": words(("ok", "unavailable"), "Whether the database can be written."),
    "draining": {"type": "boolean"},
    "version": {"type": "string"},
    "notice": {"type": ["string", "null"]},
}
SERVICE: Final[dict[str, Any]] = {
    "GpuMemory": obj({"total_bytes": COUNT, "used_bytes": COUNT}),
    "Health": obj(HEALTH),
    "Liveness": obj({"status": {"type": "string", "const": "alive"}}),
    "Readiness": obj({"status": words(("ready", "not_ready"), "Whether jobs are taken.")}),
}
