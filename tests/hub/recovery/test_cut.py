"""An entry that the hub has lost and nobody has is given up by the agencies' word; nothing else is given up with it."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub.log import checkpoints
from samprasan.hub.members import documents as hub_agreeing
from samprasan.hub.process import status
from samprasan.hub.recovery import recovery
from samprasan.keys import checkpoint, signing
from samprasan.keys.errors import Refused, SamprasanError, Unavailable, Unproven
from samprasan.node import store as node_store
from samprasan.node.counter import redemption
from samprasan.node.deeds import orphans
from samprasan.node.documents import accepted, inbox, proposals
from samprasan.node.identity import Node
from samprasan.node.proof import witness as node_witnessing
from samprasan.node.recovery import refeed
from samprasan.node.rows import present
from samprasan.node.sync import halt, hello, hub_chain, outbox, receipts
from samprasan.node.tables import awards
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Cut
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation, reading, rotating
from tests.disaster import ask_for_rice, is_sound, replace_hub, restored, standing
from tests.federation import AGENCIES, Federation, deed
from tests.reading import Integration
from tests.reconciling import reconcile


def lose(fed: Federation) -> Federation:
    """mpc's batch stands in the log, others behind it; then the hub and mpc are both of yesterday."""
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    fed.run()
    fed.give("nhco", deed(101, 4), deed(102, 44))
    ask_for_rice(fed, "codi", 20, deed(4, 4).subject)
    fed.run()
    fed.run()
    before = federation.copy_of(fed, federation.memory_database, 6)
    restored(fed, yesterday)
    replace_hub(fed, yesterday)
    fed.run()
    return before


def missing(fed: Federation) -> int | None:
    found: int | None = status.status(fed.hub.db, fed.clock())["recovery"]["missing"]
    return found


def rest(fed: Federation) -> bytes:
    with fed.hub.db.read() as tx:
        return recovery.rest_of_log(tx, fed.hub.world)


def signed_cut(node: Node, note: bytes) -> Envelope:
    """What the node signs once somebody has seen it and said yes."""
    return inbox.approve(node, proposals.compose_cut(node, note), "")


def propose(fed: Federation, agency: str) -> Envelope:
    node = fed.nodes[agency]
    return signed_cut(node, rest(fed))


def submit(fed: Federation, agency: str, envelope: Envelope) -> None:
    hub_agreeing.submit_document(fed.hub, agency, envelope)


def approve(fed: Federation, agency: str) -> Envelope:
    federation.share_documents(fed)
    node = fed.nodes[agency]
    (waiting,) = inbox.inbox(node)
    return inbox.approve(node, waiting, "")


def agree(fed: Federation) -> None:
    submit(fed, "nhco", propose(fed, "nhco"))
    submit(fed, "codi", approve(fed, "codi"))


async def everybody_agrees(fed: Federation) -> bool:
    assert is_sound(fed.hub)
    assert [(await reconcile(fed, agency)).differences for agency in AGENCIES] == [[], [], []]
    for node in fed.nodes.values():
        assert outbox.outbox(node.db, fed.clock()).is_empty
        assert not halt.halt_reason(node.db)
    return True


def state_of(fed: Federation, agency: str, number: int) -> tuple[str, int, int]:
    node = fed.nodes[agency]
    found = redemption.find(node, number.to_bytes(16, "big"))
    return found["state"], found["credits"], found["receipt"]


async def test_what_nobody_has_is_given_up_and_the_rest_stays(busy_fed: Federation) -> None:
    fed = busy_fed
    before = lose(fed)
    size = missing(fed)
    assert size is not None
    assert size == status.status(fed.hub.db, fed.clock())["log"]["size"]
    agree(fed)
    fed.run()
    assert standing(fed.hub) is None
    fed.recover("mpc")
    fed.run()
    fed.give("mpc", deed(100, 4))  # the export that was lost with it
    fed.run()
    fed.run()
    assert await everybody_agrees(fed)
    assert state_of(fed, "codi", 20) == state_of(before, "codi", 20)
    now, then = (status.status(each.hub.db, fed.clock())["totals"] for each in (fed, before))
    assert now == then


def test_a_node_that_does_not_know_yet_that_a_rotation_has_ended_takes_a_cut(busy_fed: Federation) -> None:
    fed = busy_fed
    codi: Any = fed.nodes["codi"]
    hear = codi.receive
    rotating.start(fed)
    rotating.go_on_until_next(fed)
    codi.receive = lambda message: [] if message.kind == "recalled" else hear(message)
    rotating.go_on(fed)
    assert (rotating.epoch(fed), rotating.epoch(fed, "codi")) == ((2, 0), (1, 2))
    lose(fed)
    agree(fed)
    fed.run()
    assert standing(fed.hub) is None
    del codi.receive
    rotating.go_on(fed, 4)
    assert rotating.epoch(fed, "codi") == (2, 0)
    with codi.db.read() as tx:
        assert node_store.documents.agreed_on(tx).cut_version == 1
    assert hub_chain.kept_up_to(codi.db) == hub_chain.kept_up_to(fed.nodes["nhco"].db)


