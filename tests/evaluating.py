"""Evaluations that agencies sign for."""

from samprasan.hub import store
from samprasan.keys import signing
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

from tests.federation import Federation


def evaluated(fed: Federation, total: int, requester: str = "mpc", evaluator: str = "nhco", *signers: str) -> Envelope:
    """So many ids the evaluator evaluated for the requester; signed by both, or by ``signers``."""
    with fed.hub.db.read() as tx:
        federation_id = store.documents.agreed_on(tx).federation_id
    body = EvaluationTotal(federation_id=federation_id, requester=requester, evaluator=evaluator, total=total)
    return signing.seal(body, *(fed.nodes[each].world.signer for each in signers or (evaluator, requester)))


def covering(fed: Federation, count: int, agency: str = "mpc") -> Envelope:
    """One more evaluator's word, so that ``count`` more accounts can be asked for."""
    evaluator = "nhco" if agency != "nhco" else "codi"
    with fed.hub.db.read() as tx:
        known = store.evaluations.totals(tx).get((agency, evaluator))
    return evaluated(fed, (known.total if known else 0) + count, agency, evaluator)
