"""Every limit of the hub, in one place, with its reason."""

from samprasan.keys.durations import DAY_MS
from samprasan.ledger.batch_form import BATCH_BYTES_MAX, UPDATES_MAX

__all__ = ["BATCH_BYTES_MAX", "UPDATES_MAX"]

SUBJECTS_PER_REQUEST_MAX = 1000  # one answer stays under 100 KiB
ACCOUNTS_PER_REQUEST_MAX = 1000  # the same
MAIL_BYTES_MAX = 256 * 1024  # 4,096 blinded elements and their proof need 132 KiB
MAIL_WAITING_MAX = 1000  # of one sender for one reader: two days of its largest backfill; then it waits
MAIL_PER_READ = 32  # at most 8 MiB in memory for one reader
MAIL_KEPT_MS = 30 * DAY_MS  # requests in it expire long before
TURNS_AT_ONCE_MAX = 16  # each closes one account in 256 of those that are due
ADMISSIONS_UNUSED_MAX = 100_000  # of one agency that asks for public ids: they take no evaluation; a node links at once
ADMISSION_LIFETIME_MS = 2 * DAY_MS  # a node that is down over a weekend asks again
DOCUMENT_LIFETIME_MS = 30 * DAY_MS  # time to gather approvals
PROPOSALS_OF_ONE_MAX = 10  # of one agency, or of the hub's operator, at once: an inbox that people can still read
PROPOSALS_OF_ONE_BYTES_MAX = 1024 * 1024  # of one: four of the largest
WITHDRAWN_PER_DAY_MAX = 20  # by one agency, which could propose again each time: everybody reads each of them
DOCUMENTS_PAGE_BYTES = 256 * 1024  # of a listing: one document may be as large
CATALOGUES_PER_DAY_MAX = 50  # of one agency; each is kept for the audit
BENEFITS_EVER_MAX = 5000  # of one agency; what was given of each stays counted
DOCUMENT_BYTES_MAX = 256 * 1024  # 500 categories need 200 KiB
DOCUMENT_LIFETIME_MS_MIN = 600_000  # left to a proposal: shorter ones would make room for others at once
INVITE_LIFETIME_MS = 7 * DAY_MS  # long enough for a letter, short enough to be lost safely
REFUSALS_PER_AGENCY_MAX = 1000  # a node stops at its first; more come only from a broken one
PUSH_IN_FLIGHT_MAX = 16  # batches read ahead on one stream: 16 MiB
PUSH_GROUP_MAX = 32  # batches in one commit: larger groups gain under 2 % and delay the first
CORRECTIONS_AT_ONCE = 1000  # in one commit: each may read another batch of the log, a second for all of them
WRITES_IN_A_ROW_MAX = 8  # before the next group of batches
READING_THREADS = 4
FOR_OTHERS_AT_ONCE, FOR_OTHERS_PER_SECOND = 50, 5.0  # letters and documents of an agency: other nodes work on each
WRITES_AT_ONCE, WRITES_PER_SECOND = 200, 50.0  # other calls of an agency that write: a node makes a few a second
READS_AT_ONCE, READS_PER_SECOND = 200, 20.0  # of an agency that read much: a command makes one, a node few
LOOKS_AT_ONCE, LOOKS_PER_SECOND = 2000, 200.0  # of an agency at a few accounts: a counter asks for a balance
STREAMS_PER_AGENCY_MAX = 8  # of each method: a node uses one; after a broken line its old ones take minutes to end
DOCUMENTS_NEWS_SECONDS = 1  # between two words that documents changed: each node asks for all of them then
ROSTER_THRESHOLD_SHARE = 2  # a joint document needs more than one part in two of the agencies

# Witnessing.
WITNESSED_SIZES_MAX = 17  # a node's own checkpoint, and one that it heard of from each of 16 agencies
PROVED_RECEIPTS_MAX = 100  # in one answer: 100 proofs take 70 KiB
CHECKPOINT_OFFERED_MS = 30_000  # ten rounds of every node; then a newer one takes its place
COSIGN_LATE_MS = 600_000  # a node that restarts, or a line that is down for a while, is no alarm

# Reconciliation.
ENTRIES_COUNTED_AT_ONCE = 200  # 200,000 updates: a second in which others wait
SKETCH_CELLS_MAX = 1 << 16  # 1 MiB: some 45,000 accounts that differ; with more, something else is wrong
SKETCH_CELLS_AT_ONCE = 4096  # 64 KiB
RECONCILIATIONS_KEPT = 1000  # of each agency: three days of one every few minutes

# Scrubbing.
ENTRIES_SCRUBBED_AT_ONCE = 100  # 25 ms of a reading thread every few seconds: a million entries in a day
DAMAGES_SHOWN = 100

# Recovery.
RECALLED_AT_ONCE = 16  # at most 16 MiB in memory for one reader
OWN_BESIDE_RECEIPT = 16  # of the hub's own chain; who lacks more recalls them
OWN_BESIDE_RECEIPT_BYTES = 512 * 1024  # a catalogue may take half of that
REFED_BYTES_AT_ONCE = 4 << 20  # in one transaction: 20,000 accounts, or a few batches
UNRECEIPTED_AHEAD_MAX = 64  # batches of an agency without receipt: a node has eight on their way

# The alarm against probing.
PUBLIC_ID_CHARACTERS_MAX = 200  # a register's name and an id in it, 64 each at most
EVALUATIONS_MAX = 32  # in one request: of as many agencies as a roster may name, both ways

# Change streams.
CHANGES_KEPT_DAYS_MAX = 3_660
ENTRIES_READ_AT_ONCE = 32  # of changes: some 2 MiB in memory for one follower who catches up
PAGE_BYTES_MAX = 256 * 1024  # of events in one message; a batch whose events take more is one message all the same
RECENT_CHANGES_MAX = 20_000  # the newest, kept in memory for all who follow: 6 MiB
SNAPSHOT_EVENTS_AT_ONCE = 500  # 100 KiB
SNAPSHOTS_AT_ONCE = 2  # each holds all that its reader may see: 200 B a subject; one of an integrator
SNAPSHOT_SECONDS_MAX = 600  # who reads a million subjects slower than that begins anew
SNAPSHOT_PART_SECONDS_MAX = 15  # and who takes longer than that over one part
SUBSCRIPTIONS_MAX = 100  # of one integrator
HEARD_AGAIN_MS = 3_600_000  # who acknowledges the same place again is noted so seldom
ACKNOWLEDGE_SECONDS = 10  # in so many an integrator may acknowledge as often as it may have streams open
STALE_SECONDS = 2.0  # what was read to be told is read anew after this: somebody may have withdrawn consent meanwhile
SUBSCRIPTION_SILENT_MS = 7 * DAY_MS  # without an acknowledgement the operator is told
SUBSCRIPTION_KEPT_MS = 30 * DAY_MS  # and after this it has ended
TOKEN_LIFETIME_MS = 600_000  # from the counter to the app and to the integrator
HANDLE_EPOCHS_KNOWN = 3  # cursors of so many earlier epochs are told from garbage
STREAMS_BEGIN_AGAIN_SECONDS = 30  # in so many an integrator may begin as many streams as it may have open
