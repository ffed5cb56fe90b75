"""What Prometheus may scrape. No label ever holds a name, a text or a job's id."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry a service, so that tests may run several in a process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.items = Counter("avalua_items", "Items with a result.", ["status"], registry=registry)
        self.items_ok = self.items.labels("ok")
        self.items_failed = self.items.labels("failed")
        self.failures = Counter(
            "avalua_item_failures", "Failed items by reason.", ["code"], registry=registry
        )
        self.attempts = Counter("avalua_attempts", "Items sent to Triton.", registry=registry)
        self.retries = Counter("avalua_retries", "Items sent again, by cause.", ["cause"], registry=registry)
        self.jobs = Counter("avalua_jobs", "Jobs by how they ended.", ["status"], registry=registry)
        self.submitted = Counter("avalua_jobs_submitted", "Jobs accepted.", registry=registry)
        self.in_flight = Gauge("avalua_items_in_flight", "Items at Triton.", registry=registry)
        self.processing = Gauge("avalua_jobs_processing", "Jobs in processing.", registry=registry)
        self.queued = Gauge("avalua_jobs_queued", "Jobs waiting.", registry=registry)
        self.subscribers = Gauge("avalua_stream_subscribers", "Open event streams.", registry=registry)
        self.triton_up = Gauge(
            "avalua_triton_up", "1 while Triton answers a real inference.", registry=registry
        )
        self.outages = Counter(
            "avalua_triton_outages", "Times that Triton stopped answering.", registry=registry
        )
        self.store_errors = Counter(
            "avalua_store_errors", "Failed tries to write to the database.", registry=registry
        )
        self.commit_seconds = Histogram(
            "avalua_commit_seconds",
            "Time to commit a group of batches.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=registry,
        )
        self.item_seconds = Histogram(
            "avalua_item_seconds",
            "Time from sending an item to its answer.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=registry,
        )
        self.http = Counter(
            "avalua_http_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )

    def render(self) -> bytes:
        return generate_latest(self.registry)
