"""An agency's no to a proposal at the hub; once it decides, the hub's chain says that the proposal is over."""

from samprasan.edge.database import Tx
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake
from samprasan.keys import dissents, documents, rosters
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Refused, Unavailable, Unproven
from samprasan.ledger.agreement import Agreed
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import DISSENT_REASON_WITHDRAWN, Dissent, Roster
from samprasan.v1.envelope_pb2 import Envelope


def submit_dissent(hub: Hub, agency: str, envelope: Envelope) -> bool:
    """Store the caller's no to a proposal, its first alone; whether the proposal is over.

    Raises Malformed, Unproven for one that is not the caller's, Refused for one that comes too late or is not its to
    say: ``approval_unknown``, ``approval_given``, ``not_its_proposal``, ``confirmed_by_ceremony``,
    ``withdrawals_over_limit``.
    """
    with hub.db.begin() as tx:
        store.log.lock_head(tx)
        agreed = store.documents.agreed_on(tx)
        keys = {agency: {rosters.member(agreed.roster_with(agency), agency).signing_key}}
        said = dissents.check(envelope, agreed.federation_id, keys, hub.world.verify)
        if said.agency != agency:
            raise Unproven("dissent", agency=agency)
        if store.recovery.current(tx) is not None:
            raise Unavailable("hub_recovering")
        if store.dissents.is_over(tx, said.digest):
            return True
        found = store.documents.find(tx, said.digest)
        if found is None or said.digest in agreed.digests:
            raise Refused("approval_unknown", id=said.digest.hex()[:12])
        _check_may_say(tx, hub, agreed, said, Envelope.FromString(found))
        return _store(tx, hub, agreed.required_roster, said, envelope)


def _check_may_say(tx: Tx, hub: Hub, agreed: Agreed, said: Dissent, proposal: Envelope) -> None:
    """Its proposer withdraws, whoever has not signed declines."""
    body = documents.read(proposal)
    standing = documents.check_signatures(proposal, body, agreed.roster, hub.world.verify)
    if (said.document, said.version) != (standing.kind, standing.version):
        raise Unproven("dissent", agency=said.agency)
    if isinstance(body, Roster) and rosters.is_result(body, agreed.roster):
        raise Refused("confirmed_by_ceremony")
    if said.reason == DISSENT_REASON_WITHDRAWN:
        if store.documents.proposer_of(tx, said.digest) != said.agency:
            raise Refused("not_its_proposal")
        since = hub.world.now() - DAY_MS
        if store.dissents.over_since(tx, said.agency, since) >= limits.WITHDRAWN_PER_DAY_MAX:
            raise Refused("withdrawals_over_limit", most=limits.WITHDRAWN_PER_DAY_MAX)
    elif said.agency in standing.signed:
        raise Refused("approval_given")


def _store(tx: Tx, hub: Hub, roster: Roster, said: Dissent, envelope: Envelope) -> bool:
    """Keep it; if the proposal is over with it, say so in the log."""
    before = store.dissents.against(tx, said.digest)
    if said.agency not in before:
        store.dissents.add(tx, said.digest, said.agency, envelope.SerializeToString())
    elif said.reason != DISSENT_REASON_WITHDRAWN:
        return False
    every = [*(Envelope.FromString(each) for each in before.values()), envelope]
    bodies = [Dissent.FromString(each.payload) for each in every]
    proposal = Envelope.FromString(store.documents.find(tx, said.digest) or b"")
    if not dissents.is_over(documents.read(proposal), roster, bodies):
        return False
    ending = [envelope] if said.reason == DISSENT_REASON_WITHDRAWN else every
    withdrawn = log.Withdrawn(digest=said.digest, dissents=ending)
    intake.append_own(tx, hub.world, [log.Update(withdrawn=withdrawn)])
    return True
