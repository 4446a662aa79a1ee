"""Totals of accounts, for agencies with an open Link."""

from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.keys.errors import Malformed
from samprasan.ledger.batch_form import ID_BYTES
from samprasan.ledger.state import USED
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope


def read_totals(hub: Hub, agency: str, request: hub_pb2.GetTotalsRequest) -> Envelope:
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
