"""What the tables share."""

import sqlalchemy as sa

metadata = sa.MetaData()

ID = sa.LargeBinary(16)
DIGEST = sa.LargeBinary(32)
AGENCY = sa.String(16)
INTEGRATOR = sa.String(16)


def whole(*names: str) -> list[sa.Column[int]]:
    """Columns of whole numbers that are always there."""
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]
