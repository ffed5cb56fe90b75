"""Where foreign data enters: Triton's answers, the settings, and the schema of the database."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from tritonclient.grpc import service_pb2

from orchestrator.config import Settings, SettingsError, load_settings
from orchestrator.jobs import Evidence, Item
from orchestrator.store import open_store
from orchestrator.store.tables import metadata
from orchestrator.triton.codec import Answer, Encoder, Failure, Refusal, decode


def answer(**tensors: bytes) -> Any:
    response = service_pb2.ModelStreamInferResponse()
    for name, content in tensors.items():
        response.infer_response.outputs.add(name=name)
        response.infer_response.raw_output_contents.append(content)
    return response


def text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def error(message: str) -> Any:
    return service_pb2.ModelStreamInferResponse(error_message=message)


def test_a_grade_is_read_by_name() -> None:
    """Order does not matter, unknown tensors neither, and optional ones may be missing."""
    tensors = {"new": b"?", "error": text(""), "feedback": text("Molt bé"), "nota": struct.pack("<i", 4)}
    assert decode(answer(**tensors)) == Answer(nota=4, feedback="Molt bé")
    more = {
        "error_code": text(""),
        "flags": text('["short","off_topic"]'),
        "confidence": struct.pack("<f", 0.75),
        "expected_mark": struct.pack("<f", 4.25),
        "mark_probabilities": struct.pack("<6f", 0, 0, 0, 0, 0.75, 0.25),
        "share_kept": struct.pack("<f", 0.5),
    }
    evidence = Evidence(("short", "off_topic"), 0.75, 4.25, (0.0, 0.0, 0.0, 0.0, 0.75, 0.25), 0.5, "p1")
    assert decode(answer(**tensors, **more), "p1") == Answer(4, "Molt bé", evidence=evidence)


def test_what_is_not_known_is_none() -> None:
    """Triton's -1 for an unknown figure never reaches a client."""
    tensors = {
        "nota": struct.pack("<i", 4),
        "feedback": text("Molt bé"),
        "error": text(""),
        "confidence": struct.pack("<f", -1),
        "expected_mark": struct.pack("<f", -1),
        "mark_probabilities": struct.pack("<6f", *[-1.0] * 6),
    }
    assert decode(answer(**tensors)) == Answer(4, "Molt bé")


@pytest.mark.parametrize("nota", [-1, 6, -2147483648])
def test_a_mark_is_never_invented(nota: int) -> None:
    """A mark outside 0 to 5 is none, and an answer without a mark always has a reason."""
    got = decode(answer(nota=struct.pack("<i", nota), feedback=text("x"), error=text("")))
    assert isinstance(got, Answer)
    assert got.nota is None
    assert got.error_code == "no_mark"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("[prompt_too_long] The text has 3000 tokens.", "prompt_too_long"),
        ("in ensemble 'evaluate', Failed: [blank_answer] Nothing to mark.", "blank_answer"),
        (
            "Error generating stream: the prompt is longer than the maximum model length of 1024",
            "prompt_too_long",
        ),
    ],
)
def test_refusals_carry_their_code(message: str, code: str) -> None:
    got = decode(error(message))
    assert isinstance(got, Refusal)
    assert got.code == code
    assert got.message.endswith(".")


@pytest.mark.parametrize("message", ["Error: list[int] expected", "[request id: 7] dead", "[oops] no", "x"])
def test_other_errors_are_failures(message: str) -> None:
    assert decode(error(message)) == Failure(message)


def test_an_answer_that_lacks_a_tensor_is_a_failure() -> None:
    assert isinstance(decode(answer(nota=b"")), Failure)
    assert isinstance(decode(answer(feedback=text("x"))), Failure)


def test_any_text_can_be_encoded() -> None:
    """Nothing that Python calls a string breaks the stream of requests."""
    request = Encoder("evaluate").encode("7", Item(0, "A", "c\0", "\ud800", "🎈"), 2)
    assert request.raw_input_contents == [text("c\0"), text("?"), text("🎈")]
    assert request.parameters["attempt"].int64_param == 2
    request.SerializeToString()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are upper case, empty means unset, lists are separated by commas, drivers are found."""
    monkeypatch.setenv("MAX_NUM_SEQS", "64")
    monkeypatch.setenv("BATCH_SIZE", "")
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@db/avalua")
    settings = load_settings()
    assert (settings.max_in_flight, settings.batch_size) == (80, 10)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.database_url == "postgresql+asyncpg://user@db/avalua"
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_every_bad_setting_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "70000")
    monkeypatch.setenv("JOB_TTL_SECONDS", "soon")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "PORT" in str(caught.value)
    assert "JOB_TTL_SECONDS" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    """After the start, the file has exactly the tables, columns and indexes that the code uses."""
    path = tmp_path / "jobs.sqlite3"
    async with open_store(Settings(database_url=f"sqlite:///{path}")):
        pass
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_tables_are_possible_in_postgresql() -> None:
    """Every table has a form there, without anything of SQLite's own."""
    for table in metadata.sorted_tables:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
        statement = str(CreateTable(table).compile(dialect=dialect))
        assert "CREATE TABLE" in statement
        assert "SERIAL" not in statement
    assert json.dumps(sorted(metadata.tables)) == '["events", "items", "jobs", "provenances", "workers"]'
