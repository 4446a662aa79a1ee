"""Subjects: found by a keyed index, linked to an account step by step."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import starmap
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import delete_where_in, insert_rows, row_as, rows_as, rows_where_in, update_where_in
from samprasan.node.rows import SubjectRow, present
from samprasan.node.states import AwardState
from samprasan.node.store import facts
from samprasan.node.tables import awards, redemptions, restated, subjects
from samprasan.v1.log_pb2 import PURPOSE_INTEGRATORS, PURPOSE_REDEEM, PURPOSE_SHARE

UNNAMED = ""  # the scheme of a subject of whom only the account is known
PUBLIC = 0  # the epoch of the hash of a public id
CONSENT_BITS = {"share": 2, "redeem": 4, "integrators": 8, "publish": 16}


def by_index(tx: sa.Connection, indexes: Iterable[bytes]) -> dict[bytes, SubjectRow]:
    """Index → row, of those that exist."""
    found = rows_where_in(tx, subjects, subjects.c.id_index, indexes)
    return {row.id_index: row for row in starmap(SubjectRow, found)}


_NEWEST = sa.select(sa.func.max(subjects.c.subject_id))
_OF_INDEX = sa.select(subjects).where(subjects.c.id_index == sa.bindparam("which"))


def find(tx: sa.Connection, index: bytes) -> SubjectRow | None:
    """The subject with that index."""
    return row_as(SubjectRow, tx.execute(_OF_INDEX, {"which": index}).first())


def next_id(tx: sa.Connection) -> int:
    """A subject id that was never in use; the caller holds the lock on importing."""
    newest = tx.execute(_NEWEST).scalar() or 0
    return max(newest, int(facts.get(tx, facts.SUBJECTS_REMOVED_UP_TO) or 0)) + 1


def add(tx: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """(subject_id, id_index, kind, scheme, sealed_id, sealed_name, share, redeem, integrators, publish) of new ones."""
    blank = (False, None, None, 0, 0, None)
    insert_rows(
        tx,
        subjects,
        [(*row[:8], *blank, *row[8:], None, None, 0, False, False, 0, 0, None, None, None) for row in rows],
    )


def remove(tx: sa.Connection, subject_ids: Sequence[int]) -> None:
    """Forget subjects that nobody outside ever heard of; their ids are never used again, since a peer may answer."""
    if subject_ids:
        newest = tx.execute(_NEWEST).scalar_one()
        facts.write(tx, facts.SUBJECTS_REMOVED_UP_TO, str(newest))
        delete_where_in(tx, restated, restated.c.subject_id, subject_ids)
        update_where_in(tx, redemptions, redemptions.c.subject_id, subject_ids, subject_id=0)
        delete_where_in(tx, subjects, subjects.c.subject_id, subject_ids)


def unknown_outside(tx: sa.Connection, subject_ids: Iterable[int]) -> list[int]:
    """Which of these have no account and no key, nobody asked for their balance, and took nothing back."""
    return [
        row.subject_id
        for row in of_ids(tx, subject_ids)
        if not row.wanted and not row.withdrawn and row.sealed_key is None and row.account_id is None
    ]


def restate(tx: sa.Connection, rows: Sequence[tuple[Any, ...]], unlink_at: int) -> None:
    """(subject_id, sealed_name, share, redeem, integrators, publish): what the newest import says of known subjects.

    What a subject took back stays so.  Those who agree to nothing any more are to be given up at ``unlink_at``, if that
    was not to be earlier.
    """
    change = subjects.update().where(subjects.c.subject_id == sa.bindparam("who"))
    agreed: dict[str, sa.ColumnElement[bool]] = {
        name: sa.and_(sa.bindparam(f"new_{name}", type_=sa.Boolean), subjects.c.withdrawn.op("&")(bit) == 0)
        for name, bit in CONSENT_BITS.items()
    }
    agrees = sa.or_(agreed["share"], agreed["redeem"], agreed["integrators"])
    later = sa.func.coalesce(subjects.c.unlink_at, sa.bindparam("unlink", type_=sa.BigInteger))
    change = change.values(
        sealed_name=sa.bindparam("new_sealed_name"), unlink_at=sa.case((agrees, None), else_=later), due=True, **agreed
    )
    names = ("sealed_name", *CONSENT_BITS)
    parameters = [
        {"who": row[0], "unlink": unlink_at, **{f"new_{name}": row[at] for at, name in enumerate(names, 1)}}
        for row in rows
    ]
    if parameters:
        tx.execute(change, parameters)


def keep_restated(tx: sa.Connection, import_id: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Remember what was known of subjects, as in :func:`restate`, before the import said otherwise."""
    insert_rows(tx, restated, [(import_id, *row) for row in rows])


