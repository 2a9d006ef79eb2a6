"""The register of replicas, and whose an incident and a delivery is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table, the columns `owner`, and the index by them."""
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
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "open_heads_by_owner",
        "heads",
        ["owner"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
