"""What the agencies have given back, until the log is whole again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

import sqlalchemy as sa
from samprasan.edge.database import row_as, upsert_rows
from samprasan.hub.tables import recovery, refed, refed_accounts, refed_evaluations, refeeders
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal


class Refed(NamedTuple):
    """An entry as an agency gave it back; ``log_index`` None and ``receipt`` empty if it never got a receipt.

    ``documents`` is a LogEntry with those that it puts into force alone.
    """

    agency: str
    seq: int
    log_index: int | None
    digest: bytes
    batch: bytes
    receipt: bytes
    documents: bytes


class RefedAccount(NamedTuple):
    """An account that the hub had named for a subject, to an agency; ``admission`` is the secret that it told."""

    agency: str
    account_id: bytes
    subject_key: bytes
    kind: int
    key_epoch: int
    admission: bytes
    lapses_at: int


class RefedEvaluation(NamedTuple):
    """How many ids the one had evaluated by the other, as both signed it."""

    requester: str
    evaluator: str
    total: int
    envelope: bytes


class Recovery(NamedTuple):
    """The row of the table, in the table's order."""

    one: int
    since: int
    why: str
    problem: str
    cut: bool
    searched: str


def begin_recovery(tx: sa.Connection, now: int, why: str) -> None:
    """The hub recovers from now on, whatever it did before; a cut that is going on is carried out first."""
    row = current(tx)
    upsert_rows(tx, recovery, [(1, now, why, "", row is not None and row.cut, "")])
    tx.execute(refeeders.delete())


_CURRENT = sa.select(recovery)


def current(tx: sa.Connection) -> Recovery | None:
    """Since when and why the hub recovers; None if it does not."""
    return row_as(Recovery, tx.execute(_CURRENT).first())


def note_problem(tx: sa.Connection, problem: str) -> None:
    """What keeps the log from being whole."""
    tx.execute(recovery.update().values(problem=problem))


def note_searched(tx: sa.Connection, what: str) -> None:
    """The places of lost receipts were looked for in vain, with what was given back so far."""
    tx.execute(recovery.update().values(searched=what))


def given_back(tx: sa.Connection) -> tuple[int, int]:
    """How many entries were given back, and how many of them with a receipt."""
    row = tx.execute(sa.select(sa.func.count(), sa.func.count(refed.c.log_index)).select_from(refed)).one()
    return int(row[0]), int(row[1])


def cut(tx: sa.Connection) -> None:
    """What nobody has is given up."""
    tx.execute(recovery.update().values(cut=True, problem=""))


def end_cut(tx: sa.Connection) -> None:
    """What stood behind the cut is in the log again."""
    tx.execute(refed.delete())
    tx.execute(recovery.update().values(cut=False))


def conflict(tx: sa.Connection, size: int) -> str:
    """The first place in the log where an agency holds another entry than stands there; empty if there is none."""
    found = tx.execute(sa.select(sa.func.min(refed.c.log_index)).where(refed.c.log_index < size)).scalar()
    return "" if found is None else str(found)


def receipted(tx: sa.Connection, agency: str) -> int:
    """How many of the agency's entries were given back with a receipt."""
    query = sa.select(sa.func.count()).where(refed.c.agency == agency, refed.c.log_index.is_not(None))
    return tx.execute(query).scalar_one()


def end_recovery(tx: sa.Connection) -> None:
    """The log is whole: forget what was given back."""
    for table in (recovery, refeeders, refed, refed_accounts, refed_evaluations):
        tx.execute(table.delete())


def checkpoints(tx: sa.Connection) -> dict[str, bytes]:
    """Agency that has given back all it holds → the newest checkpoint that it accepted."""
    rows = tx.execute(sa.select(refeeders).where(refeeders.c.checkpoint.is_not(None)))
    return {row.agency: row.checkpoint for row in rows}


def start_over(tx: sa.Connection, agency: str, cut_version: int) -> None:
    """The agency told of a cut: what was given back so far may be of the log before it, and is asked for again."""
    for table in (refeeders, refed, refed_accounts, refed_evaluations):
        tx.execute(table.delete())
    upsert_rows(tx, refeeders, [(agency, -1, None, cut_version)])


def believed(tx: sa.Connection, agency: str) -> int:
    """The newest cut that the agency believed at hello; 0 if there was none, or no hello."""
    return tx.execute(sa.select(refeeders.c.cut_version).where(refeeders.c.agency == agency)).scalar() or 0


def note_shown_receipt(tx: sa.Connection, agency: str, log_index: int, cut_version: int) -> None:
    """The agency holds a receipt of that entry (-1: none that counts), and knows of that cut."""
    newest = max(log_index, shown(tx, agency))
    upsert_rows(tx, refeeders, [(agency, newest, checkpoints(tx).get(agency), cut_version)])


