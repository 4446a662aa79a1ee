"""Run by alembic with the connection that :func:`samprasan.edge.database.migrate` opened."""

from alembic import context
from samprasan.hub.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
