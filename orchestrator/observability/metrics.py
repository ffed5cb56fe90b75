"""What Prometheus may scrape. No label ever holds a name, a text or a job's id."""

from collections.abc import Iterable, Sequence
from functools import partial

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from orchestrator.jobs import TERMINAL
from orchestrator.jobs.item_errors import ITEM_ERRORS

# Every code that we and our models give an item that failed or is tried again. A message from outside may
# quote a text, and what looks like a code in it must not become a label.
CODES = frozenset(ITEM_ERRORS)
OTHER = "other"
# Why we end a connection: see api/connections.py.
CLOSED = ("bad_request", "header_late", "not_reading", "too_many")
MANY_ATTEMPTS = 5  # items that took as many or more are counted together
SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
LONG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

# Each counter and histogram would have a second series that only tells when it was made.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """One registry a service, so that tests may run several in a process."""

    def __init__(self, servers: Iterable[str] = ()) -> None:
        """`servers`: the addresses of those that items are sent to."""
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        counter = partial(prometheus_client.Counter, registry=registry)
        gauge = partial(prometheus_client.Gauge, registry=registry)
        histogram = partial(prometheus_client.Histogram, registry=registry)

        # Jobs.
        self.submitted = counter("avalua_jobs_submitted", "Jobs accepted.")
        self.queued = gauge("avalua_jobs_queued", "Jobs waiting.")
        self.processing = gauge("avalua_jobs_processing", "Jobs in processing.")
        self.jobs_limit = gauge(
            "avalua_jobs_limit", "Jobs in processing and waiting before more are refused."
        )
        self.jobs = counter("avalua_jobs", "Jobs by how they ended.", ["status"])
        self.queue_wait_seconds = histogram(
            "avalua_queue_wait_seconds",
            "Time from accepting a job to processing it.",
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600),
        )

        # Items.
        self.items = counter(
            "avalua_items",
            "Items with a result, by outcome and how often each was sent.",
            ["status", "attempts"],
        )
        self.failures = counter("avalua_item_failures", "Failed items by reason.", ["code"])
        self.attempts = counter("avalua_attempts", "Items sent to Triton.")
        self.retries = counter("avalua_retries", "Items sent again, by cause.", ["cause"])
        self.in_flight = gauge("avalua_items_in_flight", "Items at Triton: the window in use.")
        self.in_flight_limit = gauge("avalua_items_in_flight_limit", "The window's size.")
        self.item_seconds = histogram(
            "avalua_item_seconds", "Time from sending an item to its answer.", buckets=LONG_S
        )

        # What we depend on.
        self.triton_up = gauge("avalua_triton_up", "1 while a Triton answers a real inference.", ["server"])
        self.outages = counter("avalua_triton_outages", "Times that a Triton stopped answering.", ["server"])
        self.triton_in_flight = gauge("avalua_triton_items_in_flight", "Items at a Triton.", ["server"])
        self.triton_capacity = gauge(
            "avalua_triton_capacity",
            "Items that a Triton may have at once.",
            ["server"],
        )
        self.store_errors = counter("avalua_store_errors", "Failed tries to write to the database.")
        self.commit_seconds = histogram(
            "avalua_commit_seconds", "Time to commit a group of batches.", buckets=SHORT_S
        )

        # Clients, and ourselves.
        self.subscribers = gauge("avalua_stream_subscribers", "Open event streams.")
        self.delivery_seconds = histogram(
            "avalua_event_delivery_seconds",
            "Time from an event's commit until it is written to a subscriber who was there by then.",
            buckets=SHORT_S,
        )
        self.connections = gauge("avalua_connections", "Open connections.")
        self.connections_limit = gauge("avalua_connections_limit", "Connections before some are ended.")
        self.connections_closed = counter(
            "avalua_connections_closed", "Connections that we ended or refused, by reason.", ["reason"]
        )
        self.http = counter("avalua_http_requests", "Requests by route and status.", ["route", "status"])
        self.loop_lag_seconds = histogram(
            "avalua_event_loop_lag_seconds", "How late the event loop runs what is due.", buckets=SHORT_S
        )
        self._begin_at_zero(servers)

    def finished(self, attempts: int, code: str | None) -> None:
        """An item has a result: a mark, or a failure with this code."""
        self.items.labels("ok" if code is None else "failed", _attempts(attempts)).inc()
        if code is not None:
            self.failures.labels(known(code)).inc()

    def retried(self, cause: str) -> None:
        self.retries.labels(known(cause)).inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _begin_at_zero(self, servers: Iterable[str]) -> None:
        """Prometheus sees an increase only of what was there before."""
        _touch(self.jobs, ((status.value,) for status in TERMINAL))
        _touch(self.items, (("ok", "1"), ("failed", "0"), ("failed", "1")))
        _touch(self.failures, ((code,) for code in (*CODES, OTHER)))
        _touch(self.retries, (("model_crashed",), ("stream_broken",)))
        _touch(self.connections_closed, ((reason,) for reason in CLOSED))
        for server in servers:
            self.triton_up.labels(server).set(0)
            self.outages.labels(server)
        _touch(self.http, (("/evaluate", status) for status in ("202", "429", "503")))


def known(code: str) -> str:
    """The code, if it is one of ours."""
    return code if code in CODES else OTHER


def _attempts(number: int) -> str:
    return str(number) if number < MANY_ATTEMPTS else f"{MANY_ATTEMPTS}+"


def _touch(counter: prometheus_client.Counter, labels: Iterable[Sequence[str]]) -> None:
    for values in labels:
        counter.labels(*values)
