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
from orchestrator.api.table_options import TableOptions
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

    async def parse(self, body: Body, options: TableOptions | None = None) -> Posted:
        """The job in a body, or an ApiError that says all that is wrong with it.

        With ``options`` the body is a file.
        """
        if options is None and body.size <= self._settings.parse_inline_bytes:
            return posted(*parse_request(b"".join(body.pieces), self._settings))
        answer = await self._take_turn(body, options)
        assert isinstance(answer, Posted)
        return answer

    async def preview(self, body: Body, options: TableOptions | None) -> bytes:
        """The table in a body, as JSON. Raises ApiError."""
        answer = await self._take_turn(body, options)
        assert isinstance(answer, bytes)
        return answer

    async def _take_turn(self, body: Body, options: TableOptions | None) -> Posted | bytes:
        try:
            async with asyncio.timeout(self._settings.parse_timeout_s):
                async with self._turn:
                    return await self._ask(body, options)
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

    async def _ask(self, body: Body, options: TableOptions | None) -> Posted | bytes:
        for left in reversed(range(TRIES)):
            answer = await self._try(body, options)
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

    async def _try(self, body: Body, options: TableOptions | None) -> Posted | bytes | ApiError | None:
        """The worker's answer, or None if it ended without one."""
        try:
            worker = await self._running()
            await self._send(worker, body, options)
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

    async def _send(
        self, worker: asyncio.subprocess.Process, body: Body, options: TableOptions | None
    ) -> None:
        assert worker.stdin is not None
        wishes = pickle.dumps(options)
        worker.stdin.write(LENGTH.pack(len(wishes)) + wishes)
        worker.stdin.write(LENGTH.pack(body.size))
        for piece in body.pieces:
            worker.stdin.write(piece)
            await worker.stdin.drain()

    async def _answer(self, worker: asyncio.subprocess.Process, body: Body) -> Posted | bytes | ApiError:
        answer, count = pickle.loads(await self._frame(worker))  # noqa: S301  from our own child
        if isinstance(answer, ApiError):
            return answer
        body.pieces.clear()  # the same texts come back
        if answer is None:
            return await self._frame(worker)
        total, priority, digest = answer
        return Posted(total, priority, digest, [await self._frame(worker) for _ in range(count)])

    @staticmethod
    async def _frame(worker: asyncio.subprocess.Process) -> bytes:
        assert worker.stdout is not None
        head = await worker.stdout.readexactly(LENGTH.size)
        return await worker.stdout.readexactly(LENGTH.unpack(head)[0])
