"""Recovery: a hub that lost a part of its log takes back from the agencies what it once gave them.

Agencies keep their batches with the hub's receipts, the hub's own chain, and its signed words on accounts.  While the
hub *recovers* it appends nothing new: what it gave out must stand where it stood.  Once every agency has given back
what it holds, the entries are folded again in the order of their receipts, each of which must come out as it was; the
log must then lead to every checkpoint that anybody accepted.

A batch whose receipt nobody ever got takes the place that is left for it, at a moment between its neighbours' that
makes the tree of the checkpoints.  Damaged entries are mended in the same way, without a pause.
"""

from collections.abc import Sequence
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.log import checkpoints as log_checkpoints
from samprasan.hub.log import intake, scrub
from samprasan.hub.log.intake import Submission
from samprasan.hub.recovery import attachments, cut, lost_receipts, returned_entries
from samprasan.hub.store.log import LogHead, LogRow
from samprasan.hub.store.recovery import Refed
from samprasan.keys import chain, checkpoint, documents, rosters, signing
from samprasan.keys.chain import Fit
from samprasan.keys.errors import Malformed, Refused, Unavailable, Unproven
from samprasan.ledger import agreement as agreed_documents
from samprasan.ledger import batch_form, calendar
from samprasan.ledger.agreement import Agreed
from samprasan.ledger.ledger import Activated
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Cut
from samprasan.v1.envelope_pb2 import Envelope

RESTORED, ASKED, RECEIPT = "restored", "asked", "receipt"
_CUTS_MAX = 10_000  # nobody loses that much


def begin_recovery(hub: Hub, why: str) -> None:
    """Append nothing more until every agency has given back what it holds."""
    with hub.db.begin() as tx:
        begin_recovery_in(tx, hub.world.now(), why)


def begin_recovery_in(tx: Tx, now: int, why: str) -> None:
    """:func:`begin_recovery` within a transaction; before there are agencies nobody has anything to give back."""
    store.log.lock_head(tx)
    if store.documents.agreed_on(tx).roster is not None:
        store.recovery.begin_recovery(tx, now, why)


def rest_of_log(tx: Tx, world: World) -> bytes:
    """A signed checkpoint of what is left of the log, if nobody gave back what comes next; else empty."""
    try:
        return cut.rest_of_log(tx, world) if _lacks(tx) else b""
    except Unavailable:  # the tree is damaged: that is to be mended first
        return b""


def check_cut(tx: Tx, world: World, body: Cut) -> None:
    """That this is what the hub needs to go on; else Refused ``cut_unneeded``."""
    if not _lacks(tx):
        raise Refused("cut_unneeded")
    cut.check(tx, world, body)


def hear_receipt(tx: Tx, world: World, agency: str, request: hub_pb2.HelloRequest) -> bool:
    """Whether the hub recovers, having seen an agency's newest receipt: one that it gave proves what it lost.

    A receipt of the log as it was before a cut proves nothing.
    If only the entry that it is of is not what it was, that is noted, to be mended.
    """
    recovers = store.recovery.current(tx) is not None
    if request.cut_version > _CUTS_MAX:
        raise Malformed("request", limit=_CUTS_MAX)
    if recovers:
        store.recovery.note_shown_receipt(tx, agency, -1, request.cut_version)
    newest = request.newest_receipt
    if not newest.payload:
        return recovers
    told = signing.decode(log.Receipt, newest.payload)
    index = told.log_index
    if told.cuts != store.documents.agreed_on(tx).cuts_at(index):
        return recovers
    size = store.log.head_now(tx).size
    keys = store.documents.signers(tx)
    keys[rosters.HUB] = returned_entries.hub_keys(tx, world)
    damage = _damage(tx, world, keys, index, _stored(tx, index)) if index < size else ""
    if index < size and not damage:
        return recovers
    receipt = signing.open_by_any(newest, log.Receipt, keys[rosters.HUB], world.verify)
    if receipt.federation_id != store.documents.agreed_on(tx).federation_id:
        return recovers
    if index < size:
        store.damages.replace(tx, index, index + 1, {index: damage}, world.now())
        return recovers
    if not recovers:
        begin_recovery_in(tx, world.now(), RECEIPT)
    store.recovery.note_shown_receipt(tx, agency, index, request.cut_version)
    return True


