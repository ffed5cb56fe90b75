"""vLLM's engine in one thread of this process.

An engine process of its own costs a third of the throughput on two cores (more copies, more switching),
so the engine lives here: one thread builds it, feeds it and steps it, another sends what it gives.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from vllm import SamplingParams
from vllm.outputs import RequestOutput

logger = logging.getLogger(__name__)

REST_S = 0.5
"""How often the handler may do what can wait."""
RESTS_A_CHECK = 4
"""How often, in rests, each waiting request is asked whether its client has gone: a call into the server."""


class Engine(Protocol):
    """The part of ``vllm.v1.engine.llm_engine.LLMEngine`` that is used here."""

    def add_request(self, request_id: str, prompt: Any, params: SamplingParams) -> str: ...
    def abort_request(self, request_ids: list[str]) -> None: ...
    def has_unfinished_requests(self) -> bool: ...
    def step(self) -> list[Any]: ...

    engine_core: Any


class Request(Protocol):
    """What the engine thread works on."""

    id: str
    prompt: Any
    params: SamplingParams


class Handler(Protocol):
    """Told of everything that happens, in the sender thread alone; to ``rest`` twice a second."""

    def output(self, request: Any, output: RequestOutput) -> None: ...
    def refused(self, request: Any, error: Exception) -> None: ...
    def engine_failed(self, requests: list[Any], error: BaseException) -> None: ...
    def is_cancelled(self, request: Any) -> bool: ...
    def rest(self) -> None: ...
    def cancelled(self, request: Any) -> None: ...


class EngineThread:
    """Owns the engine, its thread and the sender's thread. ``submit`` may be called from any thread."""

    def __init__(self, build: Callable[[], Engine], handler: Handler, *, max_pending: int) -> None:
        """Build the engine in its thread and return when it can serve; raises what ``build`` raised."""
        self._build, self._handler, self._max_pending = build, handler, max_pending
        # Both are bounded by max_pending: what is in them belongs to a pending request.
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._pending: dict[str, Any] = {}
        self._server = os.getppid()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self.failure: BaseException | None = None
        started: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        # One that hangs must not keep the process alive.
        self._engine_thread = threading.Thread(target=self._run, args=(started,), name="engine", daemon=True)
        self._sender_thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._engine_thread.start()
        if (error := started.get()) is not None:
            self._engine_thread.join()
            raise error
        self._sender_thread.start()

    @property
    def healthy(self) -> bool:
        return self.failure is None and self._engine_thread.is_alive()

    @property
    def busy(self) -> bool:
        """Whether requests are in work or wait."""
        return bool(self._pending)

    def submit(self, request: Request) -> bool:
        """Queue ``request``. False where the engine has failed or too many wait: then nothing happens."""
        with self._lock:
            if not self.healthy or len(self._pending) >= self._max_pending:
                return False
            self._pending[request.id] = request
        self._commands.put(partial(self._add, request))
        return True

    def close(self, timeout_s: float) -> list[Any]:
        """Let what runs finish for up to ``timeout_s``, then end both threads.

        Returns the requests that had no answer by then; the caller answers them. A thread that hangs is left
        to itself after ``timeout_s`` more.
        """
        if self._engine_thread.is_alive():
            self._commands.put(None)
            self._engine_thread.join(timeout_s)
            if self._engine_thread.is_alive():
                self._commands.put(self._abort_all)
                self._engine_thread.join(timeout_s)
        self._events.put(None)
        self._sender_thread.join(timeout_s)
        for thread in (self._engine_thread, self._sender_thread):
            if thread.is_alive():
                logger.error("The %s's thread hangs and is left to itself.", thread.name)
        with self._lock:
            left, self._pending = list(self._pending.values()), {}
        return left

    # --- the engine's thread ---

    def _run(self, started: queue.SimpleQueue[BaseException | None]) -> None:
        try:
            self._engine = engine = self._build()
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits for it
            started.put(error)
            return
        started.put(None)
        closing = False
        try:
            while not (closing and not engine.has_unfinished_requests()):
                closing = self._obey(block=not closing and not engine.has_unfinished_requests()) or closing
                if engine.has_unfinished_requests():
                    self._emit(engine.step())
        except BaseException as error:  # noqa: BLE001  whatever ends the engine must be told to every client
            with self._lock:
                self.failure = error
                lost, self._pending = list(self._pending.values()), {}
            self._events.put(partial(self._handler.engine_failed, lost, error))
        finally:
            self._engine = None
            engine.engine_core.shutdown()

    def _obey(self, *, block: bool) -> bool:
        """Run the commands that wait. True when the one to close was among them."""
        closing = False
        while True:
            try:
                command = self._commands.get(block=block)
            except queue.Empty:
                return closing
            block = False
            if command is None:
                closing = True
            else:
                command()

    def _add(self, request: Request) -> None:
        assert self._engine is not None
        try:
            self._engine.add_request(request.id, request.prompt, request.params)
        except Exception as error:  # noqa: BLE001  one bad prompt must not end the engine for the others
            # A part of it may be there: the first of several sequences, or all but its grammar.
            self._engine.abort_request([request.id])
            self._forget(request)
            self._events.put(partial(self._handler.refused, request, error))

    def _emit(self, outputs: list[RequestOutput]) -> None:
        """Hand a step's outputs on at once: the sender wakes once, and takes the interpreter once."""
        told = []
        with self._lock:
            for output in outputs:
                if (request := self._pending.get(output.request_id)) is not None:
                    told.append((request, output))
                    if output.finished:
                        del self._pending[output.request_id]
        if told:
            self._events.put(partial(self._tell, told))

    def _forget(self, request: Request) -> None:
        with self._lock:
            self._pending.pop(request.id, None)

    def _abort(self, request: Request) -> None:
        if self._engine is not None and request.id in self._pending:
            self._engine.abort_request([request.id])
            self._forget(request)
            self._events.put(partial(self._handler.cancelled, request))

    def _abort_all(self) -> None:
        if self._engine is not None:
            self._engine.abort_request(list(self._pending))

    # --- the sender's thread ---

    def _tell(self, told: list[tuple[Any, RequestOutput]]) -> None:
        for request, output in told:
            try:
                self._handler.output(request, output)
            except Exception:
                # The others must have theirs.
                logger.exception("A response could not be sent.")

    def _send(self) -> None:
        asked: set[str] = set()
        rests, next_rest = 0, time.monotonic() + REST_S
        while True:
            try:
                event = self._events.get(timeout=max(0.0, next_rest - time.monotonic()))
                if event is None:
                    return
                event()
            except queue.Empty:
                pass
            except Exception:
                # Without this thread nobody would be answered any more.
                logger.exception("A response could not be sent.")
            if time.monotonic() >= next_rest:
                rests += 1
                self._rest(asked, check=rests % RESTS_A_CHECK == 0)
                next_rest = time.monotonic() + REST_S

    def _rest(self, asked: set[str], *, check: bool) -> None:
        """Let the handler do what can wait; with ``check`` look after clients that have gone."""
        if os.getppid() != self._server:
            # Killed, the server can't end its model processes; one that generates would go on.
            os._exit(1)
        try:
            if check:
                asked &= self._pending.keys()
                self._find_cancelled(asked)
            self._handler.rest()
        except Exception:
            logger.exception("What can wait could not be done.")

    def _find_cancelled(self, asked: set[str]) -> None:
        with self._lock:
            waiting = list(self._pending.values())
        for request in waiting:
            if request.id not in asked and self._handler.is_cancelled(request):
                asked.add(request.id)
                self._commands.put(partial(self._abort, request))
