"""The one fold: ``state = fold(log)``.  Intake, audit and simulation call the same function.

- An update takes effect, is a duplicate of one with the same ``op_id``, or is declined; a declined one does not stop
  the rest of its batch.  What came of an ``op_id`` is remembered for ever, declined or not.
- Positive-only: awards add; only the subject's own redemption (:mod:`.holds`) and the correction of a mistaken award
  lower what a subject may spend.
- Link first: an Award or a Reverse needs its signer's own open Link with purpose *share*.
- A correction (an Award that ``replaces`` another, or a Reverse) is the awarder's alone, once an award, and atomic: one
  change by the difference.  It recovers at most what is unspent; the rest is written off to the awarder, never a debt.
- After the last Unlink the account is closed and nobody's; so is one that is given up before anybody linked it.  An
  agency gives a Link up only when no hold of its own is open on the account.
- Every account keeps ``earned + written_off = available + pending + held + spent + expired``.

Policies and catalogues are found by the digest that an Activate names; the fold never sees a pseudonym.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from samprasan.keys.documents import HUB
from samprasan.ledger import calendar, holds
from samprasan.ledger.benefits import Catalogue
from samprasan.ledger.policy import Policy
from samprasan.ledger.state import NO_DECLINE, USED, Decline, Entry, Operation, State, Step, Totals
from samprasan.v1 import log_pb2 as log

APPLIED = log.Outcome(kind=log.OUTCOME_KIND_APPLIED)
Activated: TypeAlias = Mapping[bytes, Policy | Catalogue]


def fold(state: State, entry: Entry, activated: Activated) -> tuple[State, list[log.Outcome]]:
    """What the batch changes of ``state``, and each update's outcome.

    ``state`` holds every account, link, op_id, award, hold, offer and agency that the batch names and that exists, and
    what each such award or hold is about; it is not changed.
    ``activated`` has the policies and catalogues that the batch's Activates name, by digest.
    """
    step = Step(state, entry.batch.agency, entry.appended_at)
    outcomes = []
    for update in entry.batch.updates:
        step.update = update
        if step.agency == HUB:
            outcomes.append(_outcome(_hub_update(step, update, activated)))
        else:
            outcomes.append(_agency_update(step, update))
    step.changes.agencies[step.agency] = step.totals()
    return step.changes, outcomes


def content_of(update: log.Update) -> int:
    """A 63-bit digest of an update's content: enough to tell a retry from a reuse, since neither has an effect."""
    return int.from_bytes(hashlib.sha256(update.SerializeToString(deterministic=True)).digest()[:8], "big") >> 1


def _agency_update(step: Step, update: log.Update) -> log.Outcome:
    content = content_of(update)
    first = step.operation(update.op_id)
    if first is not None:
        if first.content != content:
            return log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=log.DECLINE_REASON_OP_REUSED)
        return log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE, reason=first.reason)
    reason = _RULES[update.WhichOneof("change") or ""](step, update)
    step.changes.operations[step.agency, update.op_id] = Operation(content, reason)
    return _outcome(reason)


def _outcome(reason: Decline) -> log.Outcome:
    return log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=reason) if reason else APPLIED


def _award(step: Step, op_id: bytes, award: log.Award) -> Decline:
    replaced = step.award(award.replaces) if award.replaces else None
    reason = _correction_declined(step, award.replaces) if award.replaces else NO_DECLINE
    reason = reason or _award_declined(step, award, replaced.credits if replaced else 0)
    if reason:
        return reason
    if replaced is None:
        step.credit(award.account_id, ((award.dimension, award.credits),))
        step.earned_on_day += award.credits
    else:
        _replace(step, replaced, award)
        step.changes.corrections[step.agency, award.replaces] = op_id
    step.changes.awards[step.agency, op_id] = award
    step.use(award.account_id)
    return NO_DECLINE


def _replace(step: Step, replaced: log.Award, award: log.Award) -> None:
    """On one account only the difference moves, so that a correction upwards of spent credits writes nothing off."""
    taken, given = (replaced.dimension, -replaced.credits), (award.dimension, award.credits)
    if replaced.account_id == award.account_id:
        step.credit(award.account_id, (taken, given))
    else:
        step.credit(replaced.account_id, (taken,))
        step.credit(award.account_id, (given,))
    step.earned_on_day += max(0, award.credits - replaced.credits)


def _reverse(step: Step, op_id: bytes, reverse: log.Reverse) -> Decline:
    reason = _correction_declined(step, reverse.award_op_id)
    if reason:
        return reason
    award = step.award(reverse.award_op_id)
    assert award is not None
    step.credit(award.account_id, ((award.dimension, -award.credits),))
    step.changes.corrections[step.agency, reverse.award_op_id] = op_id
    return NO_DECLINE