def take_restated(tx: sa.Connection, import_id: int) -> list[tuple[Any, ...]]:
    """What was known of subjects before the import; it is forgotten."""
    found = [tuple(row[1:]) for row in tx.execute(sa.select(restated).where(restated.c.import_id == import_id))]
    tx.execute(restated.delete().where(restated.c.import_id == import_id))
    return found


def restated_by(tx: sa.Connection, import_id: int, subject_ids: Iterable[int]) -> dict[int, int]:
    """Subject id → the first import behind ``import_id`` that said otherwise."""
    rows = rows_where_in(tx, restated, restated.c.subject_id, subject_ids)
    return {row[1]: row[0] for row in sorted(rows, reverse=True) if row[0] > import_id}


def pass_on_restated(tx: sa.Connection, later: dict[int, int], rows: Sequence[tuple[Any, ...]]) -> None:
    """What was known of these subjects before is now what a later import (subject id → number) overwrote."""
    for row in rows:
        mine = (restated.c.import_id == later[row[0]], restated.c.subject_id == row[0])
        tx.execute(restated.delete().where(*mine))
        insert_rows(tx, restated, [(later[row[0]], *row)])


def set_consents(
    tx: sa.Connection, subject_id: int, consents: dict[str, bool], withdrawn: int, unlink_at: int | None
) -> None:
    """The subject's own word, which no undone import changes; what may not be read is not wanted any more."""
    own = subjects.c.subject_id == subject_id
    tx.execute(subjects.update().where(own).values(withdrawn=withdrawn, unlink_at=unlink_at, due=True, **consents))
    tx.execute(subjects.update().where(own, ~subjects.c.redeem).values(wanted=False))
    tx.execute(restated.delete().where(restated.c.subject_id == subject_id))


def agree_to_nothing(tx: sa.Connection, subject_ids: Iterable[int], unlink_at: int) -> None:
    """Nothing is left that told of these subjects' consent: they are given up at ``unlink_at``."""
    consents = dict.fromkeys(CONSENT_BITS, False)
    update_where_in(tx, subjects, subjects.c.subject_id, subject_ids, unlink_at=unlink_at, due=True, **consents)


def begin_erasing(tx: sa.Connection, subject_id: int, nothing: bytes, now: int) -> None:
    """Keep of the subject only what the hub still has to hear; ``nothing`` is an empty text, sealed."""
    set_consents(tx, subject_id, dict.fromkeys(CONSENT_BITS, False), 0, now)
    own = subjects.c.subject_id == subject_id
    tx.execute(subjects.update().where(own).values(erasing=True, sealed_name=nothing, totals=None))


def erased(tx: sa.Connection) -> list[int]:
    """Subjects to erase of whom the hub knows nothing, or nothing any more."""
    query = sa.select(subjects.c.subject_id).where(
        subjects.c.erasing, subjects.c.account_id.is_(None), subjects.c.sealed_key.is_(None)
    )
    return list(tx.execute(query).scalars())


def indexes_being_erased(tx: sa.Connection) -> set[bytes]:
    """The indexes of subjects that wait to be erased."""
    return set(tx.execute(sa.select(subjects.c.id_index).where(subjects.c.erasing)).scalars())


def mark_wanted(tx: sa.Connection, subject_id: int) -> None:
    """Somebody asked for the subject's balance."""
    tx.execute(subjects.update().where(subjects.c.subject_id == subject_id).values(wanted=True, due=True))


_QUEUED = sa.exists().where(awards.c.subject_id == subjects.c.subject_id, awards.c.state == AwardState.QUEUED)
_NEEDS_ACCOUNT = sa.and_(
    subjects.c.account_id.is_(None),
    sa.or_(sa.and_(subjects.c.share, _QUEUED), sa.and_(subjects.c.wanted, subjects.c.redeem)),
)
# Is to be given up, and the hub may have been asked for an account whose answer never came.
_MAY_HAVE_ACCOUNT = sa.and_(
    subjects.c.account_id.is_(None), subjects.c.sealed_key.is_not(None), subjects.c.unlink_at <= sa.bindparam("now")
)
_MOST = sa.bindparam("most", type_=sa.Integer)
_OLDEST = sa.select(subjects).order_by(subjects.c.subject_id).limit(_MOST)
_WITHOUT_KEY = _OLDEST.where(_NEEDS_ACCOUNT, subjects.c.sealed_key.is_(None))
_WITHOUT_ACCOUNT = _OLDEST.where(sa.or_(sa.and_(_NEEDS_ACCOUNT, subjects.c.sealed_key.is_not(None)), _MAY_HAVE_ACCOUNT))


