"""Rotation of the linking key at the hub: an account moves to its new pseudonym when all linked agencies say the same.

Until the roster drops the old key an account is found under both, so nothing stops meanwhile; accounts, links and
totals stay as they are.
"""

from collections.abc import Sequence

from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.store.pseudonyms import Key
from samprasan.keys.errors import Malformed, Refused
from samprasan.ledger.batch_form import DIGEST_BYTES, ID_BYTES
from samprasan.v1 import hub_pb2, log_pb2


def rekey(hub: Hub, agency: str, request: hub_pb2.RekeyRequest) -> hub_pb2.RekeyResponse:
    """Note what ``agency`` calls its accounts under the next key; a signed AccountOpened for each that has moved.

    Accounts without the caller's own open Link are passed over: an agency may not learn which exist.
    Raises Malformed ``request``, Refused ``key_epoch`` if that key is not the next one.
    """
    _check(request)
    with hub.db.begin() as tx:
        store.log.lock_head(tx)  # no account is closed meanwhile
        agreed = store.documents.agreed_on(tx)
        current = agreed.roster_with(agency)
        if not current.HasField("next") or request.key_epoch != current.next.key_epoch:
            raise Refused("key_epoch", in_force=current.linking.key_epoch)
        keys = {each.account_id: each.subject_key for each in request.accounts}
        linked = store.pseudonyms.linked_agencies(tx, keys)
        keys = {account_id: key for account_id, key in keys.items() if agency in linked.get(account_id, ())}
        store.pseudonyms.note_rekeyed(tx, agency, keys)
        said = store.pseudonyms.rekeyed_by(tx, keys)
        tied = store.pseudonyms.keys_of(tx, keys)
        named = {
            account_id: (key, kind, request.key_epoch)
            for account_id, key in keys.items()
            if (kind := _kind(tied.get(account_id, []), current.linking.key_epoch, key, request.key_epoch))
        }
        known = store.pseudonyms.accounts_of(tx, named.values())
        agreeing = {
            account_id: key
            for account_id, key in named.items()
            if all(said[account_id].get(each) == key[0] for each in linked[account_id])
        }
        new = {key: account_id for account_id, key in agreeing.items() if key not in known}
        store.pseudonyms.add(tx, new)
        known |= new
    moved = [account_id for account_id, key in agreeing.items() if known.get(key) == account_id]
    return hub_pb2.RekeyResponse(
        accounts_opened=[
            hub.world.sign(
                hub_pb2.AccountOpened(
                    federation_id=agreed.federation_id,
                    agency=agency,
                    request_id=request.request_id,
                    subject_key=keys[account_id],
                    account_id=account_id,
                    kind=log_pb2.SubjectKind.ValueType(named[account_id][1]),
                    key_epoch=request.key_epoch,
                )
            )
            for account_id in moved
        ]
    )


def _kind(tied: Sequence[Key], in_force: int, key: bytes, coming: int) -> int:
    """The kind of an account that is found by the key in force, and by no other one of the next; else 0."""
    others = [each for each in tied if each[2] == coming and each[0] != key]
    return 0 if others else next((kind for _, kind, epoch in tied if epoch == in_force), 0)


def _check(request: hub_pb2.RekeyRequest) -> None:
    readable = len(request.request_id) == ID_BYTES and all(
        len(each.account_id) == ID_BYTES and len(each.subject_key) == DIGEST_BYTES for each in request.accounts
    )
    if not readable or not 1 <= len(request.accounts) <= limits.SUBJECTS_PER_REQUEST_MAX:
        raise Malformed("request", limit=limits.SUBJECTS_PER_REQUEST_MAX)
