"""Items at Triton, and what an answer or its absence means: a result, another try after a pause, isolation.

A model that dies takes every item in flight with it. Were that held against each of them, one poisonous text
would fail 150 innocent ones. So a failure is held until a probe tells whether the model lives: if so, it is
the item's own. If not, the items wait until it is known what became of the server. Where only the connection
broke they go again; where the model died they are tried apart from others, and only deaths that an item met
alone, one after the other, count against it.
"""

from dataclasses import dataclass

import structlog

from orchestrator.config import Settings
from orchestrator.jobs import NO_EVIDENCE, Evidence, ItemError, Result
from orchestrator.jobs.isolation import Isolation
from orchestrator.jobs.retry import Retries, pause_s
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.codec import Answer, Failure, Refusal
from orchestrator.triton.events import Answered
from orchestrator.triton.pool import Pool
from orchestrator.triton.server import Server
from orchestrator.worker.active import Delivery
from orchestrator.worker.requests import Request, Requests

MAX_LONE_BREAKS = 5  # a connection that breaks each time that an item has it for itself is held against that
GROUPS = 16  # suspects are first tried in groups of a sixteenth of the window
FAILED = ItemError("inference_error", "The model failed on this text.")
CRASHED = ItemError("model_crashed", "The model crashed each time it got this text.")
BROKEN = ItemError("stream_broken", "The connection to the model broke each time it got this text.")
TIMED_OUT = ItemError("item_timeout", "The model did not answer in time.")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Held:
    """A failure that waits to be judged by a probe that was sent after it."""

    delivery: Delivery
    error: ItemError
    at: float


