"""How many ids were evaluated, for whom and by whom: totals that requester and evaluator both sign.

The evaluator signs its total with every answer.  The requester signs it, too, if it asked for so many, and shows it in
its next question and to the hub, which admits it to no more accounts than that.  Who leaves too many totals without
that gets no more answers.  So neither can say a number alone, and nobody has ids evaluated unseen.
"""

from samprasan.edge.database import Tx
from samprasan.keys import evaluation_totals, rosters, signing
from samprasan.keys.errors import SamprasanError, Unproven
from samprasan.node import limits, store
from samprasan.node.identity import Node
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

# As the evaluator.


def hear_acknowledged(tx: Tx, node: Node, requester: str, envelope: Envelope) -> None:
    """The requester has signed this total; one that does not hold counts as none."""
    row = store.evaluation_totals.of_pair(tx, requester, node.identity.agency)
    try:
        body = _both_signed(tx, node, envelope)
    except SamprasanError:
        return
    if (body.requester, body.evaluator) != (requester, node.identity.agency) or body.total <= _total(row.acknowledged):
        return
    left = [each for each in store.evaluation_totals.waiting(row) if each > body.total]
    row = row._replace(acknowledged=envelope.SerializeToString(), elements=max(row.elements, body.total))
    store.evaluation_totals.save(tx, store.evaluation_totals.with_waiting(row, left))


def is_owing(tx: Tx, node: Node, requester: str) -> bool:
    """Whether the requester has left too many totals unacknowledged."""
    row = store.evaluation_totals.of_pair(tx, requester, node.identity.agency)
    return len(store.evaluation_totals.waiting(row)) >= limits.TOTALS_UNACKNOWLEDGED_MAX


def count_evaluated(tx: Tx, node: Node, requester: str, elements: int) -> None:
    """So many more are evaluated for the requester."""
    row = store.evaluation_totals.of_pair(tx, requester, node.identity.agency)
    row = row._replace(elements=max(row.elements, row.heard) + elements)  # a restored one knows less than the chain
    waiting = [*store.evaluation_totals.waiting(row), row.elements]
    store.evaluation_totals.save(tx, store.evaluation_totals.with_waiting(row, waiting))


def total_for(tx: Tx, node: Node, requester: str) -> Envelope:
    """What this node says it evaluated for the requester."""
    row = store.evaluation_totals.of_pair(tx, requester, node.identity.agency)
    return node.world.sign(
        EvaluationTotal(
            federation_id=store.documents.agreed_on(tx).federation_id,
            requester=requester,
            evaluator=node.identity.agency,
            total=max(row.elements, row.heard),
        )
    )


# As the requester.


def count_asked(tx: Tx, node: Node, evaluator: str, elements: int) -> None:
    """The evaluator is asked for so many more."""
    row = store.evaluation_totals.of_pair(tx, node.identity.agency, evaluator)
    store.evaluation_totals.save(tx, row._replace(elements=row.elements + elements))


def count_refused(tx: Tx, node: Node, evaluator: str, elements: int) -> None:
    """The evaluator has refused so many, without evaluating them: it may not say that it had."""
    row = store.evaluation_totals.of_pair(tx, node.identity.agency, evaluator)
    store.evaluation_totals.save(tx, row._replace(elements=max(0, row.elements - elements)))


def accept_total(tx: Tx, node: Node, evaluator: str, envelope: Envelope) -> None:
    """Sign the evaluator's total, if this node asked for so many.

    Raises Unproven ``evaluation_total`` for another's, ``evaluation_overstated`` if it did not.
    """
    agreed = store.documents.agreed_on(tx)
    key = rosters.member(agreed.required_roster, evaluator).signing_key
    body = node.world.open(envelope, EvaluationTotal, key)
    ours = (agreed.federation_id, node.identity.agency, evaluator)
    if (body.federation_id, body.requester, body.evaluator) != ours:
        raise Unproven("evaluation_total", agency=evaluator)
    row = store.evaluation_totals.of_pair(tx, node.identity.agency, evaluator)
    if body.total > (row.elements if row.elements >= row.heard else row.heard + _FORGOTTEN_MAX):
        raise Unproven("evaluation_overstated", agency=evaluator)
    if body.total > _total(row.acknowledged):
        signed = Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
        signed.signatures.extend(envelope.signatures[:1])
        signing.add_signature(signed, node.world.signer)
        elements = max(row.elements, body.total)
        store.evaluation_totals.save(tx, row._replace(acknowledged=signed.SerializeToString(), elements=elements))


def acknowledged_to(tx: Tx, node: Node, evaluator: str) -> Envelope | None:
    """The evaluator's newest total that this node has signed, too."""
    row = store.evaluation_totals.of_pair(tx, node.identity.agency, evaluator)
    return Envelope.FromString(row.acknowledged) if row.acknowledged else None


def every_acknowledged(tx: Tx, agency: str) -> list[Envelope]:
    """What others evaluated for ``agency``, as both have signed it."""
    rows = store.evaluation_totals.requested_by(tx, agency)
    return [Envelope.FromString(row.acknowledged) for row in rows if row.acknowledged]


def allow_for_forgotten(tx: Tx, agency: str) -> None:
    """The node's database is older than its chain: it may have asked for more than it knows."""
    for member in store.documents.agreed_on(tx).required_roster.members:
        if member.agency != agency:
            row = store.evaluation_totals.of_pair(tx, agency, member.agency)
            store.evaluation_totals.save(tx, row._replace(elements=max(row.elements, row.heard) + _FORGOTTEN_MAX))


def unheard(tx: Tx, agency: str) -> list[Envelope]:
    """What ``agency`` evaluated for others, or they for it, as both signed it, and the hub's chain does not say."""
    rows = store.evaluation_totals.requested_by(tx, agency) + store.evaluation_totals.evaluated_by(tx, agency)
    return [Envelope.FromString(row.acknowledged) for row in rows if _total(row.acknowledged) > row.heard]


# As told in the hub's chain.


def hear_of_chain(tx: Tx, node: Node, envelope: Envelope) -> tuple[str, int]:
    """What the hub's chain says two agencies have signed: who asked, and how many more than the chain said before.

    Raises Unproven ``evaluation_total`` if they have not.
    """
    body = _both_signed(tx, node, envelope)
    row = store.evaluation_totals.of_pair(tx, body.requester, body.evaluator)
    more = max(0, body.total - row.heard)
    if more:
        store.evaluation_totals.hear(tx, row, row.heard + more)
    return body.requester, more


_FORGOTTEN_MAX = limits.TOTALS_UNACKNOWLEDGED_MAX * limits.ELEMENTS_PER_QUESTION


def _both_signed(tx: Tx, node: Node, envelope: Envelope) -> EvaluationTotal:
    agreed = store.documents.agreed_on(tx)
    return evaluation_totals.check(envelope, agreed.federation_id, agreed.signing_keys, node.world.verify)


def _total(envelope: bytes) -> int:
    return EvaluationTotal.FromString(Envelope.FromString(envelope).payload).total if envelope else 0
