"""Replicas, and whose each incident and delivery is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the register, the owners, and the index that finds an owner's open incidents."""
    op.create_table(
        "replicas",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("instance", _TEXT, nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("rules", _TEXT, nullable=False),
        sa.Column("started_at", _TEXT, nullable=False),
        sa.Column("renewed_at", _TEXT, nullable=False),
        sa.Column("lease_until", _TEXT),
        sa.Column("ahead", sa.Float, nullable=False),
    )
    op.add_column("heads", sa.Column("owner", _TEXT, nullable=False, server_default=""))
    op.add_column("inbox", sa.Column("owner", _TEXT, nullable=False, server_default=""))
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "open_heads_by_owner", "heads", ["owner"], sqlite_where=is_open, postgresql_where=is_open
    )