class InFlight:
    """Told of what happens by the worker; what has its result is in `finished` then."""

    def __init__(self, settings: Settings, pool: Pool, metrics: Metrics) -> None:
        self._settings = settings
        self._pool = pool
        self._metrics = metrics
        self._requests = Requests()
        self._held: dict[Server, list[_Held]] = {}
        self._lost: dict[Server, list[Delivery]] = {}
        self._handed_back: dict[Server, list[tuple[Delivery, bool]]] = {}  # and whether each was alone there
        self._down_since: dict[Server, float] = {}
        self.isolation: Isolation[Server, Delivery] = Isolation(
            settings.max_in_flight // GROUPS, settings.isolation_slot_s
        )
        self.retries: Retries[Delivery] = Retries()
        self.finished: list[tuple[Delivery, Result]] = []
        self.count = 0  # items at Triton whose time is not up
        self.chars = 0  # of these

    @property
    def places_taken(self) -> int:
        """Items in flight, and those whose failure waits to be judged."""
        return self.count + sum(len(held) for held in self._held.values())

    def send(self, request_id: str, delivery: Delivery, server: Server, now: float) -> None:
        """Sends an item; an answer may come from now on."""
        delivery.sent += 1
        delivery.job.in_flight += 1
        self._requests.add(request_id, delivery, server, now)
        self.count += 1
        self.chars += delivery.item.chars
        self._metrics.attempts.inc()
        # The seed follows from the number of strikes: only an answer that was no good is asked for anew. What
        # was lost on the way is asked for again, so that a crash changes no mark.
        self._pool.send(server, request_id, delivery.item, delivery.strikes + 1)
        if self.isolation.reserved is server:
            self._pool.doubt(server)  # a model that dies of it need not say so

    # What a server tells.

    def answered(self, event: Answered, now: float) -> None:
        request = self._requests.answered(event.request_id, now)
        if request is None:
            return
        self._left(request)
        delivery, outcome = request.delivery, event.outcome
        if delivery.closed:
            return
        if isinstance(outcome, Failure):
            if not request.overdue:
                self._hold(delivery, FAILED, event.server, now)
            return
        self._metrics.item_seconds.observe(now - request.sent_at)
        if not request.overdue or (isinstance(outcome, Answer) and _good(outcome)):
            self._decide(delivery, outcome, now)

    def probed(self, server: Server, alive: bool, asked_at: float, now: float) -> None:
        """Failures that came before the probe was sent are judged by its answer."""
        held = self._held.pop(server, [])
        later = [one for one in held if one.at > asked_at]
        for one in held:
            if one.at <= asked_at and not one.delivery.closed:
                if alive:
                    self._strike(one.delivery, one.error, now)
                else:
                    self._lose(one.delivery, server)
        if later:
            self._held[server] = later
            self._pool.doubt(server)

    def broken(self, server: Server) -> None:
        """The connection is gone, with every item in flight. Why, is known when it is there again."""
        for request in self._requests.drop(server):
            self._left(request)
            if not (request.overdue or request.delivery.closed):
                self._lose(request.delivery, server)

    def down(self, server: Server, now: float) -> None:
        """It does not answer. What its open stream still brings is taken all the same."""
        self._down_since[server] = now
        for one in self._held.pop(server, []):
            self._lose(one.delivery, server)

    def up(self, server: Server, restarted: bool, now: float) -> None:
        """It answers again. `restarted`: the model had died meanwhile."""
        self._down_since.pop(server, None)
        self.isolation.came_up(server, now)
        lost = [delivery for delivery in self._lost.pop(server, []) if not delivery.closed]
        handed_back = self._handed_back.pop(server, [])
        if restarted:
            for request in self._requests.drop(server):
                self._left(request)
                if not (request.overdue or request.delivery.closed):
                    lost.append(request.delivery)
            self._died(server, lost, handed_back, now)
            return
        for request in self._requests.begin_again(server, now):
            request.delivery.suspicion.alone = False  # others are sent there, too, from now on
        for delivery in lost:
            delivery.breaks += delivery.suspicion.alone
            if delivery.breaks >= MAX_LONE_BREAKS:
                self._fail(delivery, BROKEN)
            else:
                self._again(delivery, "stream_broken", now, max(1, delivery.breaks))
        if lost:
            log.warning("items_lost", count=len(lost), server=server.name, restarted=False)

    def check_time(self, now: float) -> None:
        """Looks for items whose time is up, and for those that have waited long enough for their server."""
        for request in list(self._requests.overdue(now, self._settings.item_timeout_s)):
            self._left(request)
            self._pool.slow(request.server)
            if not request.delivery.closed:
                self._hold(request.delivery, TIMED_OUT, request.server, now)
        for server, since in self._down_since.items():
            if now - since >= self._settings.suspect_wait_s and self._pool.up:
                self._hand_back(server, now)

    def released(self, now: float) -> list[Delivery]:
        """What may be sent once more, now."""
        return [delivery for delivery in self.retries.due(now) if not delivery.closed]

    # What becomes of an item.

    def _left(self, request: Request) -> None:
        """It holds no place any more, or did not any more before."""
        if request.left:
            return
        request.left = True
        request.delivery.job.in_flight -= 1
        self.count -= 1
        self.chars -= request.delivery.item.chars

    def _hold(self, delivery: Delivery, error: ItemError, server: Server, now: float) -> None:
        if not server.up:
            self._lose(delivery, server)
            return
        self._held.setdefault(server, []).append(_Held(delivery, error, now))
        self._pool.doubt(server)

    def _lose(self, delivery: Delivery, server: Server) -> None:
        self._lost.setdefault(server, []).append(delivery)

    def _hand_back(self, server: Server, now: float) -> None:
        """Its items may be what it hangs on: other servers get them with care."""
        for request in self._requests.of(server):
            if not request.overdue:
                self._requests.give_up(request, now)
                self._left(request)
                self._lose(request.delivery, server)
        self.isolation.release_from(server)
        for delivery in self._lost.pop(server, []):
            if not delivery.closed:
                self._metrics.retried("stream_broken")
                alone = delivery.suspicion.alone
                self._handed_back.setdefault(server, []).append((delivery, alone))
                self.isolation.add(delivery, home=None)

    def _died(
        self,
        server: Server,
        met: list[Delivery],
        handed_back: list[tuple[Delivery, bool]],
        now: float,
    ) -> None:
        """It is known now that the model died, with these in flight; some were given to others since."""
        if met:
            log.warning("items_lost", count=len(met), server=server.name, restarted=True)
        self.isolation.died_without([*met, *(delivery for delivery, _ in handed_back)], server)
        for delivery, alone in handed_back:
            if alone and len(handed_back) == 1 and not delivery.closed:
                delivery.suspicion.lone_deaths += 1
                if delivery.suspicion.lone_deaths >= self._settings.max_attempts:
                    self._fail(delivery, CRASHED)
        for delivery in met:
            self._metrics.retried("model_crashed")
            if not (len(met) == 1 and delivery.suspicion.alone):
                self.isolation.add(delivery, home=server)
            elif delivery.suspicion.lone_deaths + 1 >= self._settings.max_attempts:
                self._fail(delivery, CRASHED)
            else:
                self.isolation.met_death_alone(delivery, server, now)

    def _decide(self, delivery: Delivery, outcome: Answer | Refusal, now: float) -> None:
        if isinstance(outcome, Refusal):
            self._fail(delivery, ItemError(outcome.code, outcome.message))
        elif outcome.nota is None or not _good(outcome):
            code = outcome.error_code or "unusable_output"
            error = ItemError(code, outcome.error or "The model's answer can't be used.")
            self._strike(delivery, error, now, outcome.evidence)
        else:
            self._finish(delivery, outcome.nota, outcome.feedback, None, outcome.evidence)

    def _strike(
        self, delivery: Delivery, error: ItemError, now: float, evidence: Evidence = NO_EVIDENCE
    ) -> None:
        delivery.strikes += 1
        if delivery.strikes >= self._settings.max_attempts:
            self._fail(delivery, error, evidence)
        else:
            self._again(delivery, error.code, now, delivery.strikes)

    def _again(self, delivery: Delivery, cause: str, now: float, tries: int) -> None:
        if delivery.closed:
            return
        self._metrics.retried(cause)
        self.isolation.left(delivery)
        pause = pause_s(tries, self._settings.retry_first_s, self._settings.retry_max_s)
        self.retries.add(delivery, now + pause)

    def _fail(self, delivery: Delivery, error: ItemError, evidence: Evidence = NO_EVIDENCE) -> None:
        self._finish(delivery, None, None, error, evidence)

    def _finish(
        self,
        delivery: Delivery,
        nota: int | None,
        feedback: str | None,
        error: ItemError | None,
        evidence: Evidence,
    ) -> None:
        delivery.done = True
        self.isolation.left(delivery)
        item = delivery.item
        result = Result(item.index, item.id_alumno, nota, feedback, error, delivery.sent, evidence)
        self.finished.append((delivery, result))


def _good(answer: Answer) -> bool:
    return answer.nota is not None and not (answer.error or answer.error_code)
