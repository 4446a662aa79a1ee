"""Restoring what comes with entries of the log and does not stand in it: documents, and whose the accounts are."""

from collections.abc import Iterator, Sequence

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.store.recovery import Refed, RefedAccount
from samprasan.keys import documents, signing
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope

_FIRST = ("", b"")


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


def tie_accounts(tx: Tx) -> list[log.Update]:
    """Tie accounts to their subjects again; what opens those that the log has lost."""
    after = _FIRST
    keys = documents.linking_keys(store.documents.agreed_on(tx).required_roster)
    epochs = {store.pseudonyms.PUBLIC, *(key.key_epoch for key in keys)}
    lost: dict[bytes, RefedAccount] = {}
    while part := store.recovery.accounts_from(tx, after, limits.SUBJECTS_PER_REQUEST_MAX):
        after = (part[-1].agency, part[-1].account_id)
        totals = store.ledger.totals_of(tx, {each.account_id for each in part})
        tied = set(store.pseudonyms.accounts_of(tx, {each.subject_key for each in part}))
        chosen: dict[bytes, RefedAccount] = {}
        for each in part:
            account = totals.get(each.account_id)
            is_closed = account is not None and account.closed
            if each.subject_key in tied or is_closed or each.key_epoch not in epochs:
                continue
            chosen[each.subject_key] = each
            if account is None:
                lost[each.account_id] = each
        store.pseudonyms.add(
            tx,
            {key: each.account_id for key, each in chosen.items()},
            {key: each.key_epoch for key, each in chosen.items()},
        )
    return [log.Update(opened=log.Opened(account_id=key, kind=each.kind)) for key, each in lost.items()]  # type: ignore[arg-type]