def without_key(tx: sa.Connection, limit: int, excluded: Iterable[int]) -> list[SubjectRow]:
    """Subjects that need an account and have no subject key yet, oldest first, but for ``excluded`` ones."""
    left_out = set(excluded)
    found = tx.execute(_WITHOUT_KEY, {"most": limit + len(left_out)})
    return [row for row in starmap(SubjectRow, found) if row.subject_id not in left_out][:limit]


def without_account(tx: sa.Connection, limit: int, now: int) -> list[SubjectRow]:
    """Subjects that need an account, be it to give it up, and whose key is known."""
    return rows_as(SubjectRow, tx.execute(_WITHOUT_ACCOUNT, {"now": now, "most": limit}))


def waiting_for_link(tx: sa.Connection, now: int) -> int:
    """How many subjects need an account that is not known yet."""
    needs = sa.or_(_NEEDS_ACCOUNT, _MAY_HAVE_ACCOUNT)
    return tx.execute(sa.select(sa.func.count()).select_from(subjects).where(needs), {"now": now}).scalar_one()


def of_ids(tx: sa.Connection, subject_ids: Iterable[int]) -> Iterator[SubjectRow]:
    """Subjects by their ids."""
    yield from starmap(SubjectRow, rows_where_in(tx, subjects, subjects.c.subject_id, subject_ids))


def set_keys(tx: sa.Connection, sealed_keys: Sequence[tuple[int, bytes]], key_epoch: int) -> None:
    """Remember subject keys, (subject_id, sealed key) each, of subjects without an account that still agree."""
    own = (subjects.c.subject_id == sa.bindparam("who"), subjects.c.account_id.is_(None))
    change = subjects.update().where(*own, subjects.c.unlink_at.is_(None))
    if sealed_keys:
        tx.execute(
            change.values(sealed_key=sa.bindparam("key"), key_epoch=key_epoch),
            [{"who": who, "key": key} for who, key in sealed_keys],
        )


def forget_keys(tx: sa.Connection, subject_ids: Iterable[int]) -> None:
    """Keys of subjects that have no account: they are asked about once more."""
    update_where_in(tx, subjects, subjects.c.subject_id, subject_ids, sealed_key=None)


def to_rekey(tx: sa.Connection, key_epoch: int, limit: int, excluded: Iterable[int]) -> list[SubjectRow]:
    """Subjects with an account whose key of the next epoch is not known yet, but for ``excluded`` ones."""
    left_out = set(excluded)
    query = sa.select(subjects).where(_stays_behind(key_epoch), subjects.c.sealed_key.is_(None))
    found = tx.execute(query.order_by(subjects.c.subject_id).limit(limit + len(left_out)))
    return [row for row in starmap(SubjectRow, found) if row.subject_id not in left_out][:limit]


def set_next_keys(tx: sa.Connection, sealed_keys: Sequence[tuple[int, bytes]], key_epoch: int) -> None:
    """Remember keys of the next epoch, (subject_id, sealed key) each, of subjects with an account."""
    change = subjects.update().where(subjects.c.subject_id == sa.bindparam("who"), _stays_behind(key_epoch))
    if sealed_keys:
        tx.execute(
            change.values(sealed_key=sa.bindparam("key")), [{"who": who, "key": key} for who, key in sealed_keys]
        )


def to_move(tx: sa.Connection, key_epoch: int, limit: int, now: int) -> list[SubjectRow]:
    """Subjects with an account whose next key is known and that the hub is to hear of now."""
    query = sa.select(subjects).where(
        _stays_behind(key_epoch), subjects.c.sealed_key.is_not(None), subjects.c.rekey_at <= now
    )
    return rows_as(SubjectRow, tx.execute(query.order_by(subjects.c.subject_id).limit(limit)))