def is_wanted(tx: Tx, agency: str) -> bool:
    """Whether the agency is still to give back what it holds."""
    return store.recovery.current(tx) is not None and agency not in store.recovery.checkpoints(tx)


def accept_returned(hub: Hub, agency: str, requests: Sequence[hub_pb2.RefeedRequest]) -> int:
    """Keep what an agency gives back; how many entries the hub lacked.

    Raises Malformed or Unproven, keeping nothing, if something was not signed by whom it should be.
    """
    with hub.db.begin() as tx:
        size = store.log.lock_head(tx).size
        store.documents.agreed_on(tx).roster_with(agency)
        keys = store.documents.signers(tx)
        keys[rosters.HUB] = returned_entries.hub_keys(tx, hub.world)
        recovers = _asks_for_something(tx)
        if recovers:
            _hear_of_cuts(tx, hub.world, agency, requests)
        entries: list[Refed] = []
        accounts, checkpoints, taken = [], [], 0
        told: list[Envelope] = []
        for request in requests:
            match request.WhichOneof("held"):
                case "entry":
                    found = returned_entries.entry(tx, hub.world, keys, agency, request.entry)
                    if found.log_index is not None and found.log_index < size:
                        taken += _mend(tx, hub.world, keys, found)
                    elif recovers and returned_entries.may_follow(tx, found, entries):
                        entries.append(found)
                case "account" if recovers:
                    accounts.append(returned_entries.account(tx, hub.world, keys, agency, request.account))
                case "checkpoint" if recovers:
                    checkpoints.append(returned_entries.note(tx, hub.world, request.checkpoint))
                case "evaluated" if recovers:
                    told.append(returned_entries.evaluation(tx, hub.world, keys, agency, request.evaluated))
        store.recovery.add_returned(tx, entries, accounts)
        store.recovery.add_evaluations(tx, told)
        for note in checkpoints:
            _end_refeed(tx, agency, size, note)
    return taken + len(entries)


def _asks_for_something(tx: Tx) -> bool:
    """Whether the hub recovers; Refused if nothing is to be given back at all, Unavailable if not now."""
    row = store.recovery.current(tx)
    if row is not None and row.cut:
        raise Unavailable("hub_recovering")  # what stood behind the cut goes in first
    if row is None and not store.damages.count(tx):
        raise Refused("nothing_lost")
    return row is not None


def _hear_of_cuts(tx: Tx, world: World, agency: str, requests: Sequence[hub_pb2.RefeedRequest]) -> None:
    """Believe cuts that the hub has lost with its log; Unavailable ``refeed_stale`` if the newest is unknown there."""
    for request in requests:
        known = store.documents.agreed_on(tx)
        if request.HasField("cut") and signing.digest(request.cut) not in known.digests:
            body = documents.believe(request.cut, known.roster, world.verify)
            hub_keys = dict.fromkeys(returned_entries.hub_keys(tx, world), rosters.HUB)
            took_effect = signing.signers_of(request.cut, hub_keys, world.verify)
            if not isinstance(body, Cut) or body.version != known.cut_version + 1 or not took_effect:
                raise Unproven("refeed_foreign", agency=agency)
            attachments.put_in_force(tx, world, [request.cut])
            store.recovery.start_over(tx, agency, body.version)
    if store.recovery.believed(tx, agency) < store.documents.agreed_on(tx).cut_version:
        raise Unavailable("refeed_stale")


def _end_refeed(tx: Tx, agency: str, size: int, note: bytes) -> None:
    """The agency says that it has given back all it holds: of what it showed a receipt the hub signs no second one."""
    shown = store.recovery.shown(tx, agency)
    if shown >= size and not store.recovery.between(tx, shown, shown + 1):
        raise Unproven("refeed_withheld", agency=agency)
    store.recovery.mark_fed(tx, agency, note)


