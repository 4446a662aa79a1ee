"""Introducing a person to an integrator: a token, from the hub, with which it learns its handle of that person.

The person has to agree to integrators at this agency; the token says nothing to anybody but the integrator.
"""

from samprasan.keys.errors import Refused, Unproven
from samprasan.keys.identifiers import Identifier
from samprasan.node import store
from samprasan.node.identity import Node
from samprasan.v1 import hub_pb2
from samprasan.v1.changes_pb2 import HandleToken
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import PURPOSE_INTEGRATORS

_ALLOWED = 1 << PURPOSE_INTEGRATORS


def question(node: Node, identifier: Identifier, integrator: str) -> hub_pb2.IssueTokenRequest | None:
    """What to ask the hub; None until it knows the Link.

    Raises Refused ``subject_unknown``, ``no_consent_integrators`` or ``integrator_unknown``.
    """
    with node.db.read() as tx:
        if integrator not in store.documents.agreed_on(tx).integrators:
            raise Refused("integrator_unknown", name=integrator)
        row = store.subjects.find(tx, node.identity.index(identifier))
    if row is None:
        raise Refused("subject_unknown")
    if not row.integrators:
        raise Refused("no_consent_integrators")
    if row.account_id is None or not row.link_settled & _ALLOWED:
        return None
    return hub_pb2.IssueTokenRequest(account_id=row.account_id, integrator=integrator)


def check(node: Node, integrator: str, token: Envelope) -> HandleToken:
    """The hub's token, if it is what was asked for; Unproven ``answer_foreign``."""
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    found = node.world.open(token, HandleToken, agreed.required_roster.hub.signing_key)
    asked = (agreed.federation_id, integrator, node.identity.agency)
    if (found.federation_id, found.integrator, found.agency) != asked:
        raise Unproven("answer_foreign", kind="HandleToken")
    return found
