"""The one fold: ``state = fold(log)``.  Intake, audit and simulation call the same function.

- An update takes effect, is a duplicate of one with the same ``op_id``, or is declined; a declined one does not stop
  the rest of its batch.  What came of an ``op_id`` is remembered for ever, declined or not.
- Positive-only: awards add; only the correction of a mistaken award lowers what a subject may spend.
- Link first: an Award or a Reverse needs its signer's own open Link with purpose *share*.
- A correction (an Award that ``replaces`` another, or a Reverse) is the awarder's alone, once an award, and atomic: one
  change by the difference.  It recovers at most what is unspent; the rest is written off to the awarder, never a debt.
- After the last Unlink the account is closed and nobody's; so is one that is given up before anybody linked it.
- Every account keeps ``earned + written_off = available + pending + held + spent + expired``.

Policies and rosters are found by the digest that an Activate names; the fold never sees a pseudonym.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from samprasan.ledger import calendar
from samprasan.ledger.policy import Policy
from samprasan.v1 import log_pb2 as log

Decline: TypeAlias = log.DeclineReason.ValueType
AccountId: TypeAlias = bytes

USED = 0  # beside the purposes of a Link: the agency has awarded on the account; outlasts an Unlink
_LOOKED_UP = (log.SUBJECT_KIND_PERSON, log.SUBJECT_KIND_ORGANIZATION)  # their ids are evaluated by a peer
NO_DECLINE = log.DECLINE_REASON_UNSPECIFIED
APPLIED = log.Outcome(kind=log.OUTCOME_KIND_APPLIED)


class Totals(NamedTuple):
    """One account.  ``earned`` by dimension: health, economy, social, environment; the rest are plain credits.

    A named tuple, as are the other values that a fold makes once an update: a frozen dataclass takes far longer.
    """

    kind: log.SubjectKind.ValueType
    earned: tuple[int, int, int, int] = (0, 0, 0, 0)
    written_off: int = 0
    available: int = 0
    pending: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    links: int = 0
    closed: bool = False

    @property
    def earned_in_all(self) -> int:
        """Credits earned over all dimensions."""
        return sum(self.earned)

    @property
    def conserves(self) -> bool:
        """Invariants 1 and 2: nothing appears, nothing vanishes, nothing is negative."""
        spendable = (self.available, self.pending, self.held, self.spent, self.expired)
        return self.earned_in_all + self.written_off == sum(spendable) and min(spendable) >= 0


class Operation(NamedTuple):
    """What came of an ``op_id``: a digest of its content and the first outcome's reason."""

    content: int
    reason: Decline


class AgencyTotals(NamedTuple):
    """What one agency did: credits awarded net of corrections, accounts linked, credits awarded on ``day`` (YYYYMMDD).

    ``written_off`` are credits that its corrections could not recover; ``used`` counts the accounts of persons and
    organizations on which it ever awarded.
    """

    earned: int = 0
    accounts: int = 0
    day: int = 0
    earned_on_day: int = 0
    written_off: int = 0
    used: int = 0


