"""What an enemy does with joint documents, key ceremonies and letters: it signs, swaps fields, repeats and floods."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from samprasan.hub import store as hub_store
from samprasan.hub import tables as hub_tables
from samprasan.hub.integrators import approval
from samprasan.hub.integrators.approval import Proposal
from samprasan.keys import dissents, documents, signing
from samprasan.keys.errors import SamprasanError
from samprasan.node import store as node_store
from samprasan.node.documents import accepted, proposals
from samprasan.node.linking import letters
from samprasan.node.linking.letters import Letter
from samprasan.v1 import ceremony_pb2, hub_pb2
from samprasan.v1.documents_pb2 import Dissent
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_MOVE

from tests.moving import joint_move
from tests.policies import twins
from tests.sim.adversary import REMEMBERED, Enemy
from tests.sim.officers import next_policy

_FLOOD = 12
_OF_CEREMONIES = (ceremony_pb2.DealerCommitment, ceremony_pb2.DealerValue, ceremony_pb2.Complaint)
_NUMBERS = (0, 1, 2, 3, 7, 100, 2**31 - 1)


def swapped(chance: random.Random, message: Message) -> Message:
    """The message with one of its fields, at any depth, changed, emptied, doubled or moved."""
    made = type(message)()
    made.CopyFrom(message)
    part: Any = made
    while True:
        name = chance.choice(part.DESCRIPTOR.fields).name
        field, value = part.DESCRIPTOR.fields_by_name[name], getattr(part, name)
        if field.is_repeated:
            listed = list(value)
            if listed and field.message_type and chance.random() < 0.7:
                part = chance.choice(value)
                continue
            again = [*listed, *listed[:1]] if chance.random() < 0.5 else listed[1:]
            del value[:]
            value.extend(again)
        elif field.message_type:
            if part.HasField(name) and chance.random() < 0.8:
                part = value
                continue
            part.ClearField(name)
        else:
            setattr(part, name, _other(chance, field, value))
        return made


def _other(chance: random.Random, field: Any, value: Any) -> Any:
    if isinstance(value, bytes):
        return chance.randbytes(len(value) or 32)
    if isinstance(value, str):
        return chance.choice((f"{value} ", "mpc", "nhco", "codi", "hub", "", "ศูนย์", "x\u202ey"))
    if field.enum_type:
        return chance.choice([each.number for each in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return not value
    return max(0, value + chance.choice((-1, 1, 1, 86_400_000))) if chance.random() < 0.6 else chance.choice(_NUMBERS)


# Documents.


def _policy(enemy: Enemy) -> Envelope:
    return enemy.node.world.sign(next_policy(enemy.fed, enemy.node.world.now()))


def _grant(enemy: Enemy) -> Envelope:
    return proposals.propose_grant(enemy.node, enemy.chance.choice((1, 10**8)), enemy.chance.choice((1, 366)))


def _plan(enemy: Enemy) -> Envelope:
    purposes = (proposals.REFRESH, proposals.REFRESH, proposals.REPAIR, proposals.ROTATE)
    return proposals.propose_ceremony(enemy.node, enemy.chance.choice(purposes))


def _move(enemy: Enemy) -> Envelope:
    """Of awards that are its own, or nobody's."""
    move_id = enemy.chance.randbytes(16)
    with enemy.fed.hub.db.read() as tx:
        version = hub_store.documents.version_in_force(tx, DOCUMENT_KIND_MOVE) + 1
    body = joint_move(
        enemy.node,
        version=version,
        agency=enemy.chance.choice((enemy.node.name, enemy.node.name, "mpc")),
        account=documents.account_in_move(enemy.chance.randbytes(16), move_id),
        awards=enemy.chance.choice((1, 10**6)),
        credits=enemy.chance.choice((1, 10**9)),
        move_id=move_id,
    )
    return enemy.node.world.sign(body)


def _twins(enemy: Enemy) -> None:
    """A policy that anybody would sign, and one that nobody would, with ids that begin alike."""
    harmless, harmful = (next_policy(enemy.fed, enemy.node.world.now()) for _ in range(2))
    harmful.limits.credits_per_agency_day_max *= 1000
    pair = twins(harmless, harmful)
    for each in enemy.chance.sample(pair, 2) if pair else ():
        _submit(enemy, enemy.node.world.sign(each))


