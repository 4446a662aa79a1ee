"""Whether too many ids are evaluated for an agency that lead to nothing: hub and node judge alike."""

UNUSED_AFTER_DAYS = 30  # an evaluation leads to an award or a redemption by then, or counts as unused
UNUSED_ALWAYS_ALLOWED = 100  # people who changed their minds, questions that were asked twice
UNUSED_SHARE = 10  # of many, one in ten may be unused


def is_probing(evaluated: int, unused: int) -> bool:
    """Whether so many unused ones, of those evaluated long enough ago, are too many to be chance."""
    return unused >= max(UNUSED_ALWAYS_ALLOWED, evaluated // UNUSED_SHARE)
