"""Witnesses: what a hub may show them, what they keep when it lies, and when a checkpoint is final."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from samprasan.hub import limits as hub_limits
from samprasan.hub import store as hub_store
from samprasan.hub.log import checkpoints as log_checkpoints
from samprasan.hub.process import status
from samprasan.hub.tables import checkpoints, cosignatures, tree
from samprasan.keys import checkpoint, merkle, signing
from samprasan.keys.checkpoint import Checkpoint
from samprasan.keys.errors import Malformed, SamprasanError, Unproven
from samprasan.node import store as node_store
from samprasan.node.proof import witness as node_witnessing
from samprasan.node.rows import present
from samprasan.node.sync import halt, outbox
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Receipt

from tests.federation import AGENCIES, Federation, HubParty, NodeParty, copy_of, deed, memory_database


def standing(fed: Federation) -> log_checkpoints.Standing:
    with fed.hub.db.read() as tx:
        return log_checkpoints.witness_status(tx, fed.clock())


def size(fed: Federation) -> int:
    with fed.hub.db.read() as tx:
        return hub_store.log.head_now(tx).size


def ask(fed: Federation, node: NodeParty) -> tuple[node_witnessing.Question, hub_pb2.WitnessResponse]:
    asked = node_witnessing.question(node.db)
    return asked, log_checkpoints.answer_question(fed.hub.db, node.name, asked.request)


def witness(fed: Federation, node: NodeParty) -> hub_pb2.CosignRequest | None:
    asked, answer = ask(fed, node)
    return node_witnessing.accept_answer(node, asked, answer)


def offered(fed: Federation) -> int:
    """Let the log grow and be signed; its size."""
    fed.give("mpc", deed(size(fed), 1))
    fed.run()
    log_checkpoints.offer_checkpoint(fed.hub)
    return standing(fed).size


def test_a_checkpoint_that_all_have_cosigned_is_final(fed_on_each: Federation) -> None:
    fed = fed_on_each
    offered(fed)
    fed.run()
    fed.run()  # each is shown who has cosigned
    found = standing(fed)
    assert found.final == found.size == size(fed)
    assert found.cosigned == dict.fromkeys(AGENCIES, found.size)
    assert found.late == []
    for node in fed.nodes.values():
        shown = node_witnessing.witness_status(node)
        assert (shown["size"], shown["missing"]) == (found.size, [])
        assert shown["evidence"] == []


def test_every_receipt_is_proved_to_its_node(fed: Federation) -> None:
    for number in range(3):
        fed.give("nhco", deed(number, number))
        fed.run()
    fed.run()
    node = fed.nodes["nhco"]
    with node.db.read() as tx:
        settled = node_store.batches.settled_seq(tx)
        found = [node_store.log_views.proof_of(tx, seq) for seq in range(1, settled + 1)]
        notes = {
            checkpoint.read(each).checkpoint.size: checkpoint.read(each)
            for each in node_store.log_views.all_newest_first(tx)
        }
        receipts = {
            row.seq: row.receipt for row in (node_store.batches.find(tx, seq) for seq in range(1, settled + 1)) if row
        }
    assert settled >= 3
    for proof in found:
        assert proof is not None
        receipt = Envelope.FromString(present(receipts[proof.seq]))
        leaf = merkle.leaf_hash(signing.digest(receipt))
        index = Receipt.FromString(receipt.payload).log_index
        path = [proof.path[at : at + 32] for at in range(0, len(proof.path), 32)]
        assert merkle.includes(leaf, index, proof.size, path, notes[proof.size].checkpoint.root)


def test_a_checkpoint_of_a_clock_that_was_ahead_keeps_no_newer_one_back(fed: Federation) -> None:
    offered(fed)
    fed.nodes.pop("nhco")  # nothing is final without it
    fed.clock.now_ms += 5 * 3_600_000
    fed.give("codi", deed(900, 9))
    fed.run()
    fed.run()
    before = standing(fed).size
    fed.clock.now_ms -= 5 * 3_600_000
    fed.give("codi", deed(901, 9))
    fed.run()
    fed.run()
    assert standing(fed).size > before


def test_a_checkpoint_stays_offered_until_it_is_final_or_half_a_minute_old(fed: Federation) -> None:
    before = offered(fed)
    fed.give("codi", deed(900, 9))
    fed.run()
    assert standing(fed).size == before
    fed.run()
    assert standing(fed).size > before
    newer = standing(fed).size
    fed.nodes.pop("nhco")  # away: nothing is final without it, and nothing stops
    fed.give("codi", deed(901, 9))
    fed.run()
    fed.clock.now_ms += hub_limits.CHECKPOINT_OFFERED_MS
    fed.run()
    assert standing(fed).size > newer
    assert standing(fed).final <= newer


def test_who_has_not_cosigned_for_ten_minutes_is_named(fed: Federation) -> None:
    fed.run()
    fed.nodes.pop("nhco")
    offered(fed)
    fed.run()
    fed.clock.now_ms += hub_limits.COSIGN_LATE_MS - 1
    assert standing(fed).late == []
    fed.clock.now_ms += 1
    assert standing(fed).late == ["nhco"]
    assert [agency for agency, _ in status.late_witnesses(fed.hub.db, fed.clock())] == ["nhco"]
    document = status.status(fed.hub.db, fed.clock())
    assert document["log"]["checkpoint"]["late"] == ["nhco"]


def test_status_tells_the_root_that_checkpoints_sign(fed: Federation) -> None:
    fed.run()
    document = status.status(fed.hub.db, fed.clock())
    node = fed.nodes["mpc"]
    assert document["log"]["root"] == node_witnessing.witness_status(node)["root"]


def signed_by_hub(fed: Federation, entries: int, root: bytes) -> bytes:
    """A checkpoint that a lying hub could sign."""
    with fed.hub.db.read() as tx:
        origin = checkpoint.read(log_checkpoints.offered_note(tx)).checkpoint.origin
    return checkpoint.sign_note(Checkpoint(origin, entries, root), fed.hub.world.signer)


Lie = Callable[[Federation, hub_pb2.WitnessResponse], bytes]
# Another root of the same size; and a longer log that does not hold what was seen.
LIES: dict[str, tuple[Lie, str]] = {
    "same size, another root": (lambda fed, _: signed_by_hub(fed, size(fed), bytes(32)), "log_forked"),
    "a longer log of other entries": (lambda fed, _: signed_by_hub(fed, size(fed) + 5, bytes(32)), "log_forked"),
    "a shorter log": (lambda fed, _: signed_by_hub(fed, size(fed) - 1, bytes(32)), "log_went_back"),
    "no log at all": (lambda _fed, _answer: b"", "log_went_back"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_hub_that_shows_another_log_is_left(fed: Federation, lie: str) -> None:
    fed.run()
    node = fed.nodes["mpc"]
    before = node_witnessing.witness_status(node)
    asked, answer = ask(fed, node)
    make, code = LIES[lie]
    answer.checkpoint = make(fed, answer)
    with pytest.raises(Unproven) as found:
        node_witnessing.accept_answer(node, asked, answer)
    assert found.value.code == code
    assert halt.halt_reason(node.db) == code
    after = node_witnessing.witness_status(node)
    assert after["note"] == before["note"]
    assert [each["second"].encode() for each in after["evidence"]] == (
        [answer.checkpoint] if code == "log_forked" else []
    )


def test_what_is_halted_accepts_no_more_until_an_operator_has_looked(fed: Federation) -> None:
    fed.run()
    node = fed.nodes["mpc"]
    asked, answer = ask(fed, node)
    answer.checkpoint = signed_by_hub(fed, size(fed), bytes(32))
    with pytest.raises(Unproven):
        node_witnessing.accept_answer(node, asked, answer)
    fed.give("mpc", deed(1, 1))
    fed.run()
    assert {each.code for each in node.errors} == {"log_forked"}
    assert outbox.outbox(node.db, fed.clock()).in_flight == 0
    halt.resume_sending(node.db)
    fed.run()
    assert outbox.outbox(node.db, fed.clock()).is_empty


Change = Callable[[hub_pb2.WitnessResponse], None]


def drop_a_proof(answer: hub_pb2.WitnessResponse) -> None:
    del answer.consistency[-1]


def shorten_a_hash(answer: hub_pb2.WitnessResponse) -> None:
    answer.consistency[0].hashes.append(b"short")


def endless_proof(answer: hub_pb2.WitnessResponse) -> None:
    answer.consistency[0].hashes.extend([bytes(32)] * (merkle.PATH_MAX + 1))


def cut_the_note(answer: hub_pb2.WitnessResponse) -> None:
    answer.checkpoint = answer.checkpoint[:-5]


def unsign(answer: hub_pb2.WitnessResponse) -> None:
    answer.checkpoint = answer.checkpoint.replace(b"\n\n", b"\n\n\xe2\x80\x94 x AAAAAAAA\n").split("— samp".encode())[0]


@pytest.mark.parametrize("change", [drop_a_proof, shorten_a_hash, endless_proof, cut_the_note, unsign])
def test_what_proves_nothing_is_an_error_and_changes_nothing(fed: Federation, change: Change) -> None:
    fed.run()
    offered(fed)
    node = fed.nodes["mpc"]
    before = node_witnessing.witness_status(node)
    asked, answer = ask(fed, node)
    change(answer)
    with pytest.raises((Malformed, Unproven)) as found:
        node_witnessing.accept_answer(node, asked, answer)
    assert found.value.code == "checkpoint"
    assert node_witnessing.witness_status(node) == before
    assert halt.halt_reason(node.db) == ""


def test_a_receipt_that_is_not_in_the_log_is_evidence(fed: Federation) -> None:
    """The hub receipted a batch, and its log holds something else in that place."""
    fed.run()
    node = fed.nodes["mpc"]
    fed.give("mpc", deed(1, 1))
    fed.run()
    last = size(fed) - 1
    with fed.hub.db.begin() as tx:
        tx.execute(tree.update().where(tree.c.number == last).values(hash=bytes(32)))
    log_checkpoints.offer_checkpoint(fed.hub)
    with pytest.raises(Unproven, match="contradict"):
        witness(fed, node)
    assert len(node_witnessing.witness_status(node)["evidence"]) == 1


def test_a_witness_that_stops_between_storing_and_answering_cosigns_what_it_stored(fed: Federation) -> None:
    fed.run()
    newest = offered(fed)
    node = fed.nodes["mpc"]
    lost = witness(fed, node)
    again = witness(fed, node)
    assert lost is not None
    assert again is not None
    assert lost.size == again.size == newest
    log_checkpoints.accept_cosignature(fed.hub, "mpc", again)
    log_checkpoints.accept_cosignature(fed.hub, "mpc", lost)
    assert standing(fed).cosigned["mpc"] == newest
    assert witness(fed, node) is None


def test_a_cosignature_of_another_agency_or_checkpoint_is_not_taken(fed: Federation) -> None:
    fed.run()
    newest = offered(fed)
    word = witness(fed, fed.nodes["mpc"])
    assert word is not None
    for agency, changed in (
        ("nhco", word),
        ("mpc", hub_pb2.CosignRequest(size=newest, seconds=word.seconds + 1, signature=word.signature)),
        ("mpc", hub_pb2.CosignRequest(size=newest, seconds=2**64 - 1, signature=word.signature)),
        ("mpc", hub_pb2.CosignRequest(size=newest, seconds=word.seconds, signature=b"")),
        ("mpc", hub_pb2.CosignRequest(size=newest + 1, seconds=word.seconds, signature=word.signature)),
    ):
        with pytest.raises(SamprasanError) as found:
            log_checkpoints.accept_cosignature(fed.hub, agency, changed)
        assert found.value.code in {"cosignature", "checkpoint_unknown"}
    assert standing(fed).cosigned["mpc"] < newest


def test_what_is_older_than_a_final_checkpoint_is_forgotten(fed: Federation) -> None:
    for _ in range(3):
        offered(fed)
        fed.run()
    with fed.hub.db.read() as tx:
        kept = list(tx.execute(sa.select(checkpoints.c.size)).scalars())
        given = set(tx.execute(sa.select(cosignatures.c.size)).scalars())
    assert kept == [size(fed)]
    assert given == {size(fed)}
    too_late = hub_pb2.CosignRequest(size=size(fed) - 1, seconds=1, signature=bytes(64))
    log_checkpoints.accept_cosignature(fed.hub, "mpc", too_late)
    with fed.hub.db.read() as tx:
        assert set(tx.execute(sa.select(cosignatures.c.size)).scalars()) == given
    too_early = hub_pb2.CosignRequest(size=too_late.size + 2, seconds=1, signature=bytes(64))
    with pytest.raises(SamprasanError):
        log_checkpoints.accept_cosignature(fed.hub, "mpc", too_early)


def two_views(fed: Federation) -> Federation:
    """The same hub as it shows itself to nhco alone: from now on with another history."""
    other = copy_of(fed, memory_database, seed=2)
    world = replace(other.hub.world, signer=fed.hub.world.signer)
    other.hub = HubParty(other.hub.db, world, other.hub.authority)
    return other


def letter(sender: NodeParty, reader: NodeParty) -> None:
    """A letter arrives, and with it the newest checkpoint that its sender knows."""
    with sender.db.read() as tx:
        note = node_store.log_views.newest(tx)
    node_witnessing.note_heard(reader, sender.name, note)


def test_a_hub_with_two_histories_is_found_out_by_a_letter(fed: Federation) -> None:
    fed.run()
    other = two_views(fed)
    offered(fed)
    for number in range(4):
        other.give("nhco", deed(number, number))
        other.run()
    other.run()
    fed.run()
    assert standing(other).size > standing(fed).size
    fooled = other.nodes["nhco"]
    letter(fed.nodes["mpc"], fooled)
    with pytest.raises(Unproven, match="contradict"):
        witness(other, fooled)
    (found,) = node_witnessing.witness_status(fooled)["evidence"]
    assert all("\n— samprasan/" in found[each] for each in ("first", "second"))


def test_two_histories_of_one_size_need_no_question(fed: Federation) -> None:
    fed.run()
    other = two_views(fed)
    for each, agency in ((fed, "mpc"), (other, "nhco")):
        each.give(agency, deed(1, 1))
        each.run()
        each.run()
    mine, theirs = standing(fed).size, standing(other).size
    assert mine == theirs
    with pytest.raises(Unproven, match="contradict"):
        letter(fed.nodes["mpc"], other.nodes["nhco"])
    assert halt.halt_reason(other.nodes["nhco"].db) == "log_forked"


def test_a_log_that_others_know_of_and_the_hub_hides_is_an_alarm(fed: Federation) -> None:
    fed.run()
    other = two_views(fed)
    offered(fed)
    fed.run()
    fooled = other.nodes["nhco"]
    letter(fed.nodes["mpc"], fooled)
    witness(other, fooled)
    assert node_witnessing.hidden_from_us(fooled.db, other.clock()) == []
    later = other.clock() + 600_000
    assert node_witnessing.hidden_from_us(fooled.db, later) == ["mpc"]


def test_a_letter_of_what_is_known_leaves_nothing(fed: Federation) -> None:
    fed.run()
    letter(fed.nodes["mpc"], fed.nodes["nhco"])
    offered(fed)
    fed.run()
    letter(fed.nodes["mpc"], fed.nodes["nhco"])
    fed.run()
    with fed.nodes["nhco"].db.read() as tx:
        assert node_store.log_views.heard_of(tx) == []


def test_letters_carry_the_newest_checkpoint(fed: Federation) -> None:
    """Linking goes through letters: after it each peer has heard of what the other knew."""
    fed.run()
    seen: list[str] = []
    original = node_witnessing.note_heard

    def noting(*arguments: object) -> None:
        seen.append(str(arguments[1]))
        original(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_witnessing, "note_heard", noting)
        fed.give("mpc", deed(50, 50))
        fed.run()
    assert "mpc" in seen
    assert len(set(seen)) == 2