def test_what_integrators_know_of_the_rest_keeps_its_ids(busy_fed: Federation) -> None:
    fed = busy_fed
    reading.approve(fed, "welfare-app")
    app = Integration(fed)
    before = app.follow().events
    lose(fed)
    agree(fed)
    fed.run()
    after = app.follow().events
    assert len(before) >= 3
    assert [each.id for each in after][: len(before)] == [each.id for each in before]
    assert app.follow(before[-1].cursor).events == after[len(before) :]


async def test_the_log_has_another_origin_and_is_witnessed_again(busy_fed: Federation) -> None:
    fed = busy_fed
    lose(fed)
    agree(fed)
    for _ in range(3):
        fed.run()
        fed.clock.now_ms += 60_000
    fed.recover("mpc")
    for _ in range(3):
        fed.run()
        fed.clock.now_ms += 60_000
    with fed.hub.db.read() as tx:
        newest = hub_store.checkpoints.newest(tx)
        assert newest is not None
        assert checkpoint.read(newest.note).checkpoint.origin == hub_store.documents.agreed_on(tx).origin
        assert hub_store.documents.agreed_on(tx).origin.endswith("/cut-1")
        assert checkpoints.witness_status(tx, fed.clock()).final == newest.size
    for node in fed.nodes.values():
        with node.db.read() as tx:
            assert node_store.log_views.heard_of(tx) == []  # the log was proved to go on from what was left of it
        assert node_witnessing.witness_status(node)["size"] == newest.size


async def test_an_account_of_the_lost_part_is_opened_again(busy_fed: Federation) -> None:
    """Its Opened stood behind the entry that is lost; awards to it come right after."""
    fed = busy_fed
    lose(fed)
    submit(fed, "nhco", propose(fed, "nhco"))
    submit(fed, "codi", approve(fed, "codi"))
    fed.run()
    assert (await reconcile(fed, "nhco")).differences == []
    assert (await reconcile(fed, "nhco")).accounts == 7


async def test_what_was_paid_with_lost_credits_is_declined(busy_fed: Federation) -> None:
    """mpc's award is lost and paid for the rice: the hold cannot be there without it, and the node says so."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("codi", deed(90, 90, quantity=1, credits=8))
    fed.run()
    fed.give("mpc", deed(100, 90))
    fed.run()
    ask_for_rice(fed, "codi", 20, deed(90, 90).subject)
    fed.run()
    assert state_of(fed, "codi", 20)[0] == "posted"
    fed.run()
    restored(fed, yesterday)
    replace_hub(fed, yesterday)
    fed.run()
    agree(fed)
    fed.run()
    fed.recover("mpc")
    fed.run()
    assert state_of(fed, "codi", 20)[0] == "declined"
    assert await everybody_agrees(fed)


async def test_a_hub_restored_once_more_has_the_cut_again(busy_fed: Federation) -> None:
    fed = busy_fed
    founding = federation.copy_of(fed, federation.memory_database, 5)
    lose(fed)
    agree(fed)
    fed.run()
    fed.recover("mpc")
    fed.run()
    fed.run()
    size = status.status(fed.hub.db, fed.clock())["log"]["size"]
    replace_hub(fed, founding)
    fed.run()
    fed.run()
    assert standing(fed.hub) is None
    assert status.status(fed.hub.db, fed.clock())["log"]["size"] >= size
    with fed.hub.db.read() as tx:
        assert hub_store.documents.agreed_on(tx).cut_version == 1
    assert await everybody_agrees(fed)


def refused(step: object, *arguments: object) -> str:
    with pytest.raises(SamprasanError) as problem:
        step(*arguments)  # type: ignore[operator]
    return problem.value.code


def test_who_holds_the_entry_does_not_give_it_up(busy_fed: Federation) -> None:
    """The hub says that something is missing, and an agency has it: somebody would lose it for nothing."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    fed.run()
    fed.run()
    with yesterday.hub.db.begin() as tx:
        note = checkpoint.sign_note(checkpoints.head_of(tx), fed.hub.world.signer)
    mpc = fed.nodes["mpc"]
    assert refused(signed_cut, mpc, note) == "cut_held"
    nhco = fed.nodes["nhco"]
    proposed = signed_cut(nhco, note)
    listing = hub_agreeing.list_documents(fed.hub.db)
    listing.proposed.append(proposed)
    accepted.accept_listing(mpc, listing)
    (waiting,) = inbox.inbox(mpc)
    code = refused(inbox.approve, mpc, waiting, "")
    assert code == "cut_held"


