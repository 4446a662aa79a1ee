"""Questions of one node to another, and their answers."""

from samprasan.node.linking import evaluation, questions
from samprasan.node.linking.letters import Letter
from samprasan.v1 import linking_pb2

from tests.federation import Federation, deed


def question(fed: Federation) -> Letter:
    """What mpc asks a peer about four subjects."""
    fed.give("mpc", *(deed(number, number) for number in range(4)))
    node = fed.nodes["mpc"]
    questions.ask_peers(node)
    ((_, letter),) = questions.unposted_letters(node)
    return letter


def evaluate(fed: Federation, letter: Letter) -> Letter:
    peer = fed.nodes[letter.to]
    return evaluation.answer_question(peer, "mpc", letter.envelope)


def asked(fed: Federation, letter: Letter, **changes: object) -> Letter:
    body = linking_pb2.EvalRequest.FromString(letter.envelope.payload)
    for name, value in changes.items():
        setattr(body, name, value)
    return Letter(letter.to, fed.nodes["mpc"].world.sign(body))
