"""Every limit of a node, in one place, with its reason."""

from samprasan.keys.durations import DAY_MS
from samprasan.ledger.batch_form import UPDATES_MAX

__all__ = ["UPDATES_MAX"]

BATCHES_IN_FLIGHT_MAX = 8  # hides a round trip of 200 ms at full speed; more gains nothing
BESIDE_REDEMPTIONS_MAX = 300  # of an import, in one batch: imports go on, and the receipt is dealt with soon
BULK_IN_FLIGHT_MAX = 4  # of imports: so many at most are ahead of a redemption
ELEMENTS_PER_QUESTION = 1024  # a peer answers in half a second; at most it answers 4,096
ELEMENTS_ANSWERED_MAX = 4096  # what peers may ask at once
QUESTIONS_OPEN_MAX = 4  # keeps both peers busy without flooding their boxes
QUESTION_LIFETIME_MS = 120_000  # then the other peer is asked
QUESTION_DOUBLINGS_MAX = 5  # with nobody answering, a question lives up to 64 minutes
QUOTA_SHARE = 2  # half the federation's daily allowance at each of two peers
TOTALS_UNACKNOWLEDGED_MAX = 8  # answers go on for a while before the requester has to sign for them
REFUSAL_KEPT_MS = 7_200_000  # an honest question lives up to an hour
FREE_ANSWERS_AT_ONCE, FREE_ANSWERS_PER_SECOND = 20, 0.5  # refusals and repeated answers to one agency
REKEY_AGAIN_MS = 60_000  # other agencies have to look the same people up first
ROTATION_CLOSING_MS = 3_600_000  # nobody is linked meanwhile: long enough for all to sign
ROTATION_AGAIN_MS = 4 * ROTATION_CLOSING_MS  # at 0, 4, 8, 12, 16 and 20 h UTC, if somebody did not sign
REQUEST_ID_BYTES = 16  # random, so that no two requests of an agency meet
EPOCH_RETRY_MS = 15_000  # a peer that has not heard of the newest roster yet has by then
EVIDENCE_MAX = 16  # a complaint shows at most some commitments of each of three dealers, or values of one
CEREMONY_MESSAGE_BYTES_MAX = 2_048  # they have some 300; a complaint shows many of them in one letter
CEREMONY_MESSAGES_MAX = 64  # kept of one dealer of one ceremony: two for each attempt, and few come to nothing
ATTEMPTS_AHEAD_MAX = 8  # a node that was away may have missed a few
UNLINK_GRACE_MS = 7 * DAY_MS  # an export that says no by mistake can be put right before accounts are given up
ACCOUNTS_PER_REQUEST = 1000  # the hub's limit
ENDED_SHOWN_MAX = 50  # proposals that are over, of a month
DOCUMENT_LIFETIME_MS = 30 * DAY_MS  # time to gather approvals
CLOCK_OFF_MS_MAX = 120_000  # beyond it this clock or the hub's is said to be wrong
LOG_AHEAD_MS_MAX = 6 * 3_600_000  # this node's clock may be hours off; days that have not come have no caps
CAP_WAIT_MS_MIN = 600_000  # before what a cap of the day stopped is tried again, however wrong a clock is
HOLD_SECONDS = 600  # what is spent at once needs no more
RESERVED_SECONDS = 86_400  # a benefit that waits to be fetched
REDEMPTIONS_LISTED_MAX = 10_000
OFFICER_CHARACTERS_MAX = 100  # who did it, by name
RECEIPTS_PER_QUESTION = 100  # the hub's limit
QUESTIONS_IN_VAIN_MAX = 200  # ten minutes of them; a hub that is well proves within half a minute
HEARD_LATE_MS = 600_000  # the hub may be busy; a log that others know of is not hidden for longer by accident
BATCHES_READ_AT_ONCE = 50  # at most 50 MiB
MENDED_AT_ONCE = 20  # damaged entries given back in one go: at most 20 MiB
SKETCH_CELLS_MAX = 1 << 16  # the hub's limit
SKETCH_STALLED_CELLS = 64  # and four an account found: a sketch that needs more holds an account unknown here
TEXT_BYTES_MAX = 1 << 20  # a profile or policy; 500 categories need 200 KiB
WARN_DAYS = 30  # before a certificate ends

# One import.
FILE_BYTES_MAX = 2 << 30  # the largest export seen has 40 MiB
UNPACKED_BYTES_MAX = 4 << 30  # a spreadsheet of five million rows; a zip bomb unpacks to more
UNPACKED_SHARE_MAX = 200  # sheets pack to a tenth, at best a fiftieth; a bomb to a thousandth
ROWS_MAX = 5_000_000  # larger exports are split
COLUMNS_MAX = 1000  # the widest export seen has 60
LINE_CHARACTERS_MAX = 16 << 20  # behind an open quote the rest of a file is one cell: no more of it is held
ROW_CHARACTERS_MAX = (
    100_000  # of longer ones, each cell is cut behind what a field may hold: a thousand rows wait at once
)
CELL_CHARACTERS_MAX = 1000  # no field of a deed needs more
RECORD_ID_CHARACTERS_MAX = 200  # the longest seen in an export has 24
QUANTITY_CHARACTERS_MAX = 32  # more digits than any policy can price
REJECTIONS_LISTED_MAX = 10_000  # kept in memory and listed in the answer; --rejects writes every one
