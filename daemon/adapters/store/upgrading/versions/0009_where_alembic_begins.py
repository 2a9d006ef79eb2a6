"""The tables of schema 9, as every store has them that alembic takes over."""

revision = "0009"
down_revision = None


def upgrade() -> None:
    """Nothing: they are there."""