def test_nothing_is_cut_that_the_hub_does_not_lack(busy_fed: Federation) -> None:
    fed = busy_fed
    fed.give("codi", deed(99, 4))
    fed.run()
    node = fed.nodes["nhco"]
    assert refused(signed_cut, node, rest(fed)) == "cut_unneeded"
    with fed.hub.db.read() as tx:
        note = checkpoint.sign_note(checkpoints.head_of(tx), fed.hub.world.signer)
    sound = signed_cut(node, note)
    assert refused(submit, fed, "nhco", sound) == "cut_unneeded"  # it lacks nothing
    fed.give("codi", deed(98, 4))
    fed.run()
    lose(fed)
    assert refused(submit, fed, "nhco", sound) == "cut_unneeded"  # it has more than that
    assert missing(fed) is not None


def test_nobody_else_can_say_what_is_left(busy_fed: Federation) -> None:
    fed = busy_fed
    lose(fed)
    node = fed.nodes["nhco"]
    with fed.hub.db.read() as tx:
        forged = checkpoint.sign_note(checkpoints.head_of(tx), node.world.signer)
    with pytest.raises(Unproven):
        signed_cut(node, forged)


def test_no_cut_is_composed_that_a_checkpoint_of_that_size_contradicts(busy_fed: Federation) -> None:
    node = busy_fed.nodes["nhco"]
    with node.db.read() as tx:
        own = checkpoint.read(node_store.log_views.newest(tx)).checkpoint
    other = checkpoint.sign_note(replace(own, root=bytes(32)), busy_fed.hub.world.signer)
    with pytest.raises(Unproven) as told:
        proposals.compose_cut(node, other)
    assert told.value.code == "log_forked"


def test_who_does_not_know_of_the_cut_gives_nothing_back(busy_fed: Federation) -> None:
    """The hub has lost the cut, too; one agency tells of it, and another gives back what was before."""
    fed = busy_fed
    founding = federation.copy_of(fed, federation.memory_database, 5)
    before = lose(fed)
    agree(fed)
    for agency in ("nhco", "mpc"):
        fed.deliver(fed.nodes[agency].tick())
    replace_hub(fed, founding)
    fed.deliver(fed.nodes["nhco"].tick())
    codi = before.nodes["codi"]
    stale = list(refeed.everything(codi, 0, 0, []))
    assert refused(recovery.accept_returned, fed.hub, "codi", stale) == "refeed_stale"
    with fed.hub.db.read() as tx:
        assert hub_store.documents.agreed_on(tx).cut_version == 1


@pytest.mark.parametrize("wrong", ["unsigned", "without effect", "a later one", "no cut"])
def test_a_cut_that_is_none_is_not_believed(busy_fed: Federation, wrong: str) -> None:
    fed = busy_fed
    lose(fed)
    proposed = propose(fed, "nhco")
    body = Cut.FromString(proposed.payload)
    body.version += wrong == "a later one"
    envelope = fed.nodes["nhco"].world.sign(body)
    if wrong != "unsigned":
        signing.add_signature(envelope, fed.nodes["codi"].world.signer)
    if wrong == "no cut":
        with fed.hub.db.read() as tx:
            envelope = Envelope.FromString(hub_store.documents.active(tx)[-1])
            envelope.signatures[0].signature = b"x" * 64
        envelope.payload += b"\x00"
    requests = [hub_pb2.RefeedRequest(cut=envelope)]
    assert refused(recovery.accept_returned, fed.hub, "nhco", requests)
    with fed.hub.db.read() as tx:
        assert hub_store.documents.agreed_on(tx).cut_version == 0


def test_a_cut_that_is_hidden_from_a_node_shows(busy_fed: Federation) -> None:
    """The hub goes on with the old log for one agency: others' letters tell it of a log that it does not know."""
    fed = busy_fed
    before = lose(fed)
    agree(fed)
    for _ in range(3):
        fed.run()
    with fed.nodes["nhco"].db.read() as tx:
        new = node_store.log_views.newest(tx)
    codi = before.nodes["codi"]
    node_witnessing.note_heard(codi, "nhco", new)
    assert node_witnessing.hidden_from_us(codi.db, codi.world.now() + 3_600_000) == ["nhco"]
    assert "nhco" not in {agency for agency, _ in node_witnessing.question(codi.db).known}
    assert not halt.halt_reason(codi.db)


