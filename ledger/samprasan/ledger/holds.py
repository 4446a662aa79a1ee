"""Holds: credits and a piece of a benefit's stock, set aside together or not at all, and what becomes of them.

A hold is a two-phase transfer: reserved, then posted (in whole or in part), voided, or run out; each ends once, as the
table ``_NEXT`` says.  What was posted may be refunded once.  Only who reserved posts and voids; the benefit's owner may
refund, too.  A hold whose deadline has passed is over for its agency, whether or not the hub has said so by an Expire.

Price, stock, validity and eligibility are those of the benefit that the Reserve names by digest; what a subject may
have in a period is counted over all agencies.
"""

from collections.abc import Mapping

from samprasan.ledger import day_caps, lots
from samprasan.ledger.benefits import Benefit, Catalogue
from samprasan.ledger.lots import Parts
from samprasan.ledger.state import NO_DECLINE, AccountId, Decline, Hold, Offer, Step, Totals
from samprasan.v1 import log_pb2 as log

OPEN_HOLDS_MAX = 100  # of one agency on one account: nobody waits for a hundred things, and each has to run out
_NEXT: Mapping[tuple[log.HoldState.ValueType, str], log.HoldState.ValueType] = {
    (log.HOLD_STATE_HELD, "post"): log.HOLD_STATE_POSTED,
    (log.HOLD_STATE_HELD, "void"): log.HOLD_STATE_VOIDED,
    (log.HOLD_STATE_HELD, "expire"): log.HOLD_STATE_EXPIRED,
    (log.HOLD_STATE_POSTED, "refund"): log.HOLD_STATE_REFUNDED,
}


def publish(step: Step, catalogue: Catalogue) -> None:
    """The catalogue is what its agency offers now; what was given of a benefit stays counted."""
    known = {key for key in (*step.before.offers, *step.changes.offers) if key[0] == catalogue.agency}
    for _, code in known - {(catalogue.agency, code) for code in catalogue.benefits}:
        offer = step.offer(catalogue.agency, code)
        assert offer is not None
        step.changes.offers[catalogue.agency, code] = offer._replace(withdrawn=True)
    for code, benefit in catalogue.benefits.items():
        offer = step.offer(catalogue.agency, code)
        step.changes.offers[catalogue.agency, code] = Offer(benefit, withdrawn=False, taken=offer.taken if offer else 0)


def reserve(step: Step, op_id: bytes, wanted: log.Reserve) -> Decline:
    """Set credits and a piece of stock aside until the deadline."""
    account, offer = step.account(wanted.account_id), step.offer(wanted.benefit_agency, wanted.benefit)
    reason = _not_allowed(step, wanted, account) or _not_offered(step, wanted, offer)
    if reason:
        return reason
    assert account is not None
    assert offer is not None
    period = offer.benefit.period_of(step.today)
    deadline = step.appended_at + wanted.ttl_seconds * 1000
    hold = Hold(
        account_id=wanted.account_id,
        credits=wanted.credits,
        owner=wanted.benefit_agency,
        benefit=wanted.benefit,
        period=period,
        deadline=deadline,
    )
    reason = _not_for(step, hold, account, offer)
    if reason:
        return reason
    left, parts = lots.drawn(account.lots, wanted.credits)
    after = account._replace(
        available=account.available - wanted.credits, held=account.held + wanted.credits, lots=left
    )
    step.set_account(wanted.account_id, account, after)
    step.changes.holds[step.agency, op_id] = hold._replace(parts=parts)
    step.reserved_on_day += wanted.credits
    _count(step, hold, +1)
    _count_open(step, step.agency, wanted.account_id, +1)
    step.use(wanted.account_id)
    return NO_DECLINE


