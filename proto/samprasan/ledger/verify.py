"""An auditor's view: fold the log anew and compare; no database, no pseudonym, no trust in who stored it."""

import hashlib
from collections.abc import Iterable, Mapping

from samprasan.ledger import ledger
from samprasan.ledger.ledger import Entry, State
from samprasan.ledger.policy import Policy


def fold_log(entries: Iterable[Entry], activated: Mapping[bytes, Policy]) -> State:
    """The whole state after ``entries``, in the order of the log."""
    state = State()
    for entry in entries:
        changes, _ = ledger.fold(state, entry, activated)
        state.include(changes)
    return state


def digest_of(state: State) -> bytes:
    """SHA-256 over all of the state that is stored, in ascending order: equal states, equal bytes."""
    hasher = hashlib.sha256()

    def add(name: str, *values: object) -> None:
        hasher.update(repr((name, *values)).encode())

    for account_id, totals in sorted(state.accounts.items()):
        add("account", account_id, totals)
    for (agency, account_id), purposes in sorted(state.links.items(), key=lambda item: item[0]):
        if purposes:
            add("link", agency, account_id, sorted(purposes))
    for (agency, op_id), operation in sorted(state.operations.items(), key=lambda item: item[0]):
        add("operation", agency, op_id, operation)
    for (agency, op_id), corrected_by in sorted(state.corrections.items(), key=lambda item: item[0]):
        add("correction", agency, op_id, corrected_by)
    for agency, agency_totals in sorted(state.agencies.items()):
        add("agency", agency, agency_totals)
    return hasher.digest()


def breaches(state: State) -> list[str]:
    """Accounts that break invariants 1 or 2, and awards that are not what the accounts hold; empty if sound."""
    problems = [
        f"account {key.hex()} does not conserve" for key, totals in state.accounts.items() if not totals.conserves
    ]
    earned = sum(totals.earned_in_all for totals in state.accounts.values())
    awarded = sum(totals.earned for totals in state.agencies.values())
    if earned != awarded:
        problems.append(f"accounts hold {earned} earned credits, agencies awarded {awarded}")
    lost = sum(totals.written_off for totals in state.accounts.values())
    written_off = sum(totals.written_off for totals in state.agencies.values())
    if lost != written_off:
        problems.append(f"accounts show {lost} credits written off, agencies {written_off}")
    return problems
