"""How many ids an agency ever had evaluated by another: a number that neither says alone.

The evaluator signs it with each answer; the requester signs it, too, once it has found it right.  With both signatures
it covers accounts that the requester asks for, and nobody is told to have asked for more than it did.
"""

from collections.abc import Iterable, Mapping

from samprasan.keys import signing
from samprasan.keys.errors import Unproven
from samprasan.keys.signing import Verify
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal


def read(envelope: Envelope) -> EvaluationTotal:
    """What it says, whoever signed it.  Raises Malformed, Unproven ``payload_type``."""
    signing.expect_type(envelope, EvaluationTotal)
    return signing.decode(EvaluationTotal, envelope.payload)


def check(
    envelope: Envelope, federation_id: bytes, keys: Mapping[str, Iterable[bytes]], verify: Verify
) -> EvaluationTotal:
    """What requester and evaluator both signed, by any of their ``keys`` (agency → public keys).

    Raises Malformed, Unproven ``evaluation_total`` if one of them did not, or it is another federation's.  There is
    nothing in it but their two signatures: it goes into the hub's chain as it is.
    """
    body = read(envelope)
    both = {body.requester, body.evaluator}
    own = {key: agency for agency in sorted(both) for key in keys.get(agency, ())}
    is_of_two = len(both) == len(envelope.signatures) == 2 and body.federation_id == federation_id and body.total > 0
    if not is_of_two or signing.signers_of(envelope, own, verify) != both:
        raise Unproven("evaluation_total", agency=body.requester)
    return body
