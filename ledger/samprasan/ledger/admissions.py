"""Admissions and Links: how an agency comes to act on an account, and how it leaves it.

The hub's chain says whom it admitted by a tag, which tells nobody else to which account.  An agency's first Link names
the account and the admission's secret, and spends it.  So an agency is linked to nobody but those whom it asked the hub
for: knowing an account's id is not enough, and nobody else's admission is of any use.

After the last Unlink an account rests (:mod:`.account_rest`): an admission revives it, and an agency that had left it
needs none.
"""

import hashlib

from samprasan.ledger import account_rest, calendar
from samprasan.ledger.state import NO_DECLINE, USED, AccountId, Admission, Decline, Evaluated, Step, Totals
from samprasan.v1 import log_pb2 as log
from samprasan.v1.linking_pb2 import EvaluationTotal

TAG_BYTES = 16
_DOMAIN = b"samprasan/v1/admission"


def tag_of(agency: str, account_id: AccountId, admission: bytes) -> bytes:
    """The tag, 16 bytes, by which the chain knows the agency's admission to the account."""
    return hashlib.sha256(_DOMAIN + agency.encode() + account_id + admission).digest()[:TAG_BYTES]


def admit(step: Step, admitted: log.Admitted) -> Decline:
    """The agency may begin a Link; declined if the log has said so before, so that nobody counts it twice."""
    if step.admission(admitted.agency, admitted.tag) is not None:
        return log.DECLINE_REASON_NOT_ADMITTED
    made = Admission(admitted.kind, admitted.key_epoch, admitted.lapses_at)
    step.changes.admissions[admitted.agency, admitted.tag] = made
    step.count(admitted.agency, admitted=admitted.key_epoch > 0)
    return NO_DECLINE


def evaluate(step: Step, evaluated: log.Evaluated) -> None:
    """An agency has had more ids evaluated: so many more accounts may it be admitted to by pseudonym."""
    said = EvaluationTotal.FromString(evaluated.total.payload)
    more = said.total - step.evaluated(said.requester, said.evaluator)
    if more > 0:
        step.changes.evaluated[said.requester, said.evaluator] = Evaluated(said.total, step.day)
        step.count(said.requester, evaluated=more)


def link(step: Step, wanted: log.Link) -> Decline:
    """Begin a Link, which spends an admission, or change the purposes of one that is open."""
    is_new = not step.is_linked(wanted.account_id)
    reason = _begin(step, wanted) if is_new else NO_DECLINE
    if reason:
        return reason
    account = step.account(wanted.account_id)
    assert account is not None
    purposes = frozenset(wanted.purposes)
    more_shown = (log.PURPOSE_INTEGRATORS in purposes) - (log.PURPOSE_INTEGRATORS in step.link(wanted.account_id))
    if is_new or more_shown:
        links, shown_by = account.links + is_new, account.shown_by + more_shown
        step.set_account(wanted.account_id, account, account._replace(links=links, shown_by=shown_by, closes_on=0))
    step.linked += is_new
    step.changes.links[step.agency, wanted.account_id] = purposes | step.link(wanted.account_id) & {USED}
    step.changes.left[step.agency, wanted.account_id] = 0
    return NO_DECLINE


def unlink(step: Step, given_up: log.Unlink) -> Decline:
    """Give an open Link up, or an admission that was not used."""
    if given_up.admission:
        return _give_up(step, tag_of(step.agency, given_up.account_id, given_up.admission))
    account = step.account(given_up.account_id)
    if account is None or not step.is_linked(given_up.account_id):
        return log.DECLINE_REASON_NOT_LINKED
    if step.holding(given_up.account_id):
        return log.DECLINE_REASON_HOLD_OPEN
    fewer_shown = log.PURPOSE_INTEGRATORS in step.link(given_up.account_id)
    links = account.links - 1
    step.changes.links[step.agency, given_up.account_id] = step.link(given_up.account_id) & {USED}
    step.changes.left[step.agency, given_up.account_id] = step.day
    step.linked -= 1
    closes = 0 if links else calendar.packed(account_rest.closes_on(step.today))
    after = account._replace(links=links, closes_on=closes, shown_by=account.shown_by - fewer_shown)
    step.set_account(given_up.account_id, account, after)
    return NO_DECLINE


def _begin(step: Step, wanted: log.Link) -> Decline:
    """Whether the agency may begin a Link on the account, which is there then; what it spends is over."""
    account = step.account(wanted.account_id)
    if account is not None and not account.is_over(step.day) and _left_lately(step, wanted.account_id):
        return NO_DECLINE
    tag = tag_of(step.agency, wanted.account_id, wanted.admission)
    admission = step.admission(step.agency, tag)
    if admission is None or not step.is_usable(admission):
        return log.DECLINE_REASON_NOT_ADMITTED
    is_public = not admission.key_epoch
    if account and (account.kind, account.is_public) != (admission.kind, is_public):
        return log.DECLINE_REASON_NOT_ADMITTED
    if account is None:
        opened = Totals(admission.kind, only_of="" if is_public else step.agency, is_public=is_public)
        step.changes.accounts[wanted.account_id] = opened
        step.alone += not is_public
    elif account.is_over(step.day):
        return log.DECLINE_REASON_ACCOUNT_CLOSED
    elif account.only_of not in ("", step.agency):
        step.changes.accounts[wanted.account_id] = account._replace(only_of="")
        step.share(account.only_of)
    if is_public:
        step.changes.links[step.agency, wanted.account_id] = frozenset({USED})  # no id was evaluated for it
    step.changes.admissions[step.agency, tag] = admission._replace(is_over=True)
    return NO_DECLINE


def _left_lately(step: Step, account_id: AccountId) -> bool:
    """Whether the agency left the account so lately that it would still rest had that been the last Link."""
    left = step.left_on(account_id)
    return left > 0 and step.today < account_rest.closes_on(calendar.unpacked(left))


def _give_up(step: Step, tag: bytes) -> Decline:
    admission = step.admission(step.agency, tag)
    if admission is None or admission.is_over:
        return log.DECLINE_REASON_NOT_ADMITTED
    step.changes.admissions[step.agency, tag] = admission._replace(is_over=True)
    return NO_DECLINE
