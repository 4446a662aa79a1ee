"""The week between the last Unlink of an account and its end, so that who changes their mind loses nothing.

Nothing can be done with an account that rests but to link it again (:mod:`.admissions`).  Then a Turn closes it.
"""

from datetime import date, timedelta

from samprasan.ledger.state import Step
from samprasan.v1 import log_pb2 as log

REST_DAYS = 7  # whole days behind that of the last Unlink


def closes_on(left_on: date) -> date:
    """The day on which an account closes whose last Unlink was on ``left_on``."""
    return left_on + timedelta(days=REST_DAYS + 1)


def turn(step: Step, turned: log.Turn) -> None:
    """Close accounts whose rest is over."""
    day = min(turned.day, step.day)
    for account_id in step.before.resting:
        account = step.account(account_id)
        assert account is not None
        if account_id.startswith(turned.prefix) and account.closes_on <= day and not account.closed:
            step.changes.accounts[account_id] = account._replace(closed=True)
