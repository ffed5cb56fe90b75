"""The command ``avalua``, as a shell starts it, beside the real service."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import pty
import select
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from avalua_client.cli.arguments import parser
from avalua_client.cli.evaluate import Run
from avalua_client.state import State
from testkit.proxy import Proxy
from testkit.triton import ROOT, TritonProcess
from tests.client.hostile import JOB, Hostile, answer
from tests.orchestrator.client import WAIT_S
from tests.orchestrator.conftest import Start

PLAIN = """
import os, signal, sys
# A shell has what it runs in the background ignore Ctrl-C, and so would all that this starts.
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
TERMINAL = f"""
import fcntl, os, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
{PLAIN}"""
PATIENCE_S = 5.0
HEAD = "alumne;curs;pregunta;resposta;nota interna"


@dataclass(frozen=True)
class Ended:
    """What a run of the command left."""

    status: int
    out: str
    err: str


class Shell:
    """Starts the command in a folder, with a home of its own."""

    def __init__(self, folder: Path, url: str, **environment: str) -> None:
        self.folder = folder
        self._environment = {
            **os.environ, "PYTHONPATH": str(ROOT / "client"), "AVALUA_URL": url,
            "AVALUA_STATE_DIR": str(folder / "state"), "PYTHONWARNINGS": "error", **environment,
        }  # fmt: skip

    async def start(self, *words: str, terminal: bool = False, **streams: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", TERMINAL if terminal else PLAIN, "-m", "avalua_client", *words,
            cwd=self.folder, env=self._environment,
            **{"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.PIPE,
               "stderr": asyncio.subprocess.PIPE, **streams},
        )  # fmt: skip

    async def run(self, *words: str, stdin: bytes | None = None) -> Ended:
        streams: dict[str, Any] = {} if stdin is None else {"stdin": asyncio.subprocess.PIPE}
        process = await self.start(*words, **streams)
        return await self.ended(process, stdin)

    async def ended(self, process: asyncio.subprocess.Process, stdin: bytes | None = None) -> Ended:
        async with asyncio.timeout(WAIT_S):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Ended(process.returncode, (out or b"").decode(), err.decode())


def write_class(folder: Path, rows: Sequence[str], name: str = "class.csv") -> Path:
    path = folder / name
    path.write_text("\r\n".join([HEAD, *rows, ""]), encoding="cp1252", newline="")
    return path


def rows_of(count: int, directive: str = "") -> list[str]:
    return [f"00{n};3r ESO;Explica la pluja.;Mot{n} plou {directive};{n},5" for n in range(count)]


