"""The example of a client: whatever answers it, or doesn't, it ends with one line that says what to do."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread

import pytest

from testkit.triton import ROOT

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
JOB = b'{"job_id": "x", "total_items": 25, "stream_url": "/stream/x"}'
BEGINNING = (OK % (2, b"{}"), OK % (len(JOB), JOB))
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n: a\n\r\n"


@contextmanager
def answering(answers: Sequence[bytes]) -> Iterator[str]:
    """The URL of a server that gives one of these answers to each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection, connection.makefile("rb") as request:
                    length = 0
                    while (line := request.readline().strip()) != b"":
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    request.read(length)
                    connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def grade(url: str) -> str:
    """The one line on standard error with which it fails."""
    ended = subprocess.run(
        [sys.executable, "examples/grade.py", "examples/class.json", "--url", url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    return line


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([b"\x00\x00\x18\x04\r\n\r\n"], "as Avalua does (BadStatusLine)"),
        ([OK % (5, b"hello")], "as Avalua does (JSONDecodeError)"),
        ([OK % (2, b"[]")], "as Avalua does (AttributeError)"),
        ([OK % (99, b"{}")], "is the service running?"),
        ([b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\n\xff"], "refused: \ufffd"),
        ([*BEGINNING, STREAM + b"4\r\n:"], "is the service running?"),
        ([*BEGINNING, STREAM + b"0\r\n\r\n"], "The service ended before the job did: see http://"),
    ],
)
def test_another_service_or_half_an_answer(answers: list[bytes], told: str) -> None:
    """What is no answer of ours, and ours where it stops on the way: never taken for a class that is done."""
    with answering(answers) as url:
        assert told in grade(url)


@pytest.mark.parametrize("url", ["nonsense", "", "http://[::1"])
def test_no_address(url: str) -> None:
    """What is no URL."""
    assert grade(url).endswith("is it the right address?")
