"""Reconciliation, the hub's side: what each agency did to each account, as a sketch that its node can compare with.

The log is counted agency by agency when somebody asks, so that taking batches in costs nothing for it.  What an agency
did is what the accounts' totals have less what the counts of the others say: a total that is not what the log says
shows at every agency that knows the account.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from samprasan.edge.database import Database, Tx
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.store.contributions import Reconciled
from samprasan.hub.store.log import LogRow
from samprasan.keys import signing
from samprasan.keys.chain import Head
from samprasan.keys.errors import Malformed, Unavailable
from samprasan.ledger import contributions, sketch
from samprasan.ledger.batch_form import ID_BYTES
from samprasan.ledger.contributions import NOTHING, Contribution, Named
from samprasan.ledger.sketch import Keys, Side
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Batch, Receipt

NONCE_BYTES = 32
_SHARE = 8  # each message of cells is so much of those before: the last one is little too much


@dataclass
class Conversation:
    """One reconciliation with one node; it lives as long as its stream."""

    agency: str
    head: Head
    nonce: bytes
    have: dict[bytes, Contribution]
    keys: Keys
    sending: bool = False
    made: int = 1
    side: Side = field(init=False)

    def __post_init__(self) -> None:
        self.side = Side(self.keys, list(self.have), list(self.have.values()))

    def begun(self) -> hub_pb2.ReconcileResponse:
        """The first answer."""
        begun = hub_pb2.ReconcileBegun(
            head=hub_pb2.Head(seq=self.head.seq, digest=self.head.digest),
            nonce=self.nonce,
            accounts=len(self.have),
            cell=sketch.written(self.side.more(1)),
        )
        return hub_pb2.ReconcileResponse(begun=begun)

    def cells(self) -> hub_pb2.ReconcileResponse | None:
        """The next cells; None once there are as many as anybody may have."""
        count = min(max(self.made // _SHARE, 1), limits.SKETCH_CELLS_MAX - self.made, limits.SKETCH_CELLS_AT_ONCE)
        if count <= 0:
            return None
        self.made += count
        cells = sketch.written(self.side.more(count))
        return hub_pb2.ReconcileResponse(cells=hub_pb2.ReconcileCells(cells=cells))

    def answer(self, ask: hub_pb2.ReconcileAsk) -> hub_pb2.ReconcileResponse:
        """What the hub has on some accounts; Malformed ``request`` over the limit."""
        asked = list(ask.account_ids)
        if len(asked) > limits.ACCOUNTS_PER_REQUEST_MAX or any(len(each) != ID_BYTES for each in asked):
            raise Malformed("request", limit=limits.ACCOUNTS_PER_REQUEST_MAX)
        found = [_contribution_message(each, self.have.get(each, NOTHING)) for each in asked]
        return hub_pb2.ReconcileResponse(told=hub_pb2.ReconcileTold(accounts=found))


def begin_conversation(hub: Hub, agency: str, request: hub_pb2.ReconcileBegin) -> Conversation:
    """Everything of one moment.  Malformed ``request``, Unproven ``not_a_member``, Unavailable ``log_damaged``."""
    if len(request.nonce) != NONCE_BYTES:
        raise Malformed("request", limit=NONCE_BYTES)
    with hub.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
        agreed.roster_with(agency)
        size = store.log.head_now(tx).size
        uncounted = store.log.between(tx, store.contributions.counted_up_to(tx), size)
        changes = _changes(tx, uncounted, store.contributions.counted_up_to(tx))
        head = store.log.chain_head(tx, agency)
        have = store.contributions.of_agency(tx, agency, changes)
    nonce = hub.world.random_bytes(NONCE_BYTES)
    keys = Keys.drawn(request.nonce + nonce + agreed.federation_id + agency.encode())
    return Conversation(agency, head, nonce, have, keys)


def count_entries(db: Database) -> bool:
    """Count some more entries of the log; whether others are left.  Unavailable ``log_damaged`` if one is not whole."""
    with db.begin() as tx:
        store.log.lock_head(tx)
        done = store.contributions.counted_up_to(tx)
        rows = store.log.between(tx, done, done + limits.ENTRIES_COUNTED_AT_ONCE)
        if rows:
            store.contributions.add_changes(tx, _changes(tx, rows, done), done + len(rows))
        return len(rows) == limits.ENTRIES_COUNTED_AT_ONCE


def record_verdict(hub: Hub, conversation: Conversation, verdict: hub_pb2.ReconcileVerdict) -> None:
    """Keep what the node found, for the operator."""
    names = hub_pb2.DifferenceCause
    causes: dict[str, int] = defaultdict(int)
    for each in verdict.causes[: len(names.keys())]:
        if each.cause in names.values():
            causes[names.Name(each.cause).removeprefix("DIFFERENCE_CAUSE_").lower()] += min(each.accounts, 1 << 40)
    with hub.db.begin() as tx:
        store.contributions.add_reconciliation(
            tx,
            Reconciled(
                agency=conversation.agency,
                at=hub.world.now(),
                seq=conversation.head.seq,
                accounts=len(conversation.have),
                differences=sum(causes.values()),
                causes=causes,
            ),
        )
        store.contributions.forget_before(tx, conversation.agency, limits.RECONCILIATIONS_KEPT)


def _changes(tx: Tx, rows: Sequence[LogRow], first: int) -> dict[tuple[str, bytes], Contribution]:
    changed: dict[tuple[str, bytes], Contribution] = {}
    for place, row in enumerate(rows):
        batch, receipt = _whole(row, first + place)
        awards, holds = contributions.refers_to(batch)
        named = Named(
            dict(store.ledger.awards_of(tx, row.agency, awards)),
            store.holds.accounts_of(tx, row.agency, holds),
        )
        for account_id, change in contributions.changes(batch, receipt.outcomes, named):
            key = (row.agency, account_id)
            changed[key] = changed.get(key, NOTHING).plus(change)
    return changed


def _whole(row: LogRow, index: int) -> tuple[Batch, Receipt]:
    """The entry, if it is the one that its receipt is of."""
    envelope = signing.read_envelope(row.batch)
    receipt = Receipt.FromString(signing.read_envelope(row.receipt).payload)
    digest = signing.digest(envelope)
    named = (receipt.agency, receipt.seq, receipt.batch_digest, receipt.log_index)
    if row.log_index != index or named != (row.agency, row.seq, digest, index) or digest != row.digest:
        raise Unavailable("log_damaged", level=0, number=index)
    return Batch.FromString(Envelope.FromString(row.batch).payload), receipt


def _contribution_message(account_id: bytes, have: Contribution) -> hub_pb2.AccountContribution:
    if not have.linked:
        return hub_pb2.AccountContribution(account_id=account_id)
    return hub_pb2.AccountContribution(account_id=account_id, earned=have[:4], spent=have.spent, linked=True)
