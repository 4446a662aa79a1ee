"""Awards, and what corrects them: an award that replaces one, a reversal, an award that restores one.

A correction is the awarder's alone, once an award, and atomic.  It recovers what is unspent of its award's lot; the
rest is written off to the awarder and stays owed on the award, or on the one that takes its place.  Whatever comes back
to the lot pays that first (:mod:`.lots`), and so does an award that restores it: the same deed, counting again.

The caps of an agency's day are those of the policy in force: credits that become spendable, and credits written off.
Where no more may be written off, a reversal recovers what is unspent and leaves the rest standing, named by its own
op_id; any other correction is declined.
"""

from collections.abc import Sequence
from typing import NamedTuple

from samprasan.ledger import calendar, day_caps, lots
from samprasan.ledger.lots import Key
from samprasan.ledger.state import NO_DECLINE, AccountId, Correction, Decline, Step, Totals
from samprasan.v1 import log_pb2 as log


class Effect(NamedTuple):
    """What an update makes of one account, how much of it is newly written off, and how much of that is paid back."""

    account_id: AccountId
    before: Totals
    after: Totals
    missing: int
    paid: int

    @property
    def spendable(self) -> int:
        """Credits that can be spent now and could not before."""
        return max(0, self.after.available - self.before.available)


def award(step: Step, op_id: bytes, made: log.Award) -> Decline:
    """Add credits, or only the difference to an award that this one replaces."""
    reason = _award_declined(step, made) or _restores_declined(step, made)
    replaced = step.award(made.replaces) if made.replaces else None
    if made.replaces:
        reason = reason or _correction_declined(step, made.replaces)
    if reason:
        return reason
    effects = _effects(step, op_id, made, replaced)
    reason = _over_cap(step, effects)
    if reason:
        return reason
    _carry_out(step, effects)
    if replaced is not None:
        is_elsewhere = replaced.account_id != made.account_id
        step.changes.corrections[step.agency, made.replaces] = Correction(op_id, is_over=not is_elsewhere)
        owing, by = (effects[0].after, made.replaces) if is_elsewhere else (effects[-1].after, op_id)
        step.owed = lots.owed_by(owing.owed, step.agency, by)
    if made.restores:
        restored = step.correction(made.restores)
        assert restored is not None
        step.changes.corrections[step.agency, made.restores] = restored._replace(is_over=True)
    step.changes.awards[step.agency, op_id] = made
    step.use(made.account_id)
    return NO_DECLINE


def reverse(step: Step, op_id: bytes, made: log.Reverse) -> Decline:
    """Take an award back: what is unspent is recovered, the rest is written off as far as the day allows."""
    reason = _correction_declined(step, made.award_op_id)
    if reason:
        return reason
    reversed_ = step.award(made.award_op_id)
    assert reversed_ is not None
    account = step.account(reversed_.account_id)
    assert account is not None
    key = _lot(step)
    missing = max(0, reversed_.credits - lots.unspent(account.lots, key))
    step.left = max(0, missing - day_caps.may_write_off(step))
    if step.left == reversed_.credits:
        return log.DECLINE_REASON_WRITE_OFF_CAP_REACHED
    taken = ((reversed_.dimension, step.left - reversed_.credits),)
    if step.left:
        account = account._replace(owed=lots.passed_on(account.owed, step.agency, made.award_op_id, op_id))
    owes = op_id if step.left else made.award_op_id
    effect = _effect(reversed_.account_id, account, key, owes, taken)
    _carry_out(step, [effect])
    step.owed = lots.owed_by(effect.after.owed, step.agency, owes)
    step.changes.corrections[step.agency, made.award_op_id] = Correction(op_id, is_over=step.left > 0)
    if step.left:
        step.changes.leftovers[step.agency, op_id] = leftover(reversed_, step.left)
    return NO_DECLINE


def leftover(award_: log.Award, credits_: int) -> log.Award:
    """What stands of an award that could not be taken back whole."""
    left = log.Award()
    left.CopyFrom(award_)
    left.credits = credits_
    left.replaces = left.restores = b""
    return left


def _lot(step: Step) -> Key:
    """The lot of the agency's credits: none ripen or lapse yet."""
    return step.agency, 0, 0


