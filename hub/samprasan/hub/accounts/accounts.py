"""Accounts: a subject key finds its account or gets a new one; totals are read by agencies with an open Link.

No pseudonym enters the log: the hub's chain says only that an account was opened.  Requests are not stored, and the
answer does not say whether an account is new.
"""

from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake
from samprasan.keys.errors import Malformed, Refused
from samprasan.ledger.agreement import Agreed
from samprasan.ledger.batch_form import DIGEST_BYTES, ID_BYTES, UPDATES_MAX
from samprasan.ledger.state import USED
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope


def open_accounts(hub: Hub, agency: str, request: hub_pb2.OpenAccountsRequest) -> list[Envelope]:
    """A signed AccountOpened for each subject of the request, in its order.

    Raises Malformed ``request``, Refused ``key_epoch`` for a pseudonym of another linking key than the one in force.
    """
    _check_subjects(request)
    kinds = {subject.subject_key: subject.kind for subject in request.subjects}
    epochs = {subject.subject_key: subject.key_epoch for subject in request.subjects}
    with hub.db.begin() as tx:
        store.log.lock_head(tx)  # no key goes meanwhile
        agreed = store.documents.agreed_on(tx)
        in_force = agreed.roster_with(agency).linking.key_epoch
        if not set(epochs.values()) <= {store.pseudonyms.PUBLIC, in_force}:
            raise Refused("key_epoch", in_force=in_force)
        found = store.pseudonyms.accounts_of(tx, kinds)
        made = {key: hub.world.random_bytes(ID_BYTES) for key in kinds if key not in found}
        if made:
            entries = [
                log_pb2.Update(opened=log_pb2.Opened(account_id=account_id, kind=kinds[key]))
                for key, account_id in made.items()
            ]
            for first in range(0, len(entries), UPDATES_MAX):
                intake.append_own(tx, hub.world, entries[first : first + UPDATES_MAX])
            store.pseudonyms.add(tx, made, epochs)
    account_of = found | made
    return [
        sign_opened(hub.world, agreed, agency, request.request_id, subject.subject_key, account_of[subject.subject_key])
        for subject in request.subjects
    ]


def sign_opened(
    world: World, agreed: Agreed, agency: str, request_id: bytes, subject_key: bytes, account_id: bytes
) -> Envelope:
    """The hub's signed word on which account belongs to a subject."""
    return world.sign(
        hub_pb2.AccountOpened(
            federation_id=agreed.federation_id,
            agency=agency,
            request_id=request_id,
            subject_key=subject_key,
            account_id=account_id,
        )
    )


def totals(hub: Hub, agency: str, request: hub_pb2.GetTotalsRequest) -> Envelope:
    """A signed Totals; an account without the caller's own open Link for *redeem* is declined.

    Raises Malformed ``request``.
    """
    asked = list(request.account_ids)
    readable = len(request.request_id) == ID_BYTES and all(len(each) == ID_BYTES for each in asked)
    if not readable or not 1 <= len(asked) <= limits.ACCOUNTS_PER_REQUEST_MAX:
        raise Malformed("request", limit=limits.ACCOUNTS_PER_REQUEST_MAX)
    with hub.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        agreed.roster_with(agency)
        head = store.log.head_now(tx)
        found = store.ledger.totals_of(tx, asked)
        purposes = store.ledger.purposes_at(tx, agency, asked)
        run_out = store.holds.credits_run_out(tx, asked, max(hub.world.now(), head.appended_at))
    answer = hub_pb2.Totals(
        federation_id=agreed.federation_id,
        agency=agency,
        request_id=request.request_id,
        log_size=head.size,
        as_of=max(head.appended_at, 0) or hub.world.now(),
    )
    for account_id in asked:
        entry = answer.accounts.add(account_id=account_id)
        account, agreed_to = found.get(account_id), purposes.get(account_id, frozenset())
        entry.linked_elsewhere = account is not None and bool(agreed_to - {USED}) and account.links > 1
        if account is None or log_pb2.PURPOSE_REDEEM not in agreed_to:
            # Not told apart: an agency may not learn which accounts exist.
            entry.declined = log_pb2.DECLINE_REASON_NOT_LINKED
            continue
        entry.earned, entry.written_off = account.earned_in_all, account.written_off
        given_back = run_out.get(account_id, 0)  # their Expire may not stand in the log yet
        entry.available, entry.pending = account.available + given_back, account.pending
        entry.held = account.held - given_back
        entry.spent, entry.expired = account.spent, account.expired
        entry.earned_by_dimension.extend(account.earned)
    return hub.world.sign(answer)


def _check_subjects(request: hub_pb2.OpenAccountsRequest) -> None:
    readable = len(request.request_id) == ID_BYTES and all(
        len(subject.subject_key) == DIGEST_BYTES and 1 <= subject.kind <= 4 for subject in request.subjects
    )
    if not readable or not 1 <= len(request.subjects) <= limits.SUBJECTS_PER_REQUEST_MAX:
        raise Malformed("request", limit=limits.SUBJECTS_PER_REQUEST_MAX)
