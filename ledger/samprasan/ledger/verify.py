"""An auditor's view: fold the log anew and compare; no database, no pseudonym, no trust in who stored it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from samprasan.ledger import ledger
from samprasan.ledger.ledger import Activated
from samprasan.ledger.state import Entry, State
from samprasan.v1.log_pb2 import HOLD_STATE_HELD


def fold_log(entries: Iterable[Entry], activated: Activated) -> State:
    """The whole state after ``entries``, in the order of the log."""
    state = State()
    for entry in entries:
        changes, _ = ledger.fold(state, entry, activated)
        state.include(changes)
    return state


def digest_of(state: State) -> bytes:
    """SHA-256 over all of the state that is stored, in ascending order: equal states, equal bytes."""
    hasher = hashlib.sha256()
    for name, rows in _rows(state):
        for row in sorted(rows):
            hasher.update(repr((name, *row)).encode())
    return hasher.digest()


def _rows(state: State) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    """Every kind of row that stands for something, each row beginning with what it is found by."""
    offers = ((*key, each.benefit.digest, each.withdrawn, each.taken) for key, each in state.offers.items())
    yield "account", state.accounts.items()
    yield "link", ((*key, sorted(purposes)) for key, purposes in state.links.items() if purposes)
    yield "left", ((*key, day) for key, day in state.left.items() if day)
    yield "admission", ((*key, admission) for key, admission in state.admissions.items())
    yield "evaluated", ((*key, *evaluated) for key, evaluated in state.evaluated.items())
    yield "operation", ((*key, operation) for key, operation in state.operations.items())
    yield "correction", ((*key, *correction) for key, correction in state.corrections.items())
    yield "leftover", ((*key, award.SerializeToString(deterministic=True)) for key, award in state.leftovers.items())
    yield "agency", state.agencies.items()
    yield "hold", ((*key, hold) for key, hold in state.holds.items())
    yield "holding", ((*key, count) for key, count in state.holding.items() if count)
    yield "offer", offers
    yield "use", ((*use, count) for use, count in state.uses.items() if count)


def breaches(state: State) -> list[str]:
    """Accounts that break invariants 1 or 2, or rest though somebody is linked; awards and holds that do not add up.

    Empty if all is sound.
    """
    problems = [
        f"account {key.hex()} does not conserve" for key, totals in state.accounts.items() if not totals.conserves
    ]
    problems += [
        f"account {key.hex()} rests, and agencies are linked to it"
        for key, totals in state.accounts.items()
        if totals.links and totals.closes_on
    ]
    earned = sum(totals.earned_in_all for totals in state.accounts.values())
    awarded = sum(totals.earned for totals in state.agencies.values())
    if earned != awarded:
        problems.append(f"accounts hold {earned} earned credits, agencies awarded {awarded}")
    lost = sum(totals.written_off for totals in state.accounts.values())
    written_off = sum(totals.written_off for totals in state.agencies.values())
    if lost != written_off:
        problems.append(f"accounts show {lost} credits written off, agencies {written_off}")
    owed: Counter[str] = Counter()
    for totals in state.accounts.values():
        owed.update({each.awarder: 0 for each in totals.owed})
        for each in totals.owed:
            owed[each.awarder] += each.credits
    if any(owed[agency] != did.written_off for agency, did in state.agencies.items()):
        problems.append("what awards owe is not what their agencies have written off")
    for agency, did in state.agencies.items():
        if min(did.alone, did.accounts, did.used, did.spent, did.written_off) < 0:
            problems.append(f"{agency} has a count below nothing")
        if did.admitted > did.evaluated:
            problems.append(f"{agency} was admitted to {did.admitted} accounts, and had {did.evaluated} ids evaluated")
    return problems + _hold_breaches(state)


def _hold_breaches(state: State) -> list[str]:
    """Holds that do not add up to what accounts, agencies, stock and caps say."""
    held: Counter[bytes] = Counter()
    spent: Counter[bytes] = Counter()
    spent_through: Counter[str] = Counter()
    taken: Counter[tuple[str, str]] = Counter()
    used: Counter[tuple[bytes, str, str, int]] = Counter()
    holding: Counter[tuple[str, bytes]] = Counter()
    for (agency, _), hold in state.holds.items():
        is_open = hold.state == HOLD_STATE_HELD
        held[hold.account_id] += hold.credits if is_open else 0
        holding[agency, hold.account_id] += is_open
        spent[hold.account_id] += hold.posted - hold.refunded
        spent_through[agency] += hold.posted - hold.refunded
        is_taken = is_open or hold.posted > hold.refunded
        taken[hold.owner, hold.benefit] += is_taken
        used[hold.use] += is_taken
    accounts = {key: (totals.held, totals.spent) for key, totals in state.accounts.items()}
    return [
        f"holds do not add up to what {what} say"
        for adds_up, what in (
            (all(both == (held[key], spent[key]) for key, both in accounts.items()), "accounts"),
            (all(each.spent == spent_through[key] for key, each in state.agencies.items()), "agencies"),
            (all(each.taken == taken[key] for key, each in state.offers.items()), "offers"),
            (+Counter(state.uses) == +used, "uses"),
            (+Counter(state.holding) == +holding, "open holds"),
            (all(count >= 0 for count in (*state.uses.values(), *state.holding.values())), "counts below nothing"),
            (taken.keys() <= state.offers.keys(), "benefits"),
        )
        if not adds_up
    ]
