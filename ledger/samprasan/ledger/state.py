"""What the ledger's rules read and change: accounts, links, holds, offers, and a batch's changes on top of them."""

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from samprasan.ledger import calendar, lots
from samprasan.ledger.benefits import Benefit
from samprasan.ledger.lots import Debts, Lots, Parts
from samprasan.ledger.policy import Policy, in_force
from samprasan.v1 import log_pb2 as log

Decline: TypeAlias = log.DeclineReason.ValueType
AccountId: TypeAlias = bytes

USED = 0  # beside the purposes of a Link: it was worth an evaluation, or took none; outlasts an Unlink
NO_DECLINE = log.DECLINE_REASON_UNSPECIFIED


class Totals(NamedTuple):
    """One account.  ``earned`` by dimension: health, economy, social, environment; the rest are plain credits.

    ``lots`` say whose credits are available, ``owed`` which awards owe what was written off.  A named tuple, as are the
    other values that a fold makes once an update: a frozen dataclass takes far longer.
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
    shown_by: int = 0  # open Links that let integrators see it
    lots: Lots = ()
    owed: Debts = ()
    only_of: str = ""  # opened by pseudonym, the one agency that was ever linked to it; empty: several were
    is_public: bool = False  # opened by a public id
    closes_on: int = 0  # the day, YYYYMMDD, on which it closes unless somebody links to it; 0: it is linked

    def is_over(self, day: int) -> bool:
        """Whether it is nobody's any more on ``day`` (YYYYMMDD)."""
        return self.closed or 0 < self.closes_on <= day

    @property
    def is_shown(self) -> bool:
        """Whether integrators may see it: somebody is linked, and whoever is allows it."""
        return self.shown_by == self.links > 0

    @property
    def earned_in_all(self) -> int:
        """Credits earned over all dimensions."""
        return sum(self.earned)

    @property
    def conserves(self) -> bool:
        """Invariants 1 and 2: nothing appears, nothing vanishes, nothing is negative.

        The lots are what is available, and what is owed was written off, of what was spent or is held.
        """
        spendable = (self.available, self.pending, self.held, self.spent, self.expired)
        owed = sum(each.credits for each in self.owed)
        return (
            self.earned_in_all + self.written_off == sum(spendable)
            and min(spendable) >= 0
            and self.available == lots.total(self.lots)
            and 0 <= owed == self.written_off <= self.spent + self.held
            and lots.are_sound(self.lots, self.owed)
        )


class Operation(NamedTuple):
    """What came of an ``op_id``: a digest of its content and the first outcome's reason."""

    content: int
    reason: Decline


class Seen(NamedTuple):
    """What one update made of an account that integrators may see, or could see before it."""

    update: log.Update
    account_id: AccountId
    before: Totals
    after: Totals


class AgencyTotals(NamedTuple):
    """What one agency did: credits awarded net of corrections, accounts linked, and what it did on ``day`` (YYYYMMDD).

    ``written_off`` are credits that its corrections could not recover and that have not come back since; ``used`` are
    the accounts that it asked for by pseudonym and on which it ever awarded or redeemed; ``spent`` are credits of its
    holds, net of refunds.  On the day: what it made spendable, what it wrote off and what it set aside.  ``evaluated``
    are ids that it ever had evaluated, ``admitted`` counts its admissions to accounts that it asked for by pseudonym,
    ``alone`` those accounts of them that no other agency was ever linked to.
    """

    earned: int = 0
    accounts: int = 0
    day: int = 0
    spendable_on_day: int = 0
    written_off: int = 0
    used: int = 0
    spent: int = 0
    written_off_on_day: int = 0
    reserved_on_day: int = 0
    evaluated: int = 0
    admitted: int = 0
    alone: int = 0


class Evaluated(NamedTuple):
    """Ids that an agency ever had evaluated by another, and the day (YYYYMMDD) on which the log heard of it."""

    total: int
    day: int


class Hold(NamedTuple):
    """Credits set aside for a benefit of ``owner``.  ``period`` is the one in which it counts for its subject.

    ``deadline`` in milliseconds since the Unix epoch; ``posted`` and ``refunded`` are credits; ``parts`` say from which
    lots those are that are set aside or were spent.
    """

    account_id: AccountId
    credits: int
    owner: str
    benefit: str
    period: int
    deadline: int
    state: log.HoldState.ValueType = log.HOLD_STATE_HELD
    posted: int = 0
    refunded: int = 0
    parts: Parts = ()

    @property
    def use(self) -> tuple[AccountId, str, str, int]:
        """What it counts as: whose use of which benefit in which period."""
        return self.account_id, self.owner, self.benefit, self.period


class Correction(NamedTuple):
    """What replaced or reversed an award; ``is_over`` if no other award may restore it, or one has."""

    op_id: bytes
    is_over: bool


class Admission(NamedTuple):
    """What a first Link spends; ``lapses_at`` in milliseconds since the Unix epoch, ``key_epoch`` 0 for a public id."""

    kind: log.SubjectKind.ValueType
    key_epoch: int
    lapses_at: int
    is_over: bool = False


