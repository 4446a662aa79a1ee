"""Witnessing, the node's side: it believes the hub's log only as far as it has seen it grow.

Every few seconds the node asks for the newest checkpoint, proved to go on from the one it stored and from those that
other agencies' letters told of, and proved to hold its receipts and the hub's own entries.  It stores the checkpoint
and then cosigns it.  Two signed words of the hub that cannot both be true are kept as evidence; nothing more is
accepted from that hub until an operator has looked.  What the hub signed and does not come to prove stops the sending.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from samprasan.edge.database import Database, Tx, take_turn
from samprasan.edge.world import World
from samprasan.keys import checkpoint, merkle, signing
from samprasan.keys.checkpoint import Checkpoint, Note
from samprasan.keys.errors import Malformed, Unavailable, Unproven
from samprasan.ledger import calendar
from samprasan.node import limits, store
from samprasan.node.identity import Node
from samprasan.node.store.log_views import Evidence, Proof
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import Receipt

_TURN = "samprasan: witness"  # serve and sync at once are shown the same checkpoint
LIES = frozenset({"log_forked", "log_went_back"})  # after these nothing more is accepted


@dataclass(frozen=True, slots=True)
class Question:
    """What the hub is asked to prove: the notes that it must connect, by who knows of them, and receipts by batch.

    ``receipts`` are of this node's batches, ``entries`` of the hub's own.  ``origin`` says of which log: one that is
    cut while the hub thinks about it is another.
    """

    origin: str
    known: tuple[tuple[str, bytes], ...]
    receipts: tuple[tuple[int, bytes], ...]
    entries: tuple[tuple[int, bytes], ...]

    @property
    def own(self) -> bytes:
        """The node's own newest note; empty if it has none."""
        return next((note for agency, note in self.known if not agency), b"")

    @property
    def own_size(self) -> int:
        """How many entries of the log the node has seen."""
        return checkpoint.read(self.own).checkpoint.size if self.own else 0

    @property
    def request(self) -> hub_pb2.WitnessRequest:
        """The same as a message."""
        return hub_pb2.WitnessRequest(
            sizes=[checkpoint.read(note).checkpoint.size for _, note in self.known],
            log_indexes=[_opened(receipt).log_index for _, receipt in (*self.receipts, *self.entries)],
        )

    @property
    def is_full(self) -> bool:
        """Whether more receipts may wait for their proof than fit."""
        return len(self.receipts) + len(self.entries) == limits.RECEIPTS_PER_QUESTION


