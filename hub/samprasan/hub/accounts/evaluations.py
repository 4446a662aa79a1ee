"""Evaluations that two agencies signed: what the log hears of them covers the accounts that one of them asks for."""

from collections.abc import Sequence

from samprasan.edge.database import Tx
from samprasan.edge.world import World
from samprasan.hub import limits, store
from samprasan.keys import evaluation_totals
from samprasan.keys.errors import Malformed, Unproven
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope


def news(tx: Tx, world: World, told: Sequence[Envelope], agency: str) -> list[log.Update]:
    """What the log has not heard of what ``agency`` shows, who asked or evaluated.

    Raises Malformed ``request`` for too many, Unproven ``evaluation_total`` for one that is not its own, or that not
    both have signed.
    """
    if len(told) > limits.EVALUATIONS_MAX:
        raise Malformed("request", limit=limits.EVALUATIONS_MAX)
    if not told:
        return []
    known, keys = store.evaluations.totals(tx), store.documents.signers(tx)
    federation_id = store.documents.agreed_on(tx).federation_id
    found: dict[tuple[str, str], tuple[int, Envelope]] = {}
    for envelope in told:
        body = evaluation_totals.read(envelope)
        pair = (body.requester, body.evaluator)
        if agency not in pair:
            raise Unproven("evaluation_total", agency=body.requester)
        heard = known[pair].total if pair in known else 0
        if body.total > max(heard, found.get(pair, (0, None))[0]):
            evaluation_totals.check(envelope, federation_id, keys, world.verify)
            found[pair] = (body.total, envelope)
    return [log.Update(evaluated=log.Evaluated(total=envelope)) for _, envelope in found.values()]


def allowance(tx: Tx, agency: str, heard: Sequence[log.Update]) -> int:
    """How many more accounts the agency may ask for by pseudonym, once the log has heard of these evaluations."""
    known = store.evaluations.totals(tx)
    did = store.ledger.agency_totals(tx).get(agency)
    evaluated, admitted = (did.evaluated, did.admitted) if did else (0, 0)
    for update in heard:
        body = evaluation_totals.read(update.evaluated.total)
        before = known.get((body.requester, body.evaluator))
        if body.requester == agency:
            evaluated += body.total - (before.total if before else 0)
    return evaluated - admitted