def shown(tx: sa.Connection, agency: str) -> int:
    """The newest entry of which the agency has shown a receipt; -1 if it has shown none."""
    found = tx.execute(sa.select(refeeders.c.shown).where(refeeders.c.agency == agency)).scalar()
    return -1 if found is None else int(found)


def mark_fed(tx: sa.Connection, agency: str, checkpoint: bytes) -> None:
    """The agency has given back all it holds."""
    upsert_rows(tx, refeeders, [(agency, shown(tx, agency), checkpoint, believed(tx, agency))])


def add_returned(tx: sa.Connection, entries: Sequence[Refed], accounts: Sequence[RefedAccount]) -> None:
    """What an agency gave back; an entry with a receipt stays what it is."""
    for each in entries:
        known = find(tx, each.agency, each.seq)
        if known is None or not known.receipt:
            upsert_rows(tx, refed, [each])
    upsert_rows(tx, refed_accounts, accounts)


def add_evaluations(tx: sa.Connection, told: Iterable[Envelope]) -> None:
    """What an agency gave back of evaluations for it; the highest of a pair counts."""
    for envelope in told:
        body = EvaluationTotal.FromString(envelope.payload)
        row = RefedEvaluation(body.requester, body.evaluator, body.total, envelope.SerializeToString())
        if all(each[:2] != row[:2] or each.total < row.total for each in evaluations(tx)):
            upsert_rows(tx, refed_evaluations, [row])


def evaluations(tx: sa.Connection) -> list[RefedEvaluation]:
    """What agencies gave back of evaluations."""
    return [RefedEvaluation(*row) for row in tx.execute(sa.select(refed_evaluations))]


def run_from(tx: sa.Connection, log_index: int, limit: int) -> list[Refed]:
    """Entries from ``log_index`` on, without a gap and without a second one for a place, at most ``limit``."""
    found = between(tx, log_index, log_index + limit)
    many = Counter(each.log_index for each in found)
    fits = takewhile(lambda one: one[1].log_index == one[0] and many[one[0]] == 1, enumerate(found, log_index))
    return [each for _, each in fits]


def doubled(tx: sa.Connection) -> int | None:
    """The first place in the log for which agencies have given back two entries."""
    query = sa.select(refed.c.log_index).where(refed.c.log_index.is_not(None)).group_by(refed.c.log_index)
    return tx.execute(query.having(sa.func.count() > 1).order_by(refed.c.log_index).limit(1)).scalar()


def first(tx: sa.Connection, limit: int) -> list[Refed]:
    """The next entries that had a receipt, in the order in which they stood in the log, at most ``limit``."""
    query = sa.select(refed).where(refed.c.log_index.is_not(None)).order_by(refed.c.log_index).limit(limit)
    return [Refed(*row) for row in tx.execute(query)]


def next_index(tx: sa.Connection, log_index: int) -> int | None:
    """Where the next entry behind ``log_index`` stands that somebody gave back."""
    return tx.execute(sa.select(sa.func.min(refed.c.log_index)).where(refed.c.log_index > log_index)).scalar()


def last_index(tx: sa.Connection) -> int:
    """Where the last entry stands that somebody gave back; -1 if there is none."""
    found = tx.execute(sa.select(sa.func.max(refed.c.log_index))).scalar()
    return -1 if found is None else int(found)


def between(tx: sa.Connection, start: int, end: int) -> list[Refed]:
    """Entries from ``start`` on, up to and without ``end``."""
    within = (refed.c.log_index >= start, refed.c.log_index < end)
    return [Refed(*row) for row in tx.execute(sa.select(refed).where(*within).order_by(refed.c.log_index))]


def find(tx: sa.Connection, agency: str, seq: int) -> Refed | None:
    """The agency's batch number ``seq``, if it was given back."""
    row = tx.execute(sa.select(refed).where(refed.c.agency == agency, refed.c.seq == seq)).first()
    return Refed(*row) if row else None


def drop(tx: sa.Connection, placed: Iterable[tuple[str, int]]) -> None:
    """Forget entries, (agency, seq) each, that are in the log again."""
    for agency, seq in placed:
        tx.execute(refed.delete().where(refed.c.agency == agency, refed.c.seq == seq))


def accounts_from(tx: sa.Connection, after: tuple[str, bytes], limit: int) -> list[RefedAccount]:
    """The next accounts behind that agency's and account."""
    agency, account_id = after
    own = (refed_accounts.c.agency, refed_accounts.c.account_id)
    behind = sa.or_(own[0] > agency, sa.and_(own[0] == agency, own[1] > account_id))
    query = sa.select(refed_accounts).where(behind).order_by(*own).limit(limit)
    return [RefedAccount(*row) for row in tx.execute(query)]
