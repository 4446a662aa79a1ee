"""A second policy, its proposal, and two that a short id does not tell apart."""

from samprasan.keys import signing
from samprasan.node.documents import proposals
from samprasan.node.documents.inbox import SHORTEST_ID
from samprasan.v1.documents_pb2 import Policy
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import SAMPLES, Federation

POLICY_2 = (SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
TITLES = 6_000  # of each: two of them begin alike with some 9 in 10


def proposal(fed: Federation, text: str = POLICY_2) -> Envelope:
    node = fed.nodes["mpc"]
    return proposals.propose_policy(node, text)


def twins(harmless: Policy, harmful: Policy) -> tuple[Policy, Policy] | None:
    """Both with an English title of a kind that makes their digests begin with the same digits; None without luck."""
    found: dict[str, int] = {}
    for number in range(TITLES):
        harmless.title_en = f"Credits {number}"
        found[signing.payload_digest(harmless).hex()[:SHORTEST_ID]] = number
    for number in range(TITLES):
        harmful.title_en = f"Credits {number}"
        if (other := found.get(signing.payload_digest(harmful).hex()[:SHORTEST_ID])) is not None:
            harmless.title_en = f"Credits {other}"
            return harmless, harmful
    return None
