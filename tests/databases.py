"""New databases of either kind."""

import itertools
import os
from pathlib import Path

import sqlalchemy as sa
from samprasan.edge import database
from samprasan.edge.database import Database

_NUMBERS = itertools.count()


class Databases:
    """New, empty databases of one kind."""

    def __init__(self, kind: str, folder: Path, server_url: str) -> None:
        self.kind = kind
        self._folder = folder
        self._server_url = server_url
        self._count = 0
        self._databases: list[Database] = []
        self.labels: dict[str, str] = {}

    def url(self, name: str, template: str = "template1") -> str:
        """The URL of a new database; on PostgreSQL a copy of ``template``."""
        self._count += 1
        if self.kind == "sqlite":
            return f"sqlite:///{self._folder / f'{name}-{self._count}.db'}"
        label = f"t{os.getpid()}_{next(_NUMBERS)}_{name}"
        engine = sa.create_engine(
            sa.make_url(self._server_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{label}" TEMPLATE "{template}"')
        engine.dispose()
        self.labels[name] = label
        url = sa.make_url(self._server_url).set(database=label)
        return url.render_as_string(hide_password=False)

    def db(self, name: str, template: str = "template1") -> Database:
        """A new database, opened."""
        made = database.open_database(self.url(name, template))
        self._databases.append(made)
        return made

    def close(self) -> None:
        """Close what was opened."""
        for db in self._databases:
            db.close()
