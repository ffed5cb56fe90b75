"""``python -m benchmarks.uploads``: what the largest bodies, honest and hostile, cost everybody else.

Several bodies of each kind are posted at once, while another process asks for /health/live all the time. The
memory is that of the orchestrator with its children, at its highest beyond what it was before: by the size of
one body where they are refused, of all where they are accepted.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil

from benchmarks.client import deadline
from benchmarks.report import Figure, publish
from testkit.service import MIB, Service

TIMEOUT_S = 120.0
PIECE_BYTES = 256 * 1024
ASK_EVERY_S = 0.01
LOOK_EVERY_S = 0.02
LIVE_LIMIT_S = 0.1
GROWTH_LIMIT = 10.0  # times the body
ACCEPTED = 202


def full(head: bytes, middle: bytes, tail: bytes) -> Callable[[int], bytes]:
    """A maker of bodies of a given size."""
    return lambda size: head + middle * ((size - len(head) - len(tail)) // len(middle)) + tail


def texts(before: str) -> Callable[[int], bytes]:
    """A maker of bodies of 2000 items whose texts begin with ``before``."""

    def make(size: int) -> bytes:
        text = before + "Paraula, " * ((size // 2000 - 130) // 9)
        items = [
            {"id_alumno": f"A{i}", "curso": "3r", "consigna": "Explica.", "respuesta": text}
            for i in range(2000)
        ]
        return json.dumps({"items": items}, ensure_ascii=False).encode(errors="surrogatepass")

    return make


KINDS: dict[str, Callable[[int], bytes]] = {
    "valid": texts(""),
    "valid, with emoji": texts("😀"),
    "half emoji": lambda size: texts("😀")(size).replace("😀".encode(), b"\\ud83d"),
    "nested lists": full(b'{"items":[', b"[],", b"[]]}"),
    "tiny items": full(b'{"items":[', b'{"id_alumno":"1"},', b"{}]}"),
    "many keys": full(b"{", b'"a":1,', b'"items":[]}'),
    "an open string": full(b'{"items":["', b'\\"', b""),
}


def ask_live(port: int, stop: Path) -> float:
    """The longest that an answer took until ``stop`` exists, in seconds. Runs in a process of its own."""
    worst = 0.0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    while not stop.exists():
        began = time.perf_counter()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        worst = max(worst, time.perf_counter() - began)
        time.sleep(ASK_EVERY_S)
    connection.close()
    return worst


async def post(port: int, body: bytes) -> int:
    """The status of one POST."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /evaluate HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    try:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), PIECE_BYTES):
            writer.write(body[start : start + PIECE_BYTES])
            await writer.drain()
        return int((await reader.read()).split(b" ", 2)[1])
    finally:
        writer.close()


async def highest_mib(pid: int) -> float:
    """The most memory that a process and its children take until this is cancelled."""
    highest = 0.0
    try:
        while True:
            highest = max(highest, memory_mib(pid))
            await asyncio.sleep(LOOK_EVERY_S)
    except asyncio.CancelledError:
        return highest


def memory_mib(pid: int) -> float:
    def all_of(process: psutil.Process) -> Iterator[int]:
        for one in (process, *process.children(recursive=True)):
            try:
                yield one.memory_info().rss
            except psutil.NoSuchProcess:
                continue

    return sum(all_of(psutil.Process(pid))) / MIB


async def measure(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    figures: list[Figure] = []
    settings = {"MAX_QUEUED_JOBS": "1000"}
    with ProcessPoolExecutor(1) as pool:
        for number, kind in enumerate(options.kinds or KINDS):
            body = KINDS[kind](options.mib * MIB)
            stop = run_dir / f"stop-{number}"
            async with Service(run_dir / str(number), settings=settings) as service:
                before = memory_mib(service.orchestrator_pid)
                looking = asyncio.create_task(highest_mib(service.orchestrator_pid))
                asking = asyncio.get_running_loop().run_in_executor(pool, ask_live, service.port, stop)
                began = time.perf_counter()
                async with deadline(TIMEOUT_S):
                    posts = (post(service.port, body) for _ in range(options.together))
                    statuses = sorted(await asyncio.gather(*posts))
                took_s = time.perf_counter() - began
                stop.touch()
                worst_s = await asking
                looking.cancel()
                growth = (await looking - before) * MIB / len(body)
            if statuses[0] == ACCEPTED:  # then each is a job in work, whose texts are in memory until it ends
                growth /= options.together
            print(f"{kind}: {statuses} in {took_s:.1f} s", flush=True)
            figures.append(Figure(f"{kind}: slowest /health/live", worst_s, "s", LIVE_LIMIT_S))
            figures.append(Figure(f"{kind}: memory by the body's size", growth, "", GROWTH_LIMIT))
    return figures


def main() -> int:
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.uploads", description=description)
    parser.add_argument("--mib", type=int, default=31)
    parser.add_argument("--together", type=int, default=3, help="bodies that are posted at once")
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS))
    parser.add_argument("--rounds", type=int, default=1, help="not used: one round is enough")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-uploads-") as run_dir:
        figures = asyncio.run(measure(options, Path(run_dir)))
    publish(f"{options.together} bodies of {options.mib} MiB at once", figures, options.json)
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