def question(db: Database) -> Question:
    """What to ask now."""
    with db.read() as tx:
        origin = store.documents.agreed_on(tx).origin
        own = store.log_views.newest(tx)
        told = [(row.agency, row.note) for row in store.log_views.heard_of(tx)]
        heard = [each for each in told if not _is_of_later_log(tx, checkpoint.read(each[1]))]
        room = limits.RECEIPTS_PER_QUESTION
        receipts = [(row.seq, row.receipt) for row in store.log_views.unproved(tx, room)]
        entries = store.hub_chain.unproved(tx, max(room - len(receipts), room // 2))
    known = [("", own), *heard] if own else heard
    return Question(origin, tuple(known), tuple(receipts[: room - len(entries)]), tuple(entries))


def count_question(db: Database, asked: Question) -> None:
    """Count how often the hub was asked to prove the oldest of what it has signed for, whatever it answers.

    A receipt of a place that the log never comes to is never proved, and could say whatever the hub likes.  Halts, and
    raises Unproven ``receipt_uncovered``, each time that it was asked ``limits.QUESTIONS_IN_VAIN_MAX`` times.
    """
    oldest = {
        store.facts.RECEIPT_WAITS: next((seq for seq, _ in asked.receipts), None),
        store.facts.ENTRY_WAITS: next((seq for seq, _ in asked.entries), None),
    }
    with db.read() as tx:
        if not any(oldest.values()) and not any(store.facts.get(tx, name) for name in oldest):
            return
    with db.begin() as tx:
        late = [seq for name, seq in oldest.items() if _note_waiting(tx, name, seq)]
        if late:
            store.facts.halt(tx, "receipt_uncovered")
    if late:
        raise Unproven("receipt_uncovered", seq=late[0])


def _note_waiting(tx: Tx, name: str, seq: int | None) -> bool:
    """Note that ``seq`` waits, once more; whether it is time to say so."""
    if seq is None:
        store.facts.drop(tx, name)
        return False
    before, count = map(int, (store.facts.get(tx, name) or f"{seq} 0").split())
    count = count + 1 if before == seq else 1
    store.facts.write(tx, name, f"{seq} {count}")
    return count % limits.QUESTIONS_IN_VAIN_MAX == 0


def accept_answer(node: Node, asked: Question, answer: hub_pb2.WitnessResponse) -> hub_pb2.CosignRequest | None:
    """Check the hub's answer, store its checkpoint and proofs; then the cosignature to give, if it has none of ours.

    Raises Malformed or Unproven ``checkpoint`` and ``cosignature`` for what proves nothing either way, Unavailable
    ``log_cut`` if one side does not know of a cut yet, and after halting Unproven ``log_forked`` with evidence kept,
    ``log_went_back`` for a log shorter than this node has seen.
    """
    if not answer.checkpoint and not asked.own_size:
        return None
    with node.db.begin() as tx:
        take_turn(tx, _TURN)
        if (store.documents.agreed_on(tx).origin, store.log_views.newest(tx)) != (asked.origin, asked.own):
            return None  # another process of this node has asked meanwhile
        note = _judge(tx, node.world, asked, answer)
        if isinstance(note, Unproven):
            store.facts.halt(tx, note.code)
        keys = _keys(tx)
    if isinstance(note, Unproven):
        raise note
    if node.identity.agency in {each.agency for each in checkpoint.cosignatures(note, keys, node.world.verify)}:
        return None
    word = checkpoint.cosigned(note.checkpoint, node.identity.agency, node.world.signer, node.world.now() // 1000)
    return hub_pb2.CosignRequest(size=note.checkpoint.size, seconds=word.seconds, signature=word.signature)


def note_heard(node: Node, sender: str, data: bytes) -> None:
    """A letter told of a checkpoint that ``sender`` knows: the hub will have to connect it to ours.

    Raises Malformed or Unproven ``checkpoint`` if the hub did not sign it, Unproven ``log_forked`` if it cannot be.
    """
    with node.db.begin() as tx:
        take_turn(tx, _TURN)
        note = _believed(tx, node.world, data)
        if not _is_of_this_log(tx, note):  # one of us has not heard of a cut yet
            if _is_of_later_log(tx, note):
                store.log_views.note_heard(
                    tx, sender, data, node.world.now()
                )  # and it is hidden from us, if that lasts
            return
        own = store.log_views.newest(tx)
        mine = checkpoint.read(own).checkpoint if own else None
        forked = mine is not None and mine.size == note.checkpoint.size and mine != note.checkpoint
        if forked:
            store.log_views.keep_evidence(tx, Evidence(node.world.now(), own, data))
            store.facts.halt(tx, "log_forked")
        elif mine != note.checkpoint:
            store.log_views.note_heard(tx, sender, data, node.world.now())
    if forked:
        raise Unproven("log_forked")


def hidden_from_us(db: Database, now: int) -> list[str]:
    """Agencies that know of a longer log than the hub has shown this node for too long."""
    with db.read() as tx:
        return [row.agency for row in store.log_views.heard_of(tx) if now - row.heard_at >= limits.HEARD_LATE_MS]


def witness_status(node: Node) -> dict[str, Any]:
    """The answer of ``samprasan-node checkpoint``."""
    with node.db.read() as tx:
        keys = _keys(tx)
        notes = [checkpoint.read(each) for each in store.log_views.all_newest_first(tx)]
        newest = notes[0] if notes else None
        given = {each.agency: each.seconds for each in _cosigned(newest, keys, node.world)} if newest else {}
        finals = (each.checkpoint.size for each in notes if len(_cosigned(each, keys, node.world)) == len(keys))
        return {
            "origin": newest.checkpoint.origin if newest else None,
            "size": newest.checkpoint.size if newest else 0,
            "root": newest.checkpoint.root.hex() if newest else None,
            "cosigned": {agency: calendar.iso(at * 1000) for agency, at in given.items()},
            "missing": sorted(keys.keys() - given.keys()) if newest else [],
            "final": next(finals, 0),
            "note": store.log_views.newest(tx).decode(),
            "receipts_proved": store.log_views.proved_count(tx),
            "evidence": [
                {
                    "found_at": calendar.iso(each.found_at),
                    "first": _shown(each.first),
                    "second": _shown(each.second),
                }
                for each in store.log_views.accusations(tx)
            ],
        }


def _shown(data: bytes) -> str:
    """A note as it is, a receipt in hexadecimal."""
    try:
        checkpoint.read(data)
    except Malformed:
        return data.hex()
    return data.decode()


def _cosigned(note: Note, keys: dict[str, bytes], world: World) -> list[checkpoint.Cosignature]:
    try:
        return checkpoint.cosignatures(note, keys, world.verify)
    except Unproven:  # by a key that the agency had then
        return []


def _believed(tx: Tx, world: World, data: bytes) -> Note:
    agreed = store.documents.agreed_on(tx)
    hub_key = agreed.required_roster.hub.signing_key
    return checkpoint.open_note(data, agreed.federation_id, hub_key, world.verify)


def _is_of_this_log(tx: Tx, note: Note) -> bool:
    """Whether the note is of the log as the last cut has left it."""
    return note.checkpoint.origin == store.documents.agreed_on(tx).origin


def _is_of_later_log(tx: Tx, note: Note) -> bool:
    """Whether the note is of the log after a cut that this node has not heard of."""
    agreed = store.documents.agreed_on(tx)
    return (checkpoint.cuts_of(note.checkpoint, agreed.federation_id) or 0) > agreed.cut_version


def _keys(tx: Tx) -> dict[str, bytes]:
    roster = store.documents.agreed_on(tx).roster
    return {member.agency: member.signing_key for member in roster.members} if roster else {}


def _check_form(asked: Question, answer: hub_pb2.WitnessResponse) -> None:
    """As many proofs as were asked for, of whole hashes."""
    paths = [*answer.consistency, *answer.inclusion]
    complete = (len(answer.consistency), len(answer.inclusion)) == (
        len(asked.known),
        len(asked.receipts) + len(asked.entries),
    )
    short = all(len(path.hashes) <= merkle.PATH_MAX for path in paths)
    if not complete or not short or any(len(each) != merkle.HASH_BYTES for path in paths for each in path.hashes):
        raise Malformed("checkpoint")


def _judge(tx: Tx, world: World, asked: Question, answer: hub_pb2.WitnessResponse) -> Note | Unproven:
    """Store the hub's note with what it proves, or evidence against it; the note, or what is wrong with the log."""
    if not answer.checkpoint:
        return Unproven("log_went_back", size=0, seen=asked.own_size)
    note = _believed(tx, world, answer.checkpoint)
    if not _is_of_this_log(tx, note):
        raise Unavailable("log_cut")  # the next hello tells of it
    if note.checkpoint.size < asked.own_size:
        return Unproven("log_went_back", size=note.checkpoint.size, seen=asked.own_size)
    _check_form(asked, answer)
    checkpoint.cosignatures(note, _keys(tx), world.verify)
    lie = _contradiction(world, asked, answer, note.checkpoint)
    if lie is not None:
        store.log_views.keep_evidence(tx, lie)
        return Unproven("log_forked")
    _store(tx, asked, answer, note)
    return note


def _contradiction(
    world: World, asked: Question, answer: hub_pb2.WitnessResponse, shown: Checkpoint
) -> Evidence | None:
    """What the hub signed before that its checkpoint does not go on from, or does not hold."""
    for (_, known_note), path in zip(asked.known, answer.consistency, strict=True):
        before = checkpoint.read(known_note).checkpoint
        if before.size <= shown.size and not merkle.extends(
            before.size, before.root, shown.size, path.hashes, shown.root
        ):
            return Evidence(world.now(), known_note, answer.checkpoint)
    for (_, receipt), path in zip((*asked.receipts, *asked.entries), answer.inclusion, strict=True):
        index, entry = _opened(receipt).log_index, signing.digest(Envelope.FromString(receipt))
        if index < shown.size and not merkle.includes(
            merkle.leaf_hash(entry), index, shown.size, path.hashes, shown.root
        ):
            return Evidence(world.now(), receipt, answer.checkpoint)
    return None


def _store(tx: Tx, asked: Question, answer: hub_pb2.WitnessResponse, note: Note) -> None:
    size = note.checkpoint.size
    paths = answer.inclusion[: len(asked.receipts)]
    store.log_views.add_proofs(tx, list(_proofs(asked.receipts, paths, size, tx)))
    covered = [seq for seq, receipt in asked.entries if _opened(receipt).log_index < size]
    if covered:
        store.hub_chain.note_proved(tx, covered[-1])
    store.log_views.keep_checkpoint(tx, size, answer.checkpoint)
    for agency, known_note in asked.known:
        if agency and checkpoint.read(known_note).checkpoint.size <= size:
            store.log_views.mark_connected(tx, agency, known_note)


def _proofs(
    receipts: Sequence[tuple[int, bytes]], paths: Sequence[hub_pb2.HashPath], size: int, tx: Tx
) -> Iterator[Proof]:
    for (seq, receipt), path in zip(receipts, paths, strict=True):
        if _opened(receipt).log_index < size and store.log_views.proof_of(tx, seq) is None:
            yield Proof(seq, size, b"".join(path.hashes))


def _opened(receipt: bytes) -> Receipt:
    """A receipt that was believed before it was stored."""
    return Receipt.FromString(Envelope.FromString(receipt).payload)
