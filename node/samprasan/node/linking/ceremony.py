"""Key ceremonies at a node: begun by itself when the roster in force plans one, and resumed from any round.

Every message is kept before anything follows from it, and every step only looks at what is kept: a node that restarts,
or gets a letter twice or late, goes on as if nothing had happened.  This node's signature under the next roster is its
confirmation; the roster takes effect when every holder has confirmed the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.keys import ceremony, documents, rosters, signing
from samprasan.keys.ceremony import Ceremony, Fault, Line
from samprasan.keys.errors import Malformed, Refused, Unproven
from samprasan.node import limits, store
from samprasan.node.identity import Identity, Node
from samprasan.node.linking import shares
from samprasan.node.linking.letters import Letter
from samprasan.node.rows import CeremonyRow, present
from samprasan.v1.ceremony_pb2 import CeremonyId, Complaint, DealerCommitment, DealerValue
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope

_LINE = "ceremonies.sealed_line"
_ENVELOPE = "ceremony_messages.sealed_envelope"
_LETTER = "ceremony_letters.sealed_envelope"
OPEN, DISPUTED, ABORTED, CONFIRMED = "open", "disputed", "aborted", "confirmed"


def advance(node: Node) -> None:
    """Begin the ceremony that the roster in force plans, or take it as far as the messages at hand allow.

    What earlier rosters left behind is forgotten.
    """
    with node.db.read() as tx:
        if planned(tx, node.identity) is None and not store.ceremony.has_earlier(tx, *_in_force(tx)):
            return
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: ceremony")
        store.ceremony.forget_earlier(tx, *_in_force(tx))
        found = planned(tx, node.identity)
        if found is not None:
            _Course(tx, node, found).advance()


def restart(node: Node) -> int:
    """Give the ceremony up and begin another attempt; its number.  The others follow by themselves.

    Raises Refused ``no_ceremony`` if the roster in force plans none.
    """
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: ceremony")
        found = planned(tx, node.identity)
        if found is None:
            raise Refused("no_ceremony")
        again = Ceremony(found.federation_id, found.roster, found.roster_digest, found.attempt + 1)
        _Course(tx, node, again).advance()
    return again.attempt


def accept_message(node: Node, sender: str, envelope: Envelope) -> None:
    """Keep a dealer's message, or what a complaint shows, and go on.

    Raises Unproven or Malformed if ``sender`` did not sign it or it cannot be read, Refused
    ``ceremony_messages_over_limit``.
    """
    with node.db.begin() as tx:
        take_turn(tx, "samprasan: ceremony")
        roster = store.documents.agreed_on(tx).required_roster
        if envelope.payload_type == signing.payload_type(Complaint):
            complaint = node.world.open(envelope, Complaint, rosters.member(roster, sender).signing_key)
            if complaint.holder != sender or len(complaint.evidence) > limits.EVIDENCE_MAX:
                raise Malformed("ceremony_message", agency=sender)
            for each in complaint.evidence:
                _keep_signed(tx, node, roster, each)
        else:
            _keep_signed(tx, node, roster, envelope, sender)
    advance(node)


def unposted_letters(node: Node) -> list[tuple[int, Letter]]:
    """Letters that wait to be posted, (number, letter) each."""
    with node.db.read() as tx:
        rows = store.ceremony.unposted(tx)
    return [(row.letter_id, Letter(row.reader, _unsealed(node.identity, _LETTER, row.sealed_envelope))) for row in rows]


def mark_posted(db: Database, letter_id: int) -> None:
    """The hub has the letter durably."""
    with db.begin() as tx:
        store.ceremony.drop_letter(tx, letter_id)


def confirmation(node: Node) -> Envelope | None:
    """The next roster with this node's signature, to be submitted until it is in force; None if there is none."""
    with node.db.read() as tx:
        found = planned(tx, node.identity)
        row = store.ceremony.newest(tx, found.roster_digest) if found else None
    return Envelope.FromString(present(row.result)) if row and row.state == CONFIRMED else None


