"""What an enemy does: batches of updates, questions, letters, documents, and what its friend at the hub signs."""

import hashlib
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from samprasan.hub import tables as hub_tables
from samprasan.hub.log import intake
from samprasan.keys import pseudonym
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import SamprasanError
from samprasan.keys.identifiers import Scheme, parse
from samprasan.ledger import calendar
from samprasan.node.linking import evaluation_totals
from samprasan.v1 import documents_pb2, hub_pb2, linking_pb2
from samprasan.v1 import log_pb2 as log

from tests import federation
from tests.sim.adversary import COMMUNITIES, ENEMY, REMEMBERED, Enemy
from tests.sim.papers import PAPERS, post_letter
from tests.sim.upkeep import UPKEEP

_BOTH = (log.PURPOSE_SHARE, log.PURPOSE_REDEEM)
_NEW_PEOPLE = 1_000  # numbers of people whom no honest agency knows


def _update(kind: str, make: Callable[[Enemy], Any]) -> tuple[str, Callable[[Enemy], None]]:
    """A batch with one to three updates of a kind."""

    def does(enemy: Enemy) -> None:
        changes = [make(enemy) for _ in range(enemy.chance.choice((1, 1, 1, 2, 3)))]
        op_ids = [enemy.op_id() for _ in changes]
        if enemy.chance.random() < 0.1:
            op_ids = op_ids[:1] * len(changes)
        field_ = kind.split("_", maxsplit=1)[0]
        enemy.push(*(log.Update(op_id=op_ids.pop(0), **{field_: change}) for change in changes))

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
    if enemy.chance.random() < 0.5:
        award.account_id = enemy.awarded.get(award.replaces, award.account_id)
    return award


def _restoring(enemy: Enemy) -> log.Award:
    """Also beside one that it replaces, as nobody should."""
    award = _replacing(enemy) if enemy.chance.random() < 0.5 else _award(enemy)
    award.restores = enemy.one_of(enemy.awards, enemy.chance.randbytes(16))
    return award


def _reverse(enemy: Enemy) -> log.Reverse:
    """Mostly of an award of its own."""
    known = enemy.others_awards if enemy.chance.random() < 0.2 else enemy.awards
    return log.Reverse(
        award_op_id=enemy.one_of(known, enemy.chance.randbytes(16)),
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
    texts = [enemy.chance.choice(COMMUNITIES).public_text(), "th-area/10", "registry/codi.council/x"]
    texts += [f"registry/codi.council/{federation.citizen(1)}", "registry/my.list/1"]
    _open(enemy, [{"public_id": enemy.chance.choice([*texts[:1] * 5, *texts])}], (1, 2, 3, 3, 3, 4))


def _open_known(enemy: Enemy) -> None:
    """Somebody whose pseudonym it has from the operator, or a community by its hash."""
    epoch = enemy.chance.choice((enemy.linking.key_epoch, enemy.linking.key_epoch, 0))
    _open(enemy, [{"subject_key": enemy.chance.choice(enemy.keys), "key_epoch": epoch}], (1, 1, 2, 3))


def _ask_totals(enemy: Enemy) -> None:
    asked = [enemy.account() for _ in range(3)]
    answer = enemy.ask("totals", hub_pb2.GetTotalsRequest(request_id=enemy.chance.randbytes(16), account_ids=asked))
    told = hub_pb2.Totals.FromString(answer[1].payload).accounts if answer else []
    enemy.shown = [each.account_id for each in told if not each.declined]


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
    post_letter(enemy, peer, enemy.node.world.sign(request))


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
    post_letter(enemy, peer, enemy.node.world.sign(answer))


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
        own = sorted(tx.execute(sa.select(hub_tables.operations.c.op_id)).scalars())
        enemy.others_awards = enemy.chance.sample(own, min(len(own), REMEMBERED))
        enemy.others_secrets = sorted(tx.execute(sa.select(told.c.secret).where(told.c.agency != ENEMY)).scalars())
    enemy.keys = [*enemy.keys[: len(COMMUNITIES)], *people]


def _send_again(enemy: Enemy) -> None:
    """A batch that it has sent before."""
    if enemy.sent:
        enemy.ask("push", enemy.chance.choice(enemy.sent))


def _fork(enemy: Enemy) -> None:
    """Another batch where one stands, or one that lacks what goes before."""
    enemy.push(log.Update(op_id=enemy.op_id(), award=_award(enemy)), seq=enemy.head.seq + enemy.chance.choice((0, 2)))


def _name_another(enemy: Enemy) -> None:
    """A batch that it signs, in another agency's name."""
    update = log.Update(op_id=enemy.op_id(), award=_award(enemy))
    if enemy.chance.random() < 0.5:
        update = log.Update(op_id=enemy.op_id(), refund=_refund(enemy))
    enemy.push(update, agency=enemy.chance.choice(enemy.others))


def _turn(enemy: Enemy) -> None:
    """Its friend at the hub says that another day has come."""
    if not enemy.with_operator:
        return
    days = enemy.chance.choice((0, 1, 8, 400))
    day = calendar.packed(calendar.day_of(enemy.fed.clock() + days * DAY_MS))
    with enemy.fed.hub.db.begin() as tx:
        intake.append_own(tx, enemy.fed.hub.world, [log.Update(turn=log.Turn(day=day))])


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


_OF_CREDITS: list[tuple[str, Callable[[Enemy], None]]] = [
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
    ("name_another", _name_another),
    ("turn", _turn),
    *[("round", _go_round)] * 3,
    ("publish", _publish),
    *UPKEEP,
]
_ALL = [*_OF_CREDITS, *PAPERS]


def kinds(*, with_papers: bool) -> set[str]:
    """Every kind of deed that such an enemy does."""
    return {kind for kind, _ in (_ALL if with_papers else _OF_CREDITS)}


def act(enemy: Enemy) -> str:
    """It does something; which kind of deed."""
    kind, does = enemy.chance.choice(_ALL if enemy.with_papers else _OF_CREDITS)
    enemy.drawn[kind] += 1
    does(enemy)
    return kind
