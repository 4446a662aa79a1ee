"""A member with valid keys, as an enemy: it signs, opens, asks and sends whatever is well-formed.

It may have the hub's operator for a friend, who tells it every account, pseudonym and hold.  Whatever it does goes
through the hub's and the nodes' own steps; :mod:`.watch` looks at what came of it.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from samprasan.hub import tables as hub_tables
from samprasan.keys import pseudonym, signing
from samprasan.keys.chain import Head
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import SamprasanError
from samprasan.keys.identifiers import Scheme, parse
from samprasan.ledger import batch_form, calendar
from samprasan.node import store as node_store
from samprasan.node.linking import evaluation_totals, letters
from samprasan.node.linking.letters import Letter
from samprasan.v1 import documents_pb2, hub_pb2, linking_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

from tests import federation
from tests.federation import Federation, Message, NodeParty

ENEMY = "codi"
COMMUNITIES = 12  # with ids that everybody can guess
_REMEMBERED = 12  # of each kind of thing, so that it comes back to what it knows
_FAVOURITES = 2
_BOTH = (log.PURPOSE_SHARE, log.PURPOSE_REDEEM)
_NEW_PEOPLE = 1_000  # numbers of people whom no honest agency knows


class Turncoat(NodeParty):
    """The enemy's node: it goes on answering letters, so that it stays a member; all else is :class:`Enemy`'s."""

    def tick(self) -> list[Message]:
        """It reads its mail."""
        return [self._to_hub("fetch", 0)]

    def receive(self, message: Message) -> list[Message]:
        """It answers what peers ask."""
        return [each for each in super().receive(message) if each.kind == "post"] if message.kind == "mail" else []


@dataclass
class Enemy:
    """What it knows, what it has done, and how often it drew each kind of deed."""

    fed: Federation
    chance: random.Random
    with_operator: bool
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

    def __post_init__(self) -> None:
        node = self.fed.nodes[ENEMY]
        self.node = Turncoat(node.db, node.world, node.identity)
        self.fed.nodes[ENEMY] = self.node
        with node.db.read() as tx:
            self.head = node_store.batches.head(tx)
            self.own = [row.account_id for row in node_store.subjects.named_by_hub(tx, 0, 1_000) if row.account_id]
            agreed = node_store.documents.agreed_on(tx)
            self.federation_id, self.linking = agreed.federation_id, agreed.required_roster.linking
        self.keys = [each.public_subject_key() for each in _COMMUNITIES]

    def act(self) -> str:
        """Do something; its kind."""
        kind, does = self.chance.choice(_DEEDS)
        self.drawn[kind] += 1
        does(self)
        return kind

    # What it sends to the hub.

    def ask(self, kind: str, body: Any) -> Any:
        """The hub's answer; None if it is an error of ours, or nothing."""
        answers = self.fed.hub.receive(Message(ENEMY, "hub", kind, body))
        return next((each.body for each in answers if each.kind != "error"), None)

    def push(self, *updates: log.Update, seq: int = 0) -> None:
        """A batch of its chain, or, at ``seq``, one that does not come next."""
        batch = log.Batch(
            federation_id=self.federation_id,
            agency=ENEMY,
            seq=seq or self.head.seq + 1,
            previous=self.head.digest,
            created_at=self.fed.clock(),
            updates=updates,
        )
        envelope = self.node.world.sign(batch)
        self.sent = [*self.sent[-_REMEMBERED:], envelope]
        answer = self.ask("push", envelope)
        if isinstance(answer, Envelope) and answer.payload_type.endswith("receipt"):
            self.head = Head(batch.seq, signing.digest(envelope))
            self._learn(batch, log.Receipt.FromString(answer.payload))

    def _learn(self, batch: log.Batch, receipt: log.Receipt) -> None:
        for update, outcome in zip(batch.updates, receipt.outcomes, strict=True):
            if (outcome.kind == log.OUTCOME_KIND_APPLIED and update.HasField("award")) or outcome.left:
                self.awards = [*self.awards[-_REMEMBERED:], update.op_id]
            elif outcome.kind == log.OUTCOME_KIND_APPLIED and update.HasField("reserve"):
                self.holds = [*self.holds[-_REMEMBERED:], (ENEMY, update.op_id)]

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


_COMMUNITIES = [parse(Scheme.REGISTRY, str(number), "codi.council") for number in range(COMMUNITIES)]


