"""A member with valid keys, as an enemy: it signs, opens, asks and sends whatever is well-formed.

It may have the hub's operator for a friend, who tells it every account, pseudonym and hold.  Whatever it does goes
through the hub's and the nodes' own steps; :mod:`.watch` looks at what came of it.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from samprasan.keys import signing
from samprasan.keys.chain import Head
from samprasan.keys.identifiers import Scheme, parse
from samprasan.ledger import batch_form, calendar
from samprasan.node import store as node_store
from samprasan.node.linking import evaluation_totals
from samprasan.v1 import log_pb2 as log
from samprasan.v1.documents_pb2 import LinkingKey
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

from tests.federation import Federation, Message, NodeParty

ENEMY = "codi"
REMEMBERED = 12  # of each kind of thing, so that it comes back to what it knows
_FAVOURITES = 2
COMMUNITIES = [parse(Scheme.REGISTRY, str(number), "codi.council") for number in range(12)]  # everybody can guess them


class Turncoat(NodeParty):
    """The enemy's node: it answers letters and holds ceremonies, so that it stays a member; all else is the enemy's."""

    def tick(self) -> list[Message]:
        """It reads its mail, and goes on with a ceremony."""
        return [self._to_hub("fetch", 0), *self._ceremony()]

    def receive(self, message: Message) -> list[Message]:
        """It answers what peers ask, and has no letter twice."""
        if message.kind != "mail":
            return []
        return [each for each in super().receive(message) if each.kind in {"post", "acknowledge"}]


@dataclass
class Enemy:
    """What it knows, what it has done, and how often it drew each kind of deed."""

    fed: Federation
    chance: random.Random
    with_operator: bool
    with_papers: bool  # it deals with documents, ceremonies and letters, too
    head: Head = field(default_factory=Head)
    drawn: Counter[str] = field(default_factory=Counter)
    accounts: list[bytes] = field(default_factory=list)
    own: list[bytes] = field(default_factory=list)
    awards: list[bytes] = field(default_factory=list)
    holds: list[tuple[str, bytes]] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    sent: list[Envelope] = field(default_factory=list)
    secrets: dict[bytes, bytes] = field(default_factory=dict)  # by account, of admissions
    others_secrets: list[bytes] = field(default_factory=list)
    others_awards: list[bytes] = field(default_factory=list)
    awarded: dict[bytes, bytes] = field(default_factory=dict)  # by op_id, to which account
    papers: list[Envelope] = field(default_factory=list)  # documents
    noes: list[Envelope] = field(default_factory=list)  # against documents
    sealed: list[bytes] = field(default_factory=list)  # letters
    dealt: list[Envelope] = field(default_factory=list)  # ceremony messages
    entries: list[tuple[Envelope, Envelope]] = field(default_factory=list)  # batches of its chain and their receipts
    # Accounts that the hub told it of since last looked at: by their totals, by what it did to them, by a token.
    shown: list[bytes] = field(default_factory=list)
    compared: list[bytes] = field(default_factory=list)
    introduced: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        node = self.fed.nodes[ENEMY]
        self.node = Turncoat(node.db, node.world, node.identity)
        self.fed.nodes[ENEMY] = self.node
        with node.db.read() as tx:
            self.head = node_store.batches.head(tx)
            self.own = [row.account_id for row in node_store.subjects.named_by_hub(tx, 0, 1_000) if row.account_id]
            agreed = node_store.documents.agreed_on(tx)
            self.federation_id = agreed.federation_id
        self.keys = [each.public_subject_key() for each in COMMUNITIES]

    @property
    def name(self) -> str:
        """Its code."""
        return ENEMY

    @property
    def linking(self) -> LinkingKey:
        """The linking key in force."""
        with self.node.db.read() as tx:
            return node_store.documents.agreed_on(tx).required_roster.linking

    # What it sends to the hub.

    def ask(self, kind: str, body: Any) -> Any:
        """The hub's answer; None if it is an error of ours, or nothing."""
        answers = self.fed.hub.receive(Message(ENEMY, "hub", kind, body))
        return next((each.body for each in answers if each.kind != "error"), None)

    def push(self, *updates: log.Update, seq: int = 0, agency: str = ENEMY) -> None:
        """A batch of its chain, or, at ``seq``, one that does not come next, or one in another's name."""
        batch = log.Batch(
            federation_id=self.federation_id,
            agency=agency,
            seq=seq or self.head.seq + 1,
            previous=self.head.digest,
            created_at=self.fed.clock(),
            updates=updates,
        )
        envelope = self.node.world.sign(batch)
        self.sent = [*self.sent[-REMEMBERED:], envelope]
        answer = self.ask("push", envelope)
        if isinstance(answer, Envelope) and answer.payload_type.endswith("receipt"):
            self.head = Head(batch.seq, signing.digest(envelope))
            self.entries = [*self.entries[-REMEMBERED:], (envelope, answer)]
            self._learn(batch, log.Receipt.FromString(answer.payload))

    def _learn(self, batch: log.Batch, receipt: log.Receipt) -> None:
        for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
            if outcome.kind == log.OUTCOME_KIND_APPLIED and update.HasField("award"):
                self.awarded[update.op_id] = update.award.account_id
            if (outcome.kind == log.OUTCOME_KIND_APPLIED and update.HasField("award")) or outcome.left:
                self.awards = [*self.awards[-REMEMBERED:], update.op_id]
            elif outcome.kind == log.OUTCOME_KIND_APPLIED and update.HasField("reserve"):
                self.holds = [*self.holds[-REMEMBERED:], (ENEMY, update.op_id)]

    def one_of(self, known: list[Any], otherwise: Any) -> Any:
        """Something that it knows, now and then something that is not there."""
        return self.chance.choice(known) if known and self.chance.random() < 0.97 else otherwise

    def account(self) -> bytes:
        """Mostly one of the few that it comes back to or has opened last, else any that it heard of."""
        known = self.chance.choice((self.own[:_FAVOURITES], self.own[-_FAVOURITES:], self.own, self.accounts))
        return bytes(self.one_of(known, self.chance.randbytes(16)))

    def totals(self) -> list[Envelope]:
        """What others evaluated for it, as both have signed, and perhaps more, that it signs alone, or for both."""
        with self.node.db.read() as tx:
            found = evaluation_totals.every_acknowledged(tx, ENEMY)
            if self.chance.random() < 0.2:
                found += evaluation_totals.unheard(tx, ENEMY)  # also what it evaluated for others
        if self.chance.random() < 0.2:
            found.append(self.made_up(ENEMY, self.chance.choice(self.others)))
        return found

    def made_up(self, requester: str, evaluator: str) -> Envelope:
        """A total that the other agency never signed."""
        total = EvaluationTotal(
            federation_id=self.federation_id,
            requester=requester,
            evaluator=evaluator,
            total=self.chance.choice((1, 50, 10_000)),
        )
        envelope = self.node.world.sign(total)
        if self.chance.random() < 0.5:
            envelope.signatures.append(envelope.signatures[0])
        return envelope

    @property
    def others(self) -> list[str]:
        """The honest agencies."""
        return [each for each in sorted(self.fed.nodes) if each != ENEMY]

    def secret(self, account_id: bytes) -> bytes:
        """Mostly that of its own admission to the account, if it has one, else another's, or none."""
        own = self.secrets.get(account_id, b"")
        return own if self.chance.random() < 0.8 else bytes(self.chance.choice([*self.others_secrets, b""]))

    def op_id(self) -> bytes:
        """A new one, now and then one that was there before."""
        new = batch_form.new_op_id(self.chance.randbytes(10), self.fed.clock())
        return new if self.chance.random() < 0.97 else bytes(self.one_of(self.awards, new))

    def credits(self) -> int:
        """From nothing to more than anybody may."""
        return self.chance.choice((0, 1, 4, 10, 16, 40, 100, 101))

    def month(self) -> int:
        """Mostly this one."""
        today = calendar.month_of(calendar.day_of(self.fed.clock()))
        return today if self.chance.random() < 0.95 else self.chance.choice((today + 1, 202413, 202401))
