"""Officers of the honest agencies: they read what lies before them, and sign what they have read to be harmless."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub import tables as hub_tables
from samprasan.hub.limits import DOCUMENT_LIFETIME_MS
from samprasan.keys import documents, signing
from samprasan.keys.documents import Body
from samprasan.keys.errors import Refused, SamprasanError
from samprasan.node import store as node_store
from samprasan.node.documents import differences, inbox
from samprasan.node.documents.inbox import Waiting
from samprasan.v1.documents_pb2 import Catalogue, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation, Message, NodeParty
from tests.sim.adversary import ENEMY

_DATES = {"version", "created_at", "expires_at"}
_TITLES = ("Credits", "Credits for good deeds")
# What somebody else's right may be in the way of: another document came first, it is over, a ceremony runs.
_FAIR = {
    *("document_version", "document_withdrawn", "approval_unknown", "approval_given", "not_its_proposal"),
    "confirmed_by_ceremony",
}


@dataclass
class Officers:
    """What they signed and refused, by digest."""

    fed: Federation
    chance: random.Random
    yes: dict[bytes, set[str]] = field(default_factory=lambda: defaultdict(set))
    no: dict[bytes, set[str]] = field(default_factory=lambda: defaultdict(set))
    read: dict[bytes, Body] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)  # codes of what they could not do

    def __post_init__(self) -> None:
        self.limits = next_policy(self.fed, 0).limits
        with self.fed.hub.db.read() as tx:
            self.founded = hub_store.documents.agreed_on(tx).required_roster
            self.first = set(tx.execute(sa.select(hub_tables.documents.c.digest)).scalars())

    @property
    def agencies(self) -> list[str]:
        """Whose officers they are."""
        return [each for each in sorted(self.fed.nodes) if each != ENEMY]

    def work(self) -> None:
        """One of them deals with the inbox, and now and then proposes something."""
        node = self.fed.nodes[self.chance.choice(self.agencies)]
        if self.chance.random() < 0.7:  # else what a list that came from elsewhere left there
            federation.share_documents(self.fed)
        for waiting in inbox.inbox(node):
            self._decide(node, waiting)
        if self.chance.random() < 0.3:
            self._propose(node)
        federation.share_documents(self.fed)

    def _decide(self, node: NodeParty, waiting: Waiting) -> None:
        digest = waiting.standing.digest
        is_own = node.name in waiting.standing.signed
        try:
            if is_own and self.chance.random() < 0.5:
                self._send(node, "dissent", inbox.withdraw(node, waiting))
                self.no[digest].add(node.name)
            elif not is_own and self._is_harmless(node, waiting) and self.chance.random() < self._eager(waiting):
                signed = inbox.approve(node, _found(node, waiting), "")
                self.yes[digest].add(node.name)
                self._send(node, "submit", signed)
            elif not is_own and node.name not in waiting.dissents:
                said = inbox.decline(node, waiting, self.chance.choice(("mistake", "later")))
                self.no[digest].add(node.name)
                self._send(node, "dissent", said)
        except SamprasanError as problem:
            self.refused.append(problem.code)

    def _is_harmless(self, node: NodeParty, waiting: Waiting) -> bool:
        """A policy with another title, or new shares of the same key: as far as what is shown says."""
        before = inbox.predecessor(node, waiting.body)
        if before is None:
            return False
        changed = {each.path for each in differences.changes(before, waiting.body)} - _DATES
        if isinstance(waiting.body, Policy):
            return changed <= {"title_en"}
        is_planned = isinstance(waiting.body, Roster) and all(each.startswith("plan") for each in changed)
        shown = {each.path: each.value for each in differences.lines(waiting.body)}
        return is_planned and shown.get("plan.key_epoch") == shown.get("linking.key_epoch")

    def _eager(self, waiting: Waiting) -> float:
        """How likely it is signed now: ceremonies take long, and one at a time is held."""
        return 0.2 if isinstance(waiting.body, Roster) else 0.5

    def _propose(self, node: NodeParty) -> None:
        """A policy with another title."""
        body = next_policy(self.fed, node.world.now())
        body.title_en = self.chance.choice(_TITLES)
        envelope = node.world.sign(body)
        self.yes[signing.digest(envelope)].add(node.name)
        try:
            self._send(node, "submit", envelope)
        except SamprasanError as problem:
            self.refused.append(problem.code)

    def _send(self, node: NodeParty, kind: str, envelope: Envelope) -> None:
        """To the hub; its error is the officer's."""
        for answer in self.fed.hub.receive(Message(node.name, "hub", kind, envelope)):
            if answer.kind == "error":
                raise answer.body[1]

    def problems(self) -> Iterator[str]:
        """What was signed that nobody saw, or is in force, or over, though the officers did not say so."""
        with self.fed.hub.db.read() as tx:
            over = {row.digest: row.proposed_by for row in tx.execute(sa.select(hub_tables.withdrawn))}
            at_hub = [Envelope.FromString(each) for each in hub_store.documents.current(tx)]
        yield from self._of_documents("the hub", at_hub, set(over))
        for agency in self.agencies:
            with self.fed.nodes[agency].db.read() as tx:
                found = [Envelope.FromString(each) for each in node_store.documents.active(tx)]
            yield from self._of_documents(agency, found, set(over))
        for digest, proposer in over.items():
            if proposer in self.agencies and not self.no[digest]:
                yield f"a proposal of {proposer} is over and no honest agency said no"
        if unfair := set(self.refused) - _FAIR:
            yield f"an officer met {sorted(unfair)}"

    def _of_documents(self, where: str, envelopes: list[Envelope], over: set[bytes]) -> Iterator[str]:
        for envelope in envelopes:
            digest = signing.digest(envelope)
            if digest not in self.read:
                self.read[digest] = documents.read(envelope)
            body = self.read[digest]
            if digest in over:
                yield f"{where}: a document is in force that was withdrawn or declined"
            if isinstance(body, Roster) and not self._has_same_members(body):
                yield f"{where}: keys of members or of the hub, or the threshold, are others"
            if isinstance(body, Policy) and digest not in self.first and body.limits != self.limits:
                yield f"{where}: a policy is in force with limits that nobody agreed on"
            is_made = isinstance(body, Roster) and not body.HasField("plan")  # nodes confirm what came of a ceremony
            if not (isinstance(body, Catalogue) or is_made or digest in self.first or self.yes[digest]):
                yield f"{where}: a {documents.kind_name(documents.kind_of(body))} is in force that no officer signed"

    def _has_same_members(self, body: Roster) -> bool:
        same = [each for each in ("members", "hub", "threshold") if getattr(body, each) == getattr(self.founded, each)]
        return len(same) == 3


def _found(node: NodeParty, waiting: Waiting) -> Waiting:
    """What the officer has read, by what they type: as little of its digest as may be, and all of it if told to."""
    digest = waiting.standing.digest.hex()
    try:
        return inbox.find(node, digest[: inbox.SHORTEST_ID])
    except Refused as problem:
        if problem.code != "approval_ambiguous":
            raise
        return inbox.find(node, digest)


def next_policy(fed: Federation, now: int) -> Policy:
    """The policy in force, as a proposal."""
    with fed.hub.db.read() as tx:
        active = [Envelope.FromString(each) for each in hub_store.documents.current(tx)]
    kind = signing.payload_type(Policy)
    body = Policy.FromString(next(each for each in active[::-1] if each.payload_type == kind).payload)
    body.version, body.created_at, body.expires_at = body.version + 1, now, now + DOCUMENT_LIFETIME_MS
    return body
