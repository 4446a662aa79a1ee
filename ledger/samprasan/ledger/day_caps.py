"""The caps of an agency's day, by the policy in force: what may still become spendable, be written off, be reserved.

Without a policy nothing may.
"""

from samprasan.ledger.state import Step


def may_become_spendable(step: Step) -> int:
    """How many more credits of the agency's may become spendable today."""
    most = step.limits.credits_per_agency_day_max if step.limits else 0
    return max(0, most - step.spendable_on_day)


def may_write_off(step: Step) -> int:
    """How many more credits the agency may write off today."""
    most = step.limits.write_offs_per_agency_day_max if step.limits else 0
    return max(0, most - step.written_off_on_day)


def may_reserve(step: Step) -> int:
    """How many more credits the agency may set aside today."""
    most = step.limits.reserves_per_agency_day_max if step.limits else 0
    return max(0, most - step.reserved_on_day)
