"""The tables, in what SQLite and PostgreSQL both do.

Texts are kept as JSON, which escapes NUL: PostgreSQL has no NUL in a TEXT.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)

from orchestrator.jobs import TERMINAL, Status

TERMINAL_WORDS = tuple(sorted(status.value for status in TERMINAL))
OPEN_WORDS = (Status.QUEUED.value, Status.PROCESSING.value)

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed_items", Integer, nullable=False),
    Column("last_event", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("expires_at", Double),
    # A purged job leaves its row behind for a while, so that "expired" can be told from "never existed".
    Column("purged_at", Double),
    Column("idempotency_key", String(255), unique=True),
    Column("body_digest", String(64), nullable=False),
    # Results of an unfinished batch, kept from one claim to the next: a JSON list. Empty while the job runs.
    Column("partial", Text),
    # Who works on it, by a claim that counts until the lease ends, by the database's clock. Without an end it
    # counts until it is released: an SQLite file has one process. Each claim has the next epoch.
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("worker", String(36)),
    Column("lease_until", Double),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    # Items a second lately, and the relative error of that.
    Column("rate", Double),
    Column("rate_error", Double),
    Index("jobs_by_status", "status", "created_at"),
    Index("jobs_by_expiry", "expires_at"),
)

# Who works, on a database that several processes share.
workers = Table(
    "workers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("beat_at", Double, nullable=False),
    Column("places", Integer, nullable=False),  # for items in flight
    Column("in_flight", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("triton_up", Boolean, nullable=False),
    Column("triton_loaded", Boolean, nullable=False),
    Column("isolating", Boolean, nullable=False),
)

# A job's items in the order in which they are sent, many to a row: a row each would cost more than the texts.
items = Table(
    "items",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("payload", Text, nullable=False),
)

# Where a job's marks come from; more than one row where another model was loaded while it ran.
provenances = Table(
    "provenances",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
    Column("id", String(16), primary_key=True),
    Column("since_event", Integer, nullable=False),
    Column("payload", Text, nullable=False),
)

# What subscribers get, as they get it. A batch's results live here and nowhere else.
events = Table(
    "events",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("payload", Text, nullable=False),
)
