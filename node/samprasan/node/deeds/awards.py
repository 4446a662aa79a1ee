"""What the hub is to hear of a deed: a first award, one that replaces it, a reversal, or nothing.

Everything is stored with the deed before it is sent.  Without the record's consent nothing is added and nothing is
taken back: withdrawing consent reverses nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.node import store
from samprasan.node.rows import AwardRow, DeedRow
from samprasan.node.states import UNTOLD, AwardState
from samprasan.v1 import log_pb2 as log


class AwardQueue:
    """Queues awards within one transaction, which holds the lock on importing."""

    def __init__(self, tx: Tx, world: World, now: int) -> None:
        self._tx = tx
        self._world = world
        self._now = now
        self._next_id = store.awards.next_id(tx)

    def award(self, deeds: Sequence[DeedRow]) -> None:
        """Queue the first awards of new deeds, those that may leave."""
        store.awards.add(self._tx, [self._award(deed, None) for deed in deeds if _counts(deed) and deed.share])

    def correct(self, deeds: Sequence[DeedRow]) -> None:
        """Queue what brings the hub from what it holds of known deeds to what they say now."""
        found = store.awards.of_deeds(self._tx, [deed.deed_id for deed in deeds])
        store.awards.remove(self._tx, [each.award_id for awards in found.values() for each in awards if each.is_open])
        told = {deed.deed_id: in_force(found.get(deed.deed_id, [])) for deed in deeds}
        in_reach = store.links.sharing(
            self._tx, {each.subject_id for deed in deeds for each in told[deed.deed_id] if _is_anothers(each, deed)}
        )
        queued = [
            award
            for deed in deeds
            for award in self._corrections(deed, told[deed.deed_id], found.get(deed.deed_id, []), in_reach)
        ]
        store.awards.add(self._tx, queued)

    def _corrections(
        self, deed: DeedRow, told: Sequence[AwardRow], earlier: Sequence[AwardRow], in_reach: Collection[int]
    ) -> Iterator[AwardRow]:
        """What corrects one deed.  Awards to others on whose accounts this agency can do nothing stay as they are."""
        own = [each for each in told if not _is_anothers(each, deed)]
        others = [each for each in told if _is_anothers(each, deed) and each.subject_id in in_reach]
        before = next(iter(own + others), None)
        correction = self._correction(deed, before, earlier)
        if correction is not None:
            yield correction
        for each in others:
            if each is not before and not each.reverse_reason:
                yield self._reverse(deed, each)

    def _correction(self, deed: DeedRow, before: AwardRow | None, earlier: Sequence[AwardRow]) -> AwardRow | None:
        if any(each.state == AwardState.OVER and not _is_anothers(each, deed) for each in earlier):
            # It was told once, on an account that is nobody's any more; another's award is still taken back.
            is_others = before is not None and _is_anothers(before, deed) and not before.reverse_reason
            return self._reverse(deed, before) if before is not None and is_others else None
        if not _counts(deed):
            return self._reverse(deed, before) if before and not before.reverse_reason else None
        if not deed.share or (before and _says_the_same(before, deed)):
            return None
        is_here = before is not None and not _is_anothers(before, deed)
        restores = None if is_here else owing_award(earlier, deed.subject_id)
        return self._award(deed, before.op_id if before else None, restores)

    def _award(self, deed: DeedRow, replaces: bytes | None, restores: bytes | None = None) -> AwardRow:
        return AwardRow(
            award_id=self._new_id(),
            deed_id=deed.deed_id,
            subject_id=deed.subject_id,
            op_id=self._world.new_op_id(self._now),
            replaces=replaces,
            reverse_reason=log.REVERSE_REASON_UNSPECIFIED,
            credits=deed.credits,
            dimension=log.Dimension.ValueType(deed.dimension),
            month=deed.occurred_on // 100,
            policy_version=deed.policy_version,
            state=AwardState.QUEUED,
            seq=None,
            reason=0,
            restores=restores,
        )

    def _reverse(self, deed: DeedRow, before: AwardRow) -> AwardRow:
        reason = log.REVERSE_REASON_IMPORT_UNDONE if deed.gone else log.REVERSE_REASON_RECORD_CHANGED
        made = self._award(deed, before.op_id)
        return made._replace(subject_id=before.subject_id, reverse_reason=reason, credits=0)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1


def forget_gone(tx: Tx, deed_ids: Iterable[int]) -> None:
    """Delete, of these deeds, those whose import was undone and of which nothing stands at the hub."""
    gone = [deed.deed_id for deed in store.deeds.of_ids(tx, deed_ids) if deed.gone]
    awards = store.awards.of_deeds(tx, gone)
    over = [deed_id for deed_id in gone if _is_over(awards.get(deed_id, []))]
    store.awards.forget(tx, over)
    store.deeds.remove(tx, over)


def forget_gone_of(tx: Tx, subject_ids: Iterable[int]) -> None:
    """Delete what was undone of subjects whose account this agency can do nothing with any more.

    What was told of somebody else stays until that is taken back.
    """
    for who in subject_ids:
        gone = [deed.deed_id for deed in store.deeds.of_subject(tx, who) if deed.gone]
        told = store.awards.of_deeds(tx, gone)
        over = [each for each in gone if all(award.subject_id == who for award in told.get(each, []))]
        store.awards.forget(tx, over)
        store.deeds.remove(tx, over)


def give_up_untold(tx: Tx, subject_ids: set[int], unlink_at: int) -> None:
    """Of subjects that no deed tells of, forget those that nobody heard of, and give the others up at ``unlink_at``."""
    alone = subject_ids - store.deeds.subjects_with_deeds(tx, subject_ids)
    unknown = store.subjects.unknown_outside(tx, alone)
    store.subjects.remove(tx, unknown)
    told_of_nobody = subject_ids - store.deeds.subjects_with_deeds(tx, subject_ids, or_gone=False)
    store.subjects.agree_to_nothing(tx, told_of_nobody - set(unknown), unlink_at)


def _is_over(awards: Sequence[AwardRow]) -> bool:
    """Nothing of the deed stands or is on its way, and should it come back, nothing is owed of it."""
    owes = any(owing_award(awards, each.subject_id) for each in awards)
    return award_in_force(awards) is None and not owes and not any(each.state in UNTOLD for each in awards)


def owing_award(awards: Sequence[AwardRow], subject_id: int) -> bytes | None:
    """Of a deed's awards, oldest first: the newest that was taken back from the subject and owes what was spent."""
    known = {each.op_id: each for each in awards}
    found, restored = None, set()
    for each in awards:
        if each.state in {AwardState.SETTLED, AwardState.REPLACED}:
            restored.add(each.restores)
            before = known.get(each.replaces or b"")
            is_gone = bool(each.reverse_reason) or (before is not None and before.subject_id != each.subject_id)
            if before is not None and is_gone and each.owed and before.subject_id == subject_id:
                found = before.op_id
        elif each.reason == log.DECLINE_REASON_RESTORES_NOTHING:
            restored.add(each.restores)
    return None if found in restored else found


def award_in_force(awards: Sequence[AwardRow]) -> AwardRow | None:
    """The newest of :func:`in_force`."""
    return next(iter(in_force(awards)), None)


def in_force(awards: Sequence[AwardRow]) -> list[AwardRow]:
    """What the hub holds of a deed, or will when it has what is on its way, newest first; ``awards`` oldest first.

    There is more than one if the deed became somebody else's while nothing could be done on the first one's account.  A
    settled reversal leaves nothing.
    """
    corrected = {each.replaces for each in awards if each.stands}
    ended = {each.op_id for each in awards if each.reverse_reason and each.state == AwardState.SETTLED}
    return [each for each in reversed(awards) if each.stands and each.op_id not in corrected | ended]


def _counts(deed: DeedRow) -> bool:
    return deed.status == "verified" and deed.credits > 0 and not deed.gone


def _is_anothers(award: AwardRow, deed: DeedRow) -> bool:
    return award.subject_id != deed.subject_id


def _says_the_same(award: AwardRow, deed: DeedRow) -> bool:
    said = (award.reverse_reason, award.subject_id, award.credits, award.dimension, award.month)
    return said == (0, deed.subject_id, deed.credits, deed.dimension, deed.occurred_on // 100)
