"""Restoring what comes with entries of the log and does not stand in it: documents, and whose the accounts are."""

from collections.abc import Iterator, Sequence

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.store.admissions import Unused
from samprasan.hub.store.recovery import Refed, RefedAccount
from samprasan.keys import documents, rosters, signing
from samprasan.ledger import admissions
from samprasan.ledger.state import Admission, Totals
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope


def documents_of(entry: Refed) -> Iterator[Envelope]:
    """The documents that an entry puts into force and that were not known here when it was given back."""
    yield from hub_pb2.LogEntry.FromString(entry.documents).documents


def put_in_force(tx: Tx, world: World, news: Sequence[Envelope]) -> None:
    """Documents as they took effect, each believed by the roster of then."""
    for envelope in news:
        roster = store.documents.agreed_on(tx).roster
        body = documents.read(envelope)
        if signing.digest(envelope) in store.documents.agreed_on(tx).digests:
            continue
        documents.believe(envelope, roster, world.verify)
        found = documents.check_signatures(envelope, body, roster, world.verify)
        store.documents.save(tx, found, envelope.SerializeToString(), world.now(), active=True)
        store.documents.drop_proposed(tx, found.kind, found.version, found.series)
        if isinstance(body, Roster) and roster and body.linking.key_epoch != roster.linking.key_epoch:
            store.pseudonyms.end_rotation(tx, body.linking.key_epoch)


def tie_accounts(tx: Tx, since: int, *, is_whole: bool) -> list[log.Update]:
    """Tie accounts to their subjects again; what admits agencies again to those of which the log has lost it.

    Admissions that were over at ``since`` (milliseconds) are left out.  Once the log ``is_whole``, what is tied to an
    account that nobody has or may get goes first, and accounts that somebody has come before those that somebody may.
    """
    if is_whole:
        while store.admissions.take_lapsed(tx, since, limits.SUBJECTS_PER_REQUEST_MAX):
            pass
        store.pseudonyms.forget_nobodys(tx)
        for part in _known_parts(tx):
            _tie(tx, [each for each, account in part if account is not None])
    lost: list[log.Update] = []
    for part in _known_parts(tx):
        live = [each for each, _ in part if each.admission and each.lapses_at > since]
        _tie(tx, live if is_whole else [each for each, _ in part])
        lost += _remember_admissions(tx, live)
    return lost


def _known_parts(tx: Tx) -> Iterator[list[tuple[RefedAccount, Totals | None]]]:
    """What agencies were told of accounts that are not closed, by keys that are answered, with the accounts' totals."""
    keys = rosters.linking_keys(store.documents.agreed_on(tx).required_roster)
    epochs = {store.pseudonyms.PUBLIC, *(key.key_epoch for key in keys)}
    for part in _parts(tx):
        totals = store.ledger.totals_of(tx, {each.account_id for each in part})
        found = [(each, totals.get(each.account_id)) for each in part if each.key_epoch in epochs]
        yield [(each, account) for each, account in found if account is None or not account.closed]


def _tie(tx: Tx, told: Sequence[RefedAccount]) -> None:
    named = {(each.subject_key, each.kind, each.key_epoch): each.account_id for each in told}
    tied = store.pseudonyms.accounts_of(tx, named)
    store.pseudonyms.add(tx, {key: account_id for key, account_id in named.items() if key not in tied})


def evaluations_lost(tx: Tx) -> list[log.Update]:
    """Evaluations that two agencies signed and of which the log says nothing any more."""
    known = store.evaluations.totals(tx)
    return [
        log.Update(evaluated=log.Evaluated(total=Envelope.FromString(row.envelope)))
        for row in store.recovery.evaluations(tx)
        if (row.requester, row.evaluator) not in known or known[row.requester, row.evaluator].total < row.total
    ]


def untie_nobodys(tx: Tx) -> None:
    """Forget whose those accounts are that nobody is linked to, or may be."""
    for part in _parts(tx):
        store.pseudonyms.forget_if_nobodys(tx, {each.account_id for each in part})


def _parts(tx: Tx) -> Iterator[list[RefedAccount]]:
    """What agencies were told of accounts, some at a time."""
    after = ("", b"")
    while part := store.recovery.accounts_from(tx, after, limits.SUBJECTS_PER_REQUEST_MAX):
        yield part
        after = (part[-1].agency, part[-1].account_id)


def _remember_admissions(tx: Tx, told: Sequence[RefedAccount]) -> list[log.Update]:
    """Remember the secrets of admissions that are not used; the admissions of which the log says nothing."""
    tags = {admissions.tag_of(each.agency, each.account_id, each.admission): each for each in told}
    said: dict[tuple[str, bytes], Admission] = {}
    for agency in {each.agency for each in told}:
        said |= store.admissions.of_tags(tx, agency, [tag for tag, each in tags.items() if each.agency == agency])
    over = {tag for (_, tag), admission in said.items() if admission.is_over}
    unused = {tag: each for tag, each in tags.items() if tag not in over}
    store.admissions.keep(
        tx, [Unused(each.agency, each.account_id, each.admission, each.lapses_at) for each in unused.values()]
    )
    return [
        log.Update(
            admitted=log.Admitted(
                agency=each.agency,
                tag=tag,
                kind=log.SubjectKind.ValueType(each.kind),
                key_epoch=each.key_epoch,
                lapses_at=each.lapses_at,
            )
        )
        for tag, each in unused.items()
        if (each.agency, tag) not in said
    ]
