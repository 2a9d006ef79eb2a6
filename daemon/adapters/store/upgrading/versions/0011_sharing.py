"""Duties, counters of what is new, and the newest format that an incident was written in."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add them; every incident of before is of the first format."""
    op.create_table(
        "news",
        sa.Column("topic", _TEXT, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "duties",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("lease_until", _TEXT, nullable=False),
    )
    op.add_column("heads", sa.Column("format", sa.Integer, nullable=False, server_default="1"))