def advance_recovery(hub: Hub) -> None:
    """Put back what there is, as soon as every agency has given what it holds; nothing new until all of it fits.

    An entry that does not come out as its receipt says is told in :func:`recovery_progress`, and nothing goes on.
    """
    try:
        while _put_some_back(hub):
            pass
    except Unproven as problem:
        with hub.db.begin() as tx:
            store.recovery.note_problem(tx, str(problem.values.get("log_index", problem.code)))


def is_recovering(db: Database) -> bool:
    """Whether the hub recovers."""
    with db.read() as tx:
        return store.recovery.current(tx) is not None


def recovery_progress(tx: Tx) -> dict[str, Any] | None:
    """How far the recovery is; None if the hub does not recover."""
    row = store.recovery.current(tx)
    if row is None:
        return None
    size = store.log.head_now(tx).size
    roster = store.documents.agreed_on(tx).roster
    fed = store.recovery.checkpoints(tx)
    members = [member.agency for member in roster.members] if roster else []
    waiting = [agency for agency in members if agency not in fed]
    return {
        "since": calendar.iso(row.since),
        "why": row.why,
        "waiting_for": waiting,
        "missing": size if _lacks(tx) else None,
        "differs": row.problem or store.recovery.conflict(tx, size) or _doubled(tx) or None,
    }


def _doubled(tx: Tx) -> str:
    found = store.recovery.doubled(tx)
    return "" if found is None else str(found)


def _lacks(tx: Tx) -> bool:
    """Whether every agency has given back what it holds, and what comes next was not among it."""
    row = store.recovery.current(tx)
    roster = store.documents.agreed_on(tx).roster
    if row is None or row.cut or roster is None:
        return False
    size = store.log.head_now(tx).size
    everybody = store.recovery.checkpoints(tx).keys() >= {member.agency for member in roster.members}
    there = store.recovery.between(tx, size, size + 1)  # what does not fit is told, and is not for anybody to give up
    return everybody and not there and (store.recovery.next_index(tx, size) is not None or bool(_beyond(tx, size)))


def _stored(tx: Tx, index: int) -> LogRow | None:
    return next(iter(store.log.between(tx, index, index + 1)), None)


def _damage(tx: Tx, world: World, keys: dict[str, set[bytes]], index: int, stored: LogRow | None) -> str:
    leaf = store.tree.leaves(tx, index, index + 1).get(index, b"")
    return scrub.damage_of(stored, world, keys, leaf)


def _mend(tx: Tx, world: World, keys: dict[str, set[bytes]], found: Refed) -> int:
    """Put back an entry that is damaged; one that differs from a sound one is kept, for the operator to see."""
    index = found.log_index
    assert index is not None
    stored = _stored(tx, index)
    if not _damage(tx, world, keys, index, stored):
        if stored is not None and stored.digest != found.digest and store.recovery.current(tx) is not None:
            store.recovery.add_returned(tx, [found], [])
        return 0
    store.log.mend(
        tx,
        LogRow(
            log_index=index,
            agency=found.agency,
            seq=found.seq,
            digest=found.digest,
            batch=found.batch,
            receipt=found.receipt,
        ),
    )
    store.damages.replace(tx, index, index + 1, {}, world.now())
    return 1


def _put_some_back(hub: Hub) -> bool:
    """Put some entries back; whether there may be more."""
    with hub.db.begin() as tx:
        row = store.recovery.current(tx)
        if row is None:
            return False
        head = store.log.lock_head(tx)
        if row.cut:
            if not cut.continue_cut(tx, hub.world):
                store.recovery.end_cut(tx)
            return True
        roster = store.documents.agreed_on(tx).required_roster
        fed = store.recovery.checkpoints(tx)
        agencies = [member.agency for member in roster.members]
        if not fed.keys() >= set(agencies):
            return False
        run = store.recovery.run_from(tx, head.size, limits.PUSH_GROUP_MAX)
        run = run or _search(tx, hub.world, head, agencies, row.searched)
        if run:
            _enter(tx, hub.world, head.size, run)
            return True
        return _is_whole(tx, head.size) and _end(tx, hub.world)


