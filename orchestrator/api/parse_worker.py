"""`python -m orchestrator.api.parse_worker`: parses bodies that are sent to it, one after the other.

A process of its own, so that a large body neither holds up the event loop nor takes more memory than it may.
Frames of length and bytes on stdin and stdout; the parent alone writes and reads them.
"""

import ctypes
import gc
import os
import pickle
import re
import resource
import signal
import struct
import sys
from http import HTTPStatus
from typing import BinaryIO

from orchestrator.api.errors import ApiError
from orchestrator.api.schemas import parse_request
from orchestrator.api.table_items import read_table
from orchestrator.api.table_options import TableOptions
from orchestrator.config import Settings
from orchestrator.store.posted import Posted, posted

LENGTH = struct.Struct("!Q")
PR_SET_PDEATHSIG = 1
# Values and names in a body that is taken have an end; in `[[],[],...]` each costs sixty bytes of memory.
# With few of them, what parsing takes is texts: up to four bytes a character where there is an emoji.
TOKENS_PER_ITEM = 100
# A second lock, wide: the parser reserves twelve times the body, uses little of it, and crashes without.
RESERVED_PER_BODY_BYTE = 24
BASE_BYTES = 128 << 20
# Strings whole, so that what stands in a text is not counted. Nothing is tried twice: linear in any input.
_TOKEN = re.compile(rb'"(?>[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{,:]', re.DOTALL)


def work(settings: Settings, body: bytes, options: TableOptions | None = None) -> Posted | bytes | ApiError:
    """The job in a body, or the table in a file, or what is wrong with it."""
    try:
        if options is not None:
            return read_table(body, options, settings)
        if _too_many_values(body, settings.max_items * TOKENS_PER_ITEM):
            return ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_many_values",
                f"The body holds far more values than {settings.max_items} items have.",
            )
        return posted(*parse_request(body, settings))
    except ApiError as error:
        return error.with_traceback(None)
    except MemoryError:
        return ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            "Reading the body takes more memory than allowed: send fewer items at a time.",
        )


def _too_many_values(body: bytes, limit: int) -> bool:
    return any(count >= limit for count, _ in enumerate(_TOKEN.finditer(body)))


def read_frame(stream: BinaryIO) -> bytes:
    """The next frame; EOFError where there is none."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return stream.read(LENGTH.unpack(head)[0])


def write_frame(stream: BinaryIO, data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)


def main() -> None:
    """Serves until stdin ends."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # whatever ends the parent ends this, too
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        settings: Settings = pickle.loads(read_frame(requests))  # noqa: S301  from our own parent
        limit = BASE_BYTES + RESERVED_PER_BODY_BYTE * settings.max_body_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        gc.freeze()
        while True:
            options: TableOptions | None = pickle.loads(read_frame(requests))  # noqa: S301
            answer = work(settings, read_frame(requests), options)
            head: object = None
            chunks: list[bytes] = []
            if isinstance(answer, ApiError):
                head = answer
            elif isinstance(answer, Posted):
                head, chunks = (answer.total, answer.priority, answer.digest), answer.chunks
            else:
                chunks = [answer]
            write_frame(answers, pickle.dumps((head, len(chunks))))
            while chunks:
                write_frame(answers, chunks.pop(0))
            answers.flush()
            del answer, chunks, head
    except EOFError:
        return


if __name__ == "__main__":
    main()