def post(step: Step, posted: log.Post) -> Decline:
    """Spend the signer's hold; what of it is not spent is available again."""
    hold = step.hold(step.agency, posted.hold_id)
    reason = _cannot(step, hold, "post")
    if reason or hold is None:
        return reason
    if posted.credits <= 0:
        return log.DECLINE_REASON_CREDITS_NOT_POSITIVE
    if posted.credits > hold.credits:
        return log.DECLINE_REASON_CREDITS_OVER_CAP
    _end(step, step.agency, posted.hold_id, hold._replace(posted=posted.credits), "post")
    step.spend(step.agency, posted.credits)
    return NO_DECLINE


def void(step: Step, voided: log.Void) -> Decline:
    """Give the signer's hold up."""
    hold = step.hold(step.agency, voided.hold_id)
    reason = _cannot(step, hold, "void")
    if reason or hold is None:
        return reason
    _end(step, step.agency, voided.hold_id, hold, "void")
    return NO_DECLINE


def expire(step: Step, expired: log.Expire) -> Decline:
    """The hold's time is over; declined if it is not, so that a hub that says so too early is found out."""
    hold = step.hold(expired.agency, expired.hold_id)
    if hold is None:
        return log.DECLINE_REASON_HOLD_UNKNOWN
    if hold.state != log.HOLD_STATE_HELD:
        return log.DECLINE_REASON_HOLD_ENDED
    if hold.deadline > step.appended_at:
        return log.DECLINE_REASON_HOLD_OPEN
    _end(step, expired.agency, expired.hold_id, hold, "expire")
    return NO_DECLINE