@dataclass(slots=True)
class State:
    """A slice of the ledger: all that a batch touches, or everything.

    ``links`` are purposes and ``USED``.  ``awards`` are those that took effect, as signed, by agency and op_id;
    ``corrections`` the op_id that corrected one.
    """

    accounts: dict[AccountId, Totals] = field(default_factory=dict)
    links: dict[tuple[str, AccountId], frozenset[int]] = field(default_factory=dict)
    operations: dict[tuple[str, bytes], Operation] = field(default_factory=dict)
    awards: dict[tuple[str, bytes], log.Award] = field(default_factory=dict)
    corrections: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    agencies: dict[str, AgencyTotals] = field(default_factory=dict)
    policies: dict[int, Policy] = field(default_factory=dict)

    def include(self, changes: "State") -> None:
        """Take over what a fold changed; an empty link is one that ended."""
        self.accounts.update(changes.accounts)
        self.links.update(changes.links)
        self.operations.update(changes.operations)
        self.awards.update(changes.awards)
        self.corrections.update(changes.corrections)
        self.agencies.update(changes.agencies)
        self.policies.update(changes.policies)


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch at its place in the log; ``appended_at`` in milliseconds since the Unix epoch."""

    batch: log.Batch
    appended_at: int


def fold(state: State, entry: Entry, activated: Mapping[bytes, Policy]) -> tuple[State, list[log.Outcome]]:
    """What the batch changes of ``state``, and each update's outcome.

    ``state`` holds every account, link, op_id, award and agency that the batch names and that exists, and the account
    and link of each such award; it is not changed.
    ``activated`` has the policies that the batch's Activates name, by digest.
    """
    step = _Step(state, entry.batch.agency, entry.appended_at)
    outcomes = []
    for update in entry.batch.updates:
        if update.op_id:
            outcomes.append(_agency_update(step, update))
        else:
            _hub_update(step, update, activated)
            outcomes.append(APPLIED)
    step.changes.agencies[step.agency] = step.totals()
    return step.changes, outcomes


class _Step:
    """The state with the batch's own changes so far on top."""

    def __init__(self, state: State, agency: str, appended_at: int) -> None:
        self.before = state
        self.changes = State()
        self.agency = agency
        today = calendar.day_of(appended_at)
        self.day, self.month = calendar.packed(today), calendar.month_of(today)
        totals = state.agencies.get(agency, AgencyTotals())
        self.earned, self.linked, self.written_off = totals.earned, totals.accounts, totals.written_off
        self.used = totals.used
        self.earned_on_day = totals.earned_on_day if totals.day == self.day else 0

    def totals(self) -> AgencyTotals:
        return AgencyTotals(self.earned, self.linked, self.day, self.earned_on_day, self.written_off, self.used)

    def account(self, account_id: AccountId) -> Totals | None:
        return self.changes.accounts.get(account_id) or self.before.accounts.get(account_id)

    def link(self, account_id: AccountId) -> frozenset[int]:
        key = (self.agency, account_id)
        found = self.changes.links.get(key)
        return self.before.links.get(key, frozenset()) if found is None else found

    def is_linked(self, account_id: AccountId) -> bool:
        return bool(self.link(account_id) - {USED})

    def use(self, account_id: AccountId) -> None:
        """The agency has awarded on the account."""
        link = self.link(account_id)
        account = self.account(account_id)
        assert account is not None
        if USED not in link:
            self.changes.links[self.agency, account_id] = link | {USED}
            self.used += account.kind in _LOOKED_UP

    def operation(self, op_id: bytes) -> Operation | None:
        key = (self.agency, op_id)
        return self.changes.operations.get(key) or self.before.operations.get(key)

    def award(self, op_id: bytes) -> log.Award | None:
        key = (self.agency, op_id)
        return self.changes.awards.get(key) or self.before.awards.get(key)

    def is_corrected(self, op_id: bytes) -> bool:
        key = (self.agency, op_id)
        return key in self.changes.corrections or key in self.before.corrections

    def credit(self, account_id: AccountId, changes: Sequence[tuple[int, int]]) -> None:
        """Change what the account earned by (dimension, credits) each; what cannot be recovered is written off."""
        account = self.account(account_id)
        assert account is not None
        earned = list(account.earned)
        for dimension, credits_ in changes:
            earned[dimension - 1] += credits_
        health, economy, social, environment = earned
        difference = sum(earned) - account.earned_in_all
        available = account.available + difference
        missing = max(0, -available)
        self.changes.accounts[account_id] = account._replace(
            earned=(health, economy, social, environment),
            available=available + missing,
            written_off=account.written_off + missing,
        )
        self.earned += difference
        self.written_off += missing


def content_of(update: log.Update) -> int:
    """A 63-bit digest of an update's content: enough to tell a retry from a reuse, since neither has an effect."""
    return int.from_bytes(hashlib.sha256(update.SerializeToString(deterministic=True)).digest()[:8], "big") >> 1