def ceremony_status(tx: Tx, node: Node) -> dict[str, Any] | None:
    """Where the ceremony stands, for people and scripts; None if the roster in force plans none."""
    found = planned(tx, node.identity)
    row = store.ceremony.newest(tx, found.roster_digest) if found else None
    if found is None:
        return None
    plan = found.roster.plan
    document: dict[str, Any] = {
        "makes": {"key_epoch": plan.key_epoch, "share_version": plan.share_version},
        "attempt": found.attempt,
        "state": row.state if row else "waiting",
        "waiting_for": [],
        "culprit": row.culprit if row else None,
        "reason": row.reason if row else None,
    }
    if row is not None and row.state in (OPEN, DISPUTED):
        kept = _Kept.load(tx, node.identity, found)
        document["state"] = "commitments" if len(kept.commitments) < len(found.dealers) else "values"
        told = kept.values_for(node.identity.agency) if document["state"] == "values" else kept.commitments
        document["waiting_for"] = [dealer for dealer in found.dealers if dealer not in told]
        if row.state == DISPUTED:
            document["state"] = DISPUTED
    elif row is not None and row.state == CONFIRMED:
        document["waiting_for"] = sorted(set(found.holders) - _confirmed(tx, node.world, present(row.result)))
    return document


@dataclass
class _Kept:
    """The messages of one attempt that are kept: commitments by dealer, values by (dealer, holder)."""

    commitments: dict[str, Envelope] = field(default_factory=dict)
    values: dict[tuple[str, str], Envelope] = field(default_factory=dict)  # of those that fit the commitments, if any
    every_commitment: list[Envelope] = field(default_factory=list)
    every_value: list[Envelope] = field(default_factory=list)

    @classmethod
    def load(cls, tx: Tx, identity: Identity, found: Ceremony) -> "_Kept":
        kept, told = cls(), []
        for row in store.ceremony.messages(tx, found.roster_digest, found.attempt):
            envelope = _unsealed(identity, _ENVELOPE, row.sealed_envelope)
            if row.dealer not in found.dealers:
                continue
            if row.holder:
                told.append((row.dealer, row.holder, envelope))
            else:
                kept.commitments.setdefault(row.dealer, envelope)
                kept.every_commitment.append(envelope)
        kept._add_values(found, told)
        return kept

    def _add_values(self, found: Ceremony, told: list[tuple[str, str, Envelope]]) -> None:
        complete = len(self.commitments) == len(found.dealers)
        seen = ceremony.transcript(found, self.commitments) if complete else b""
        for dealer, holder, envelope in told:
            self.every_value.append(envelope)
            fits = DealerValue.FromString(envelope.payload).transcript == seen
            if fits or (dealer, holder) not in self.values:
                self.values[dealer, holder] = envelope

    def values_for(self, holder: str) -> dict[str, DealerValue]:
        """Dealer → what it told the holder."""
        told = {dealer: envelope for (dealer, to), envelope in self.values.items() if to == holder}
        return {dealer: DealerValue.FromString(envelope.payload) for dealer, envelope in told.items()}

    def fault(self, found: Ceremony) -> Fault | None:
        """The first fault that the messages prove."""
        return ceremony.find_fault(found, self.every_commitment, self.every_value)

    def evidence(self, found: Ceremony, culprit: str) -> list[Envelope]:
        """What of ``culprit`` may be shown: commitments, and values where a new key is made."""
        shown = [each for each in self.every_commitment if DealerCommitment.FromString(each.payload).dealer == culprit]
        if ceremony.may_show_values(found):
            shown += [each for each in self.every_value if DealerValue.FromString(each.payload).dealer == culprit]
        return shown[: limits.EVIDENCE_MAX]