def test_a_receipt_of_the_log_as_it_was_is_not_taken(busy_fed: Federation) -> None:
    """By no node, and by no hub that recovers: a cut has given it up, however the agency calls itself informed."""
    fed = busy_fed
    before = lose(fed)
    with before.nodes["codi"].db.read() as tx:
        row = node_store.batches.after(tx, 0, 1000)[-1]
    old = Envelope.FromString(present(row.receipt))
    agree(fed)
    fed.run()
    node = fed.nodes["codi"]
    assert refused(receipts.settle, node, old) == "log_cut"
    request = hello.compose_hello(node).request
    request.newest_receipt.CopyFrom(old)
    fed.ask_hub("codi", "hello", hello.Hello(request, 0))
    assert standing(fed.hub) is None


def test_an_award_that_takes_effect_after_all_is_not_there_twice(busy_fed: Federation) -> None:
    """It was declined before the cut, and another was made in its place: people decide about the older one."""
    fed = busy_fed
    node = fed.nodes["mpc"]
    with node.db.begin() as tx:
        award = next(each for each in tx.execute(sa.select(awards).where(awards.c.state == "settled")))
        later = award._asdict() | {"award_id": 9_999, "op_id": b"another op id...", "seq": 99}
        tx.execute(awards.insert().values(later))
        node_store.awards.orphan_doubled(tx, 99)
        kept = {row.award_id: row.deed_id for row in tx.execute(sa.select(awards))}
    assert (kept[award.award_id], kept[9_999]) == (0, award.deed_id)
    assert len(orphans.list_orphans(node)) == 1


def test_one_agency_alone_cuts_nothing(busy_fed: Federation) -> None:
    fed = busy_fed
    lose(fed)
    submit(fed, "nhco", propose(fed, "nhco"))
    fed.run()
    assert missing(fed) is not None
    policy = proposals.propose_policy(
        fed.nodes["nhco"],
        (federation.SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1),
    )
    with pytest.raises(Unavailable):  # and a hub that recovers puts nothing else into force
        submit(fed, "nhco", policy)


def test_while_an_agency_has_not_spoken_nothing_is_missing(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("codi", deed(100, 4))
    fed.run()
    fed.run()
    replace_hub(fed, yesterday)
    for agency in ("mpc", "nhco"):
        fed.deliver(fed.nodes[agency].tick())
        fed.deliver(fed.nodes[agency].tick())
    assert rest(fed) == b""


def test_old_checkpoints_do_not_count_against_the_hub(busy_fed: Federation) -> None:
    """A letter of an agency that has not heard of the cut tells of the log as it was."""
    fed = busy_fed
    before = lose(fed)
    with before.nodes["codi"].db.read() as tx:
        old = node_store.log_views.newest(tx)
    agree(fed)
    fed.run()
    node = fed.nodes["nhco"]
    node_witnessing.note_heard(node, "codi", old)
    with node.db.read() as tx:
        assert old not in {each.note for each in node_store.log_views.heard_of(tx)}
    for _ in range(3):
        fed.run()
    assert not halt.halt_reason(node.db)
    other = before.nodes["codi"]
    with fed.nodes["nhco"].db.read() as tx:
        new = node_store.log_views.newest(tx)
    node_witnessing.note_heard(other, "nhco", new)
    assert not halt.halt_reason(other.db)


def test_receipts_of_the_log_as_it_was_start_no_recovery(busy_fed: Federation) -> None:
    """An agency that was away during the cut comes with a receipt from behind it."""
    fed = busy_fed
    before = lose(fed)
    agree(fed)
    for agency in ("nhco", "mpc"):
        fed.deliver(fed.nodes[agency].tick())
    fed.hub.tick()
    assert standing(fed.hub) is None
    said = hello.compose_hello(before.nodes["codi"])
    _, answer = fed.ask_hub("codi", "hello", said)
    assert (answer.cut_version, answer.recovering) == (1, False)
    assert standing(fed.hub) is None


def test_what_is_no_cut_is_refused(busy_fed: Federation) -> None:
    fed = busy_fed
    lose(fed)
    sound = Cut.FromString(propose(fed, "nhco").payload)
    for note in (b"", b"not a note", sound.checkpoint[:-3], sound.checkpoint * 200):
        broken = Cut.FromString(sound.SerializeToString())
        broken.checkpoint = note
        assert refused(submit, fed, "nhco", fed.nodes["nhco"].world.sign(broken)) == "document_form"


def test_a_cut_is_refused_by_who_knows_better(busy_fed: Federation) -> None:
    """Its version must come next, and only members' signatures count."""
    fed = busy_fed
    lose(fed)
    sound = Cut.FromString(propose(fed, "nhco").payload)
    sound.version = 2
    with pytest.raises(Refused):
        submit(fed, "nhco", fed.nodes["nhco"].world.sign(sound))
