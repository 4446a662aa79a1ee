"""Repairing: records that differ from what this node signed are put back as its own signed batches say.

Nothing is patched silently: every change is named in the answer and in the log.  A deed that was changed gets back what
its award says; one that was deleted leaves its award an orphan, which the next import of the record adopts; one that
was added gives way, and comes again with the next import if its record is real.  Where the hub's totals are wrong,
nothing here is changed.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from samprasan.edge.database import Database, Tx
from samprasan.keys.errors import Unavailable
from samprasan.node import store
from samprasan.node.proof import reconciliation
from samprasan.node.proof.reconciliation import Difference
from samprasan.node.rows import AwardRow, present
from samprasan.node.states import AwardState
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log

_HERE = frozenset(
    {
        hub_pb2.DIFFERENCE_CAUSE_LOCAL_EDIT,
        hub_pb2.DIFFERENCE_CAUSE_DOUBLE_COUNT,
        hub_pb2.DIFFERENCE_CAUSE_RESTORED_BACKUP,
    }
)


class Repair(NamedTuple):
    """One thing that was put right.

    ``what``: award_restored, deed_restored, orphaned (its deed is gone), adopted (an orphan has its deed again) or
    removed (a deed that nobody was told of).
    """

    what: str
    account_id: bytes
    record_id: str

    def as_document(self) -> dict[str, str]:
        """As ``samprasan-node reconcile --repair`` says it."""
        return {"what": self.what, "account_id": self.account_id.hex(), "record_id": self.record_id}


def repair(db: Database, differences: Sequence[Difference], seq: int) -> list[Repair]:
    """Put right what is wrong here on the accounts that differ, as of batch ``seq``; what was done.

    Raises Unavailable ``reconcile_busy`` if something has settled since.
    """
    accounts = [each.account_id for each in differences if each.cause in _HERE]
    proved = reconciliation.standing_awards(db, accounts, seq)
    with db.begin() as tx:
        store.awards.lock(tx)
        if store.batches.settled_seq(tx) != seq:
            raise Unavailable("reconcile_busy")  # something has settled since: it may stand, or not, for another reason
        subjects = {row.subject_id: present(row.account_id) for row in store.links.subjects_of(tx, accounts)}
        of_account = {account_id: subject_id for subject_id, account_id in subjects.items()}
        found: list[Repair] = []
        for account_id, standing in proved.items():
            if account_id in of_account:
                found += _restore_awards(tx, account_id, of_account[account_id], standing)
        found += _mark_orphans(tx, subjects)
        found += _adopt(tx, subjects)
        found += _restore_deeds(tx, subjects)
        return found


def _restore_awards(
    tx: Tx, account_id: bytes, subject_id: int, standing: dict[bytes, tuple[int, log.Award]]
) -> Iterator[Repair]:
    """Awards that were lost or changed say again what the signed batches say."""
    known = store.awards.of_op_ids(tx, standing)
    for op_id, (seq, award) in standing.items():
        row = known.get(op_id)
        said = (award.credits, award.dimension, award.month, award.policy_version)
        stands = row is not None and (row.state, row.subject_id) == (AwardState.SETTLED, subject_id)
        if row is not None and stands and (row.credits, row.dimension, row.month, row.policy_version) == said:
            continue
        award_id = row.award_id if row else store.awards.next_id(tx)
        deed_id = row.deed_id if row else store.orphans.NO_DEED
        store.awards.remove(tx, [award_id])
        made = AwardRow(
            award_id=award_id,
            deed_id=deed_id,
            subject_id=subject_id,
            op_id=op_id,
            replaces=award.replaces or None,
            reverse_reason=log.REVERSE_REASON_UNSPECIFIED,
            credits=award.credits,
            dimension=award.dimension,
            month=award.month,
            policy_version=award.policy_version,
            state=AwardState.SETTLED,
            seq=seq,
            reason=0,
            restores=award.restores or None,
        )
        store.awards.add(tx, [made])
        yield Repair("award_restored", account_id, "")


def _mark_orphans(tx: Tx, subjects: dict[int, bytes]) -> Iterator[Repair]:
    for award_id, subject_id in store.record_totals.without_deed(tx, subjects):
        store.awards.mark_orphan(tx, award_id)
        yield Repair("orphaned", subjects[subject_id], "")


def _adopt(tx: Tx, subjects: dict[int, bytes]) -> Iterator[Repair]:
    """Deeds that nobody was told of are given an orphan that says the same, or give way."""
    standing = [row.award for row in store.orphans.every(tx) if row.keep or not row.checker]
    orphans = [award for award in standing if award.subject_id in subjects]
    for deed in store.record_totals.untold(tx, subjects):
        said = (deed.subject_id, deed.dimension, deed.occurred_on // 100, deed.credits)
        same = next((row for row in orphans if (row.subject_id, row.dimension, row.month, row.credits) == said), None)
        if same is not None:
            orphans.remove(same)
            store.awards.adopt_award(tx, same.award_id, deed.deed_id)
        else:
            store.deeds.remove(tx, [deed.deed_id])
        yield Repair("adopted" if same else "removed", subjects[deed.subject_id], deed.record_id)


def _restore_deeds(tx: Tx, subjects: dict[int, bytes]) -> Iterator[Repair]:
    for deed, award in store.record_totals.edited(tx, subjects):
        changed = deed._replace(subject_id=award.subject_id, credits=award.credits, dimension=award.dimension)
        store.deeds.replace(tx, [changed])
        yield Repair("deed_restored", subjects.get(award.subject_id, b""), deed.record_id)