@dataclass(frozen=True)
class _Course:
    """One attempt at this node, inside a transaction."""

    tx: Tx
    node: Node
    found: Ceremony

    def advance(self) -> None:
        """Commit, tell, add up, confirm: whatever the messages at hand allow and has not happened yet."""
        row = store.ceremony.newest(self.tx, self.found.roster_digest)
        if row is None or row.attempt < self.found.attempt:
            row = self._begin()
        if row is None or row.state == ABORTED:
            return
        kept = _Kept.load(self.tx, self.node.identity, self.found)
        fault = kept.fault(self.found)
        if fault is not None:
            self._set_state(row, ABORTED, fault.agency, fault.reason)
            self._complain(kept.evidence(self.found, fault.agency))
        elif row.state != CONFIRMED and len(kept.commitments) == len(self.found.dealers):
            self._tell(row, kept)
            self._add_up(row, kept)

    def _begin(self) -> CeremonyRow | None:
        """Draw a line if this node deals, and commit to it; None while the share that it would deal is missing."""
        found, agency = self.found, self.node.identity.agency
        if agency not in found.dealers:
            store.ceremony.begin_attempt(self.tx, found.roster_digest, found.attempt, None)
            return store.ceremony.newest(self.tx, found.roster_digest)
        old_share = shares.share_held(self.tx, self.node.identity, found.old_key) if found.old_key is not None else None
        if found.old_key is not None and old_share is None:
            return None
        line = ceremony.draw(found, agency, old_share, self.node.identity.ceremony_secret())
        sealed = self.node.identity.seal(self.node.world, _LINE, line.encode())
        store.ceremony.begin_attempt(self.tx, found.roster_digest, found.attempt, sealed)
        store.ceremony.drop_unposted(self.tx)  # of attempts before
        commitment = ceremony.commit(found, agency, line)
        _keep(self.tx, self.node, commitment, self._send(commitment, self._others()))
        return store.ceremony.newest(self.tx, found.roster_digest)

    def _tell(self, row: CeremonyRow, kept: _Kept) -> None:
        """Every dealer has committed: tell each holder its value, once."""
        agency = self.node.identity.agency
        if row.sealed_line is None or (agency, agency) in kept.values:
            return
        line = Line.decode(self.node.identity.vault.open(_LINE, row.sealed_line))
        seen = ceremony.transcript(self.found, kept.commitments)
        for holder in self.found.holders:
            value = ceremony.value_for(self.found, agency, holder, line, seen)
            envelope = self._send(value, [holder] if holder != agency else [])
            if holder == agency:
                _keep(self.tx, self.node, value, envelope)
                kept.values[agency, agency] = envelope

    def _add_up(self, row: CeremonyRow, kept: _Kept) -> None:
        """Every dealer has told this node its value, and has seen the same commitments: make the share and confirm."""
        found, agency = self.found, self.node.identity.agency
        told = kept.values_for(agency)
        seen = ceremony.transcript(found, kept.commitments)
        differing = sorted(dealer for dealer, value in told.items() if value.transcript != seen)
        if differing:
            if row.state == OPEN:
                self._set_state(row, DISPUTED, differing[0], "transcript")
                self._complain(list(kept.commitments.values()))
            return
        if len(told) < len(found.dealers):
            return
        opened = {
            dealer: DealerCommitment.FromString(envelope.payload) for dealer, envelope in kept.commitments.items()
        }
        values = [ceremony.check_value(found, opened[dealer], value) for dealer, value in told.items()]
        share = ceremony.share_of(found, agency, values)
        result = ceremony.result(found, kept.commitments)
        made = next(key for key in rosters.linking_keys(result) if key.key_epoch == share.key_epoch)
        entry = shares.commitment(made, agency)
        if entry is None or share.commitment() != entry.point:
            raise Unproven("share_differs")
        shares.keep_share(self.tx, self.node, share, found.roster_digest)
        signed = self.node.world.sign(result).SerializeToString()
        store.ceremony.change(self.tx, row, state=CONFIRMED, result=signed, culprit=None, reason=None)

    def _set_state(self, row: CeremonyRow, state: str, culprit: str, reason: str) -> None:
        store.ceremony.change(self.tx, row, state=state, culprit=culprit, reason=reason)

    def _complain(self, evidence: Iterable[Envelope]) -> None:
        complaint = Complaint(ceremony=self.found.id, holder=self.node.identity.agency, evidence=evidence)
        self._send(complaint, self._others())

    def _others(self) -> list[str]:
        return [holder for holder in self.found.holders if holder != self.node.identity.agency]

    def _send(self, message: Message, readers: Iterable[str]) -> Envelope:
        """Sign ``message``, and store a letter for each reader to be posted; the signed message."""
        envelope = self.node.world.sign(message)
        for reader in readers:
            sealed = self.node.identity.seal(self.node.world, _LETTER, envelope.SerializeToString())
            store.ceremony.add_letter(self.tx, self.found.roster_digest, reader, sealed)
        return envelope


def _in_force(tx: Tx) -> tuple[bytes, list[bytes]]:
    """The digest of the roster in force, and every commitment that it names."""
    agreed = store.documents.agreed_on(tx)
    keys = rosters.linking_keys(agreed.roster) if agreed.roster else []
    return agreed.roster_digest, [entry.point for key in keys for entry in key.commitments]


def planned(tx: Tx, identity: Identity) -> Ceremony | None:
    """The ceremony of the roster in force, in its newest attempt; None if it plans none that concerns this node."""
    agreed = store.documents.agreed_on(tx)
    if agreed.roster is None or not agreed.roster.HasField("plan"):
        return None
    digest = agreed.roster_digest
    row = store.ceremony.newest(tx, digest)
    attempt = max(1, row.attempt if row else 0, store.ceremony.newest_attempt_heard_of(tx, digest))
    found = Ceremony(agreed.federation_id, agreed.roster, digest, attempt)
    return found if identity.agency in found.holders else None


