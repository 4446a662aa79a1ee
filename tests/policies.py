"""A second policy, and its proposal."""

from samprasan.node.documents import proposals
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import SAMPLES, Federation

POLICY_2 = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)


def proposal(fed: Federation, text: str = POLICY_2) -> Envelope:
    node = fed.nodes["mpc"]
    return proposals.propose_policy(node, text)
