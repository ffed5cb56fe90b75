"""Bodies become jobs: small ones at once, large ones in a process beside the event loop."""

import asyncio
import pickle
import sys
from http import HTTPStatus

import structlog

from orchestrator.api.bodies import Body
from orchestrator.api.errors import ApiError
from orchestrator.api.parse_worker import LENGTH
from orchestrator.api.schemas import parse_request
from orchestrator.config import Settings
from orchestrator.store.posted import Posted, posted

TRIES = 2  # a worker may have been ended from outside, which is no fault of the body's
RETRY_AFTER_S = 5

log = structlog.get_logger()


class Parser:
    """One worker process, started when it is first needed and again after it was ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._worker: asyncio.subprocess.Process | None = None

    async def parse(self, body: Body) -> Posted:
        """The job in a body, or an ApiError that says all that is wrong with it."""
        if body.size <= self._settings.parse_inline_bytes:
            return posted(*parse_request(b"".join(body.pieces), self._settings))
        try:
            async with asyncio.timeout(self._settings.parse_timeout_s):
                async with self._turn:
                    return await self._ask(body)
        except TimeoutError:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too_many_uploads",
                "Too many large bodies are being read; try again later.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            ) from None

    async def close(self) -> None:
        if self._worker is not None and self._worker.returncode is None:
            self._worker.kill()
            await self._worker.communicate()
        self._worker = None

    async def _ask(self, body: Body) -> Posted:
        for left in reversed(range(TRIES)):
            answer = await self._try(body)
            if isinstance(answer, ApiError):
                raise answer
            if answer is not None:
                return answer
            if not body.pieces:
                break
            log.warning("parse_worker_ended", tries_left=left)
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            "The body could not be read within the memory that is allowed: send fewer items at a time.",
        )

    async def _try(self, body: Body) -> Posted | ApiError | None:
        """The worker's answer, or None if it ended without one."""
        try:
            worker = await self._running()
            await self._send(worker, body)
            return await self._answer(worker, body)
        except (OSError, EOFError):
            await self.close()
            return None
        except BaseException:  # cancelled in the middle: what it would answer is nobody's any more
            await self.close()
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        if self._worker is None or self._worker.returncode is not None:
            self._worker = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "orchestrator.api.parse_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            settings = pickle.dumps(self._settings)
            assert self._worker.stdin is not None
            self._worker.stdin.write(LENGTH.pack(len(settings)) + settings)
        return self._worker

    async def _send(self, worker: asyncio.subprocess.Process, body: Body) -> None:
        assert worker.stdin is not None
        worker.stdin.write(LENGTH.pack(body.size))
        for piece in body.pieces:
            worker.stdin.write(piece)
            await worker.stdin.drain()

    async def _answer(self, worker: asyncio.subprocess.Process, body: Body) -> Posted | ApiError:
        answer, count = pickle.loads(await self._frame(worker))  # noqa: S301  from our own child
        if isinstance(answer, ApiError):
            return answer
        body.pieces.clear()  # the same texts come back as chunks
        total, priority, digest = answer
        return Posted(total, priority, digest, [await self._frame(worker) for _ in range(count)])

    @staticmethod
    async def _frame(worker: asyncio.subprocess.Process) -> bytes:
        assert worker.stdout is not None
        head = await worker.stdout.readexactly(LENGTH.size)
        return await worker.stdout.readexactly(LENGTH.unpack(head)[0])
