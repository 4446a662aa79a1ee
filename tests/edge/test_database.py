"""The engine: durable, one writer at a time, and Unavailable when it cannot be asked."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from samprasan.edge import database
from samprasan.hub import home as hub_homes
from samprasan.hub.tables import metadata as hub_metadata
from samprasan.keys.errors import Refused, Unavailable
from samprasan.node import home as node_homes
from samprasan.node.tables import metadata as node_metadata

from tests.databases import Databases

PAIRS = sa.Table(
    "pairs", sa.MetaData(), sa.Column("key", sa.LargeBinary(4), primary_key=True), sa.Column("label", sa.String(50))
)


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    db = database.open_database(f"sqlite:///{tmp_path / 'a.db'}")
    with db.begin() as tx:
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    db.close()


@pytest.mark.parametrize(
    ("package", "metadata"), [(hub_homes.MIGRATIONS, hub_metadata), (node_homes.MIGRATIONS, node_metadata)]
)
def test_migrations_make_exactly_the_tables(databases: Databases, package: str, metadata: sa.MetaData) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    db = databases.db("migrated")
    database.migrate(db, package)
    database.migrate(db, package)
    with db.begin() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


def test_a_hub_whose_log_counts_credits_otherwise_is_refused_and_left_as_it_is(databases: Databases) -> None:
    db = databases.db("hub")
    of_before = [
        each
        for each in hub_metadata.tables["accounts"].columns
        if each.name not in ("lots", "only_of", "closes_on", "is_public")
    ]
    row = {each.name: 0 for each in of_before} | {"account_id": b"a" * 16, "closed": False}
    with db.begin() as tx:
        database.migrate_in(tx, hub_homes.MIGRATIONS, "0009")
        tx.execute(sa.table("accounts", *(sa.column(each.name, each.type) for each in of_before)).insert().values(row))
    with pytest.raises(Refused) as found:
        database.migrate(db, hub_homes.MIGRATIONS)
    assert found.value.code == "home_of_earlier_version"
    with db.read() as tx:
        assert database.revision_of(tx) == "0009"
        assert tx.exec_driver_sql("SELECT count(*) FROM accounts").scalar() == 1


def test_rows_in_bulk_come_back_as_they_went_in(databases: Databases) -> None:
    db = databases.db("bulk")
    texts = ['"quoted"', "back\\slash", "comma, and {braces}", "ภาษาไทย", "", "NULL"]
    rows = [(bytes([0, 92, 34, number]), text) for number, text in enumerate(texts)]
    with db.begin() as tx:
        PAIRS.create(tx)
        database.insert_rows(tx, PAIRS, rows)
        database.upsert_rows(tx, PAIRS, [(rows[0][0], None), (b"new!", "new")])
        database.update_where_in(tx, PAIRS, PAIRS.c.key, [rows[1][0], b"none"], label="changed")
        found = {row[0]: row[1] for row in tx.execute(sa.select(PAIRS))}
        some = database.rows_where_in(tx, PAIRS, PAIRS.c.key, [rows[2][0], b"none"], label=texts[2])
        assert [tuple(row) for row in some] == [rows[2]]
        assert list(database.rows_where_in(tx, PAIRS, PAIRS.c.key, [])) == []
    assert found == dict(rows) | {rows[0][0]: None, rows[1][0]: "changed", b"new!": "new"}


@given(st.lists(st.one_of(st.none(), st.binary(max_size=3))), st.lists(st.one_of(st.none(), st.integers())))
def test_an_array_literal_has_an_item_a_value(data: list[bytes | None], numbers: list[int | None]) -> None:
    for values in (data, numbers):
        text = database.array_literal(values)
        assert (text[0], text[-1]) == ("{", "}")
        assert len(text[1:-1].split(",")) == max(len(values), 1)


def test_a_transaction_that_raises_leaves_nothing(databases: Databases) -> None:
    db = databases.db("undone")
    with db.begin() as tx:
        PAIRS.create(tx)

    def fail() -> None:
        with db.begin() as tx:
            database.insert_rows(tx, PAIRS, [(b"gone", "gone")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with db.read() as tx:
        assert tx.execute(sa.select(PAIRS)).all() == []


def test_an_upgrade_keeps_subjects_and_their_deeds(databases: Databases) -> None:
    from alembic import command
    from alembic.config import Config

    db = databases.db("upgraded")
    config = Config()
    config.set_main_option("script_location", f"{node_homes.MIGRATIONS}:migrations")
    with db.begin() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "0003")
        values = "1, '\\x00', 1, 'th-area', 'i', 'n', true, true, false, 0, 0, false, false"
        tx.exec_driver_sql(
            "INSERT INTO subjects (subject_id, id_index, kind, scheme, sealed_id, sealed_name, share, redeem, wanted,"
            f" linked, link_settled, integrators, publish) VALUES ({values})"
        )
        tx.exec_driver_sql(
            "INSERT INTO deeds (deed_id, source, record_id, fingerprint, import_id, subject_id, category, quantity,"
            " occurred_on, area_code, status, share, credits, dimension, policy_version, gone)"
            " VALUES (1, 's', 'r', 'f', 1, 1, 'c', '1', 20261001, '720803', 'verified', true, 16, 1, 1, false)"
        )
    database.migrate(db, node_homes.MIGRATIONS)
    with db.read() as tx:
        subjects, deeds = node_metadata.tables["subjects"], node_metadata.tables["deeds"]
        found = tx.execute(sa.select(subjects.c.subject_id, subjects.c.key_epoch, subjects.c.due)).all()
        assert [tuple(row) for row in found] == [(1, 0, True)]
        assert list(tx.execute(sa.select(deeds.c.subject_id)).scalars()) == [1]


def test_writers_wait_for_each_other(databases: Databases) -> None:
    url = databases.url("shared")
    both = [database.open_database(url) for _ in range(2)]
    counter = sa.Table("counter", sa.MetaData(), sa.Column("value", sa.Integer, primary_key=True))
    with both[0].begin() as tx:
        counter.create(tx)
        tx.execute(counter.insert().values(value=0))

    def count(db: database.Database) -> None:
        for _ in range(25):
            with db.begin() as tx:
                value = tx.execute(sa.select(counter.c.value).with_for_update()).scalar_one()
                tx.execute(counter.update().values(value=value + 1))

    threads = [threading.Thread(target=count, args=(db,)) for db in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with both[0].read() as tx:
        assert tx.execute(sa.select(counter.c.value)).scalar_one() == 50
    for db in both:
        db.close()


def test_what_is_read_in_one_transaction_is_of_one_moment(databases: Databases) -> None:
    url = databases.url("moment")
    reader, writer = database.open_database(url), database.open_database(url)
    with writer.begin() as tx:
        PAIRS.create(tx)
    with reader.read() as tx:
        before = tx.execute(sa.select(sa.func.count()).select_from(PAIRS)).scalar_one()
        with writer.begin() as other:
            database.insert_rows(other, PAIRS, [(b"new!", "new")])
        assert tx.execute(sa.select(sa.func.count()).select_from(PAIRS)).scalar_one() == before == 0
    reader.close()
    writer.close()


def test_a_database_that_cannot_be_asked_is_unavailable_and_names_no_value(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody:secret@127.0.0.1:1/none"  # pragma: allowlist secret
    for url in (f"sqlite:///{tmp_path}/no/such/folder/a.db", nowhere):
        db = database.open_database(url)
        with pytest.raises(Unavailable) as refused:
            db.begin().__enter__()
        assert "secret" not in f"{refused.value} {refused.value.values}"


@pytest.mark.parametrize("url", ["mysql://localhost/x", "nonsense", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        database.open_database(url)
