"""What the tables share."""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

ID = sa.LargeBinary(16)
DIGEST = sa.LargeBinary(32)
AGENCY = sa.String(16)


def columns_of(kind: Any, *names: str) -> list[sa.Column[Any]]:
    """Columns of one kind that are always there."""
    return [sa.Column(name, kind, nullable=False) for name in names]
