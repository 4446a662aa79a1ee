"""Intake: how signed batches become the log.

Limits, then signature, then form (:func:`verify`, no writing); then chain, then the one fold, then one durable commit
for all batches that wait, then their signed receipts (:func:`append`).  A batch is appended once: again, it gets the
stored receipt, byte for byte.  A batch that can never be read gets a signed refusal, stored so that it stays refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.store.ledger import Touched
from samprasan.keys import chain, dissents, evaluation_totals, rosters, signing
from samprasan.keys.chain import Fit, Head
from samprasan.keys.errors import Malformed, SamprasanError, Unavailable, Unproven
from samprasan.ledger import admissions, batch_form, calendar, changes, ledger
from samprasan.ledger.batch_form import UPDATES_MAX
from samprasan.ledger.benefits import Catalogue
from samprasan.ledger.ledger import Activated
from samprasan.ledger.state import Entry, State
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

CLOCK_MS = 1000  # the business clock counts whole seconds: a receipt that is lost can be found again


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch whose signature holds; ``refusal`` says why it can never be appended, if so."""

    agency: str
    envelope: bytes
    digest: bytes
    batch: log.Batch
    refusal: log.RefusalReason.ValueType | None = None


Answer = Envelope | SamprasanError
"""A signed receipt or refusal; or the error that ends the agency's stream: a gap, a fork."""


def verify(hub: Hub, agency: str, envelope: Envelope) -> Submission:
    """The batch inside, signed by ``agency``'s key in the roster.

    Raises Malformed for an envelope that breaks a limit, Unproven ``signature`` for one that ``agency`` did not sign.
    """
    signing.expect_type(envelope, log.Batch)
    with hub.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    public_key = rosters.member(agreed.roster_with(agency), agency).signing_key
    signing.check_signature(envelope, log.Batch, public_key, hub.world.verify)
    data, digest = envelope.SerializeToString(), signing.digest(envelope)
    try:
        batch = signing.decode(log.Batch, envelope.payload)
    except Malformed:
        return Submission(agency, data, digest, log.Batch(), log.REFUSAL_REASON_NOT_CANONICAL)
    return Submission(
        agency, data, digest, batch, batch_form.check(batch, len(envelope.payload), agreed.federation_id, agency)
    )


def append(hub: Hub, submissions: Sequence[Submission]) -> list[Answer]:
    """Append every submission that fits, in one durable transaction; an answer for each, in their order."""
    with hub.db.begin() as tx:
        return append_in(tx, hub.world, submissions)


def append_own(tx: Tx, world: World, updates: Sequence[log.Update]) -> None:
    """Append a batch of the hub's own chain within the open transaction."""
    _append_own(tx, world, updates, _append_expirations(tx, world))


def append_own_again(tx: Tx, world: World, updates: Sequence[log.Update], moment: int) -> None:
    """:func:`append_own` while the hub recovers, as of ``moment``."""
    _append_own(tx, world, updates, _append_expirations_at(tx, world, moment))


def append_again(tx: Tx, world: World, submissions: Sequence[Submission], moment: int) -> list[Answer]:
    """Append, while the hub recovers, what stood in a part of the log that is given up, as of the moment it had."""
    return _append_at(tx, world, submissions, _append_expirations_at(tx, world, moment))


def expire_due(hub: Hub) -> bool:
    """Say in the log which holds have run out, at most as many as a batch has room for; whether there were any."""
    with hub.db.read() as tx:
        if not store.holds.run_out(tx, hub.world.now(), 1) or store.recovery.current(tx) is not None:
            return False
    with hub.db.begin() as tx:
        _append_expirations(tx, hub.world)
    return True


def turn_due(hub: Hub) -> bool:
    """Close accounts whose rest is over; whether there were any."""
    with hub.db.read() as tx:
        today = calendar.packed(calendar.day_of(hub.world.now()))
        if not store.ledger.prefixes_resting_until(tx, today, 1) or store.recovery.current(tx) is not None:
            return False
    with hub.db.begin() as tx:
        return turn_due_in(tx, hub.world)


