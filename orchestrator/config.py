"""The settings: read once from the environment, frozen, and passed in. Nothing else reads the environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url

from orchestrator import database_url
from orchestrator.errors import StartError

# SQLite takes 512 bytes with the 8 of "-journal", links followed; beyond, it only says that it can't open it.
MAX_PATH_BYTES = 504
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


class SettingsError(StartError):
    """One or more environment variables make no sense."""


CHARS_A_PLACE = 1000
"""Of an ordinary text with its assignment: less is in flight only where texts are longer."""


def _window(data: dict[str, Any]) -> int:
    servers = len(_parts(data.get("triton_grpc_url", "")))
    return max(1, int(data.get("max_num_seqs", 128)) * 5 // 4 * servers)


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _chars(data: dict[str, Any]) -> int:
    return CHARS_A_PLACE * int(data.get("max_in_flight", 1))


class Settings(BaseSettings):
    """Every limit is a setting. The names are those of the environment variables, in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    # Where we listen, and who may call from a browser.
    host: str = "127.0.0.1"  # marks and names are for nobody else until somebody says so; the image does
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free port, printed in the log
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_queue_lines: Annotated[int, Field(ge=1)] = 10_000
    model_notice: str = ""

    # What this process does: serve HTTP, mark jobs, or both.
    roles: Annotated[tuple[Literal["api", "worker"], ...], NoDecode] = ("api", "worker")

    # Triton. Several servers are separated by commas.
    triton_grpc_url: Annotated[str, Field(min_length=1)] = "localhost:8001"
    triton_metrics_url: str = "http://localhost:8002/metrics"
    triton_model: Annotated[str, Field(min_length=1)] = "evaluate"
    max_num_seqs: Annotated[int, Field(ge=1)] = 128
    # A quarter more than vLLM runs at once, so that a freed sequence never waits for us. Of all workers.
    max_in_flight: Annotated[int, Field(ge=1)] = Field(default_factory=_window)
    max_chars_in_flight: Annotated[int, Field(ge=1)] = Field(default_factory=_chars)
    max_attempts: Annotated[int, Field(ge=1)] = 3
    item_timeout_s: Annotated[float, Field(gt=0)] = 300.0
    retry_first_s: Annotated[float, Field(gt=0)] = 0.5
    retry_max_s: Annotated[float, Field(gt=0)] = 10.0
    isolation_slot_s: Annotated[float, Field(gt=0)] = 10.0
    suspect_wait_s: Annotated[float, Field(ge=0)] = 30.0
    probe_interval_s: Annotated[float, Field(gt=0)] = 10.0
    probe_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    reconnect_max_s: Annotated[float, Field(gt=0)] = 5.0

    # Jobs.
    batch_size: Annotated[int, Field(ge=1)] = 10
    job_ttl_seconds: Annotated[int, Field(ge=1)] = 3600
    tombstone_ttl_seconds: Annotated[int, Field(ge=0)] = 7 * 24 * 3600
    purge_interval_s: Annotated[float, Field(gt=0)] = 30.0
    max_concurrent_jobs: Annotated[int, Field(ge=1)] = 5
    max_queued_jobs: Annotated[int, Field(ge=0)] = 100
    expected_items_per_second: Annotated[float, Field(gt=0)] = 5.0

    # What a client may send, and how long it may take.
    max_items: Annotated[int, Field(ge=1)] = 2000
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_field_chars: Annotated[int, Field(ge=1)] = 20_000
    max_id_chars: Annotated[int, Field(ge=1)] = 256
    max_course_chars: Annotated[int, Field(ge=1)] = 256
    body_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    min_upload_bytes_per_s: Annotated[int, Field(ge=0)] = 1024
    upload_grace_s: Annotated[float, Field(gt=0)] = 5.0
    max_upload_memory_bytes: Annotated[int, Field(ge=1024)] = 128 * 1024 * 1024
    parse_inline_bytes: Annotated[int, Field(ge=0)] = 256 * 1024
    parse_timeout_s: Annotated[float, Field(gt=0)] = 30.0

    # Connections. By default as many as the limit on open files leaves room for.
    max_connections: Annotated[int, Field(ge=1)] | None = None
    health_connections: Annotated[int, Field(ge=1)] = 16
    header_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    keepalive_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    send_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    max_concurrent_exports: Annotated[int, Field(ge=1)] = 2
    max_open_tables: Annotated[int, Field(ge=1)] = 64

    # Streams to clients.
    sse_ping_s: Annotated[float, Field(gt=0)] = 15.0
    sse_retry_ms: Annotated[int, Field(ge=0)] = 2000
    sse_send_timeout_s: Annotated[float, Field(gt=0)] = 60.0

    # The store, and the end.
    database_url: str = "sqlite+aiosqlite:///data/avalua.sqlite3"
    database_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    drain_timeout_s: Annotated[float, Field(ge=0)] = 6.0
    # Several orchestrators on one PostgreSQL: how long a job waits for a worker that no longer beats, and how
    # often we look where a hint may have been lost.
    lease_s: Annotated[float, Field(ge=1)] = 15.0
    poll_s: Annotated[float, Field(gt=0)] = 1.0

    @property
    def triton_grpc_urls(self) -> tuple[str, ...]:
        return _parts(self.triton_grpc_url)

    @property
    def triton_metrics_urls(self) -> tuple[str, ...]:
        return _parts(self.triton_metrics_url)

    @property
    def is_api(self) -> bool:
        return "api" in self.roles

    @property
    def is_worker(self) -> bool:
        return "worker" in self.roles

    @property
    def room(self) -> int:
        """How many jobs may be unfinished before more are refused."""
        return self.max_concurrent_jobs + self.max_queued_jobs

    @field_validator("cors_origins", "allowed_hosts", "roles", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("roles")
    @classmethod
    def _some_role(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must be api, worker or api,worker")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_NAME.fullmatch(name) for name in value):
            raise ValueError("must be names such as marks.example.org, without scheme, port or *")
        return tuple(name.lower().rstrip(".") for name in value)

    @model_validator(mode="after")
    def _room_for_a_body(self) -> "Settings":
        if self.max_upload_memory_bytes < self.max_body_bytes:
            raise ValueError("MAX_UPLOAD_MEMORY_BYTES must be at least MAX_BODY_BYTES")
        return self

    @model_validator(mode="after")
    def _somebody_works(self) -> "Settings":
        if len(set(self.roles)) == 1 and make_url(self.database_url).get_backend_name() == "sqlite":
            raise ValueError(
                "ROLES: an SQLite database has one process, which has to be api and worker; "
                "several processes share a PostgreSQL (DATABASE_URL)"
            )
        return self

    @field_validator("database_url")
    @classmethod
    def _async_driver(cls, value: str) -> str:
        return database_url.checked(value)

    @field_validator("triton_grpc_url")
    @classmethod
    def _hosts_and_ports(cls, value: str) -> str:
        servers = _parts(value)
        if not servers or not all(_is_address(server) for server in servers):
            raise ValueError("must be host:port, without a scheme; several are separated by commas")
        if len(set(servers)) < len(servers):
            raise ValueError("must name each server once")
        return value

    @field_validator("triton_metrics_url")
    @classmethod
    def _http(cls, value: str) -> str:
        pages = _parts(value)
        if not pages or not all(page.startswith(("http://", "https://")) for page in pages):
            raise ValueError("must be http://host:port/metrics; several are separated by commas")
        return value


def _is_address(value: str) -> bool:
    try:
        return urlsplit(f"//{value}").port is not None
    except ValueError:
        return False


def _notice(model: str) -> str:
    """What a folder of a model says of its marks."""
    try:
        return (Path(model) / "NOTICE.txt").read_text("utf-8", errors="replace").strip() if model else ""
    except (OSError, ValueError):
        return ""


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Reads the environment, or `env`; a value that makes no sense becomes one clear line."""
    names = Settings.model_fields
    given: dict[str, Any] = {name: env[name.upper()] for name in names if env and env.get(name.upper())}
    try:
        settings = Settings(**given)
        if not settings.model_notice:
            model = (os.environ if env is None else env).get("MODEL_NAME", "")
            settings = settings.model_copy(update={"model_notice": _notice(model)})
        return settings  # noqa: TRY300
    except ValidationError as error:
        problems = [
            ": ".join([*(str(part).upper() for part in problem["loc"]), problem["msg"]])
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
            if problem["type"] != "default_factory_not_called"  # what follows from another problem
        ]
        raise SettingsError("bad settings: " + "; ".join(problems)) from None
