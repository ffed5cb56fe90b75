"""Who works on a job, and how fast it goes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Column by column, which SQLite does in place: a copy of the table would break the references to it.
    op.execute("ALTER TABLE jobs RENAME COLUMN loose TO partial")
    op.add_column("jobs", sa.Column("epoch", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("worker", sa.String(36)))
    op.add_column("jobs", sa.Column("lease_until", sa.Double))
    op.add_column(
        "jobs", sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("jobs", sa.Column("rate", sa.Double))
    op.add_column("jobs", sa.Column("rate_error", sa.Double))
    op.create_table(
        "workers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("beat_at", sa.Double, nullable=False),
        sa.Column("places", sa.Integer, nullable=False),
        sa.Column("in_flight", sa.Integer, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("triton_up", sa.Boolean, nullable=False),
        sa.Column("triton_loaded", sa.Boolean, nullable=False),
        sa.Column("isolating", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("workers")
    for name in ("rate_error", "rate", "cancel_requested", "lease_until", "worker", "epoch"):
        op.drop_column("jobs", name)
    op.execute("ALTER TABLE jobs RENAME COLUMN partial TO loose")