def _correction_declined(step: Step, award_op_id: bytes) -> Decline:
    award = step.award(award_op_id)
    if award is None:
        return log.DECLINE_REASON_AWARD_UNKNOWN
    if step.is_corrected(award_op_id):
        return log.DECLINE_REASON_AWARD_CORRECTED
    if log.PURPOSE_SHARE not in step.link(award.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    return NO_DECLINE


def _award_declined(step: Step, award: log.Award, replaced_credits: int) -> Decline:
    if step.account(award.account_id) is None:
        return log.DECLINE_REASON_ACCOUNT_UNKNOWN
    if log.PURPOSE_SHARE not in step.link(award.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    policy = step.changes.policies.get(award.policy_version) or step.before.policies.get(award.policy_version)
    if policy is None:
        return log.DECLINE_REASON_POLICY_UNKNOWN
    if award.credits <= 0:
        return log.DECLINE_REASON_CREDITS_NOT_POSITIVE
    if award.credits > policy.credits_per_update_max:
        return log.DECLINE_REASON_CREDITS_OVER_CAP
    if step.earned_on_day + max(0, award.credits - replaced_credits) > policy.credits_per_agency_day_max:
        return log.DECLINE_REASON_DAY_CAP_REACHED
    if not 1 <= award.dimension <= 4:
        return log.DECLINE_REASON_DIMENSION_INVALID
    if not 1 <= award.month % 100 <= 12 or award.month > step.month:
        return log.DECLINE_REASON_MONTH_INVALID
    if award.month < calendar.month_of(policy.valid_from):
        return log.DECLINE_REASON_POLICY_UNKNOWN
    return NO_DECLINE


def _link(step: Step, link: log.Link) -> Decline:
    account = step.account(link.account_id)
    if account is None:
        return log.DECLINE_REASON_ACCOUNT_UNKNOWN
    if account.closed:
        return log.DECLINE_REASON_ACCOUNT_CLOSED
    is_new = not step.is_linked(link.account_id)
    purposes = frozenset(link.purposes)
    more_shown = (log.PURPOSE_INTEGRATORS in purposes) - (log.PURPOSE_INTEGRATORS in step.link(link.account_id))
    if is_new or more_shown:
        after = account._replace(links=account.links + is_new, shown_by=account.shown_by + more_shown)
        step.set_account(link.account_id, account, after)
    step.linked += is_new
    step.changes.links[step.agency, link.account_id] = purposes | step.link(link.account_id) & {USED}
    return NO_DECLINE


def _unlink(step: Step, unlink: log.Unlink) -> Decline:
    account = step.account(unlink.account_id)
    if account is None:
        return log.DECLINE_REASON_ACCOUNT_UNKNOWN
    fewer_shown = log.PURPOSE_INTEGRATORS in step.link(unlink.account_id)
    if step.is_linked(unlink.account_id):
        if step.holding(unlink.account_id):
            return log.DECLINE_REASON_HOLD_OPEN
        links = account.links - 1
        step.changes.links[step.agency, unlink.account_id] = step.link(unlink.account_id) & {USED}
        step.linked -= 1
    elif account.links or account.closed:
        return log.DECLINE_REASON_NOT_LINKED
    else:
        links = 0
    after = account._replace(links=links, closed=links == 0, shown_by=account.shown_by - fewer_shown)
    step.set_account(unlink.account_id, account, after)
    return NO_DECLINE


def _hub_update(step: Step, update: log.Update, activated: Activated) -> Decline:
    if update.HasField("opened"):
        step.changes.accounts[update.opened.account_id] = Totals(update.opened.kind)
    elif update.HasField("expire"):
        return holds.expire(step, update.expire)
    else:
        document = activated.get(update.activate.digest)
        if isinstance(document, Policy):
            step.changes.policies[document.version] = document
        elif isinstance(document, Catalogue):
            holds.publish(step, document)
    return NO_DECLINE


_RULES: Mapping[str, Callable[[Step, log.Update], Decline]] = {
    "award": lambda step, update: _award(step, update.op_id, update.award),
    "reverse": lambda step, update: _reverse(step, update.op_id, update.reverse),
    "link": lambda step, update: _link(step, update.link),
    "unlink": lambda step, update: _unlink(step, update.unlink),
    "reserve": lambda step, update: holds.reserve(step, update.op_id, update.reserve),
    "post": lambda step, update: holds.post(step, update.post),
    "void": lambda step, update: holds.void(step, update.void),
    "refund": lambda step, update: holds.refund(step, update.refund),
}
