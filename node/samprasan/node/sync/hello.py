"""The hello of this node, and what it makes of the answer: two heads of one chain are compared, never overwritten."""

import json
from dataclasses import dataclass

from samprasan.keys import chain
from samprasan.keys.chain import Head, Heads
from samprasan.keys.errors import Refused, Unproven
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.node.linking import evaluation_totals, linking_use
from samprasan.node.store.facts import OVER_ONCE_WHOLE, RESTORED
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Hello:
    """A hello, and the newest receipt this node had when it was said: more receipts may come before its answer."""

    request: hub_pb2.HelloRequest
    settled_seq: int


def compose_hello(node: Node) -> Hello:
    """The hello of this node: its head of its own chain, and what of its evaluations the hub's chain does not say."""
    with node.db.read() as tx:
        head = store.batches.head(tx)
        receipts = [store.batches.newest_receipt(tx), store.hub_chain.newest_receipt(tx)]
        newest = max((Envelope.FromString(each) for each in receipts if each), key=_log_index, default=None)
        request = hub_pb2.HelloRequest(
            federation_id=store.documents.agreed_on(tx).federation_id,
            head=hub_pb2.Head(seq=head.seq, digest=head.digest),
            evaluated=evaluation_totals.unheard(tx, node.identity.agency),
            newest_receipt=newest,
            cut_version=store.documents.agreed_on(tx).cut_version,
        )
        return Hello(request, store.batches.settled_seq(tx))


def _log_index(receipt: Envelope) -> int:
    return log.Receipt.FromString(receipt.payload).log_index


def accept_answer(node: Node, said: Hello, answer: hub_pb2.HelloResponse) -> int:
    """Compare heads; the ``seq`` after which to send: what the hub lacks, and what it has but whose receipt was lost.

    Halts and raises Unproven ``chain_fork`` if the two histories differ, ``node_went_back`` if the hub knows batches
    that this node does not, ``hub_went_back`` if the hub lost one it gave a receipt for; ``log_forked`` as long as
    nobody has looked at the evidence.
    """
    with node.db.begin() as tx:
        halted = store.facts.get(tx, store.facts.HALTED)
        if halted == "log_forked":
            raise Unproven("log_forked")  # nothing is accepted from this hub before an operator has looked
        if halted == RESTORED:
            raise Refused("node_restored")
        federation_id = store.documents.agreed_on(tx).federation_id
        if answer.agency != node.identity.agency or (federation_id and answer.federation_id != federation_id):
            raise Unproven("federation", kind="Hello")
        store.facts.write(tx, store.facts.HUB_SEEN_AT, str(node.world.now()))
        store.facts.write(tx, store.facts.CLOCK_OFF_MS, str(answer.now - node.world.now()))
        store.facts.write(
            tx, store.facts.LINKING_USE, json.dumps([linking_use.as_told(each) for each in answer.linking_use])
        )
        if answer.HasField("rotation"):
            store.rotation.note_left(tx, answer.rotation.key_epoch, answer.rotation.not_moved)
        mine, theirs = store.batches.head(tx), Head(answer.head.seq, answer.head.digest)
        found = chain.compare(mine, theirs, store.batches.digest_at(tx, theirs.seq))
        problem = {Heads.FORK: "chain_fork", Heads.AHEAD: "node_went_back"}.get(found)
        if problem is None and theirs.seq < said.settled_seq:
            problem = "hub_went_back"
        if problem:
            store.facts.halt(tx, problem)
        elif halted in OVER_ONCE_WHOLE:
            store.facts.drop(tx, store.facts.HALTED)
        unsettled = store.batches.unsettled(tx)
    if problem:
        raise Unproven(problem, agency=node.identity.agency, seq=theirs.seq)
    return min([theirs.seq, *(int(row.seq) - 1 for row in unsettled)])
