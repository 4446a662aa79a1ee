"""The one fold: ``state = fold(log)``.  Intake, audit and simulation call the same function.

- An update takes effect, is a duplicate of one with the same ``op_id``, or is declined; a declined one does not stop
  the rest of its batch.  What came of an ``op_id`` is remembered for ever, declined or not.
- Positive-only: awards add; only the subject's own redemption (:mod:`.holds`) and the correction of a mistaken award
  lower what a subject may spend.
- Link first: an Award or a Reverse needs its signer's own open Link with purpose *share*.
- A correction (an Award that ``replaces`` another, or a Reverse) is the awarder's alone, once an award, and atomic
  (:mod:`.corrections`): what was spent is written off to the awarder, never a debt, and no other's credits are touched.
- A first Link spends an admission of its signer (:mod:`.admissions`).  After the last Unlink the account rests
  (:mod:`.account_rest`), and then it is nobody's.  An agency gives a Link up only when no hold of its own is open
  on the account.
- Every account keeps ``earned + written_off = available + pending + held + spent + expired``.

Rosters, policies and catalogues are found by the digest that an Activate names; the fold never sees a pseudonym.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from samprasan.keys.rosters import HUB, linking_keys
from samprasan.ledger import account_rest, admissions, corrections, holds, lots
from samprasan.ledger.benefits import Catalogue
from samprasan.ledger.policy import Policy
from samprasan.ledger.state import NO_DECLINE, Decline, Entry, Operation, State, Step
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Roster

APPLIED = log.Outcome(kind=log.OUTCOME_KIND_APPLIED)
Activated: TypeAlias = Mapping[bytes, Policy | Catalogue | Roster]


def fold(state: State, entry: Entry, activated: Activated) -> tuple[State, list[log.Outcome]]:
    """What the batch changes of ``state``, and each update's outcome.

    ``state`` holds every account, link, op_id, award, hold, offer and agency that the batch names and that exists, and
    what each such award or hold is about; it is not changed.
    ``activated`` has the rosters, policies and catalogues that the batch's Activates name, by digest.
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
        return _again(step, update, first)
    step.left = step.owed = 0
    reason = _RULES[update.WhichOneof("change") or ""](step, update)
    step.changes.operations[step.agency, update.op_id] = Operation(content, reason)
    if not reason and (step.left or step.owed):
        return log.Outcome(kind=log.OUTCOME_KIND_APPLIED, left=step.left, owed=step.owed)
    return _outcome(reason)


def _again(step: Step, update: log.Update, first: Operation) -> log.Outcome:
    """A duplicate; of a reversal that took effect it says what had to be left, and what is owed now."""
    again = log.Outcome(kind=log.OUTCOME_KIND_DUPLICATE, reason=first.reason)
    award = step.award(update.reverse.award_op_id) if update.HasField("reverse") else None
    if award is not None and not first.reason:
        left, account = step.leftover(update.op_id), step.account(award.account_id)
        assert account is not None
        again.left = left.credits if left else 0
        owes = update.op_id if left else update.reverse.award_op_id
        again.owed = lots.owed_by(account.owed, step.agency, owes)
    return again


def _outcome(reason: Decline) -> log.Outcome:
    return log.Outcome(kind=log.OUTCOME_KIND_DECLINED, reason=reason) if reason else APPLIED


def _hub_update(step: Step, update: log.Update, activated: Activated) -> Decline:
    if update.HasField("admitted"):
        return admissions.admit(step, update.admitted)
    if update.HasField("evaluated"):
        admissions.evaluate(step, update.evaluated)
    elif update.HasField("turn"):
        account_rest.turn(step, update.turn)
    elif update.HasField("expire"):
        return holds.expire(step, update.expire)
    elif update.HasField("activate"):
        document = activated.get(update.activate.digest)
        if isinstance(document, Roster):
            step.changes.key_epochs = frozenset(each.key_epoch for each in linking_keys(document))
        elif isinstance(document, Policy):
            step.changes.policies[document.version] = document
        elif isinstance(document, Catalogue):
            holds.publish(step, document)
    return NO_DECLINE


_RULES: Mapping[str, Callable[[Step, log.Update], Decline]] = {
    "award": lambda step, update: corrections.award(step, update.op_id, update.award),
    "reverse": lambda step, update: corrections.reverse(step, update.op_id, update.reverse),
    "link": lambda step, update: admissions.link(step, update.link),
    "unlink": lambda step, update: admissions.unlink(step, update.unlink),
    "reserve": lambda step, update: holds.reserve(step, update.op_id, update.reserve),
    "post": lambda step, update: holds.post(step, update.post),
    "void": lambda step, update: holds.void(step, update.void),
    "refund": lambda step, update: holds.refund(step, update.refund),
}
