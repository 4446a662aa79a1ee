"""Subject key → account: the one deletable table that ties the two."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, insert_rows, rows_where_in
from samprasan.hub.tables import subjects


def accounts_of(tx: sa.Connection, subject_keys: Iterable[bytes]) -> dict[bytes, bytes]:
    """Subject key → account id, of those that have one."""
    return {row[0]: row[1] for row in rows_where_in(tx, subjects, subjects.c.subject_key, subject_keys)}


def add(tx: sa.Connection, made: Mapping[bytes, bytes]) -> None:
    """Tie new subject keys to new accounts."""
    insert_rows(tx, subjects, list(made.items()))


def forget(tx: sa.Connection, account_ids: Iterable[bytes]) -> None:
    """Delete what ties these accounts to anybody."""
    delete_where_in(tx, subjects, subjects.c.account_id, account_ids)