def _update(kind: str, make: Callable[[Enemy], Any]) -> tuple[str, Callable[[Enemy], None]]:
    """A batch with one to three updates of a kind."""

    def does(enemy: Enemy) -> None:
        changes = [make(enemy) for _ in range(enemy.chance.choice((1, 1, 1, 2, 3)))]
        enemy.push(*(log.Update(op_id=enemy.op_id(), **{kind.split("_", maxsplit=1)[0]: change}) for change in changes))

    return kind, does


def _link(enemy: Enemy) -> log.Link:
    purposes = [purpose for purpose in (1, 2, 3) if enemy.chance.random() < 0.8] or [1]
    account_id = enemy.account()
    named = [log.Purpose.ValueType(each) for each in purposes]
    return log.Link(account_id=account_id, purposes=named, admission=enemy.secret(account_id))


def _unlink(enemy: Enemy) -> log.Unlink:
    return log.Unlink(account_id=enemy.account())


def _unlink_unused(enemy: Enemy) -> log.Unlink:
    """An admission is given up, be it another's or one that is spent."""
    account_id = enemy.account()
    return log.Unlink(account_id=account_id, admission=enemy.secret(account_id) or enemy.chance.randbytes(16))


def _award(enemy: Enemy) -> log.Award:
    return log.Award(
        account_id=enemy.account(),
        credits=enemy.credits(),
        dimension=log.Dimension.ValueType(enemy.chance.choice((1, 1, 2, 3, 4, 5))),
        month=enemy.month(),
        policy_version=enemy.chance.choice((1, 2, 2, 2, 2, 9)),
    )


def _replacing(enemy: Enemy) -> log.Award:
    award = _award(enemy)
    award.replaces = enemy.one_of(enemy.awards, enemy.chance.randbytes(16))
    return award


def _restoring(enemy: Enemy) -> log.Award:
    """Also beside one that it replaces, as nobody should."""
    award = _replacing(enemy) if enemy.chance.random() < 0.5 else _award(enemy)
    award.restores = enemy.one_of(enemy.awards, enemy.chance.randbytes(16))
    return award


def _reverse(enemy: Enemy) -> log.Reverse:
    return log.Reverse(
        award_op_id=enemy.one_of(enemy.awards, enemy.chance.randbytes(16)),
        reason=log.ReverseReason.ValueType(enemy.chance.choice((1, 2))),
    )


def _reserve(enemy: Enemy) -> log.Reserve:
    with enemy.fed.hub.db.read() as tx:
        offers = list(tx.execute(sa.select(hub_tables.offers.c.owner, hub_tables.offers.c.message)))
    owner, message = enemy.chance.choice(offers)
    benefit = documents_pb2.Benefit.FromString(message)
    return log.Reserve(
        account_id=enemy.account(),
        credits=benefit.credits if enemy.chance.random() < 0.95 else enemy.credits(),
        benefit_agency=owner,
        benefit=benefit.code,
        benefit_digest=hashlib.sha256(message).digest(),
        ttl_seconds=enemy.chance.choice((60, 3_600, 86_400, 0)),
    )


def _hold(enemy: Enemy) -> tuple[str, bytes]:
    agency, hold_id = enemy.one_of(enemy.holds, (ENEMY, enemy.chance.randbytes(16)))
    return agency, hold_id


def _post(enemy: Enemy) -> log.Post:
    return log.Post(hold_id=_hold(enemy)[1], credits=enemy.credits())


def _void(enemy: Enemy) -> log.Void:
    return log.Void(hold_id=_hold(enemy)[1], reason=log.VOID_REASON_CANCELLED)


def _refund(enemy: Enemy) -> log.Refund:
    agency, hold_id = _hold(enemy)
    return log.Refund(agency=agency, hold_id=hold_id, credits=enemy.credits(), reason=log.REFUND_REASON_MISTAKE)


def _open(enemy: Enemy, subjects: list[dict[str, Any]], kinds: tuple[int, ...]) -> None:
    """Accounts are asked for, with every total that it has, and now and then one that it makes up."""
    request = hub_pb2.OpenAccountsRequest(request_id=enemy.chance.randbytes(16), evaluated=enemy.totals())
    for each in subjects:
        request.subjects.add(kind=log.SubjectKind.ValueType(enemy.chance.choice(kinds)), **each)
    answer = enemy.ask("open_accounts", request)
    for envelope in answer[1] if answer else ():
        opened = hub_pb2.AccountOpened.FromString(envelope.payload)
        enemy.own.append(opened.account_id)
        enemy.secrets[opened.account_id] = opened.admission


def _open_invented(enemy: Enemy) -> None:
    """People who do not exist."""
    keys = [enemy.chance.randbytes(32) for _ in range(enemy.chance.choice((1, 1, 5)))]
    _open(enemy, [{"subject_key": key, "key_epoch": enemy.linking.key_epoch} for key in keys], (1, 1, 2))