def refund(step: Step, refunded: log.Refund) -> Decline:
    """Give back what a posted hold spent, once; of a whole refund the piece of stock is there again."""
    hold = step.hold(refunded.agency, refunded.hold_id)
    if hold is None or step.agency not in {refunded.agency, hold.owner}:
        return log.DECLINE_REASON_HOLD_UNKNOWN
    if hold.state == log.HOLD_STATE_HELD and hold.deadline > step.appended_at:
        return log.DECLINE_REASON_HOLD_OPEN
    if (hold.state, "refund") not in _NEXT:
        return log.DECLINE_REASON_HOLD_ENDED
    account = step.account(hold.account_id)
    assert account is not None
    if not account.links:
        return log.DECLINE_REASON_ACCOUNT_CLOSED
    if step.agency == refunded.agency and not step.is_linked(hold.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    if refunded.credits <= 0:
        return log.DECLINE_REASON_CREDITS_NOT_POSITIVE
    if refunded.credits > hold.posted:
        return log.DECLINE_REASON_CREDITS_OVER_CAP
    kept, returned = lots.divided(hold.parts, hold.posted - refunded.credits)
    after = _given_back(step, account._replace(spent=account.spent - refunded.credits), returned)
    step.set_account(hold.account_id, account, after)
    step.changes.holds[refunded.agency, refunded.hold_id] = hold._replace(
        state=_NEXT[hold.state, "refund"], refunded=refunded.credits, parts=kept
    )
    step.spend(refunded.agency, -refunded.credits)
    if refunded.credits == hold.posted:
        _count(step, hold, -1)
    return NO_DECLINE


def _not_allowed(step: Step, wanted: log.Reserve, account: Totals | None) -> Decline:
    """Why the signer may not reserve on the account."""
    if account is None or log.PURPOSE_REDEEM not in step.link(wanted.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    limits = step.limits
    if limits is None or not 0 < wanted.ttl_seconds <= limits.hold_seconds_max:
        return log.DECLINE_REASON_TTL_INVALID
    if wanted.credits > day_caps.may_reserve(step):
        return log.DECLINE_REASON_RESERVE_CAP_REACHED
    return NO_DECLINE


def _not_offered(step: Step, wanted: log.Reserve, offer: Offer | None) -> Decline:
    """Why the benefit cannot be had on these terms now."""
    if offer is None:
        return log.DECLINE_REASON_BENEFIT_UNKNOWN
    if offer.withdrawn or not offer.benefit.is_valid_on(step.today):
        return log.DECLINE_REASON_BENEFIT_EXPIRED
    if offer.benefit.digest != wanted.benefit_digest:
        return log.DECLINE_REASON_BENEFIT_CHANGED
    if wanted.credits <= 0:
        return log.DECLINE_REASON_CREDITS_NOT_POSITIVE
    if wanted.credits != offer.benefit.credits:
        return log.DECLINE_REASON_PRICE_DIFFERS
    return NO_DECLINE


def _not_for(step: Step, hold: Hold, account: Totals, offer: Offer) -> Decline:
    """Why the account cannot have the benefit now."""
    benefit = offer.benefit
    if not _is_eligible(benefit, account):
        return log.DECLINE_REASON_NOT_ELIGIBLE
    if benefit.stock is not None and offer.taken >= benefit.stock:
        return log.DECLINE_REASON_SOLD_OUT
    if step.holding(hold.account_id) >= OPEN_HOLDS_MAX:
        return log.DECLINE_REASON_CAP_REACHED
    if benefit.per_subject_max and step.uses(hold) >= benefit.per_subject_max:
        return log.DECLINE_REASON_CAP_REACHED
    if account.available < hold.credits:
        return log.DECLINE_REASON_INSUFFICIENT_CREDITS
    return NO_DECLINE


def _is_eligible(benefit: Benefit, account: Totals) -> bool:
    earned_in = {dimension for dimension, earned in enumerate(account.earned, 1) if earned > 0}
    is_of_kind = not benefit.kinds or account.kind in benefit.kinds
    return is_of_kind and (not benefit.dimensions or not earned_in.isdisjoint(benefit.dimensions))


def _cannot(step: Step, hold: Hold | None, what: str) -> Decline:
    """Why the signer cannot end the hold so."""
    if hold is None:
        return log.DECLINE_REASON_HOLD_UNKNOWN
    if (hold.state, what) not in _NEXT or hold.deadline <= step.appended_at:
        return log.DECLINE_REASON_HOLD_ENDED
    return NO_DECLINE


def _end(step: Step, agency: str, hold_id: bytes, hold: Hold, what: str) -> None:
    """An open hold is over; what it did not spend is available again."""
    account = step.account(hold.account_id)
    assert account is not None
    kept, returned = lots.divided(hold.parts, hold.posted)
    ended = account._replace(held=account.held - hold.credits, spent=account.spent + hold.posted)
    step.set_account(hold.account_id, account, _given_back(step, ended, returned))
    step.changes.holds[agency, hold_id] = hold._replace(state=_NEXT[hold.state, what], parts=kept)
    _count_open(step, agency, hold.account_id, -1)
    if not hold.posted:
        _count(step, hold, -1)


def _given_back(step: Step, account: Totals, parts: Parts) -> Totals:
    """The account with what comes back to its lots; what they are owed is paid first."""
    back, debts, paid = lots.returned(account.lots, account.owed, parts)
    for awarder, credits_ in paid:
        step.pay(awarder, credits_)
    all_paid = sum(credits_ for _, credits_ in paid)
    return account._replace(
        lots=back,
        owed=debts,
        available=account.available + sum(each.credits for each in parts) - all_paid,
        written_off=account.written_off - all_paid,
    )


def _count(step: Step, hold: Hold, pieces: int) -> None:
    """``pieces`` more of the benefit are taken, by stock and by subject."""
    offer = step.offer(hold.owner, hold.benefit)
    assert offer is not None
    step.changes.offers[hold.owner, hold.benefit] = offer._replace(taken=offer.taken + pieces)
    step.changes.uses[hold.use] = step.uses(hold) + pieces


def _count_open(step: Step, agency: str, account_id: AccountId, more: int) -> None:
    key = (agency, account_id)
    found = step.changes.holding.get(key)
    before = step.before.holding.get(key, 0) if found is None else found
    step.changes.holding[key] = before + more
