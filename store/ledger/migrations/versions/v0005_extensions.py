"""Who wants a change to last longer, where more than one person must."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "extensions",
        sa.Column("remedy_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ends_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["remedy_id", "revision"],
            ["proposals.remedy_id", "proposals.revision"],
            name=op.f("fk_extensions_remedy_id_revision_proposals"),
        ),
        sa.PrimaryKeyConstraint("remedy_id", "revision", "ends_us", "until_us", "person", name=op.f("pk_extensions")),
    )