def _open_public(enemy: Enemy) -> None:
    """Communities, also as what they are not, and ids that are not public."""
    texts = [enemy.chance.choice(_COMMUNITIES).public_text(), "th-area/10", "registry/codi.council/x"]
    texts += [f"registry/codi.council/{federation.citizen(1)}", "registry/my.list/1"]
    _open(enemy, [{"public_id": enemy.chance.choice([*texts[:1] * 5, *texts])}], (1, 2, 3, 3, 3, 4))


def _open_known(enemy: Enemy) -> None:
    """Somebody whose pseudonym it has from the operator, or a community by its hash."""
    epoch = enemy.chance.choice((enemy.linking.key_epoch, enemy.linking.key_epoch, 0))
    _open(enemy, [{"subject_key": enemy.chance.choice(enemy.keys), "key_epoch": epoch}], (1, 1, 2, 3))


def _ask_totals(enemy: Enemy) -> None:
    asked = [enemy.account() for _ in range(3)]
    enemy.ask("totals", hub_pb2.GetTotalsRequest(request_id=enemy.chance.randbytes(16), account_ids=asked))


def _evaluate(enemy: Enemy) -> None:
    """A peer is asked about people whom it guesses."""
    people = [parse(Scheme.CITIZEN, federation.citizen(_NEW_PEOPLE + enemy.chance.randrange(5))) for _ in range(2)]
    scalar = pseudonym.random_scalar(enemy.chance.randbytes(64))
    peer = enemy.chance.choice(enemy.others)
    with enemy.node.db.begin() as tx:
        signed = evaluation_totals.acknowledged_to(tx, enemy.node, peer)
        evaluation_totals.count_asked(tx, enemy.node, peer, len(people) + enemy.chance.choice((0, 1_000)))
    request = linking_pb2.EvalRequest(
        federation_id=enemy.federation_id,
        request_id=enemy.chance.randbytes(16),
        requester=ENEMY,
        evaluator=peer,
        expires_at=enemy.fed.clock() + DAY_MS,
        purpose=linking_pb2.EVAL_PURPOSE_AWARD,
        key_epoch=enemy.linking.key_epoch,
        share_version=enemy.linking.share_version,
        blinded=b"".join(pseudonym.blind(each.domain_bytes(), scalar) for each in people),
        acknowledged=signed if enemy.chance.random() < 0.8 else enemy.made_up(ENEMY, peer),
    )
    _post_letter(enemy, peer, enemy.node.world.sign(request))


def _answer_unasked(enemy: Enemy) -> None:
    """An answer that nobody asked for."""
    peer = enemy.chance.choice(enemy.others)
    answer = linking_pb2.EvalResponse(
        federation_id=enemy.federation_id,
        request_id=enemy.chance.randbytes(16),
        request_digest=enemy.chance.randbytes(32),
        evaluator=ENEMY,
        key_epoch=enemy.linking.key_epoch,
        share_version=enemy.linking.share_version,
        evaluated=enemy.chance.randbytes(32),
        proof=enemy.chance.randbytes(64),
    )
    _post_letter(enemy, peer, enemy.node.world.sign(answer))


def _post_letter(enemy: Enemy, peer: str, envelope: Envelope) -> None:
    sealed = letters.seal(enemy.node, Letter(peer, envelope))
    enemy.ask("post", (None, hub_pb2.PostMailRequest(to=peer, sealed=sealed)))


def _report(enemy: Enemy) -> None:
    """It says that it evaluated more for others than they asked for: to the hub, or in its next answer to them."""
    from samprasan.node.sync import hello

    victim = enemy.chance.choice(enemy.others)
    said = hello.compose_hello(enemy.node)
    told = [*said.request.evaluated, enemy.made_up(victim, ENEMY)]
    request = hub_pb2.HelloRequest(federation_id=enemy.federation_id, head=said.request.head, evaluated=told)
    enemy.ask("hello", hello.Hello(request, 0))
    if enemy.chance.random() < 0.2:
        with enemy.node.db.begin() as tx:
            evaluation_totals.count_evaluated(tx, enemy.node, victim, enemy.chance.choice((1, 10_000)))


def _recall(enemy: Enemy) -> None:
    """It reads the hub's chain, and what it names."""
    found = enemy.ask("recall", (True, 0))
    for entry in found[1] if found else ():
        for update in log.Batch.FromString(entry.batch.payload).updates:
            if update.HasField("expire") and (update.expire.agency, update.expire.hold_id) not in enemy.holds:
                enemy.holds.append((update.expire.agency, update.expire.hold_id))