def _keep_signed(tx: Tx, node: Node, roster: Roster, envelope: Envelope, sender: str | None = None) -> None:
    """Keep a message that its dealer signed; ``sender``, if given, must be that dealer.

    Messages of a roster that this node has not heard of yet are kept as well: it will.
    """
    kind: type[DealerCommitment] | type[DealerValue] = DealerCommitment
    if envelope.payload_type == signing.payload_type(DealerValue):
        kind = DealerValue
    message: DealerCommitment | DealerValue = signing.decode(kind, envelope.payload)
    is_of_use = len(envelope.payload) <= limits.CEREMONY_MESSAGE_BYTES_MAX
    if isinstance(message, DealerValue):
        is_of_use = is_of_use and _is_for(tx, node, message, shown=sender is None)
    if not is_of_use:
        raise Malformed("ceremony_message", agency=message.dealer)
    key = rosters.member(roster, sender or message.dealer).signing_key
    node.world.open(envelope, kind, key)
    if sender not in (None, message.dealer) or not _is_readable(tx, message.ceremony):
        raise Malformed("ceremony_message", agency=message.dealer)
    agreed = store.documents.agreed_on(tx)
    if message.ceremony.roster_digest in agreed.digests - {agreed.roster_digest}:
        return  # of a roster that was in force once: late, and of no use
    if store.ceremony.has_message(tx, signing.digest(envelope)):
        return
    is_known = message.ceremony.roster_digest == agreed.roster_digest
    if is_known or sender is not None:  # what somebody else shows takes nobody's room
        _make_room(tx, message, is_known=is_known)
    _check_room(tx, message)
    _keep(tx, node, message, envelope)


def _make_room(tx: Tx, message: DealerCommitment | DealerValue, *, is_known: bool) -> None:
    """Forget what a dealer's message makes useless, where there are many.

    Of the ceremony in force, earlier attempts; else every other ceremony, of which this node has not heard yet.  Else
    others could start attempts, or name rosters, until nobody's messages have room.
    """
    dealer, named = message.dealer, message.ceremony
    if not is_known:
        known = store.documents.agreed_on(tx).roster_digest
        store.ceremony.forget_other_rosters(tx, dealer, named.roster_digest, known)
    elif store.ceremony.message_count(tx, dealer, named.roster_digest) >= limits.CEREMONY_MESSAGES_MAX:
        store.ceremony.forget_earlier_attempts(tx, dealer, named.roster_digest, named.attempt)


def _check_room(tx: Tx, message: DealerCommitment | DealerValue) -> None:
    dealer, most = message.dealer, limits.CEREMONY_MESSAGES_MAX
    if store.ceremony.message_count(tx, dealer, message.ceremony.roster_digest) >= most:
        raise Refused("ceremony_messages_over_limit", agency=dealer, most=most)


def _is_for(tx: Tx, node: Node, message: DealerValue, *, shown: bool) -> bool:
    """Whether this node may keep a value: its own, or one that was shown and hides no share."""
    if not shown:
        return message.holder == node.identity.agency
    found = planned(tx, node.identity)
    if found is None or message.ceremony.roster_digest != found.roster_digest:
        return False
    return ceremony.may_show_values(found)


def _is_readable(tx: Tx, named: CeremonyId) -> bool:
    agreed = store.documents.agreed_on(tx)
    row = store.ceremony.newest(tx, named.roster_digest)
    within = 1 <= named.attempt <= (row.attempt if row else 1) + limits.ATTEMPTS_AHEAD_MAX
    return named.federation_id == agreed.federation_id and len(named.roster_digest) == 32 and within


def _keep(tx: Tx, node: Node, message: DealerCommitment | DealerValue, envelope: Envelope) -> None:
    digest = signing.digest(envelope)
    if store.ceremony.has_message(tx, digest):
        return
    store.ceremony.add_message(
        tx,
        digest=digest,
        roster_digest=message.ceremony.roster_digest,
        attempt=message.ceremony.attempt,
        dealer=message.dealer,
        holder=message.holder if isinstance(message, DealerValue) else "",
        sealed_envelope=node.identity.seal(node.world, _ENVELOPE, envelope.SerializeToString()),
    )


def _confirmed(tx: Tx, world: World, result: bytes) -> frozenset[str]:
    """Who has signed the same result, as far as this node has heard."""
    mine = Envelope.FromString(result)
    current = store.documents.agreed_on(tx).roster
    for data in store.documents.proposed(tx):
        envelope = Envelope.FromString(data)
        if envelope.payload == mine.payload:
            return documents.check_signatures(envelope, documents.read(envelope), current, world.verify).signed
    return frozenset()


def _unsealed(identity: Identity, column: str, sealed: bytes) -> Envelope:
    return Envelope.FromString(identity.vault.open(column, sealed))