def note_told_of_next_key(tx: sa.Connection, subject_ids: Iterable[int], rekey_at: int) -> None:
    """The hub heard of these; those that have not moved are told of again at ``rekey_at``."""
    update_where_in(tx, subjects, subjects.c.subject_id, subject_ids, rekey_at=rekey_at)


def mark_moved(tx: sa.Connection, key_epoch: int, answers: Sequence[tuple[int, bytes]]) -> None:
    """Subjects, (subject_id, sealed signed answer) each, that the hub finds under the key of that epoch now."""
    change = subjects.update().where(subjects.c.subject_id == sa.bindparam("who"))
    change = change.values(sealed_opened=sa.bindparam("answer"), sealed_key=None, key_epoch=key_epoch, rekey_at=0)
    if answers:
        tx.execute(change, [{"who": who, "answer": answer} for who, answer in answers])


def staying_behind(tx: sa.Connection, key_epoch: int) -> int:
    """How many subjects with an account the hub does not find under the key of that epoch yet."""
    return tx.execute(sa.select(sa.func.count()).select_from(subjects).where(_stays_behind(key_epoch))).scalar_one()


def drop_other_keys(tx: sa.Connection, key_epoch: int) -> None:
    """Keys of other epochs, and accounts that were opened with one and never linked: the hub does not find them now."""
    known = sa.or_(subjects.c.account_id.is_not(None), subjects.c.sealed_key.is_not(None))
    nothing: dict[str, Any] = {
        "sealed_key": None,
        "account_id": None,
        "admission": None,
        "rests_until": None,
        "sealed_opened": None,
        "totals": None,
        "due": True,
    }
    left = sa.func.coalesce(subjects.c.account_id, subjects.c.left_account)
    nothing |= {"linked": 0, "link_settled": 0}
    nothing["left_account"] = sa.case((subjects.c.admission.is_(None), left), else_=subjects.c.left_account)
    tx.execute(subjects.update().where(_is_of_another(key_epoch), known).values(nothing))


def _stays_behind(key_epoch: int) -> sa.ColumnElement[bool]:
    is_linked = sa.or_(subjects.c.linked != 0, subjects.c.link_settled != 0)
    return sa.and_(subjects.c.account_id.is_not(None), is_linked, _is_of_another(key_epoch))


def _is_of_another(key_epoch: int) -> sa.ColumnElement[bool]:
    return sa.and_(subjects.c.key_epoch != PUBLIC, subjects.c.key_epoch != key_epoch)


def set_accounts(tx: sa.Connection, accounts: Sequence[tuple[int, bytes, bytes | None, bytes]]) -> None:
    """Remember accounts, (subject_id, account id, admission, sealed signed answer) each; the key is forgotten."""
    change = subjects.update().where(subjects.c.subject_id == sa.bindparam("who"), subjects.c.account_id.is_(None))
    if accounts:
        tx.execute(
            change.values(
                account_id=sa.bindparam("account"),
                admission=sa.bindparam("spends"),
                sealed_opened=sa.bindparam("answer"),
                sealed_key=None,
            ),
            [
                {"who": who, "account": account, "spends": admission, "answer": answer}
                for who, account, admission, answer in accounts
            ],
        )


def forget_left(tx: sa.Connection, subject_ids: Iterable[int]) -> None:
    """What was told on the accounts that these had left is over."""
    update_where_in(tx, subjects, subjects.c.subject_id, subject_ids, left_account=None)


def named_by_hub(tx: sa.Connection, after: int, limit: int) -> list[SubjectRow]:
    """The next subjects behind ``after`` with the hub's word on their account."""
    query = sa.select(subjects).where(subjects.c.subject_id > after, subjects.c.sealed_opened.is_not(None))
    return rows_as(SubjectRow, tx.execute(query.order_by(subjects.c.subject_id).limit(limit)))


def add_unnamed(tx: sa.Connection, account_id: bytes, id_index: bytes, sealed: tuple[bytes, bytes]) -> int:
    """Somebody with an account whom nobody here can name; ``sealed`` are an empty id and name."""
    subject_id = next_id(tx)
    values: dict[str, Any] = {"subject_id": subject_id, "id_index": id_index, "kind": 0, "scheme": UNNAMED}
    values |= {"sealed_id": sealed[0], "sealed_name": sealed[1], "account_id": account_id, "key_epoch": PUBLIC}
    values |= dict.fromkeys(("share", "redeem", "wanted", "integrators", "publish", "erasing", "due"), False)
    values |= dict.fromkeys(("linked", "link_settled", "withdrawn", "rekey_at"), 0)
    tx.execute(subjects.insert().values(values))
    return subject_id