def _effects(step: Step, op_id: bytes, made: log.Award, replaced: log.Award | None) -> list[Effect]:
    """On one account only the difference moves, so that a correction upwards of spent credits writes nothing off."""
    key, given = _lot(step), (made.dimension, made.credits)
    account = step.account(made.account_id)
    assert account is not None
    debts = account.owed
    if made.restores:
        debts = lots.passed_on(debts, step.agency, made.restores, op_id)
    if replaced is None:
        return [_effect(made.account_id, account._replace(owed=debts), key, op_id, (given,))]
    taken = (replaced.dimension, -replaced.credits)
    if replaced.account_id == made.account_id:
        debts = lots.passed_on(debts, step.agency, made.replaces, op_id)
        return [_effect(made.account_id, account._replace(owed=debts), key, op_id, (taken, given))]
    elsewhere = step.account(replaced.account_id)
    assert elsewhere is not None
    return [
        _effect(replaced.account_id, elsewhere, key, made.replaces, (taken,)),
        _effect(made.account_id, account._replace(owed=debts), key, op_id, (given,)),
    ]


def _effect(
    account_id: AccountId, account: Totals, key: Key, op_id: bytes, changes: Sequence[tuple[int, int]]
) -> Effect:
    """What changing the earned credits by (dimension, credits) each makes of the account; ``op_id`` owes the rest."""
    earned = list(account.earned)
    for dimension, credits_ in changes:
        earned[dimension - 1] += credits_
    health, economy, social, environment = earned
    difference = sum(earned) - account.earned_in_all
    paid = min(max(0, difference), lots.owed_by(account.owed, key[0], op_id))
    missing = max(0, -difference - lots.unspent(account.lots, key))
    more = difference - paid + missing
    debts = lots.owing(account.owed, key, op_id, missing) if missing else account.owed
    after = account._replace(
        earned=(health, economy, social, environment),
        available=account.available + more,
        written_off=account.written_off + missing - paid,
        lots=lots.added(account.lots, key, more),
        owed=lots.settled(debts, key[0], op_id, paid) if paid else debts,
    )
    return Effect(account_id, account, after, missing, paid)


def _carry_out(step: Step, effects: Sequence[Effect]) -> None:
    for each in effects:
        step.set_account(each.account_id, each.before, each.after)
        step.earned += each.after.earned_in_all - each.before.earned_in_all
        step.written_off += each.missing - each.paid
        step.written_off_on_day += each.missing
        step.spendable_on_day += each.spendable


def _over_cap(step: Step, effects: Sequence[Effect]) -> Decline:
    if step.limits is None:
        return log.DECLINE_REASON_POLICY_UNKNOWN
    if sum(each.spendable for each in effects) > day_caps.may_become_spendable(step):
        return log.DECLINE_REASON_DAY_CAP_REACHED
    if sum(each.missing for each in effects) > day_caps.may_write_off(step):
        return log.DECLINE_REASON_WRITE_OFF_CAP_REACHED
    return NO_DECLINE


def _correction_declined(step: Step, award_op_id: bytes) -> Decline:
    corrected = step.award(award_op_id)
    if corrected is None:
        return log.DECLINE_REASON_AWARD_UNKNOWN
    if step.correction(award_op_id) is not None:
        return log.DECLINE_REASON_AWARD_CORRECTED
    if log.PURPOSE_SHARE not in step.link(corrected.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    return NO_DECLINE


def _restores_declined(step: Step, made: log.Award) -> Decline:
    """Why the award may not restore the one that it names: another account's, one that stands, or a second time."""
    if not made.restores:
        return NO_DECLINE
    restored, correction = step.award(made.restores), step.correction(made.restores)
    is_here = restored is not None and restored.account_id == made.account_id
    replaced = step.award(made.replaces) if made.replaces else None
    has_its_own = replaced is not None and replaced.account_id == made.account_id  # one award pays for one other
    if not is_here or has_its_own or correction is None or correction.is_over:
        return log.DECLINE_REASON_RESTORES_NOTHING
    return NO_DECLINE


def _award_declined(step: Step, made: log.Award) -> Decline:
    if log.PURPOSE_SHARE not in step.link(made.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    policy = step.before.policies.get(made.policy_version)
    if policy is None:
        return log.DECLINE_REASON_POLICY_UNKNOWN
    if made.credits <= 0:
        return log.DECLINE_REASON_CREDITS_NOT_POSITIVE
    in_force = step.limits or policy
    if made.credits > min(policy.credits_per_update_max, in_force.credits_per_update_max):
        return log.DECLINE_REASON_CREDITS_OVER_CAP
    if not 1 <= made.dimension <= 4:
        return log.DECLINE_REASON_DIMENSION_INVALID
    if not 1 <= made.month % 100 <= 12 or made.month > step.month:
        return log.DECLINE_REASON_MONTH_INVALID
    if made.month < calendar.month_of(policy.valid_from):
        return log.DECLINE_REASON_POLICY_UNKNOWN
    return NO_DECLINE
