"""The node's database, version by version (alembic)."""