def _agency_update(step: _Step, update: log.Update) -> log.Outcome:
    content = content_of(update)
    first = step.operation(update.op_id)
    if first is not None:
        if first.content != content:
            return log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=log.DECLINE_REASON_OP_REUSED)
        return log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE, reason=first.reason)
    if update.HasField("award"):
        reason = _award(step, update.op_id, update.award)
    elif update.HasField("reverse"):
        reason = _reverse(step, update.op_id, update.reverse)
    elif update.HasField("link"):
        reason = _link(step, update.link)
    else:
        reason = _unlink(step, update.unlink)
    step.changes.operations[step.agency, update.op_id] = Operation(content, reason)
    if reason:
        return log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=reason)
    return APPLIED


def _award(step: _Step, op_id: bytes, award: log.Award) -> Decline:
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


def _replace(step: _Step, replaced: log.Award, award: log.Award) -> None:
    """On one account only the difference moves, so that a correction upwards of spent credits writes nothing off."""
    taken, given = (replaced.dimension, -replaced.credits), (award.dimension, award.credits)
    if replaced.account_id == award.account_id:
        step.credit(award.account_id, (taken, given))
    else:
        step.credit(replaced.account_id, (taken,))
        step.credit(award.account_id, (given,))
    step.earned_on_day += max(0, award.credits - replaced.credits)


def _reverse(step: _Step, op_id: bytes, reverse: log.Reverse) -> Decline:
    reason = _correction_declined(step, reverse.award_op_id)
    if reason:
        return reason
    award = step.award(reverse.award_op_id)
    assert award is not None
    step.credit(award.account_id, ((award.dimension, -award.credits),))
    step.changes.corrections[step.agency, reverse.award_op_id] = op_id
    return NO_DECLINE


def _correction_declined(step: _Step, award_op_id: bytes) -> Decline:
    award = step.award(award_op_id)
    if award is None:
        return log.DECLINE_REASON_AWARD_UNKNOWN
    if step.is_corrected(award_op_id):
        return log.DECLINE_REASON_AWARD_CORRECTED
    if log.PURPOSE_SHARE not in step.link(award.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    return NO_DECLINE


def _award_declined(step: _Step, award: log.Award, replaced_credits: int) -> Decline:
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


def _link(step: _Step, link: log.Link) -> Decline:
    account = step.account(link.account_id)
    if account is None:
        return log.DECLINE_REASON_ACCOUNT_UNKNOWN
    if account.closed:
        return log.DECLINE_REASON_ACCOUNT_CLOSED
    if not step.is_linked(link.account_id):
        step.changes.accounts[link.account_id] = account._replace(links=account.links + 1)
        step.linked += 1
    step.changes.links[step.agency, link.account_id] = frozenset(link.purposes) | step.link(link.account_id) & {USED}
    return NO_DECLINE


def _unlink(step: _Step, unlink: log.Unlink) -> Decline:
    account = step.account(unlink.account_id)
    if account is None:
        return log.DECLINE_REASON_ACCOUNT_UNKNOWN
    if step.is_linked(unlink.account_id):
        links = account.links - 1
        step.changes.links[step.agency, unlink.account_id] = step.link(unlink.account_id) & {USED}
        step.linked -= 1
    elif account.links or account.closed:
        return log.DECLINE_REASON_NOT_LINKED
    else:
        links = 0
    step.changes.accounts[unlink.account_id] = account._replace(links=links, closed=links == 0)
    return NO_DECLINE


def _hub_update(step: _Step, update: log.Update, activated: Mapping[bytes, Policy]) -> None:
    if update.HasField("opened"):
        step.changes.accounts[update.opened.account_id] = Totals(update.opened.kind)
    elif update.activate.digest in activated:
        policy = activated[update.activate.digest]
        step.changes.policies[policy.version] = policy
