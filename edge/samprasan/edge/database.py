"""One code path for SQLite and PostgreSQL: the engine, the unit of work, and rows in bulk.

``with db.begin() as tx`` is a durable write transaction, ``with db.read() as tx`` a consistent view.  SQLite runs
in WAL with synchronous FULL, and its write transactions take the lock at once, so that two processes wait for each
other instead of failing.  A database that cannot be asked is ``Unavailable``; statements and values never reach a log.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from samprasan.keys.errors import Refused, Unavailable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

SQLITE_CACHE_KIB = 65_536  # the indexes of a million deeds; with the default 2 MiB an import takes half as long again
SQLITE_WAIT_SECONDS = 30  # how long a writer waits for another process' transaction
_POSTGRESQL_DISK_FULL = "53100"
_SQLITE_VARIABLES_MAX = 30_000  # SQLite takes 32,766 in one statement
AnyRow: TypeAlias = sa.Row[*tuple[Any, ...]]
T = TypeVar("T")
Tx: TypeAlias = sa.Connection
BigKey = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by itself only in INTEGER keys


class Database:
    """A database that steps are given; ``store`` modules hold the statements."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A write transaction: committed durably when the block ends, undone when it raises."""
        with self._begun(writes=True) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, all of it as of one moment."""
        with self._begun(writes=False) as connection:
            yield connection

    @contextmanager
    def _begun(self, *, writes: bool) -> Iterator[sa.Connection]:
        """A transaction.  SQLite's is begun here, not by a listener: with one, every statement looks for others."""
        try:
            with self.engine.connect() as connection:
                if not writes and is_postgresql(connection):
                    connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    if not is_postgresql(connection):
                        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
                    yield connection
        except DBAPIError as problem:
            if _is_full(problem):
                raise Unavailable("disk_full") from None
            if isinstance(problem.orig, Exception) and _cannot_be_asked(problem):
                raise Unavailable("database", problem=type(problem.orig).__name__) from None
            raise

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def _cannot_be_asked(problem: DBAPIError) -> bool:
    return isinstance(problem, sa.exc.OperationalError | sa.exc.InterfaceError) or problem.connection_invalidated


def _is_full(problem: DBAPIError) -> bool:
    codes = (getattr(problem.orig, "sqlite_errorcode", None), getattr(problem.orig, "sqlstate", None))
    return sqlite3.SQLITE_FULL in codes or _POSTGRESQL_DISK_FULL in codes


def open_database(url: str) -> Database:
    """The database at an SQLAlchemy URL of SQLite or PostgreSQL; Refused ``database_url`` for any other."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as problem:
        raise Refused("database_url") from problem
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite(parsed))
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return Database(sa.create_engine(parsed, hide_parameters=True, pool_pre_ping=True, pool_size=10))
    raise Refused("database_url")


def _sqlite(url: sa.URL) -> sa.Engine:
    options: dict[str, Any] = {"hide_parameters": True}
    if url.database in (None, "", ":memory:"):
        options |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    engine = sa.create_engine(url, **options)

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # this module says BEGIN, not the driver
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_SECONDS * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def is_postgresql(tx: sa.Connection) -> bool:
    """Which of the two databases ``tx`` talks to."""
    return tx.dialect.name == "postgresql"


def rows_as(kind: Callable[..., T], found: Iterable[AnyRow]) -> list[T]:
    """Rows as ``kind``, whose fields are the selected columns in the same order."""
    return [kind(*row) for row in found]


def row_as(kind: Callable[..., T], found: AnyRow | None) -> T | None:
    """One row, or none."""
    return None if found is None else kind(*found)


def insert_rows(tx: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert ``rows``, whose values stand in the table's column order, in one statement."""
    _write(tx, table, rows, "")


def upsert_rows(tx: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert ``rows`` or replace those with the same primary key.  Rows are taken in the order of their keys."""
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    _write(tx, table, sorted(rows), f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}")


def _write(tx: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]], conflict: str) -> None:
    if not rows:
        return
    names = ", ".join(column.name for column in table.columns)
    if is_postgresql(tx):
        types = [column.type.compile(tx.dialect) for column in table.columns]
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        statement = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){conflict}"
        tx.exec_driver_sql(statement, tuple(map(array_literal, zip(*rows, strict=True))))
    else:
        marks = ", ".join("?" for _ in table.columns)
        tx.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks}){conflict}", list(rows))


def take_turn(tx: sa.Connection, what: str) -> None:
    """Keep others from doing ``what`` until the transaction ends; SQLite's write lock does so by itself."""
    if is_postgresql(tx):
        tx.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (what,))


