"""An agency's no to a proposal at the hub; once it decides, the hub's chain says that the proposal is over."""

from samprasan.edge.database import Tx
from samprasan.hub import limits, store
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake
from samprasan.keys import dissents, documents, rosters
from samprasan.keys.documents import Body, Standing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Refused, Unavailable, Unproven
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import DISSENT_REASON_WITHDRAWN, Dissent
from samprasan.v1.envelope_pb2 import Envelope


def submit_dissent(hub: Hub, agency: str, envelope: Envelope) -> bool:
    """Store the caller's no to a proposal, its first alone; whether the proposal is over.

    Raises Malformed, Unproven for one that is not the caller's, Refused for one that comes too late or is not its to
    say: ``document_withdrawn``, ``approval_unknown``, ``approval_given``, ``not_its_proposal``, ``not_declinable``,
    ``confirmed_by_ceremony``, ``withdrawals_over_limit``; Unavailable ``hub_recovering``.
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
            if agency in store.dissents.said_against(tx, said.digest):
                return True  # the answer was lost
            raise Refused("document_withdrawn", kind=documents.kind_name(said.document), version=said.version)
        proposer = store.documents.proposer_of(tx, said.digest)
        if proposer is None:
            raise Refused("approval_unknown", id=documents.short_id(said.digest))
        proposal = Envelope.FromString(store.documents.find(tx, said.digest) or b"")
        body = documents.read(proposal)
        standing = documents.check_signatures(proposal, body, agreed.roster, hub.world.verify)
        if (said.document, said.version) != (standing.kind, standing.version):
            raise Unproven("dissent", agency=agency)
        dissents.check_declinable(body, agreed.roster)
        _check_may_say(tx, hub, said, proposer, standing)
        return _store(tx, hub, body, said, envelope)


def _check_may_say(tx: Tx, hub: Hub, said: Dissent, proposer: str, standing: Standing) -> None:
    """Its proposer withdraws, whoever has not signed declines."""
    if said.reason != DISSENT_REASON_WITHDRAWN:
        if said.agency in standing.signed:
            raise Refused("approval_given")
        return
    if proposer != said.agency:
        raise Refused("not_its_proposal")
    since = hub.world.now() - DAY_MS
    if store.dissents.count_withdrawn_since(tx, said.agency, since) >= limits.WITHDRAWN_PER_DAY_MAX:
        raise Refused("withdrawals_over_limit", most=limits.WITHDRAWN_PER_DAY_MAX)


def _store(tx: Tx, hub: Hub, body: Body, said: Dissent, envelope: Envelope) -> bool:
    """Keep an agency's first; if the proposal is over by what members said, say so in the log."""
    roster = store.documents.agreed_on(tx).required_roster
    known = store.dissents.said_against(tx, said.digest)
    if said.agency not in known or said.reason == DISSENT_REASON_WITHDRAWN:
        store.dissents.save(tx, said.digest, said.agency, envelope.SerializeToString())
        known[said.agency] = envelope.SerializeToString()
    members = {each.agency for each in roster.members}
    every = [Envelope.FromString(data) for agency, data in known.items() if agency in members]
    withdrawn = [each for each in every if dissents.takes_back(each)]
    if not withdrawn and documents.can_complete(body, roster, known.keys() & members):
        return False
    update = log.Update(withdrawn=log.Withdrawn(digest=said.digest, dissents=withdrawn or every))
    intake.append_own(tx, hub.world, [update])
    return True