def turn_due_in(tx: Tx, world: World) -> bool:
    """:func:`turn_due` within the open transaction, by the day that the log's next entry is of."""
    now = max(world.moment(), store.log.lock_head(tx).appended_at)
    day = calendar.packed(calendar.day_of(now))
    due = store.ledger.prefixes_resting_until(tx, day, limits.TURNS_AT_ONCE_MAX)
    if due:
        append_own(tx, world, [log.Update(turn=log.Turn(day=day, prefix=prefix)) for prefix in due])
    return bool(due)


def append_in(tx: Tx, world: World, submissions: Sequence[Submission]) -> list[Answer]:
    """:func:`append` within an open transaction; before anything else applies, holds that have run out are over."""
    return _append_at(tx, world, submissions, _append_expirations(tx, world))


def _append_expirations(tx: Tx, world: World) -> int:
    """Append that holds have run out, before anything else applies; the moment as of which to append the rest.

    Raises Unavailable while the hub recovers, for what is appended now would stand where something stood before; and
    while its clock is off, for what is appended then would bind the log for as long.
    """
    if store.recovery.current(tx) is not None:
        raise Unavailable("hub_recovering")
    return _append_expirations_at(tx, world, world.moment() // CLOCK_MS * CLOCK_MS)


def _append_expirations_at(tx: Tx, world: World, moment: int) -> int:
    """Append which holds have run out by ``moment``; the moment to append at, no earlier than the newest entry's.

    Should more than fill a batch run out at once, the rest waits for its turn: nobody can post them any more, and
    nobody else is kept waiting.
    """
    now = max(moment, store.log.lock_head(tx).appended_at)
    if due := store.holds.run_out(tx, now, UPDATES_MAX):
        expired = [log.Expire(agency=agency, hold_id=hold_id) for agency, hold_id in due]
        _append_own(tx, world, [log.Update(expire=each) for each in expired], now)
    return now


def _append_own(tx: Tx, world: World, updates: Sequence[log.Update], now: int) -> None:
    head = store.log.chain_head(tx, rosters.HUB)
    batch = log.Batch(
        federation_id=store.documents.agreed_on(tx).federation_id,
        agency=rosters.HUB,
        seq=head.seq + 1,
        previous=head.digest,
        created_at=now,
        updates=updates,
    )
    envelope = world.sign(batch)
    signing.decode(log.Batch, envelope.payload)  # what others showed is in it: no node would read what is not canonical
    if batch_form.check(batch, len(envelope.payload), batch.federation_id, rosters.HUB) is not None:
        raise Malformed("not_canonical", kind="Batch")
    submission = Submission(rosters.HUB, envelope.SerializeToString(), signing.digest(envelope), batch)
    (answer,) = _append_at(tx, world, [submission], now)
    if isinstance(answer, SamprasanError):
        raise answer


def _append_at(tx: Tx, world: World, submissions: Sequence[Submission], now: int) -> list[Answer]:
    group = _Group(tx, world, store.log.lock_head(tx), now)
    placed = [group.place(submission) for submission in submissions]
    receipts = group.commit()
    return [receipts[place] if isinstance(place, int) else place for place in placed]


@dataclass
class _Group:
    """Batches that enter the log together."""

    tx: Tx
    world: World
    log_head: store.log.LogHead
    now: int
    heads: dict[str, Head] = field(default_factory=dict)
    accepted: list[Submission] = field(default_factory=list)

    def place(self, submission: Submission) -> int | Answer:
        """The submission's place among the accepted, or its answer if it is not to be appended."""
        agency, batch = submission.agency, submission.batch
        known_refusal = store.log.refusal_of(self.tx, agency, submission.digest)
        if known_refusal is not None:
            return Envelope.FromString(known_refusal)
        if submission.refusal is not None:
            return self._refuse(submission, submission.refusal)
        head = self.heads.get(agency) or store.log.chain_head(self.tx, agency)
        match chain.fit(head, batch.seq, batch.previous):
            case Fit.NEXT:
                self.heads[agency] = Head(batch.seq, submission.digest)
                self.accepted.append(submission)
                return len(self.accepted) - 1
            case Fit.KNOWN:
                return self._again(submission)
            case Fit.GAP:
                return Unavailable("chain_gap", agency=agency, seq=batch.seq, head=head.seq)
            case _:
                return Unproven("chain_fork", agency=agency, seq=batch.seq)

    def commit(self) -> list[Envelope]:
        """Fold, sign and store what was accepted; the receipts in order."""
        entries = [(each, self.now) for each in self.accepted]
        agreed = store.documents.agreed_on(self.tx)
        return enter_batches(self.tx, self.log_head.size, entries, self.world.sign, agreed.activated)

    def _again(self, submission: Submission) -> int | Answer:
        for place, earlier in enumerate(self.accepted):
            if earlier.digest == submission.digest:
                return place
        stored = store.log.find(self.tx, submission.agency, submission.batch.seq)
        if stored is None or stored.digest != submission.digest:
            return Unproven("chain_fork", agency=submission.agency, seq=submission.batch.seq)
        return Envelope.FromString(stored.receipt)

    def _refuse(self, submission: Submission, reason: log.RefusalReason.ValueType) -> Answer:
        if store.log.refusal_count(self.tx, submission.agency) >= limits.REFUSALS_PER_AGENCY_MAX:
            return Malformed("refusals_over_limit", agency=submission.agency)
        refusal = self.world.sign(
            log.Refusal(
                federation_id=store.documents.agreed_on(self.tx).federation_id,
                agency=submission.agency,
                seq=submission.batch.seq,
                batch_digest=submission.digest,
                reason=reason,
            )
        )
        store.log.add_refusal(self.tx, submission.agency, submission.digest, refusal.SerializeToString())
        return refusal


def enter_batches(
    tx: Tx,
    size: int,
    entries: Sequence[tuple[Submission, int]],
    receipted: Callable[[log.Receipt], Envelope],
    activated: Activated,
) -> list[Envelope]:
    """Fold batches and store them behind the ``size`` entries of the log, each as of its own moment.

    ``receipted`` gives the envelope for a receipt; they are returned, in order.  ``activated`` has what the batches'
    Activates name, by digest.
    """
    state = store.ledger.load(tx, _touched([each for each, _ in entries], activated))
    agreed = store.documents.agreed_on(tx)
    state.policies, state.key_epochs = dict(agreed.policies), agreed.key_epochs
    every_change, operations, told, rows, receipts = State(), [], [], [], []
    used: dict[str, dict[bytes, bytes]] = {}
    for log_index, (submission, appended_at) in enumerate(entries, size):
        entry = Entry(submission.batch, appended_at)
        folded, outcomes = ledger.fold(state, entry, activated)
        told.append((log_index, changes.changes_of_entry(entry, state, folded)))
        state.include(folded)
        every_change.include(folded)
        operations.append((log_index, folded))
        used.setdefault(submission.agency, {}).update(_used(submission, outcomes))
        receipt = receipted(_receipt(submission, log_index, appended_at, outcomes, agreed.cuts_at(log_index)))
        receipts.append(receipt)
        rows.append(_row(submission, log_index, receipt))
    store.ledger.save(tx, every_change, operations)
    _end_proposals(tx, entries)
    store.changes.save(tx, told)
    store.log.append(tx, rows, entries[-1][1] if entries else 0)
    for agency, by_secret in used.items():
        store.admissions.drop(tx, agency, by_secret)
        store.pseudonyms.forget_if_nobodys(tx, set(by_secret.values()) - every_change.accounts.keys())
    store.pseudonyms.forget(tx, [key for key, totals in every_change.accounts.items() if totals.closed])
    return receipts


def _end_proposals(tx: Tx, entries: Sequence[tuple[Submission, int]]) -> None:
    """Proposals that the batches say are over."""
    for submission, appended_at in entries:
        for update in submission.batch.updates:
            if update.HasField("withdrawn"):
                taken_back = any(map(dissents.takes_back, update.withdrawn.dissents))
                store.dissents.end_proposal(tx, update.withdrawn.digest, appended_at, taken_back=taken_back)


def _used(submission: Submission, outcomes: Sequence[log.Outcome]) -> dict[bytes, bytes]:
    """Secrets of admissions that the agency has spent or given up → their accounts."""
    changes_ = (
        update.link if update.HasField("link") else update.unlink
        for update, outcome in zip(submission.batch.updates, outcomes, strict=True)
        if outcome.kind == log.OUTCOME_KIND_APPLIED
    )
    return {each.admission: each.account_id for each in changes_ if each.admission}


def _touched(submissions: Sequence[Submission], activated: Activated) -> dict[str, Touched]:
    touched: dict[str, Touched] = {}
    for submission in submissions:
        named = touched.setdefault(submission.agency, Touched())
        for update in submission.batch.updates:
            if update.op_id:
                named.op_ids.add(update.op_id)
            _touch(named, submission.agency, update, activated)
    return touched


def _touch(named: Touched, agency: str, update: log.Update, activated: Activated) -> None:
    kind = update.WhichOneof("change") or ""
    change = getattr(update, kind)
    match kind:
        case "reverse":
            named.award_op_ids.update((change.award_op_id, update.op_id))  # if it is there again, what it left
        case "post" | "void":
            named.hold_ids.add((agency, change.hold_id))
        case "refund" | "expire":
            named.hold_ids.add((change.agency, change.hold_id))
        case "admitted":
            _touch_tag(named, change.agency, change.tag)
            named.told_of.add(change.agency)
        case "evaluated":
            named.told_of.add(evaluation_totals.read(change.total).requester)
        case "turn":
            named.turns.add((change.day, change.prefix))
        case "withdrawn":
            pass  # it is about no account
        case "activate":
            document = activated.get(change.digest)
            if isinstance(document, Catalogue):
                named.owners.add(document.agency)
        case _:
            _touch_account(named, agency, kind, change)


def _touch_account(named: Touched, agency: str, kind: str, change: Any) -> None:
    """What a change that names an account is about."""
    named.account_ids.add(change.account_id)
    if kind in {"link", "unlink"}:
        _touch_tag(named, agency, admissions.tag_of(agency, change.account_id, change.admission))
    if kind == "award":
        named.award_op_ids.update({change.replaces, change.restores} - {b""})
    if kind in {"reserve", "unlink"}:
        named.reserving.add(change.account_id)
    if kind == "reserve":
        named.offers.add((change.benefit_agency, change.benefit))


def _touch_tag(named: Touched, of_whom: str, tag: bytes) -> None:
    named.tags.setdefault(of_whom, set()).add(tag)


def _receipt(
    submission: Submission, log_index: int, appended_at: int, outcomes: Sequence[log.Outcome], cuts: int
) -> log.Receipt:
    return log.Receipt(
        federation_id=submission.batch.federation_id,
        agency=submission.agency,
        seq=submission.batch.seq,
        batch_digest=submission.digest,
        log_index=log_index,
        appended_at=appended_at,
        outcomes=outcomes,
        cuts=cuts,
    )


def _row(submission: Submission, log_index: int, receipt: Envelope) -> store.log.LogRow:
    return store.log.LogRow(
        log_index,
        submission.agency,
        submission.batch.seq,
        submission.digest,
        submission.envelope,
        receipt.SerializeToString(),
    )
