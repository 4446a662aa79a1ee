"""Recovery: a hub that lost a part of its log takes back from the agencies what it once gave them.

Agencies keep their batches with the hub's receipts, the hub's own chain, and its signed words on accounts.  While the
hub *recovers* it appends nothing new: what it gave out must stand where it stood.  Once every agency has given back
what it holds, the entries are folded again in the order of their receipts, each of which must come out as it was; the
log must then lead to every checkpoint that anybody accepted.

A batch whose receipt nobody ever got takes the place that is left for it, at a moment between its neighbours' that
makes the tree of the checkpoints.  Damaged entries are mended in the same way, without a pause.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from samprasan.edge.database import Store, Tx
from samprasan.edge.world import World
from samprasan.hub import gaps, intake, limits, soundness, witnessing
from samprasan.hub.intake import Submission
from samprasan.hub.store import checkpoints as checkpoints_store
from samprasan.hub.store import damages as damages_store
from samprasan.hub.store import documents as documents_store
from samprasan.hub.store import ledger as ledger_store
from samprasan.hub.store import log as log_store
from samprasan.hub.store import recovery as recovery_store
from samprasan.hub.store import subjects as subjects_store
from samprasan.hub.store import tree as tree_store
from samprasan.hub.store.log import LogRow
from samprasan.hub.store.recovery import Refed, RefedAccount
from samprasan.keys import chain, checkpoint, documents, signing
from samprasan.keys.chain import Fit
from samprasan.keys.errors import Malformed, Refused, Unproven
from samprasan.ledger import agreed as agreed_documents
from samprasan.ledger import calendar, forms
from samprasan.ledger.ledger import Activated
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope

RESTORED, ASKED, RECEIPT = "restored", "asked", "receipt"
_FIRST = ("", b"")
_EPOCH_MAX = (1 << 31) - 1


def begin(store: Store, world: World, why: str) -> None:
    """Append nothing more until every agency has given back what it holds."""
    with store.begin() as tx:
        begin_in(tx, world.now(), why)


def begin_in(tx: Tx, now: int, why: str) -> None:
    """:func:`begin` within a transaction; before there are agencies nobody has anything to give back."""
    log_store.lock_head(tx)
    if documents_store.agreed_on(tx).roster is not None:
        recovery_store.begin(tx, now, why)


def hears(tx: Tx, world: World, agency: str, newest: Envelope) -> bool:
    """Whether the hub recovers, having seen an agency's newest receipt: one that it gave proves what it lost.

    If only the entry that it is of is not what it was, that is noted, to be mended.
    """
    recovers = recovery_store.standing(tx) is not None
    if not newest.payload:
        return recovers
    index = signing.decode(log.Receipt, newest.payload).log_index
    size = log_store.head_now(tx).size
    keys = documents_store.signers(tx)
    keys[documents.HUB] = _hub_keys(tx, world)
    damage = _damage(tx, world, keys, index, _stored(tx, index)) if index < size else ""
    if index < size and not damage:
        return recovers
    receipt = signing.open_by_any(newest, log.Receipt, keys[documents.HUB], world.verify)
    if receipt.federation_id != documents_store.agreed_on(tx).federation_id:
        return recovers
    if index < size:
        damages_store.put(tx, index, index + 1, {index: damage}, world.now())
        return recovers
    if not recovers:
        begin_in(tx, world.now(), RECEIPT)
    recovery_store.shows(tx, agency, index)
    return True


def is_wanted(tx: Tx, agency: str) -> bool:
    """Whether the agency is still to give back what it holds."""
    return recovery_store.standing(tx) is not None and agency not in recovery_store.checkpoints(tx)


def take(store: Store, world: World, agency: str, requests: Sequence[hub_pb2.RefeedRequest]) -> int:
    """Keep what an agency gives back; how many entries the hub lacked.

    Raises Malformed or Unproven, keeping nothing, if something was not signed by whom it should be.
    """
    with store.begin() as tx:
        size = log_store.lock_head(tx).size
        documents_store.agreed_on(tx).roster_with(agency)
        keys = documents_store.signers(tx)
        keys[documents.HUB] = _hub_keys(tx, world)
        recovers = recovery_store.standing(tx) is not None
        if not recovers and not damages_store.count(tx):
            raise Refused("nothing_lost")
        entries: list[Refed] = []
        accounts, checkpoints, taken = [], [], 0
        for request in requests:
            match request.WhichOneof("held"):
                case "entry":
                    found = _entry(tx, world, keys, agency, request.entry)
                    if found.log_index is not None and found.log_index < size:
                        taken += _mended(tx, world, keys, found)
                    elif recovers and _may_follow(tx, found, entries):
                        entries.append(found)
                case "account" if recovers:
                    accounts.append(_account(tx, world, keys, agency, request.account))
                case "checkpoint" if recovers:
                    checkpoints.append(_checkpoint(tx, world, request.checkpoint))
        recovery_store.keep(tx, entries, accounts)
        for note in checkpoints:
            _ended(tx, agency, size, note)
    return taken + len(entries)


def _ended(tx: Tx, agency: str, size: int, note: bytes) -> None:
    """The agency says that it has given back all it holds: of what it showed a receipt the hub signs no second one."""
    shown = recovery_store.shown(tx, agency)
    if shown >= size and not recovery_store.between(tx, shown, shown + 1):
        raise Unproven("refeed_withheld", agency=agency)
    recovery_store.has_fed(tx, agency, note)


def advance(store: Store, world: World) -> None:
    """Put back what there is, as soon as every agency has given what it holds; nothing new until all of it fits.

    An entry that does not come out as its receipt says is told in :func:`standing`, and nothing goes on.
    """
    try:
        while _some(store, world):
            pass
    except Unproven as problem:
        with store.begin() as tx:
            recovery_store.tell(tx, str(problem.values.get("log_index", problem.code)))


def is_on(store: Store) -> bool:
    """Whether the hub recovers."""
    with store.read() as tx:
        return recovery_store.standing(tx) is not None


def standing(tx: Tx) -> dict[str, Any] | None:
    """How far the recovery is; None if the hub does not recover."""
    row = recovery_store.standing(tx)
    if row is None:
        return None
    size = log_store.head_now(tx).size
    roster = documents_store.agreed_on(tx).roster
    fed = recovery_store.checkpoints(tx)
    members = [member.agency for member in roster.members] if roster else []
    waiting = [agency for agency in members if agency not in fed]
    lacks = not waiting and (recovery_store.next_index(tx, size) is not None or bool(_beyond(tx, size)))
    return {
        "since": calendar.at(row.since).isoformat(timespec="seconds"),
        "why": row.why,
        "waiting_for": waiting,
        "missing": size if lacks else None,
        "differs": row.problem or recovery_store.conflict(tx, size) or None,
    }


def _hub_keys(tx: Tx, world: World) -> set[bytes]:
    return documents_store.signers(tx).get(documents.HUB, set()) | {world.signer.public_key}


def _entry(tx: Tx, world: World, keys: dict[str, set[bytes]], agency: str, given: hub_pb2.LogEntry) -> Refed:
    """What an agency gave back, if its signer made it and this hub once took it."""
    of_whom = signing.decode(log.Batch, given.batch.payload).agency
    is_own = of_whom == documents.HUB
    if of_whom not in (agency, documents.HUB) or (is_own and not given.HasField("receipt")):
        raise Unproven("refeed_foreign", agency=agency)
    batch = signing.open_by_any(given.batch, log.Batch, keys.get(of_whom, set()), world.verify)
    digest = signing.digest(given.batch)
    index = None
    receipt = b""
    if given.HasField("receipt"):
        found = signing.open_by_any(given.receipt, log.Receipt, keys[documents.HUB], world.verify)
        if (found.agency, found.seq, found.batch_digest) != (of_whom, batch.seq, digest):
            raise Unproven("receipt_foreign", seq=batch.seq)
        index, receipt = found.log_index, given.receipt.SerializeToString()
    more = _named_documents(tx, agency, batch, given).SerializeToString()
    return Refed(of_whom, batch.seq, index, digest, given.batch.SerializeToString(), receipt, more)


def _may_follow(tx: Tx, found: Refed, beside: Sequence[Refed]) -> bool:
    """Whether the entry is behind what is there; without a receipt, whether it may be a batch that was on its way.

    That one never passed intake, as far as anybody can prove: it may say no more than intake lets pass.  ``beside``
    entries come with it.
    """
    ahead = found.seq - log_store.chain_head(tx, found.agency).seq
    if found.log_index is not None or ahead <= 0:
        return ahead > 0
    payload = Envelope.FromString(found.batch).payload
    federation_id = documents_store.agreed_on(tx).federation_id
    is_sound = forms.check(log.Batch.FromString(payload), len(payload), federation_id, found.agency) is None
    is_refused = log_store.refusal_of(tx, found.agency, found.digest) is not None
    fed = recovery_store.receipted(tx, found.agency) + sum(each.log_index is not None for each in beside)
    return is_sound and not is_refused and ahead <= fed + limits.UNRECEIPTED_AHEAD_MAX


def _named_documents(tx: Tx, agency: str, batch: log.Batch, given: hub_pb2.LogEntry) -> hub_pb2.LogEntry:
    """The documents that a batch of the hub puts into force and that are not known here: all of them, no others."""
    named = {update.activate.digest for update in batch.updates if batch.agency == documents.HUB} - {b""}
    lacking = named - documents_store.in_force(tx, named)
    found = {signing.digest(each): each for each in given.documents}
    if not lacking <= found.keys():
        raise Unproven("refeed_foreign", agency=agency)
    return hub_pb2.LogEntry(documents=[found[digest] for digest in sorted(lacking)])


def _stored(tx: Tx, index: int) -> LogRow | None:
    return next(iter(log_store.between(tx, index, index + 1)), None)


def _damage(tx: Tx, world: World, keys: dict[str, set[bytes]], index: int, stored: LogRow | None) -> str:
    leaf = tree_store.leaves(tx, index, index + 1).get(index, b"")
    return soundness.damage_of(stored, world, keys, leaf)


def _mended(tx: Tx, world: World, keys: dict[str, set[bytes]], found: Refed) -> int:
    """Put back an entry that is damaged; one that differs from a sound one is kept, for the operator to see."""
    index = found.log_index
    assert index is not None
    stored = _stored(tx, index)
    if not _damage(tx, world, keys, index, stored):
        if stored is not None and stored.digest != found.digest and recovery_store.standing(tx) is not None:
            recovery_store.keep(tx, [found], [])
        return 0
    log_store.mend(tx, LogRow(index, found.agency, found.seq, found.digest, found.batch, found.receipt))
    damages_store.put(tx, index, index + 1, {}, world.now())
    return 1


def _account(
    tx: Tx, world: World, keys: dict[str, set[bytes]], agency: str, given: hub_pb2.NamedAccount
) -> RefedAccount:
    opened = signing.open_by_any(given.opened, hub_pb2.AccountOpened, keys[documents.HUB], world.verify)
    if given.kind not in log.SubjectKind.values() or not given.kind or given.key_epoch > _EPOCH_MAX:
        raise Malformed("request", limit=1)
    if (opened.agency, opened.federation_id) != (agency, documents_store.agreed_on(tx).federation_id):
        raise Unproven("refeed_foreign", agency=agency)
    return RefedAccount(agency, opened.account_id, opened.subject_key, given.kind, given.key_epoch)


def _checkpoint(tx: Tx, world: World, note: bytes) -> bytes:
    if note:
        federation_id = documents_store.agreed_on(tx).federation_id
        checkpoint.opened(note, federation_id, world.signer.public_key, world.verify)
    return note


def _some(store: Store, world: World) -> bool:
    """Put some entries back; whether there may be more."""
    with store.begin() as tx:
        if recovery_store.standing(tx) is None:
            return False
        head = log_store.lock_head(tx)
        roster = documents_store.agreed_on(tx).required_roster
        fed = recovery_store.checkpoints(tx)
        agencies = [member.agency for member in roster.members]
        if not fed.keys() >= set(agencies):
            return False
        run = recovery_store.run_from(tx, head.size, limits.PUSH_GROUP_MAX)
        run = run or gaps.filled(tx, world, head, agencies, _beyond(tx, head.size))
        if run:
            _enter(tx, world, head.size, run)
            return True
        if _is_whole(tx, head.size):
            _end(tx, world)
        return False


def _enter(tx: Tx, world: World, size: int, run: Sequence[Refed]) -> None:
    """Fold entries again, up to one that puts a document into force: what comes behind it is to find it there."""
    upto = next((at for at, each in enumerate(run, 1) if each.documents), len(run))
    run = run[:upto]
    given = {each.log_index: Envelope.FromString(each.receipt) for each in run}
    entries = []
    heads = {each.agency: log_store.chain_head(tx, each.agency) for each in run}
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

    news = [Envelope.FromString(each) for each in _documents(run[-1])]
    activated = {**documents_store.agreed_on(tx).activated, **_activated(news)}
    intake.enter(tx, size, entries, again, activated)
    _put_in_force(tx, world, news)
    recovery_store.drop(tx, [(each.agency, each.seq) for each in run])


def _documents(entry: Refed) -> Iterator[bytes]:
    for each in hub_pb2.LogEntry.FromString(entry.documents).documents:
        yield each.SerializeToString()


def _activated(news: Sequence[Envelope]) -> Activated:
    return agreed_documents.of([each.SerializeToString() for each in news]).activated


def _put_in_force(tx: Tx, world: World, news: Sequence[Envelope]) -> None:
    """Documents as they took effect, each believed by the roster of then."""
    for envelope in news:
        roster = documents_store.agreed_on(tx).roster
        body = documents.read(envelope)
        if signing.digest(envelope) in documents_store.agreed_on(tx).digests:
            continue
        documents.believe(envelope, roster, world.verify)
        found = documents.standing(envelope, body, roster, world.verify)
        documents_store.put(tx, found, envelope.SerializeToString(), world.now(), active=True)
        if not found.owner:
            documents_store.drop_proposed(tx, found.kind, found.version)
        if isinstance(body, Roster) and roster and body.linking.key_epoch != roster.linking.key_epoch:
            subjects_store.end_rotation(tx, body.linking.key_epoch)


def _beyond(tx: Tx, size: int) -> list[checkpoint.Checkpoint]:
    """Checkpoints of more than ``size`` entries that this hub signed and somebody accepted, the smallest first."""
    notes = [note for note in recovery_store.checkpoints(tx).values() if note]
    own = checkpoints_store.newest(tx)
    notes += [own.note] if own else []
    found = [checkpoint.read(note).checkpoint for note in notes]
    return sorted((each for each in found if each.size > size), key=lambda each: each.size)


def _is_whole(tx: Tx, size: int) -> bool:
    """Whether nothing is left over and the log leads to every checkpoint."""
    if recovery_store.next_index(tx, -1) is not None:
        return False
    return all(each.size <= size and tree_store.root(tx, each.size) == each.root for each in _beyond(tx, 0))


def _end(tx: Tx, world: World) -> None:
    """The log is whole: tie accounts to their subjects again, open those that the log has lost, and go on."""
    after = _FIRST
    keys = documents.linking_keys(documents_store.agreed_on(tx).required_roster)
    epochs = {subjects_store.PUBLIC, *(key.key_epoch for key in keys)}
    lost: dict[bytes, RefedAccount] = {}
    while part := recovery_store.accounts_from(tx, after, limits.SUBJECTS_PER_REQUEST_MAX):
        after = (part[-1].agency, part[-1].account_id)
        totals = ledger_store.totals_of(tx, {each.account_id for each in part})
        tied = set(subjects_store.accounts_of(tx, {each.subject_key for each in part}))
        chosen: dict[bytes, RefedAccount] = {}
        for each in part:
            account = totals.get(each.account_id)
            is_closed = account is not None and account.closed
            if each.subject_key in tied or is_closed or each.key_epoch not in epochs:
                continue
            chosen[each.subject_key] = each
            if account is None:
                lost[each.account_id] = each
        subjects_store.add(
            tx,
            {key: each.account_id for key, each in chosen.items()},
            {key: each.key_epoch for key, each in chosen.items()},
        )
    recovery_store.end(tx)
    opened = [log.Update(opened=log.Opened(account_id=key, kind=each.kind)) for key, each in lost.items()]  # type: ignore[arg-type]
    for first in range(0, len(opened), forms.UPDATES_MAX):
        intake.append_own(tx, world, opened[first : first + forms.UPDATES_MAX])
    witnessing.offer_in(tx, world)  # agencies have seen later ones than the newest here
