"""Cutting: agencies agree to give up an entry of the log that nobody has, so that the hub can go on.

What they hold of what stood behind it is not given up with it: each entry goes into the log again as of the moment it
had, in its old order, and gets another receipt.  Then comes the word of the cut, and from there on checkpoints have
another origin: what the hub signed of the log that was binds it no more.
"""

from collections.abc import Sequence
from itertools import groupby

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.hub.log import checkpoints, intake
from samprasan.hub.log.intake import Submission
from samprasan.hub.recovery import attachments
from samprasan.hub.store.recovery import Refed
from samprasan.keys import checkpoint, rosters
from samprasan.keys.errors import Refused
from samprasan.ledger import batch_form
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Cut
from samprasan.v1.envelope_pb2 import Envelope


def rest_of_log(tx: Tx, world: World) -> bytes:
    """A signed checkpoint of what is left of the log."""
    return checkpoint.sign_note(checkpoints.head_of(tx), world.signer)


def check(tx: Tx, world: World, body: Cut) -> None:
    """That the document leaves exactly what is left of the log; Refused ``cut_unneeded`` if it does not."""
    federation_id = store.documents.agreed_on(tx).federation_id
    left = checkpoint.open_note(body.checkpoint, federation_id, world.signer.public_key, world.verify).checkpoint
    if left != checkpoints.head_of(tx):
        raise Refused("cut_unneeded")


def begin_cut(tx: Tx, world: World) -> None:
    """The agencies have agreed: admit again what entries that are lost admitted, for what follows is about it."""
    head = store.log.lock_head(tx)
    store.recovery.cut(tx)
    store.checkpoints.forget_after(tx, head.size)
    lost = [*attachments.evaluations_lost(tx), *attachments.tie_accounts(tx, head.appended_at, is_whole=False)]
    _append_own(tx, world, lost, head.appended_at)


def continue_cut(tx: Tx, world: World) -> bool:
    """Put some of what stood behind the cut into the log again; whether there was any."""
    some = store.recovery.first(tx, limits.PUSH_GROUP_MAX)
    for (is_own, moment), group in groupby(some, key=_when):
        if is_own:
            for each in group:
                _enter_again(tx, world, each, moment)
        else:  # one that does not follow its chain comes behind the entry that is lost, and is its agency's to mend
            intake.append_again(tx, world, [_submission(each) for each in group], moment)
    store.recovery.drop(tx, [(each.agency, each.seq) for each in some])
    return bool(some)


def end_cut(tx: Tx, world: World) -> None:
    """All of it is there: say in the log that it was cut, unless it says so."""
    version = store.documents.version_in_force(tx, log.DOCUMENT_KIND_CUT)
    if not version:
        return
    digest = store.documents.digest_in_force(tx, log.DOCUMENT_KIND_CUT, version)
    if any(digest in row.batch for row in store.log.of_agency(tx, rosters.HUB)):
        return
    activate = log.Activate(document=log.DOCUMENT_KIND_CUT, version=version, digest=digest)
    intake.append_own(tx, world, [log.Update(activate=activate)])


def _when(entry: Refed) -> tuple[bool, int]:
    receipt = log.Receipt.FromString(Envelope.FromString(entry.receipt).payload)
    return entry.agency == rosters.HUB, receipt.appended_at


def _submission(entry: Refed) -> Submission:
    batch = log.Batch.FromString(Envelope.FromString(entry.batch).payload)
    return Submission(entry.agency, entry.batch, entry.digest, batch)


def _enter_again(tx: Tx, world: World, entry: Refed, moment: int) -> None:
    """What the hub's own entry said: evaluations, admissions, documents, and proposals that are over.

    Which holds run out and which accounts close, it sees again by itself.
    """
    news = list(attachments.documents_of(entry))
    attachments.put_in_force(tx, world, news)
    updates = _submission(entry).batch.updates
    again = [each for each in updates if each.WhichOneof("change") not in {"expire", "turn"}]
    _append_own(tx, world, again, moment)


def _append_own(tx: Tx, world: World, updates: Sequence[log.Update], moment: int) -> None:
    for first in range(0, len(updates), batch_form.UPDATES_MAX):
        intake.append_own_again(tx, world, updates[first : first + batch_form.UPDATES_MAX], moment)
