"""Key ceremonies between nodes: begun by themselves, resumed from anywhere, and no party ever knows the key."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import combinations, permutations
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.message import Message as Protobuf
from samprasan.hub.members import documents
from samprasan.keys import ceremony as rules
from samprasan.keys import pseudonym, ristretto, sharing, signing
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.sharing import Share
from samprasan.node import limits, tables
from samprasan.node import store as node_store
from samprasan.node.documents import inbox, proposals
from samprasan.node.linking import ceremony, letters, questions, shares
from samprasan.v1.ceremony_pb2 import CeremonyId, Complaint, DealerCommitment, DealerValue
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation, Message, NodeParty, deed

HOLDERS = {"codi": 1, "mpc": 2, "nhco": 3}


@pytest.fixture
def young() -> Iterator[Federation]:
    """Roster 1 is approved; nothing else has happened."""
    with federation.copied(federation.young()) as copy:
        yield copy


def share(node: NodeParty) -> Share | None:
    with node.db.read() as tx:
        return shares.share_held(tx, node.identity, node_store.documents.agreed_on(tx).required_roster.linking)


def all_shares(fed: Federation) -> list[Share]:
    found = [share(node) for node in fed.nodes.values()]
    return [each for each in found if each is not None]


def standing(fed: Federation, agency: str) -> dict[str, Any]:
    node = fed.nodes[agency]
    with node.db.read() as tx:
        found = ceremony.ceremony_status(tx, node)
    return found or {"state": "none"}


def states(fed: Federation) -> dict[str, tuple[str, str | None]]:
    found = {agency: standing(fed, agency) for agency in fed.nodes}
    return {agency: (each["state"], each.get("culprit")) for agency, each in found.items()}


def key_of(first: Share, second: Share) -> int:
    weights = sharing.coefficient(first.index, (second.index,)), sharing.coefficient(second.index, (first.index,))
    return (weights[0] * first.scalar + weights[1] * second.scalar) % ristretto.ORDER


def pseudonyms(fed: Federation) -> set[bytes]:
    """What each quorum makes of one value."""
    return {
        sharing.combine(mine, theirs.index, b"x", 7, pseudonym.evaluate(theirs.scalar, pseudonym.blind(b"x", 7)))
        for mine, theirs in permutations(all_shares(fed), 2)
    }


def test_a_federation_makes_its_key_by_itself_and_keeps_nothing_of_how(young: Federation) -> None:
    assert states(young) == dict.fromkeys(young.nodes, ("waiting", None))
    young.run()
    assert {agency: held.index for agency, held in zip(young.nodes, all_shares(young), strict=True)} == HOLDERS
    assert len(pseudonyms(young)) == 1
    for node in young.nodes.values():
        assert node.errors == []
        with node.db.read() as tx:
            for table in (tables.ceremonies, tables.ceremony_messages, tables.ceremony_letters):
                assert tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0


def wire(message: Message) -> bytes:
    """Everything that the hub sees of a message."""
    parts = message.body if isinstance(message.body, tuple) else (message.body,)
    return b"".join(part.SerializeToString() for part in parts if isinstance(part, Protobuf))


def known_scalars(node: NodeParty) -> list[int]:
    """Every secret that the ceremony brought to one agency."""
    found = [1]
    with node.db.read() as tx:
        for row in tx.execute(sa.select(tables.ceremonies)):
            line = rules.Line.decode(node.identity.vault.open("ceremonies.sealed_line", row.sealed_line))
            found += [line.constant, line.slope]
        for row in tx.execute(sa.select(tables.ceremony_messages).where(tables.ceremony_messages.c.holder != "")):
            opened = node.identity.vault.open("ceremony_messages.sealed_envelope", row.sealed_envelope)
            value = DealerValue.FromString(Envelope.FromString(opened).payload)
            found.append(ristretto.decode_scalar(value.value))
        for row in tx.execute(sa.select(tables.shares)):
            found.append(Share.decode(node.identity.vault.open("shares.sealed_share", row.sealed_share)).scalar)
    return found


def test_every_message_and_one_agencys_secrets_do_not_give_the_key_and_two_agencies_do(young: Federation) -> None:
    seen: list[bytes] = []
    secrets: dict[str, list[int]] = {}
    waiting = [message for node in young.nodes.values() for message in node.tick()]
    for _ in range(4):
        while waiting:
            message = waiting.pop(0)
            seen.append(wire(message))
            waiting += young.parties[message.to].receive(message)
            for agency, node in young.nodes.items():
                scalars = known_scalars(node)
                secrets[agency] = max(secrets.get(agency, []), scalars, key=len)
        waiting = [message for node in young.nodes.values() for message in node.tick()]
    held = all_shares(young)
    (key,) = {key_of(one, other) for one, other in combinations(held, 2)}
    assert len(seen) > 50
    assert all(ristretto.encode_scalar(key) not in data for data in seen)
    factors = [sharing.coefficient(a, (b,)) for a, b in permutations(sharing.INDICES, 2)] + [0, 1, 2, 3]
    factors += [ristretto.ORDER - each for each in factors]
    for agency, scalars in secrets.items():
        assert len(scalars) == 7, agency  # 1, its line, three values, its share
        weighed = [(f * a) % ristretto.ORDER for a in scalars for f in factors]
        sums = {(one + other) % ristretto.ORDER for one, other in combinations(weighed, 2)}
        assert key not in sums | set(scalars)
        # Another key fits everything that this agency knows just as well: it cannot tell them apart.
        other = (key + 1) % ristretto.ORDER
        mine = next(each for each in held if each.index == HOLDERS[agency])
        slope = (mine.scalar - other) * ristretto.invert(mine.index) % ristretto.ORDER
        assert (other + slope * mine.index) % ristretto.ORDER == mine.scalar


@pytest.mark.parametrize("seed", range(6))
def test_it_ends_well_however_messages_are_lost_doubled_or_late_and_whoever_restarts(seed: int) -> None:
    fed = federation.copy_of(federation.young(), federation.memory_database, seed)
    chance = random.Random(seed)
    waiting: list[Message] = []
    for step in range(3000):
        if step % 12 == 0:
            if len(all_shares(fed)) == 3:
                break
            party = chance.choice(list(fed.nodes.values()))
            party.restart()
            waiting += party.tick()
        if not waiting:
            continue
        message = waiting.pop(chance.randrange(len(waiting)))
        fate = chance.random()
        if fate < 0.2:
            continue
        if fate < 0.4:
            waiting.append(message)
        waiting += fed.parties[message.to].receive(message)
    fed.run()
    assert len(all_shares(fed)) == 3
    assert len(pseudonyms(fed)) == 1
    fed.close()


def test_a_missing_party_is_waited_for_and_named(young: Federation) -> None:
    gone = young.nodes.pop("nhco")
    for _ in range(3):
        young.deliver(m for node in young.nodes.values() for m in node.tick() if m.to != "nhco")
    for agency in young.nodes:
        assert standing(young, agency) | {"makes": 0} == {
            "makes": 0,
            "attempt": 1,
            "state": "commitments",
            "waiting_for": ["nhco"],
            "culprit": None,
            "reason": None,
        }
    young.nodes["nhco"] = gone
    young.run()
    assert len(all_shares(young)) == 3


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Any], None]) -> None:
    """Let a dealer say something else than it should."""
    honest = getattr(rules, name)

    def lying(*arguments: Any) -> Any:
        message = honest(*arguments)
        change(message)
        return message

    monkeypatch.setattr(rules, name, lying)


def test_a_bad_value_names_its_dealer_everywhere_and_another_attempt_succeeds(
    young: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(message: DealerValue) -> None:
        if (message.dealer, message.holder) == ("mpc", "codi"):
            message.value = ristretto.encode_scalar(5)

    with monkeypatch.context() as patch:
        spoil(patch, "value_for", change)
        young.run()
    assert set(states(young).values()) == {("aborted", "mpc")}
    assert standing(young, "codi")["reason"] == "value"
    assert all_shares(young) == []
    assert len(documents.list_documents(young.hub.db).active) == 1, "no roster took effect"
    node = young.nodes["codi"]
    assert ceremony.restart(node) == 2
    young.run()
    young.run()
    assert len(all_shares(young)) == 3


def test_a_bad_commitment_names_its_dealer_everywhere(young: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(message: DealerCommitment) -> None:
        if message.dealer == "nhco":
            message.points = ristretto.multiply_base(3) * 2

    spoil(monkeypatch, "commit", change)
    young.run()
    assert set(states(young).values()) == {("aborted", "nhco")}
    assert all_shares(young) == []


def another_commitment(fed: Federation, agency: str) -> Envelope:
    """A second commitment by the same dealer in the same ceremony."""
    node = fed.nodes[agency]
    with node.db.read() as tx:
        agreed = node_store.documents.agreed_on(tx)
    found = rules.Ceremony(agreed.federation_id, agreed.required_roster, agreed.roster_digest, 1)
    line = rules.draw(found, agency, None, node.world.random_bytes(32))
    return node.world.sign(rules.commit(found, agency, line))


def test_who_shows_two_faces_is_named_once_the_others_compare(young: Federation) -> None:
    other = another_commitment(young, "mpc")
    young.deliver(young.nodes["mpc"].tick()[:0])
    mpc, nhco = young.nodes["mpc"], young.nodes["nhco"]
    ceremony.advance(mpc)
    for letter_id, letter in ceremony.unposted_letters(mpc):
        if letter.to == "nhco":  # nhco gets the other one instead
            ceremony.mark_posted(mpc.db, letter_id)
    ceremony.accept_message(nhco, "mpc", other)
    young.run()
    assert {states(young)[agency] for agency in ("codi", "nhco")} == {("aborted", "mpc")}
    assert standing(young, "codi")["reason"] == "two_commitments"
    assert all_shares(young) == []


def test_who_claims_another_transcript_stops_the_ceremony_and_is_named(
    young: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(message: DealerValue) -> None:
        if (message.dealer, message.holder) == ("mpc", "codi"):
            message.transcript = bytes(32)

    with monkeypatch.context() as patch:
        spoil(patch, "value_for", change)
        young.run()
    assert states(young)["codi"] == ("disputed", "mpc")
    assert all_shares(young) == [], "two confirmations are too few"
    federation.share_documents(young)
    assert standing(young, "nhco")["waiting_for"] == ["codi"]
    node = young.nodes["nhco"]
    ceremony.restart(node)
    young.run()
    young.run()
    assert len(pseudonyms(young)) == 1


def test_a_complaint_without_ground_changes_nothing(young: Federation) -> None:
    mpc, codi = young.nodes["mpc"], young.nodes["codi"]
    ceremony.advance(mpc)
    (_, letter), *_ = ceremony.unposted_letters(mpc)
    named = DealerCommitment.FromString(letter.envelope.payload).ceremony
    complaint = mpc.world.sign(Complaint(ceremony=named, holder="mpc", evidence=[letter.envelope]))
    ceremony.accept_message(codi, "mpc", complaint)
    young.run()
    assert len(all_shares(young)) == 3


def unreadable(fed: Federation, **changes: Any) -> Envelope:
    commitment = DealerCommitment.FromString(another_commitment(fed, "mpc").payload)
    for name, value in changes.items():
        if isinstance(value, Protobuf):
            getattr(commitment, name).MergeFrom(value)
        else:
            setattr(commitment, name, value)
    return fed.nodes["mpc"].world.sign(commitment)


REFUSED: dict[str, tuple[Callable[[Federation], Envelope], type[SamprasanError]]] = {
    "of another federation": (lambda f: unreadable(f, ceremony=CeremonyId(federation_id=b"x" * 16)), Malformed),
    "of no roster": (lambda f: unreadable(f, ceremony=CeremonyId(roster_digest=b"x")), Malformed),
    "of a far attempt": (lambda f: unreadable(f, ceremony=CeremonyId(attempt=10)), Malformed),
    "in another's name": (lambda f: unreadable(f, dealer="nhco"), Malformed),
    "signed by another": (lambda f: another_commitment(f, "nhco"), Unproven),
    "too much evidence": (
        lambda f: f.nodes["mpc"].world.sign(Complaint(holder="mpc", evidence=[Envelope()] * 17)),
        Malformed,
    ),
    "evidence that is none": (
        lambda f: f.nodes["mpc"].world.sign(Complaint(holder="mpc", evidence=[f.nodes["mpc"].world.sign(Complaint())])),
        SamprasanError,
    ),
    "another's complaint": (lambda f: f.nodes["mpc"].world.sign(Complaint(holder="nhco")), Malformed),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_belong_to_the_ceremony_is_refused(young: Federation, what: str) -> None:
    make, kind = REFUSED[what]
    codi = young.nodes["codi"]
    with pytest.raises(kind):
        ceremony.accept_message(codi, "mpc", make(young))
    young.run()
    assert len(all_shares(young)) == 3


def test_nobody_fills_a_node_with_messages(young: Federation) -> None:
    codi = young.nodes["codi"]

    def send(number: int) -> None:
        message = unreadable(young, ceremony=CeremonyId(roster_digest=number.to_bytes(32, "big")))
        ceremony.accept_message(codi, "mpc", message)

    for number in range(2 * limits.CEREMONY_MESSAGES_MAX):
        send(number)
    with codi.db.read() as tx:
        own = sa.select(sa.func.count()).where(tables.ceremony_messages.c.dealer == "mpc")
        kept = tx.execute(own).scalar_one()
    assert kept == 1, "of rosters that it has not heard of, the last one"
    young.run()
    assert len(all_shares(young)) == 3, "they have not taken up the room of those that count"


def test_attempts_that_somebody_else_begins_take_up_nobodys_room(fed: Federation) -> None:
    """codi begins attempt after attempt, which the others follow; their messages of the last one still have room."""
    mpc, nhco, codi = (fed.nodes[each] for each in ("mpc", "nhco", "codi"))
    agree(fed, "nhco", "mpc", proposals.REFRESH, held=False)
    newest: dict[str, bytes] = {}
    for _ in range(limits.CEREMONY_MESSAGES_MAX + 4):
        ceremony.restart(codi)
        letters = [letter for _, letter in ceremony.unposted_letters(codi)]
        for letter_id, _ in ceremony.unposted_letters(codi):
            ceremony.mark_posted(codi.db, letter_id)
        for letter in letters:
            with suppress(SamprasanError):
                ceremony.accept_message(fed.nodes[letter.to], "codi", letter.envelope)
        for one, other in ((mpc, nhco), (nhco, mpc)):
            for letter_id, letter in ceremony.unposted_letters(one):
                ceremony.mark_posted(one.db, letter_id)
                if letter.to == other.name and letter.envelope.payload_type.endswith("commitment"):
                    ceremony.accept_message(other, one.name, letter.envelope)
                    newest[one.name] = signing.digest(letter.envelope)
    for one, other in ((mpc, nhco), (nhco, mpc)):
        with other.db.read() as tx:
            assert node_store.ceremony.has_message(tx, newest[one.name])
            kept = sa.select(sa.func.count()).where(tables.ceremony_messages.c.dealer == one.name)
            assert tx.execute(kept).scalar_one() <= limits.CEREMONY_MESSAGES_MAX


def agree(fed: Federation, proposer: str, approver: str, purpose: str, *, held: bool = True) -> None:
    """Propose a ceremony, approve it, and hold it."""
    node, other = fed.nodes[proposer], fed.nodes[approver]
    proposal = proposals.propose_ceremony(node, purpose)
    documents.submit_document(fed.hub, proposer, proposal)
    federation.share_documents(fed)
    (waiting,) = inbox.inbox(other)
    signed = inbox.approve(other, waiting, "")
    documents.submit_document(fed.hub, approver, signed)
    federation.share_documents(fed)
    if held:
        fed.run()


def meet(fed: Federation, *agencies: str) -> int:
    """In how many accounts these agencies meet a person whom each of them gets to know now."""
    number = fed.random.randrange(10_000, 90_000)
    accounts = set()
    for agency in agencies:
        fed.give(agency, deed(number, number), source=f"meeting {number}")
        fed.run()
        with fed.nodes[agency].db.read() as tx:
            newest = sa.select(tables.subjects.c.account_id).order_by(tables.subjects.c.subject_id.desc())
            accounts.add(tx.execute(newest.limit(1)).scalar())
    assert None not in accounts
    return len(accounts)


def test_refreshed_shares_find_the_same_accounts_and_the_old_ones_are_gone(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    before, old = pseudonyms(fed), all_shares(fed)
    agree(fed, "mpc", "codi", proposals.REFRESH)
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]
    assert pseudonyms(fed) == before
    assert not {each.scalar for each in old} & {each.scalar for each in all_shares(fed)}
    for node in fed.nodes.values():
        with node.db.read() as tx:
            assert tx.execute(sa.select(sa.func.count()).select_from(tables.shares)).scalar_one() == 1
    fed.give("nhco", deed(2, 1))
    fed.run()
    with fed.hub.db.read() as tx:
        assert len(set(documents_of(tx))) == 5  # three rosters, one policy; and the plan's
    assert meet(fed, "mpc", "nhco", "codi") == 1
    with fed.nodes["mpc"].db.read() as tx, fed.nodes["nhco"].db.read() as other:
        found = {each.execute(sa.select(tables.subjects.c.account_id)).scalars().first() for each in (tx, other)}
    assert len(found) == 1, "whom mpc linked with the old shares, nhco meets with the new"


def documents_of(tx: sa.Connection) -> list[bytes]:
    from samprasan.hub import store as hub_store

    return hub_store.documents.active(tx)


def test_a_question_from_before_a_refresh_is_asked_anew(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    node = fed.nodes["mpc"]
    questions.ask_peers(node)
    ((_, letter),) = questions.unposted_letters(node)
    peer = fed.nodes[letter.to]
    from samprasan.node.linking import evaluation

    early = evaluation.answer_question(peer, "mpc", letter.envelope)
    with node.db.begin() as tx:  # the question never left, as far as mpc knows
        tx.execute(tables.questions.update().values(posted=True))
    agree(fed, "mpc", "codi", proposals.REFRESH)
    questions.accept_answer(node, letter.to, early.envelope)
    late = evaluation.answer_question(peer, "mpc", letter.envelope)
    assert late.envelope == early.envelope, "remembered"
    fed.run()
    with node.db.read() as tx:
        assert tx.execute(sa.select(tables.subjects.c.account_id)).scalar() is not None
        states_ = set(tx.execute(sa.select(tables.questions.c.state)).scalars())
    assert states_ == {"stale", "answered"}


def plan_refresh(fed: Federation) -> None:
    """The plan is in force everywhere, and nobody has begun."""
    proposal = proposals.propose_ceremony(fed.nodes["mpc"], proposals.REFRESH)
    documents.submit_document(fed.hub, "mpc", proposal)
    documents.submit_document(fed.hub, "codi", fed.nodes["codi"].world.sign(opened(proposal)))
    federation.share_documents(fed)


@pytest.mark.parametrize("has_key", [True, False])
def test_a_dealer_that_is_restored_in_the_middle_says_the_same_again(
    fed: Federation, young: Federation, has_key: bool
) -> None:
    if has_key:
        plan_refresh(fed)
    world = fed if has_key else young
    node = world.nodes["nhco"]
    with node.db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        before = driver.serialize()
    world.run()
    first = all_shares(world)
    driver.deserialize(before)
    world.clock.now_ms += 86_400_000
    with node.db.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(tables.ceremonies)).scalar_one() == 0
    ceremony.advance(node)
    again = [letter.envelope for _, letter in ceremony.unposted_letters(node)]
    assert len(again) == 2
    assert len({each.SerializeToString() for each in again}) == 1
    assert len(first) == 3
    restored = copy_of_line(node)
    driver.deserialize(before)
    ceremony.advance(node)
    assert copy_of_line(node) == restored
    assert [letter.envelope for _, letter in ceremony.unposted_letters(node)] == again


def copy_of_line(node: NodeParty) -> bytes:
    with node.db.read() as tx:
        sealed = tx.execute(sa.select(tables.ceremonies.c.sealed_line)).scalar_one()
    return node.identity.vault.open("ceremonies.sealed_line", sealed)


def test_a_bad_value_of_new_shares_is_shown_to_nobody_and_another_attempt_succeeds(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pseudonyms(fed)

    def change(message: DealerValue) -> None:
        if (message.dealer, message.holder) == ("mpc", "codi"):
            message.value = ristretto.encode_scalar(5)

    sent: list[Envelope] = []
    seal = letters.seal

    def noted(node: Any, letter: letters.Letter) -> bytes:
        sent.append(letter.envelope)
        return seal(node, letter)

    with monkeypatch.context() as patch:
        patch.setattr(letters, "seal", noted)
        spoil(patch, "value_for", change)
        plan_refresh(fed)
        fed.run()
    assert states(fed)["codi"] == ("aborted", "mpc")
    assert {states(fed)[agency][0] for agency in ("mpc", "nhco")} == {"confirmed"}
    federation.share_documents(fed)
    assert standing(fed, "nhco")["waiting_for"] == ["codi"]
    complaints = [Complaint.FromString(each.payload) for each in sent if each.payload_type.endswith("complaint")]
    assert {each.holder for each in complaints} == {"codi"}
    shown = {each.payload_type for complaint in complaints for each in complaint.evidence}
    assert shown == {signing.payload_type(DealerCommitment)}
    ceremony.restart(fed.nodes["nhco"])
    fed.run()
    fed.run()
    assert pseudonyms(fed) == before
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]


def planned(node: NodeParty) -> rules.Ceremony:
    with node.db.read() as tx:
        found = ceremony.planned(tx, node.identity)
    assert found is not None
    return found


def test_a_value_of_a_share_is_taken_from_nobody_but_its_dealer_for_its_holder(fed: Federation) -> None:
    plan_refresh(fed)
    mpc, codi = fed.nodes["mpc"], fed.nodes["codi"]
    found = planned(mpc)
    value = mpc.world.sign(
        DealerValue(ceremony=found.id, dealer="mpc", holder="nhco", value=ristretto.encode_scalar(5))
    )
    complaint = mpc.world.sign(Complaint(ceremony=found.id, holder="mpc", evidence=[value]))
    for envelope in (value, complaint):
        with pytest.raises(Malformed):
            ceremony.accept_message(codi, "mpc", envelope)
    fed.run()
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]


def test_no_message_is_kept_that_fills_a_complaint_by_itself(fed: Federation) -> None:
    plan_refresh(fed)
    mpc, codi = fed.nodes["mpc"], fed.nodes["codi"]
    found = planned(mpc)
    large = mpc.world.sign(DealerCommitment(ceremony=found.id, dealer="mpc", points=bytes(200_000)))
    with pytest.raises(Malformed):
        ceremony.accept_message(codi, "mpc", large)
    fed.run()
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]


def test_letters_of_earlier_attempts_are_not_posted_any_more(fed: Federation) -> None:
    plan_refresh(fed)
    mpc = fed.nodes["mpc"]
    for _ in range(5):
        ceremony.restart(mpc)
    assert len(ceremony.unposted_letters(mpc)) == 2
    for _ in range(3):
        fed.run()
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]


def test_what_came_of_a_ceremony_takes_effect_however_long_its_last_holder_was_away(fed: Federation) -> None:
    plan_refresh(fed)
    gone = fed.nodes.pop("nhco")
    for _ in range(4):
        fed.deliver(m for node in fed.nodes.values() for m in node.tick() if m.to != "nhco")
        fed.clock.now_ms += 20 * 86_400_000
    fed.nodes["nhco"] = gone
    for _ in range(3):
        fed.run()
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]


def lose(node: NodeParty) -> None:
    with node.db.begin() as tx:
        tx.execute(tables.shares.delete())


def test_a_lost_share_is_made_anew_by_the_other_two(fed: Federation) -> None:
    before = pseudonyms(fed)
    lose(fed.nodes["nhco"])
    assert len(all_shares(fed)) == 2
    assert meet(fed, "mpc", "codi") == 1, "the other two go on meanwhile"
    agree(fed, "nhco", "codi", proposals.REPAIR)
    assert pseudonyms(fed) == before
    assert [each.share_version for each in all_shares(fed)] == [2, 2, 2]
    assert meet(fed, "nhco", "mpc") == 1


def test_a_share_from_an_old_backup_is_never_used(fed: Federation) -> None:
    node = fed.nodes["nhco"]
    with node.db.read() as tx:
        old = tx.execute(sa.select(tables.shares)).one()
    agree(fed, "mpc", "codi", proposals.REFRESH)
    lose(node)
    with node.db.begin() as tx:
        tx.execute(tables.shares.insert().values(old._mapping))
    assert share(node) is None, "it is not the one that the roster names"
    with node.db.begin() as tx:
        current = node_store.documents.agreed_on(tx).required_roster.linking
        point = next(entry.point for entry in current.commitments if entry.agency == "nhco")
        tx.execute(tables.shares.update().values(point=point))
    with pytest.raises(Unproven) as refused:
        share(node)
    assert refused.value.code == "share_differs"


def test_people_cannot_approve_what_only_a_ceremony_confirms(fed: Federation) -> None:
    lose(fed.nodes["nhco"])
    proposer, approver, late = (fed.nodes[agency] for agency in ("nhco", "codi", "mpc"))
    proposal = proposals.propose_ceremony(proposer, proposals.REPAIR)
    documents.submit_document(fed.hub, "nhco", proposal)
    documents.submit_document(fed.hub, "codi", approver.world.sign(opened(proposal)))
    federation.share_documents(fed)
    del fed.nodes["mpc"]
    for _ in range(3):
        fed.deliver(m for node in fed.nodes.values() for m in node.tick())
    fed.nodes["mpc"] = late
    with late.db.read() as tx:
        agreed = node_store.documents.agreed_on(tx)
    assert agreed.required_roster.HasField("plan")
    forged = type(agreed.required_roster)()
    forged.CopyFrom(agreed.required_roster)
    forged.ClearField("plan")
    forged.version += 1
    forged.linking.share_version += 1
    for entry, scalar in zip(forged.linking.commitments, (3, 4, 5), strict=True):
        entry.point = ristretto.multiply_base(scalar)
    documents.submit_document(fed.hub, "nhco", proposer.world.sign(forged))
    federation.share_documents(fed)
    (waiting,) = inbox.inbox(late)
    with pytest.raises(Refused) as refused:
        inbox.approve(late, waiting, "")
    assert refused.value.code == "confirmed_by_ceremony"


def opened(envelope: Envelope) -> Any:
    from samprasan.v1.documents_pb2 import Roster

    return signing.decode(Roster, envelope.payload)


def test_without_a_plan_there_is_nothing_to_restart_and_without_a_key_nothing_to_refresh(
    fed: Federation, young: Federation
) -> None:
    node = fed.nodes["mpc"]
    with pytest.raises(Refused) as refused:
        ceremony.restart(node)
    assert refused.value.code == "no_ceremony"
    node = young.nodes["mpc"]
    with pytest.raises(Refused) as refused:
        proposals.propose_ceremony(node, proposals.REFRESH)
    assert refused.value.code == "no_linking_key"


def test_with_one_agency_stopped_new_people_are_still_linked_and_with_two_they_wait(fed: Federation) -> None:
    stopped = {"codi": fed.nodes.pop("codi")}

    def run(rounds: int) -> None:
        for _ in range(rounds):
            fed.clock.now_ms += limits.QUESTION_LIFETIME_MS * 2
            fed.deliver(m for node in fed.nodes.values() for m in node.tick())

    def earned() -> int:
        with fed.hub.db.read() as tx:
            from samprasan.hub import store as hub_store

            return sum(each.earned for each in hub_store.ledger.agency_totals(tx).values())

    fed.give("mpc", *(deed(number, number) for number in range(5)))
    run(6)
    assert earned() == 5 * 16
    stopped["nhco"] = fed.nodes.pop("nhco")
    fed.give("mpc", *(deed(number, number) for number in range(5, 10)), source="later")
    run(6)
    assert earned() == 5 * 16
    fed.nodes["nhco"] = stopped["nhco"]
    run(10)
    assert earned() == 10 * 16