async def test_a_file_is_marked(start: Start, scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """All its columns come back as they were, the marks beside; how it was read is said."""
    source = write_class(tmp_path, rows_of(12))
    before = source.read_bytes()
    async with start(scripted_triton) as service:
        shell = Shell(tmp_path, service.base)
        done = await shell.run("evaluate", "class.csv", "-o", "marks.csv", "--json")
        assert (await shell.run("evaluate", "class.csv", "-o", "marks.xlsx")).status == 0
    assert done.status == 0, done.err
    assert 'separated by ";"' in done.err
    assert "respuesta=resposta" in done.err
    summary = json.loads(done.out)
    assert (summary["marked"], summary["not_marked"], len(summary["job_ids"])) == (12, 0, 1)
    text = (tmp_path / "marks.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines(), delimiter=";"))
    assert [row["alumne"] for row in rows] == [f"00{n}" for n in range(12)]
    assert [row["nota interna"] for row in rows] == [f"{n},5" for n in range(12)]
    assert [row["feedback"] for row in rows] == [f"Resposta: Mot{n}" for n in range(12)]
    sheet = openpyxl.load_workbook(tmp_path / "marks.xlsx").active
    assert sheet is not None
    assert sheet.max_row == 13
    assert source.read_bytes() == before
    assert not list((tmp_path / "state").iterdir())


async def test_some_without_a_mark(start: Start, scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """Status 1, and their rows by the spreadsheet's own numbers."""
    write_class(tmp_path, ["001;3r ESO;Explica.;Plou.;", "002;3r ESO;Explica.;   ;", "003;;Explica.;Plou.;"])
    async with start(scripted_triton) as service:
        done = await Shell(tmp_path, service.base).run("evaluate", "class.csv", "-o", "marks.csv")
    assert done.status == 1
    assert "row 3: not marked (blank_answer)" in done.err
    assert "row 4:" in done.err
    assert "1 marked, 1 not, 1 not sent" in done.err
    marks = list(csv.DictReader((tmp_path / "marks.csv").read_text("utf-8-sig").splitlines(), delimiter=";"))
    assert [row["status"] for row in marks] == ["ok", "failed", "not sent"]
    assert "empty_cell: Cell B4" in marks[2]["error"]


async def test_what_can_t_be_used_sends_nothing(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Status 2, and one line that says what to do."""
    source = write_class(tmp_path, rows_of(2))
    (tmp_path / "letter.csv").write_text("hello\nworld\n")
    (tmp_path / "folder.csv").mkdir()
    async with start(scripted_triton) as service:
        shell = Shell(tmp_path, service.base)
        for words, said in (
            (("evaluate", "none.csv", "-o", "m.csv"), "none.csv"),
            (("evaluate", "letter.csv", "-o", "m.csv"), "resp"),
            (("evaluate", "class.csv", "-o", "class.csv"), "is not written to"),
            (("evaluate", "class.csv", "-o", "m.docx"), ".xlsx, .csv"),
            (("evaluate", "class.csv", "-o", "."), "must end in"),
            (("evaluate", "class.csv", "-o", "folder.csv"), "is a folder"),
            (("evaluate", "class.csv", "-o", "no/such/m.csv"), "can't be written"),
            (("evaluate", "class.csv", "-o", "m.csv", "--column", "respuesta"), "FIELD=COLUMN"),
            (("evaluate", "class.csv", "-o", "m.csv", "--resume"), "no unfinished run"),
            (("evaluate", "class.csv", "--url", "ftp://x"), "must look like"),
            (("status", JOB), "no such job"),
            (("status", "../etc"), "job's id looks like"),
        ):
            done = await shell.run(*words)
            assert done.status == 2, (words, done)
            assert said in done.err
            assert len(done.err.strip().splitlines()) == 1, done.err
    assert source.exists()
    assert not (tmp_path / "m.csv").exists()


async def test_an_interrupted_resume_that_is_cancelled_before_it_began(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """The jobs of the earlier run end, and nothing is written."""
    write_class(tmp_path, rows_of(30, "[[delay_ms=300]]"))
    async with start(scripted_triton, max_in_flight=5) as service:
        shell = Shell(tmp_path, service.base)
        process = await shell.start("evaluate", "class.csv", "-o", "marks.csv")
        async with interrupted(process, "10 of 30"):
            assert (await shell.ended(process)).status == 130
        options = parser().parse_args(["evaluate", str(tmp_path / "class.csv"), "--resume"])
        run = Run(options, service.base, None, [])
        (state,) = (tmp_path / "state").iterdir()
        run.state = State.load(state)
        await run._cancel()
        assert (await service.call("GET", f"/status/{run.state.jobs[0].job_id}"))[1]["status"] == "cancelled"
    assert not state.exists()
    assert not (tmp_path / "marks.csv").exists()


async def test_no_service(tmp_path: Path) -> None:
    """Status 3 where nobody answers, or somebody else does."""
    write_class(tmp_path, rows_of(1))
    shell = Shell(tmp_path, "http://127.0.0.1:9")
    for words in (("health",), ("status", JOB), ("evaluate", "class.csv")):
        done = await shell.run(*words)
        assert (done.status, done.out) == (3, "")
        assert "does not answer" in done.err
    async with Hostile(health=[[answer(200, b"<h1>Hello</h1>")]]) as other:
        done = await Shell(tmp_path, other.url).run("health")
    assert done.status == 3
    assert "right address" in done.err


async def test_the_small_commands(start: Start, scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """health, status, results and cancel, for people and for scripts."""
    write_class(tmp_path, rows_of(3))
    async with start(scripted_triton) as service:
        shell = Shell(tmp_path, service.base + "/docs")
        made = json.loads((await shell.run("evaluate", "class.csv", "--json")).out)
        (job,) = made["job_ids"]
        assert made["output"] == "class-marks.csv"
        assert "healthy, model loaded" in (await shell.run("health")).out
        assert json.loads((await shell.run("health", "--json")).out)["status"] == "healthy"
        assert "completed: 3 of 3, 0 not marked" in (await shell.run("status", job)).out
        assert json.loads((await shell.run("results", job)).out)["completed"] == 3
        assert (await shell.run("results", job, "-o", "all.xlsx")).status == 0
        assert (tmp_path / "all.xlsx").read_bytes().startswith(b"PK")
        assert "completed" in (await shell.run("cancel", job)).out
        assert (
            json.loads((await shell.run("evaluate", "class.csv", "--json")).out)["output"]
            == "class-marks-2.csv"
        )


async def until_said(process: asyncio.subprocess.Process, words: str) -> str:
    """What it had said once these words were there."""
    assert process.stderr is not None
    heard = b""
    async with asyncio.timeout(WAIT_S):
        while words.encode() not in heard:
            piece = await process.stderr.read(1000)
            assert piece, heard
            heard += piece
    return heard.decode()


@asynccontextmanager
async def interrupted(process: asyncio.subprocess.Process, said: str) -> AsyncIterator[None]:
    """Sent Ctrl-C once it has said so."""
    await until_said(process, said)
    process.send_signal(signal.SIGINT)
    yield


async def test_ctrl_c_without_a_terminal_leaves_the_job_to_go_on(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Status 130 and the line to go on with; in the end every text has its mark, and none was sent twice."""
    write_class(tmp_path, rows_of(30, "[[delay_ms=300]]"))
    words = ("evaluate", "class.csv", "-o", "marks.csv")
    async with start(scripted_triton, max_in_flight=5) as service:
        shell = Shell(tmp_path, service.base)
        for more in ((), ("--resume",)):
            process = await shell.start(*words, *more)
            async with interrupted(process, "10 of 30"):
                done = await shell.ended(process)
            assert done.status == 130, done
            assert "avalua evaluate class.csv -o marks.csv --resume" in done.err
        done = await shell.run(*words, "--resume", "--json")
        assert done.status == 0, done
        (job,) = json.loads(done.out)["job_ids"]
        assert json.loads((await shell.run("status", job, "--json")).out)["progress"]["completed"] == 30
        page = (await service.call("GET", "/metrics"))[1]
        assert "avalua_jobs_submitted_total 1.0" in page
    rows = list(csv.DictReader((tmp_path / "marks.csv").read_text("utf-8-sig").splitlines(), delimiter=";"))
    assert [row["feedback"] for row in rows] == [f"Resposta: Mot{n}" for n in range(30)]


@pytest.mark.parametrize(
    ("typed", "said"),
    [(b"c\n", "Cancelled"), (b"y\n", "Cancelled"), (b"\n", "--resume"), (b"\x03", "--resume")],
)
async def test_ctrl_c_at_a_terminal_asks(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path, typed: bytes, said: str
) -> None:
    """c cancels the job and keeps what had come; Enter, or Ctrl-C again, leaves it running."""
    write_class(tmp_path, rows_of(30, "[[delay_ms=300]]"))
    async with start(scripted_triton, max_in_flight=5) as service:
        shell = Shell(tmp_path, service.base)
        ours, theirs = pty.openpty()
        process = await shell.start(
            "evaluate", "class.csv", "-o", "marks.csv",
            terminal=True, stdin=theirs, stderr=theirs, stdout=theirs,
        )  # fmt: skip
        os.close(theirs)
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            screen = await asyncio.to_thread(read_until, terminal, b"10 of 30")
            terminal.write(b"\x03")
            screen += await asyncio.to_thread(read_until, terminal, b"Cancel the job")
            terminal.write(typed)
            screen += await asyncio.to_thread(read_until, terminal, said.encode(), typed)
            async with asyncio.timeout(WAIT_S):
                assert await process.wait() == 130
        assert b"Traceback" not in screen
        jobs = await service.call("GET", "/health")
    assert (tmp_path / "marks.csv").exists() is (said == "Cancelled")
    assert jobs[1]["active_jobs"] == (0 if said == "Cancelled" else 1)


def read_until(terminal: io.FileIO, words: bytes, typed: bytes = b"") -> bytes:
    """What is shown until these words are there. ``typed`` is typed again where nothing comes of it."""
    seen, deadline = b"", time.monotonic() + WAIT_S
    while words not in seen:
        assert time.monotonic() < deadline, seen
        if not select.select([terminal], [], [], PATIENCE_S)[0]:
            if typed:
                terminal.write(typed)
            continue
        try:
            piece = terminal.read(1000)
        except OSError:  # the other side has gone
            piece = b""
        assert piece, seen
        seen += piece
    return seen


async def test_a_service_that_is_away_for_a_while(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """It is said once, and all are marked in the end."""
    write_class(tmp_path, rows_of(30, "[[delay_ms=300]]"))
    async with start(scripted_triton, max_in_flight=5) as service:
        port = int(service.base.rpartition(":")[2])
        async with Proxy(port) as proxy:
            shell = Shell(tmp_path, f"http://{proxy.address}")
            process = await shell.start("evaluate", "class.csv", "-o", "marks.csv")
            seen = await until_said(process, "10 of 30")
            for _ in range(3):
                before = proxy.connections
                proxy.cut()
                async with asyncio.timeout(WAIT_S):
                    await proxy.until_connections(before + 1)
            done = await shell.ended(process)
    assert done.status == 0, done
    assert 1 <= (seen + done.err).count("Trying again.") <= 3
    assert "30 marked, 0 not" in done.err


async def test_what_is_there_is_not_replaced_unasked(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Somebody may have worked on it."""
    write_class(tmp_path, rows_of(2))
    (tmp_path / "marks.csv").write_text("corrected by hand")
    async with start(scripted_triton) as service:
        shell = Shell(tmp_path, service.base)
        done = await shell.run("evaluate", "class.csv", "-o", "marks.csv")
        assert (done.status, (tmp_path / "marks.csv").read_text()) == (2, "corrected by hand")
        assert "--force" in done.err
        assert (await shell.run("evaluate", "class.csv", "-o", "marks.csv", "--force")).status == 0
    assert "Resposta: Mot1" in (tmp_path / "marks.csv").read_text("utf-8-sig")


async def test_a_damaged_state_is_in_nobodys_way(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """It can't be gone on with, and a new run begins."""
    write_class(tmp_path, rows_of(2))
    async with start(scripted_triton) as service:
        state = State.new(service.base, str(tmp_path / "class.csv"))
        state.path = tmp_path / "state" / state.path.name
        state.path.parent.mkdir()
        state.path.write_text("")
        shell = Shell(tmp_path, service.base)
        resumed = await shell.run("evaluate", "class.csv", "-o", "marks.csv", "--resume")
        assert (resumed.status, "start anew" in resumed.err) == (2, True)
        assert (await shell.run("evaluate", "class.csv", "-o", "marks.csv")).status == 0


async def test_closed_streams(start: Start, scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """Who started it closed them: no traceback, and the file is written."""
    write_class(tmp_path, rows_of(2))
    async with start(scripted_triton) as service:
        shell = Shell(tmp_path, service.base)
        command = f"{sys.executable} -m avalua_client evaluate class.csv -o marks.csv --json <&- >&- 2>&-"
        process = await asyncio.create_subprocess_shell(command, cwd=tmp_path, env=shell._environment)
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0
    assert (tmp_path / "marks.csv").exists()


async def test_progress_in_a_log_is_a_few_lines(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Not one for each batch, and none of a terminal's commands."""
    write_class(tmp_path, rows_of(300))
    async with start(scripted_triton) as service:
        done = await Shell(tmp_path, service.base).run("evaluate", "class.csv", "-o", "marks.csv")
    assert done.status == 0
    assert len(done.err.splitlines()) <= 14
    assert "\r" not in done.err
    assert "300 of 300 (100 %)" in done.err


async def test_a_console_that_lacks_letters_and_a_reader_that_leaves(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Neither ends in a traceback."""
    write_class(tmp_path, rows_of(2), "l·l ñ.csv")
    async with start(scripted_triton) as service:
        shell = Shell(tmp_path, service.base, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        done = await shell.run("evaluate", "l·l ñ.csv", "-o", "€.csv", "--json")
        assert done.status == 0, done.err
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m avalua_client health --json | true; exit ${{PIPESTATUS[0]}}",
            executable="/bin/bash", cwd=tmp_path, env=shell._environment, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert (await shell.ended(process)).err == ""