def _propose(enemy: Enemy) -> None:
    """What an agency may propose, or that with fields swapped; now and then so many that no inbox has room for them."""
    for _ in range(_FLOOD if enemy.chance.random() < 0.25 else 1):
        with suppress(SamprasanError):
            envelope = enemy.chance.choice((_policy, _grant, _move, _plan, _plan))(enemy)
            body: Message = documents.read(envelope)
            for _ in range(enemy.chance.choice((0, 1, 1, 2))):
                body = swapped(enemy.chance, body)
            _submit(enemy, enemy.node.world.sign(body))


def _submit(enemy: Enemy, envelope: Envelope) -> None:
    enemy.papers = [*enemy.papers[-REMEMBERED:], envelope]
    enemy.ask("submit", envelope)


def _a_paper(enemy: Enemy) -> Envelope:
    """One that waits, one that it knows, or one in force."""
    with enemy.fed.hub.db.read() as tx:
        active = [Envelope.FromString(each) for each in hub_store.documents.current(tx)]
        waiting = [Envelope.FromString(each) for each in hub_store.documents.proposed(tx)]
    enemy.papers = [*enemy.papers, *waiting[:REMEMBERED]][-REMEMBERED:]  # it may be over tomorrow
    return enemy.chance.choice(enemy.chance.choice([each for each in (waiting, enemy.papers, active) if each]))


def _sign_again(enemy: Enemy) -> None:
    """Its signature under anything, twice, or with signatures that stood under something else."""
    paper, other = _a_paper(enemy), _a_paper(enemy)
    made = Envelope(payload_type=paper.payload_type, payload=paper.payload)
    made.signatures.extend(enemy.chance.choice((paper.signatures, other.signatures, ())))
    for _ in range(enemy.chance.choice((1, 1, 2))):
        signing.add_signature(made, enemy.node.world.signer)
    if enemy.chance.random() < 0.2:
        made.payload_type = other.payload_type
    _submit(enemy, made)


def _revive(enemy: Enemy) -> None:
    """It brings back what is over, with every signature that it has seen under it."""
    with enemy.fed.hub.db.read() as tx:
        over = set(tx.execute(sa.select(hub_tables.withdrawn.c.digest)).scalars())
    for paper in enemy.papers:
        if signing.digest(paper) in over:
            enemy.ask("submit", _with_its_own(enemy, paper))


def _with_its_own(enemy: Enemy, paper: Envelope) -> Envelope:
    """The paper, with its signature beside those that it has seen."""
    by_key = {
        each.key_id: each for other in enemy.papers if other.payload == paper.payload for each in other.signatures
    }
    made = Envelope(payload_type=paper.payload_type, payload=paper.payload)
    by_key.pop(signing.key_id(enemy.node.world.signer.public_key), None)
    made.signatures.extend(by_key.values())
    signing.add_signature(made, enemy.node.world.signer)
    return made


def _say_no(enemy: Enemy) -> None:
    """It declines or withdraws, also what is not its to, in another's name, or with a no that it has seen."""
    paper = _a_paper(enemy)
    try:
        with enemy.fed.hub.db.read() as tx:
            roster = hub_store.documents.agreed_on(tx).roster
        standing = documents.check_signatures(paper, documents.read(paper), roster, enemy.node.world.verify)
    except SamprasanError:
        return
    reason = enemy.chance.choice((*dissents.REASONS_TO_DECLINE, *[dissents.WITHDRAWN] * 3))
    agency = enemy.name if enemy.chance.random() < 0.8 else enemy.chance.choice(enemy.others)
    said = dissents.compose(enemy.federation_id, standing, agency, reason, enemy.node.world.signer)
    if enemy.chance.random() < 0.2:
        said = enemy.node.world.sign(swapped(enemy.chance, Dissent.FromString(said.payload)))
    enemy.noes = [*enemy.noes[-REMEMBERED:], said]
    enemy.ask("dissent", said)


def _propose_as_operator(enemy: Enemy) -> None:
    """Its friend lays an integrator before everybody."""
    if enemy.with_operator:
        wanted = Proposal("all-seeing", "An app", "To see everything", [], 10, 10, 365)
        with suppress(SamprasanError):
            approval.propose(enemy.fed.hub, replace(wanted, name=f"app-{enemy.chance.randrange(30)}"))


