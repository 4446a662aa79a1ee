"""What agencies give back to a hub that lost it: believed if its signer made it and this hub once took it."""

from collections.abc import Sequence

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.store.recovery import Refed, RefedAccount
from samprasan.keys import checkpoint, evaluation_totals, rosters, signing
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.ledger import batch_form
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope


def hub_keys(tx: Tx, world: World) -> set[bytes]:
    """Every key under which this hub may have signed."""
    return store.documents.signers(tx).get(rosters.HUB, set()) | {world.signer.public_key}


def entry(tx: Tx, world: World, keys: dict[str, set[bytes]], agency: str, given: hub_pb2.LogEntry) -> Refed:
    """What an agency gave back, if its signer made it and this hub once took it."""
    of_whom = signing.decode(log.Batch, given.batch.payload).agency
    is_own = of_whom == rosters.HUB
    if of_whom not in (agency, rosters.HUB) or (is_own and not given.HasField("receipt")):
        raise Unproven("refeed_foreign", agency=agency)
    batch = signing.open_by_any(given.batch, log.Batch, keys.get(of_whom, set()), world.verify)
    digest = signing.digest(given.batch)
    index = None
    receipt = b""
    if given.HasField("receipt"):
        found = signing.open_by_any(given.receipt, log.Receipt, keys[rosters.HUB], world.verify)
        if (found.agency, found.seq, found.batch_digest) != (of_whom, batch.seq, digest):
            raise Unproven("receipt_foreign", seq=batch.seq)
        if found.cuts != store.documents.agreed_on(tx).cuts_at(found.log_index):
            raise Unavailable("refeed_stale")
        index, receipt = found.log_index, given.receipt.SerializeToString()
    more = _named_documents(tx, agency, batch, given).SerializeToString()
    return Refed(
        agency=of_whom,
        seq=batch.seq,
        log_index=index,
        digest=digest,
        batch=given.batch.SerializeToString(),
        receipt=receipt,
        documents=more,
    )


def may_follow(tx: Tx, found: Refed, beside: Sequence[Refed]) -> bool:
    """Whether the entry is behind what is there; without a receipt, whether it may be a batch that was on its way.

    That one never passed intake, as far as anybody can prove: it may say no more than intake lets pass.  ``beside``
    entries come with it.
    """
    ahead = found.seq - store.log.chain_head(tx, found.agency).seq
    if found.log_index is not None or ahead <= 0:
        return ahead > 0
    payload = Envelope.FromString(found.batch).payload
    federation_id = store.documents.agreed_on(tx).federation_id
    is_sound = batch_form.check(log.Batch.FromString(payload), len(payload), federation_id, found.agency) is None
    is_refused = store.log.refusal_of(tx, found.agency, found.digest) is not None
    fed = store.recovery.receipted(tx, found.agency) + sum(each.log_index is not None for each in beside)
    return is_sound and not is_refused and ahead <= fed + limits.UNRECEIPTED_AHEAD_MAX


def _named_documents(tx: Tx, agency: str, batch: log.Batch, given: hub_pb2.LogEntry) -> hub_pb2.LogEntry:
    """The documents that a batch of the hub puts into force and that are not known here: all of them, no others."""
    named = {update.activate.digest for update in batch.updates if batch.agency == rosters.HUB} - {b""}
    lacking = named - store.documents.in_force(tx, named)
    found = {signing.digest(each): each for each in given.documents}
    if not lacking <= found.keys():
        raise Unproven("refeed_foreign", agency=agency)
    return hub_pb2.LogEntry(documents=[found[digest] for digest in sorted(lacking)])


def account(tx: Tx, world: World, keys: dict[str, set[bytes]], agency: str, given: Envelope) -> RefedAccount:
    """Which account the hub had named for a subject.  Raises Malformed, Unproven."""
    opened = signing.open_by_any(given, hub_pb2.AccountOpened, keys[rosters.HUB], world.verify)
    if (opened.agency, opened.federation_id) != (agency, store.documents.agreed_on(tx).federation_id):
        raise Unproven("refeed_foreign", agency=agency)
    return RefedAccount(
        agency=agency,
        account_id=opened.account_id,
        subject_key=opened.subject_key,
        kind=opened.kind,
        key_epoch=opened.key_epoch,
        admission=opened.admission,
        lapses_at=opened.lapses_at,
    )


def evaluation(tx: Tx, world: World, keys: dict[str, set[bytes]], agency: str, given: Envelope) -> Envelope:
    """How many ids were evaluated for the agency, as both signed it.  Raises Malformed, Unproven."""
    federation_id = store.documents.agreed_on(tx).federation_id
    if evaluation_totals.check(given, federation_id, keys, world.verify).requester != agency:
        raise Unproven("refeed_foreign", agency=agency)
    return given


def note(tx: Tx, world: World, note: bytes) -> bytes:
    """The newest checkpoint that the agency accepted, if it is the hub's.  Raises Malformed, Unproven."""
    if note:
        federation_id = store.documents.agreed_on(tx).federation_id
        checkpoint.open_note(note, federation_id, world.signer.public_key, world.verify)
    return note
