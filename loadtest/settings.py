"""What a run can be told: each setting is a flag, a field on Locust's web page and a variable LOAD_*."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from loadtest.scenarios import SCENARIOS
from orchestrator.config import Settings as ServiceSettings

_SERVICE = ServiceSettings.model_fields
ROOM: int = _SERVICE["max_concurrent_jobs"].default + _SERVICE["max_queued_jobs"].default
MAX_JOB_ITEMS: int = _SERVICE["max_items"].default


class SettingsError(ValueError):
    """A setting makes no sense. The text is one line that names it."""


class Settings(BaseModel):
    """The limits are those that the requirements promise."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    scenario: str = Field(
        default="classes", description="what to do", json_schema_extra={"choices": list(SCENARIOS)}
    )
    grpc_url: str = Field(default="localhost:8001", description="Triton's gRPC address, for the -grpc ones")
    generate_url: str = Field(
        default="http://localhost:8003", description="Triton's HTTP, for the -generate ones"
    )

    items: Annotated[int, Field(ge=10, le=MAX_JOB_ITEMS)] = Field(
        default=2000, description="texts in the one batch"
    )
    classes: Annotated[int, Field(ge=1)] = Field(default=20, description="classes sent at once")
    class_min: Annotated[int, Field(ge=1)] = Field(default=25, description="texts in the smallest class")
    class_max: Annotated[int, Field(ge=1)] = Field(default=30, description="texts in the largest class")
    classes_per_minute: Annotated[float, Field(gt=0)] = Field(
        default=24.0, description="that arrive in steady ones"
    )
    seconds: Annotated[float, Field(gt=0)] = Field(default=60.0, description="how long classes arrive")
    overload_seconds: Annotated[float, Field(gt=0)] = Field(default=120.0, description="how long to overload")
    room: Annotated[int, Field(ge=1)] = Field(
        default=ROOM, description="MAX_CONCURRENT_JOBS + MAX_QUEUED_JOBS"
    )
    over: Annotated[float, Field(ge=1)] = Field(
        default=10.0, description="times more jobs than there is room for"
    )
    in_flight: Annotated[int, Field(ge=1)] = Field(default=64, description="calls to Triton at once")
    delay_ms: Annotated[int, Field(ge=0)] = Field(
        default=0, description="the scripted model's mean time for a text"
    )
    seed: int = Field(default=1, description="the same seed sends the same classes at the same times")
    deadline_s: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="then what is unfinished has failed"
    )
    orchestrator_pid: Annotated[int, Field(ge=0)] = Field(
        default=0, description="whose memory to watch; 0: nobody's"
    )
    report: str = Field(
        default="",
        description="where to write the figures: a path without its ending",
        json_schema_extra={"include_in_web_ui": False},
    )

    min_items_per_s: float = Field(default=5.0, description="slower is a missed limit")
    max_item_p95_s: float = Field(default=3.0, description="P95 of one text, unless a queue is the point")
    max_event_p95_ms: float = Field(
        default=100.0, description="P95 from a batch being made to its being received"
    )
    max_failed: int = Field(default=0, description="items, calls and jobs that failed")
    max_refused: int = Field(default=0, description="answers of 429, unless overload is the point")
    max_memory_growth_mib: float = Field(default=20.0, description="of the orchestrator while overloaded")

    @model_validator(mode="after")
    def _classes_have_a_size(self) -> Settings:
        if not self.class_min <= self.class_max <= MAX_JOB_ITEMS:
            raise ValueError(f"CLASS_MIN, CLASS_MAX: must rise, up to {MAX_JOB_ITEMS}")
        return self


def add_arguments(parser: ArgumentParser) -> None:
    """Make every setting a flag and an environment variable."""
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        more: dict[str, Any] = {"env_var": f"LOAD_{name.upper()}", **extra}
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            help=field.description,
            **more,
        )


def read_settings(options: dict[str, Any]) -> Settings:
    """The settings among Locust's parsed ``options``. Raises SettingsError."""
    try:
        return Settings.model_validate(options)
    except ValidationError as error:
        problems = [
            ": ".join([*(str(part).upper() for part in problem["loc"]), problem["msg"]])
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SettingsError("; ".join(problems)) from None