def array_literal(values: Sequence[Any]) -> str:
    """PostgreSQL's text of an array, to be bound as one value: the driver's own takes ten times as long.

    ``values`` are all of one type, or None.
    """
    first = next((value for value in values if value is not None), None)
    if isinstance(first, bytes):
        items = ["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]
    elif isinstance(first, str):
        items = ["NULL" if value is None else _quoted(value) for value in values]
    else:
        items = ["NULL" if value is None else str(value) for value in values]
    return "{" + ",".join(items) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def rows_where_in(
    tx: sa.Connection, table: sa.Table, column: sa.Column[Any], values: Iterable[Any], **equal: Any
) -> Iterator[AnyRow]:
    """Whole rows of ``table`` whose ``column`` is one of ``values`` and whose other columns are as ``equal`` says."""
    names = ", ".join(each.name for each in table.columns)
    postgresql = is_postgresql(tx)
    mark = "%s" if postgresql else "?"
    fixed = "".join(f" AND {name} = {mark}" for name in equal)
    start = f"SELECT {names} FROM {table.name} WHERE {column.name}"
    wanted = list(values)
    if postgresql:
        if wanted:
            kind = column.type.compile(tx.dialect)
            statement = f"{start} = ANY(%s::{kind}[]){fixed}"
            yield from tx.exec_driver_sql(statement, (array_literal(wanted), *equal.values())).all()
        return
    for first in range(0, len(wanted), _SQLITE_VARIABLES_MAX):
        part = wanted[first : first + _SQLITE_VARIABLES_MAX]
        marks = ", ".join("?" * len(part))
        yield from tx.exec_driver_sql(f"{start} IN ({marks}){fixed}", (*part, *equal.values())).all()


def update_where_in(
    tx: sa.Connection, table: sa.Table, column: sa.Column[Any], values: Iterable[Any], **changes: Any
) -> None:
    """Set ``changes`` in the rows of ``table`` whose ``column`` is one of ``values``, in one statement."""
    wanted = list(values)
    for first in range(0, len(wanted), _SQLITE_VARIABLES_MAX):
        chosen = _is_one_of(tx, column, wanted[first : first + _SQLITE_VARIABLES_MAX])
        tx.execute(table.update().where(chosen).values(changes))


def delete_where_in(
    tx: sa.Connection, table: sa.Table, column: sa.Column[Any], values: Iterable[Any], **equal: Any
) -> None:
    """Delete rows of ``table`` whose ``column`` is one of ``values`` and whose other columns are as ``equal`` says."""
    wanted = list(values)
    own = [table.c[name] == value for name, value in equal.items()]
    for first in range(0, len(wanted), _SQLITE_VARIABLES_MAX):
        part = wanted[first : first + _SQLITE_VARIABLES_MAX]
        tx.execute(table.delete().where(_is_one_of(tx, column, part), *own))


def _is_one_of(tx: sa.Connection, column: sa.Column[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    if is_postgresql(tx):
        return column == sa.any_(sa.literal(values, sa.ARRAY(column.type)))
    return column.in_(values)


def compact(db: Database) -> None:
    """Write the database anew, so that nothing of what was deleted is left in its files.

    On PostgreSQL the tables are locked meanwhile; what its archives of the write-ahead log hold is not touched.
    """
    try:
        connection = db.engine.raw_connection()
    except DBAPIError as problem:
        raise Unavailable("database", problem=type(problem.orig).__name__) from None
    try:
        if db.engine.dialect.name == "postgresql":
            connection.driver_connection.autocommit = True  # type: ignore[union-attr]
            connection.driver_connection.execute("VACUUM FULL")  # type: ignore[union-attr]
        else:
            connection.driver_connection.execute("VACUUM")  # type: ignore[union-attr]
            checkpoint = connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
            if checkpoint.fetchone()[0]:
                raise Unavailable("database", problem="busy")
    except db.engine.dialect.loaded_dbapi.Error as problem:
        raise Unavailable("database", problem=type(problem).__name__) from None
    finally:
        connection.invalidate()


def migrate(db: Database, package: str) -> None:
    """Bring the database to the newest version of ``package``'s migrations (alembic)."""
    with db.begin() as tx:
        migrate_in(tx, package, "head")


def migrate_in(tx: Tx, package: str, revision: str) -> None:
    """Bring the database to a version of ``package``'s migrations, within an open transaction."""
    from alembic import command

    config = _config(package)
    config.attributes["connection"] = tx
    command.upgrade(config, revision)


def revision_of(tx: Tx) -> str:
    """The version of the database's tables."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(tx).get_current_revision() or ""


def is_known(package: str, revision: str) -> bool:
    """Whether ``package`` has a migration of that name."""
    from alembic.script import ScriptDirectory

    return any(each.revision == revision for each in ScriptDirectory.from_config(_config(package)).walk_revisions())


def _config(package: str) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    return config


def number_on(tx: Tx, table: sa.Table) -> None:
    """Let rows that come be numbered behind those that were put in with their numbers."""
    keys = list(table.primary_key)
    if not is_postgresql(tx) or len(keys) != 1 or not isinstance(keys[0].type, sa.Integer):
        return
    name = keys[0].name
    sequence = tx.execute(sa.func.pg_get_serial_sequence(table.name, name).select()).scalar()
    newest = tx.execute(sa.select(sa.func.max(keys[0]))).scalar()
    if sequence and newest:
        tx.execute(sa.func.setval(sequence, newest).select())