def _hear_operator(enemy: Enemy) -> None:
    """Its friend at the hub tells it everything that stands there."""
    if not enemy.with_operator:
        return
    with enemy.fed.hub.db.read() as tx:
        enemy.accounts = sorted(tx.execute(sa.select(hub_tables.accounts.c.account_id)).scalars())
        people = sorted(set(tx.execute(sa.select(hub_tables.subjects.c.subject_key)).scalars()))
        named = sa.select(hub_tables.holds.c.agency, hub_tables.holds.c.hold_id)
        enemy.holds = [(row.agency, row.hold_id) for row in tx.execute(named.order_by(hub_tables.holds.c.hold_id))]
        told = hub_tables.admissions
        enemy.others_secrets = sorted(tx.execute(sa.select(told.c.secret).where(told.c.agency != ENEMY)).scalars())
    enemy.keys = [*enemy.keys[:COMMUNITIES], *people]


def _send_again(enemy: Enemy) -> None:
    """A batch that it has sent before."""
    if enemy.sent:
        enemy.ask("push", enemy.chance.choice(enemy.sent))


def _fork(enemy: Enemy) -> None:
    """Another batch where one stands, or one that lacks what goes before."""
    enemy.push(log.Update(op_id=enemy.op_id(), award=_award(enemy)), seq=enemy.head.seq + enemy.chance.choice((0, 2)))


def _go_round(enemy: Enemy) -> None:
    """Awarded, set aside or spent, taken back, given back: what is left?"""
    account, credits_ = enemy.account(), enemy.chance.choice((10, 40, 100, 100))
    enemy.push(
        log.Update(
            op_id=enemy.op_id(), link=log.Link(account_id=account, purposes=_BOTH, admission=enemy.secret(account))
        )
    )
    award, reserve = _award(enemy), _reserve(enemy)
    award.account_id = reserve.account_id = account
    award.credits, award.dimension, award.policy_version = credits_, log.DIMENSION_HEALTH, 2
    first, second = enemy.op_id(), enemy.op_id()
    enemy.push(log.Update(op_id=first, award=award), log.Update(op_id=second, reserve=reserve))
    spends = enemy.chance.random() < 0.5
    if spends:
        enemy.push(log.Update(op_id=enemy.op_id(), post=log.Post(hold_id=second, credits=reserve.credits)))
    reverse = log.Reverse(award_op_id=first, reason=log.REVERSE_REASON_RECORD_CHANGED)
    enemy.push(log.Update(op_id=enemy.op_id(), reverse=reverse))
    refund = log.Refund(agency=ENEMY, hold_id=second, credits=reserve.credits, reason=log.REFUND_REASON_MISTAKE)
    void = log.Void(hold_id=second, reason=log.VOID_REASON_CANCELLED)
    more = {"refund": refund} if spends else {"void": void}
    if enemy.chance.random() < 0.5:
        enemy.push(log.Update(op_id=enemy.op_id(), **more))


def _publish(enemy: Enemy) -> None:
    """Its catalogue anew, with a benefit at another price."""
    from samprasan.node.documents import proposals

    price = enemy.chance.choice((1, 10, 90))
    try:
        envelope = proposals.publish(enemy.node, federation.CATALOGUE.replace("credits = 10", f"credits = {price}"))
    except SamprasanError:
        return
    enemy.ask("submit", envelope)
    federation.share_documents(enemy.fed)


_DEEDS: list[tuple[str, Callable[[Enemy], None]]] = [
    *[_update("link", _link)] * 4,
    _update("unlink", _unlink),
    _update("unlink_unused", _unlink_unused),
    *[_update("award", _award)] * 4,
    *[_update("award_replacing", _replacing)] * 4,
    *[_update("award_restoring", _restoring)] * 3,
    *[_update("reverse", _reverse)] * 3,
    *[_update("reserve", _reserve)] * 4,
    *[_update("post", _post)] * 2,
    *[_update("void", _void)] * 3,
    *[_update("refund", _refund)] * 2,
    ("open_invented", _open_invented),
    ("open_public", _open_public),
    ("open_known", _open_known),
    ("totals", _ask_totals),
    ("evaluate", _evaluate),
    ("answer_unasked", _answer_unasked),
    ("report", _report),
    ("recall", _recall),
    ("operator", _hear_operator),
    ("again", _send_again),
    ("fork", _fork),
    *[("round", _go_round)] * 3,
    ("publish", _publish),
]
KINDS = frozenset(kind for kind, _ in _DEEDS)