def _list_otherwise(enemy: Enemy) -> None:
    """Its friend tells one node that something else is proposed, declined, or in force."""
    if not enemy.with_operator:
        return
    victim = enemy.fed.nodes[enemy.chance.choice(enemy.others)]
    with victim.db.read() as tx:
        over = [each for each in enemy.papers if node_store.dissents.is_over(tx, signing.digest(each))]
    paper = _a_paper(enemy)
    if over and enemy.chance.random() < 0.7:
        paper = _with_its_own(enemy, over[-1])  # of the latest, the version may still be free
    elif enemy.chance.random() < 0.7:
        with suppress(SamprasanError):
            signatures = paper.signatures
            paper = enemy.node.world.sign(swapped(enemy.chance, documents.read(paper)))
            paper.signatures.extend(signatures)
    if _is_complete(enemy, paper) and signing.digest(paper) not in map(signing.digest, over):
        return  # a node believes it, and says so once the log names another one
    listing = hub_pb2.ListDocumentsResponse(dissents=enemy.noes[-3:])
    getattr(listing, enemy.chance.choice(("active", "active", "proposed"))).append(paper)
    with suppress(SamprasanError):
        accepted.accept_listing(victim, listing)


def _is_complete(enemy: Enemy, paper: Envelope) -> bool:
    """Whether enough agencies signed it."""
    with enemy.fed.hub.db.read() as tx:
        roster = hub_store.documents.agreed_on(tx).roster
    try:
        return documents.check_signatures(paper, documents.read(paper), roster, enemy.node.world.verify).complete
    except SamprasanError:
        return False


# Ceremonies and letters.


def _ceremony_message(enemy: Enemy) -> None:
    """A dealer's message, or a complaint, of this ceremony or another; from nothing, or one that it got, swapped."""
    chance = enemy.chance
    with enemy.node.db.read() as tx:
        agreed = node_store.documents.agreed_on(tx)
    named = ceremony_pb2.CeremonyId(
        federation_id=enemy.federation_id,
        roster_digest=agreed.roster_digest if chance.random() < 0.9 else chance.randbytes(32),
        attempt=chance.choice((1, 1, 2, 1000)),
    )
    dealer = enemy.name if chance.random() < 0.8 else chance.choice(enemy.others)
    holder = chance.choice([*enemy.others, enemy.name])
    commitment = ceremony_pb2.DealerCommitment(
        ceremony=named, dealer=dealer, points=chance.randbytes(64), proof=chance.randbytes(64)
    )
    value = ceremony_pb2.DealerValue(
        ceremony=named, dealer=dealer, holder=holder, transcript=chance.randbytes(32), value=chance.randbytes(32)
    )
    complaint = ceremony_pb2.Complaint(ceremony=named, holder=dealer, evidence=enemy.dealt[-3:])
    message: Message = chance.choice((commitment, value, complaint))
    if enemy.dealt and chance.random() < 0.3:
        message = swapped(chance, _read(chance.choice(enemy.dealt)))
    envelope = enemy.node.world.sign(message)
    enemy.dealt = [*enemy.dealt[-REMEMBERED:], envelope]
    for peer in enemy.others:
        post_letter(enemy, peer, envelope)


def _read(envelope: Envelope) -> Message:
    kinds = {signing.payload_type(each): each for each in _OF_CEREMONIES}
    found: Message = kinds[envelope.payload_type].FromString(envelope.payload)
    return found


def post_letter(enemy: Enemy, peer: str, envelope: Envelope) -> None:
    """Sealed as letters are."""
    post_sealed(enemy, peer, letters.seal(enemy.node, Letter(peer, envelope)))


def post_sealed(enemy: Enemy, peer: str, sealed: bytes) -> None:
    """It keeps a copy."""
    enemy.sealed = [*enemy.sealed[-REMEMBERED:], sealed]
    enemy.ask("post", (None, hub_pb2.PostMailRequest(to=peer, sealed=sealed)))


def _letters(enemy: Enemy) -> None:
    """Letters that were there before, to others than before, or that nobody can open; now and then a flood of them."""
    for _ in range(_FLOOD if enemy.chance.random() < 0.1 else 1):
        sealed = enemy.chance.choice([*enemy.sealed, enemy.chance.randbytes(200)])
        post_sealed(enemy, enemy.chance.choice(enemy.others), sealed)


PAPERS: list[tuple[str, Callable[[Enemy], None]]] = [
    *[("propose", _propose)] * 2,
    ("twins", _twins),
    *[("sign_again", _sign_again)] * 2,
    ("revive", _revive),
    *[("say_no", _say_no)] * 2,
    ("propose_as_operator", _propose_as_operator),
    *[("list_otherwise", _list_otherwise)] * 2,
    ("ceremony_message", _ceremony_message),
    ("letters", _letters),
]
OF_PAPER = frozenset(kind for kind, _ in PAPERS)