def _search(tx: Tx, world: World, head: LogHead, agencies: Sequence[str], in_vain: str) -> list[Refed]:
    """Search by :func:`lost_receipts.filled`, but not again for what was looked for ``in_vain``; what was found."""
    beyond = _beyond(tx, head.size)
    about = f"{head.size} {[each.size for each in beyond]} {store.recovery.given_back(tx)}"
    if about == in_vain:
        return []
    found = lost_receipts.filled(tx, world, head, agencies, beyond)
    if not found:
        store.recovery.note_searched(tx, about)
    return found


def _enter(tx: Tx, world: World, size: int, run: Sequence[Refed]) -> None:
    """Fold entries again, up to one that puts a document into force: what comes behind it is to find it there."""
    upto = next((at for at, each in enumerate(run, 1) if each.documents), len(run))
    run = run[:upto]
    given = {each.log_index: Envelope.FromString(each.receipt) for each in run}
    entries = []
    heads = {each.agency: store.log.chain_head(tx, each.agency) for each in run}
    for each in run:
        batch = log.Batch.FromString(Envelope.FromString(each.batch).payload)
        if chain.fit(heads[each.agency], batch.seq, batch.previous) is not Fit.NEXT:
            raise Unproven("refed_differs", log_index=each.log_index)
        heads[each.agency] = chain.Head(batch.seq, each.digest)
        receipt = log.Receipt.FromString(given[each.log_index].payload)
        entries.append((Submission(each.agency, each.batch, each.digest, batch), receipt.appended_at))

    def again(receipt: log.Receipt) -> Envelope:
        envelope = given[receipt.log_index]
        if log.Receipt.FromString(envelope.payload) != receipt:
            raise Unproven("refed_differs", log_index=receipt.log_index)
        return envelope

    news = list(attachments.documents_of(run[-1]))
    activated = {**store.documents.agreed_on(tx).activated, **_activated(news)}
    intake.enter_batches(tx, size, entries, again, activated)
    attachments.put_in_force(tx, world, news)
    store.recovery.drop(tx, [(each.agency, each.seq) for each in run])


def _activated(news: Sequence[Envelope]) -> Activated:
    return agreed_documents.read_documents([each.SerializeToString() for each in news]).activated


def _beyond(tx: Tx, size: int) -> list[checkpoint.Checkpoint]:
    """Checkpoints of more than ``size`` entries that this hub signed and somebody accepted, the smallest first."""
    notes = [note for note in store.recovery.checkpoints(tx).values() if note]
    own = store.checkpoints.newest(tx)
    notes += [own.note] if own else []
    found = [checkpoint.read(note).checkpoint for note in notes]
    agreed = store.documents.agreed_on(tx)
    binding = (each for each in found if each.size > size and _binds(agreed, each))
    return sorted(binding, key=lambda each: each.size)


def _binds(agreed: Agreed, head: checkpoint.Checkpoint) -> bool:
    """Whether the log must lead to what was said of it: not to what a later cut has given up."""
    since = checkpoint.cuts_of(head, agreed.federation_id) or 0
    return all(head.size <= size for size in agreed.cut_sizes[since:])


def _is_whole(tx: Tx, size: int) -> bool:
    """Whether nothing is left over and the log leads to every checkpoint."""
    if store.recovery.next_index(tx, -1) is not None:
        return False
    return all(each.size <= size and store.tree.root(tx, each.size) == each.root for each in _beyond(tx, 0))


def _end(tx: Tx, world: World) -> bool:
    """The log is whole: tie accounts to their subjects again, admit again what the log has lost, and go on.

    Returns that there is no more.
    """
    lost = attachments.evaluations_lost(tx)
    lost += attachments.tie_accounts(tx, max(world.moment(), store.log.head_now(tx).appended_at), is_whole=True)
    attachments.untie_nobodys(tx)
    store.recovery.end_recovery(tx)
    for first in range(0, len(lost), batch_form.UPDATES_MAX):
        intake.append_own(tx, world, lost[first : first + batch_form.UPDATES_MAX])
    cut.end_cut(tx, world)
    log_checkpoints.offer_in(tx, world)  # agencies have seen later ones than the newest here
    return False