def unnamed_among(tx: sa.Connection, account_ids: Iterable[bytes]) -> list[SubjectRow]:
    """Those with these accounts whom nobody here can name."""
    found = rows_where_in(tx, subjects, subjects.c.account_id, account_ids)
    return [row for row in starmap(SubjectRow, found) if row.scheme == UNNAMED]


def unnamed(tx: sa.Connection) -> int:
    """How many subjects nobody here can name."""
    return tx.execute(sa.select(sa.func.count()).where(subjects.c.scheme == UNNAMED)).scalar_one()


def name_accounts(tx: sa.Connection, found: Iterable[tuple[int, bytes]]) -> None:
    """These subjects, (subject_id, account id) each, have those accounts: what is known of an unnamed one is theirs."""
    whose = {account_id: subject_id for subject_id, account_id in found}
    for row in unnamed_among(tx, whose):
        subject_id = whose[present(row.account_id)]
        for table in (awards, redemptions):
            tx.execute(table.update().where(table.c.subject_id == row.subject_id).values(subject_id=subject_id))
        state = {"linked": row.linked, "link_settled": row.link_settled, "due": True}
        tx.execute(subjects.update().where(subjects.c.subject_id == subject_id).values(state))
        remove(tx, [row.subject_id])


def set_account(tx: sa.Connection, subject_id: int, account_id: bytes, key_epoch: int) -> None:
    """The subject's account, as the node's own chain tells it; the hub's own word on it is lost."""
    values = {"account_id": account_id, "sealed_key": None, "key_epoch": key_epoch, "due": True}
    tx.execute(subjects.update().where(subjects.c.subject_id == subject_id).values(values))


REPLAYED = 1 << 7  # beside the consents taken back: it was what is replayed that took them


def mirror_link(tx: sa.Connection, account_id: bytes, bits: int, now: int) -> SubjectRow | None:
    """The subject with that account agrees to no more than a Link says, and took back the rest; who it is.

    ``bits`` are purposes; 0: the account was given up.  What the subject took back here stays so, whatever was signed;
    what only Links and Unlinks before took back, this Link gives again.
    """
    own = subjects.c.account_id == account_id
    row = row_as(SubjectRow, tx.execute(sa.select(subjects).where(own)).first())
    if row is None:
        return None
    names = {"share": PURPOSE_SHARE, "redeem": PURPOSE_REDEEM, "integrators": PURPOSE_INTEGRATORS}
    told = {each: bool(bits & 1 << purpose) for each, purpose in names.items()}
    withdrawn = row.withdrawn
    if bits and withdrawn & REPLAYED:
        withdrawn &= ~(REPLAYED | sum(CONSENT_BITS[each] for each in told if told[each]))
    for each, agrees in told.items():
        withdrawn |= CONSENT_BITS[each] * bool(getattr(row, each) and not agrees)
    if withdrawn & ~row.withdrawn and (not row.withdrawn or row.withdrawn & REPLAYED):
        withdrawn |= REPLAYED
    if row.scheme == UNNAMED:
        withdrawn = 0
    agreed = {each: told[each] and not withdrawn & CONSENT_BITS[each] and not row.erasing for each in told}
    state = {"withdrawn": withdrawn, "unlink_at": None if any(agreed.values()) else now, "due": True}
    tx.execute(subjects.update().where(own).values(agreed | state))
    return row


def return_to(tx: sa.Connection, account_id: bytes) -> bool:
    """Somebody had left this account and is linked to it again; whether somebody had."""
    own = (subjects.c.left_account == account_id, subjects.c.account_id.is_(None))
    back = subjects.update().where(*own).values(account_id=account_id, sealed_key=None, due=True)
    return bool(tx.execute(back).rowcount)


def end_replay(tx: sa.Connection) -> None:
    """What replayed Unlinks took back stays so."""
    flagged = subjects.c.withdrawn.op("&")(REPLAYED) != 0
    tx.execute(subjects.update().where(flagged).values(withdrawn=subjects.c.withdrawn - REPLAYED))


def keep_totals(tx: sa.Connection, account_id: bytes, totals: bytes) -> None:
    """Remember the hub's signed totals of an account."""
    tx.execute(subjects.update().where(subjects.c.account_id == account_id).values(totals=totals))
