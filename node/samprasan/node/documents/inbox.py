"""The inbox of joint documents: what waits for this agency, and its approval."""

from collections.abc import Mapping
from dataclasses import dataclass

from samprasan.keys import dissents, documents, rosters, signing, spoken_digest
from samprasan.keys.documents import Body, Standing
from samprasan.keys.errors import Refused, Unproven
from samprasan.node import limits, store
from samprasan.node.documents.accepted import check_roster_is_ours
from samprasan.node.identity import Node
from samprasan.node.recovery import cut
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import Catalogue, Cut, Dissent, Integrator, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope

SHORTEST_ID = 6  # digits


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document in the inbox, or one that is about to be proposed."""

    standing: Standing
    body: Body
    envelope: Envelope
    dissents: Mapping[str, str]  # agency → its reason

    @property
    def short_id(self) -> str:
        """Names a row of this agency's own list, and nothing else."""
        return documents.short_id(self.standing.digest)


def inbox(node: Node) -> list[Waiting]:
    """What waits, with who signed it so far."""
    with node.db.read() as tx:
        current = store.documents.agreed_on(tx).roster
        found = [Envelope.FromString(data) for data in store.documents.proposed(tx)]
        reasons = {each: store.dissents.reasons_against(tx, each) for each in map(signing.digest, found)}
    waiting = []
    for envelope in found:
        body = documents.read(envelope)
        standing = documents.check_signatures(envelope, body, current, node.world.verify)
        waiting.append(Waiting(standing, body, envelope, reasons[standing.digest]))
    return waiting


def find(node: Node, short_id: str) -> Waiting:
    """The one document in the inbox whose digest starts so.

    Raises Refused ``approval_unknown``; ``approval_ambiguous`` if several do: somebody may have made one that does.
    """
    found = [each for each in inbox(node) if each.standing.digest.hex().startswith(short_id.lower())]
    if not found or len(short_id) < SHORTEST_ID:
        raise Refused("approval_unknown", id=short_id)
    if len(found) > 1:
        raise Refused("approval_ambiguous", id=short_id)
    return found[0]


def predecessor(node: Node, body: Body) -> Body | None:
    """The document in force that ``body`` takes the place of; grants, moves and cuts stand beside each other."""
    if not isinstance(body, Roster | Policy | Integrator | Catalogue):
        return None
    with node.db.read() as tx:
        in_force = [documents.read(Envelope.FromString(data)) for data in store.documents.active(tx)]
    same = [each for each in in_force if _line_of(each) == _line_of(body)]
    return max(same, key=lambda each: each.version, default=None)


def _line_of(body: Body) -> tuple[int, str]:
    """What it is a version of."""
    return documents.kind_of(body), documents.series_of(body)


def approve(node: Node, waiting: Waiting, spoken: str) -> Envelope:
    """The very document that ``waiting`` is, with this agency's signature added, to be submitted.

    ``spoken`` is what the agencies read to each other, in digits or words; roster 1 needs it (Refused
    ``digest_needed``), and a wrong one is Unproven ``digest_differs`` for any document.
    """
    if isinstance(waiting.body, Roster):
        check_roster_is_ours(waiting.body, node)
        with node.db.read() as tx:
            if node.identity.agency in rosters.confirming(waiting.body, store.documents.agreed_on(tx).roster):
                raise Refused("confirmed_by_ceremony")
        if waiting.body.version == 1 and not spoken:
            raise Refused("digest_needed")
    if isinstance(waiting.body, Cut):
        with node.db.read() as tx:
            cut.check(tx, node.world, waiting.body)
    if spoken and spoken_digest.parse(spoken) != waiting.standing.digest:
        raise Unproven("digest_differs")
    if node.identity.agency in waiting.standing.signed:
        return waiting.envelope
    signed = Envelope(payload_type=waiting.envelope.payload_type, payload=waiting.envelope.payload)
    signing.add_signature(signed, node.world.signer)
    return signed


def decline(node: Node, waiting: Waiting, reason: str, spoken: str = "") -> Envelope:
    """Compose a signed no to the very document that ``waiting`` is, to be submitted.

    Raises Refused ``approval_given`` once it has signed it, ``not_declinable``, ``confirmed_by_ceremony``; Malformed
    ``dissent_reason``; Unproven ``digest_differs``.
    """
    if node.identity.agency in waiting.standing.signed:
        raise Refused("approval_given")
    return _dissent(node, waiting, reason, spoken)


def withdraw(node: Node, waiting: Waiting, spoken: str = "") -> Envelope:
    """Compose the agency's signed word that it takes back what it proposed.

    Raises Refused ``not_its_proposal`` if it has not signed it, ``not_declinable``, ``confirmed_by_ceremony``; Unproven
    ``digest_differs``.
    """
    if node.identity.agency not in waiting.standing.signed:
        raise Refused("not_its_proposal")
    return _dissent(node, waiting, dissents.WITHDRAWN, spoken)


def _dissent(node: Node, waiting: Waiting, reason: str, spoken: str) -> Envelope:
    if spoken and spoken_digest.parse(spoken) != waiting.standing.digest:
        raise Unproven("digest_differs")
    with node.db.read() as tx:
        agreed = store.documents.agreed_on(tx)
    dissents.check_declinable(waiting.body, agreed.roster)
    federation_id = agreed.federation_id
    return dissents.compose(federation_id, waiting.standing, node.identity.agency, reason, node.world.signer)


@dataclass(frozen=True, slots=True)
class Ended:
    """A proposal that is over: which, since when (milliseconds), and who said no why."""

    id: str
    kind: str
    version: int
    ended_at: int
    dissents: Mapping[str, str]


def ended(node: Node) -> list[Ended]:
    """Proposals that have ended within a month, the newest first."""
    with node.db.read() as tx:
        since = node.world.now() - limits.DOCUMENT_LIFETIME_MS
        rows = store.dissents.ended_since(tx, since, limits.ENDED_SHOWN_MAX)
    found = []
    for row in rows:
        said = [Dissent.FromString(each.payload) for each in log.Withdrawn.FromString(row.dissents).dissents]
        kind, version = documents.kind_name(said[0].document), said[0].version
        reasons = {each.agency: dissents.reason_of(each) for each in said}
        found.append(Ended(documents.short_id(row.digest), kind, version, row.ended_at, reasons))
    return found