class Offer(NamedTuple):
    """A benefit as its owner's newest catalogue states it, and how many pieces are given or set aside."""

    benefit: Benefit
    withdrawn: bool = False
    taken: int = 0


@dataclass(slots=True)
class State:
    """A slice of the ledger: all that a batch touches, or everything.

    ``resting`` are accounts that nobody is linked to and that are not closed.  ``links`` are purposes and ``USED``,
    ``left`` the days (YYYYMMDD) on which they were given up, or 0;
    ``admissions`` are by agency and tag, ``evaluated`` is by requester and evaluator; ``key_epochs`` are those of the
    linking keys in the roster, empty where nothing is said of them.  ``awards`` are those that took effect, as signed,
    by agency and op_id, ``leftovers`` what a reversal had to leave, by its own; ``corrections`` what corrected one.
    ``holds`` are by agency and op_id, ``holding`` counts an agency's open ones on an account; ``offers`` are by owner
    and code, ``uses`` count by account, owner, code and period.  ``seen`` is no state, but what the fold of one batch
    has to tell those who follow changes.
    """

    accounts: dict[AccountId, Totals] = field(default_factory=dict)
    resting: set[AccountId] = field(default_factory=set)
    links: dict[tuple[str, AccountId], frozenset[int]] = field(default_factory=dict)
    left: dict[tuple[str, AccountId], int] = field(default_factory=dict)
    admissions: dict[tuple[str, bytes], Admission] = field(default_factory=dict)
    key_epochs: frozenset[int] = frozenset()
    evaluated: dict[tuple[str, str], Evaluated] = field(default_factory=dict)
    operations: dict[tuple[str, bytes], Operation] = field(default_factory=dict)
    awards: dict[tuple[str, bytes], log.Award] = field(default_factory=dict)
    leftovers: dict[tuple[str, bytes], log.Award] = field(default_factory=dict)
    corrections: dict[tuple[str, bytes], Correction] = field(default_factory=dict)
    agencies: dict[str, AgencyTotals] = field(default_factory=dict)
    policies: dict[int, Policy] = field(default_factory=dict)
    holds: dict[tuple[str, bytes], Hold] = field(default_factory=dict)
    holding: dict[tuple[str, AccountId], int] = field(default_factory=dict)
    offers: dict[tuple[str, str], Offer] = field(default_factory=dict)
    uses: dict[tuple[AccountId, str, str, int], int] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def include(self, changes: "State") -> None:
        """Take over what a fold changed; an empty link is one that ended."""
        self.accounts.update(changes.accounts)
        for account_id, totals in changes.accounts.items():
            if totals.closes_on and not totals.closed:
                self.resting.add(account_id)
            else:
                self.resting.discard(account_id)
        self.links.update(changes.links)
        self.left.update(changes.left)
        self.admissions.update(changes.admissions)
        self.evaluated.update(changes.evaluated)
        self.key_epochs = changes.key_epochs or self.key_epochs
        self.operations.update(changes.operations)
        self.awards.update(changes.awards)
        self.leftovers.update(changes.leftovers)
        self.corrections.update(changes.corrections)
        self.agencies.update(changes.agencies)
        self.policies.update(changes.policies)
        self.holds.update(changes.holds)
        self.holding.update(changes.holding)
        self.offers.update(changes.offers)
        self.uses.update(changes.uses)


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch at its place in the log; ``appended_at`` in milliseconds since the Unix epoch."""

    batch: log.Batch
    appended_at: int


class Step:
    """The state with the batch's own changes so far on top."""

    def __init__(self, state: State, agency: str, appended_at: int) -> None:
        self.before = state
        self.changes = State()
        self.update = log.Update()
        self.agency = agency
        self.appended_at = appended_at
        self.today = calendar.day_of(appended_at)
        self.day, self.month = calendar.packed(self.today), calendar.month_of(self.today)
        totals = self.totals_before = state.agencies.get(agency, AgencyTotals())
        self.earned, self.linked, self.written_off = totals.earned, totals.accounts, totals.written_off
        self.used, self.spent = totals.used, totals.spent
        is_today = totals.day == self.day
        self.spendable_on_day = totals.spendable_on_day if is_today else 0
        self.written_off_on_day = totals.written_off_on_day if is_today else 0
        self.reserved_on_day = totals.reserved_on_day if is_today else 0
        self.limits = in_force(state.policies.values(), self.today)
        self.alone = totals.alone
        self.left = self.owed = 0  # what the update's outcome says of them

    def totals(self) -> AgencyTotals:
        """What the agency did, this batch included."""
        return self.totals_before._replace(
            earned=self.earned,
            accounts=self.linked,
            day=self.day,
            spendable_on_day=self.spendable_on_day,
            written_off=self.written_off,
            used=self.used,
            spent=self.spent,
            written_off_on_day=self.written_off_on_day,
            reserved_on_day=self.reserved_on_day,
            alone=self.alone,
        )

    def account(self, account_id: AccountId) -> Totals | None:
        """The account as it is now; None if nobody was ever linked to it."""
        return self.changes.accounts.get(account_id) or self.before.accounts.get(account_id)

    def set_account(self, account_id: AccountId, before: Totals, after: Totals) -> None:
        """The update makes ``after`` of the account."""
        self.changes.accounts[account_id] = after
        if before.shown_by or after.shown_by:
            self.changes.seen.append(Seen(self.update, account_id, before, after))

    def link(self, account_id: AccountId) -> frozenset[int]:
        """The agency's purposes on the account, and ``USED``."""
        key = (self.agency, account_id)
        found = self.changes.links.get(key)
        return self.before.links.get(key, frozenset()) if found is None else found

    def left_on(self, account_id: AccountId) -> int:
        """The day, YYYYMMDD, on which the agency gave its Link up; 0 if it has one, or never had."""
        key = (self.agency, account_id)
        found = self.changes.left.get(key)
        return self.before.left.get(key, 0) if found is None else found

    def is_linked(self, account_id: AccountId) -> bool:
        """Whether the agency has an open Link."""
        return bool(self.link(account_id) - {USED})

    def admission(self, agency: str, tag: bytes) -> Admission | None:
        """The agency's admission with that tag."""
        key = (agency, tag)
        return self.changes.admissions.get(key) or self.before.admissions.get(key)

    def is_usable(self, admission: Admission) -> bool:
        """Whether a Link may begin with it now."""
        is_of_key = not admission.key_epoch or admission.key_epoch in self.before.key_epochs
        return is_of_key and not admission.is_over and self.appended_at < admission.lapses_at

    def use(self, account_id: AccountId) -> None:
        """The agency has awarded or redeemed on the account."""
        link = self.link(account_id)
        if USED not in link:
            self.changes.links[self.agency, account_id] = link | {USED}
            self.used += 1

    def operation(self, op_id: bytes) -> Operation | None:
        """What came of the op_id, if it was there before."""
        key = (self.agency, op_id)
        return self.changes.operations.get(key) or self.before.operations.get(key)

    def award(self, op_id: bytes) -> log.Award | None:
        """The agency's award with that op_id, if it took effect, or what its reversal with that op_id had to leave."""
        key = (self.agency, op_id)
        return self.changes.awards.get(key) or self.before.awards.get(key) or self.leftover(op_id)

    def leftover(self, op_id: bytes) -> log.Award | None:
        """What the agency's reversal with that op_id had to leave."""
        key = (self.agency, op_id)
        return self.changes.leftovers.get(key) or self.before.leftovers.get(key)

    def correction(self, op_id: bytes) -> Correction | None:
        """What replaced or reversed the agency's award, if anything did."""
        key = (self.agency, op_id)
        return self.changes.corrections.get(key) or self.before.corrections.get(key)

    def hold(self, agency: str, hold_id: bytes) -> Hold | None:
        """The agency's hold as it stands now."""
        key = (agency, hold_id)
        return self.changes.holds.get(key) or self.before.holds.get(key)

    def holding(self, account_id: AccountId) -> int:
        """How many open holds the agency has on the account."""
        key = (self.agency, account_id)
        found = self.changes.holding.get(key)
        return self.before.holding.get(key, 0) if found is None else found

    def offer(self, owner: str, code: str) -> Offer | None:
        """The benefit as it is offered now."""
        key = (owner, code)
        return self.changes.offers.get(key) or self.before.offers.get(key)

    def uses(self, hold: Hold) -> int:
        """How often the hold's account has had its benefit in its period."""
        found = self.changes.uses.get(hold.use)
        return self.before.uses.get(hold.use, 0) if found is None else found

    def evaluated(self, requester: str, evaluator: str) -> int:
        """How many ids the one had evaluated by the other, as far as the log has heard."""
        key = (requester, evaluator)
        found = self.changes.evaluated.get(key) or self.before.evaluated.get(key)
        return found.total if found else 0

    def count(self, agency: str, *, evaluated: int = 0, admitted: int = 0) -> None:
        """The hub says of another agency that it had more ids evaluated, or was admitted."""
        totals = self._other(agency)
        more = {"evaluated": totals.evaluated + evaluated, "admitted": totals.admitted + admitted}
        self.changes.agencies[agency] = totals._replace(**more)

    def share(self, agency: str) -> None:
        """Another agency is linked to an account, too, to which ``agency`` alone was."""
        totals = self._other(agency)
        self.changes.agencies[agency] = totals._replace(alone=totals.alone - 1)

    def spend(self, agency: str, credits_: int) -> None:
        """``credits_`` more were spent through holds of ``agency``; fewer, if negative."""
        if agency == self.agency:
            self.spent += credits_
            return
        totals = self._other(agency)
        self.changes.agencies[agency] = totals._replace(spent=totals.spent + credits_)

    def pay(self, agency: str, credits_: int) -> None:
        """``credits_`` came back that ``agency`` had written off."""
        if agency == self.agency:
            self.written_off -= credits_
            return
        totals = self._other(agency)
        self.changes.agencies[agency] = totals._replace(written_off=totals.written_off - credits_)

    def _other(self, agency: str) -> AgencyTotals:
        return self.changes.agencies.get(agency) or self.before.agencies.get(agency, AgencyTotals())
