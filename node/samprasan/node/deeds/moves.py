"""Moving deeds from a wrong account to the right one: somebody proposes, somebody else confirms.

The check digit of an id misses some typing errors, and a record of such an id earns for somebody else.  What the hub
was told moves as replacing awards, signed and visible.  Where another agency has a Link to the wrong account, too, the
subject it knows will have earned less: a joint document must be in force first, and the deeds move when it is.

The record itself goes on stating the wrong id.  Whatever else it says later, its deed stays with the right subject,
until the record states another id than the wrong one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samprasan.edge.database import Database, Tx
from samprasan.edge.world import World
from samprasan.keys import documents, signing
from samprasan.keys.errors import Refused, Unavailable
from samprasan.keys.identifiers import Identifier
from samprasan.ledger import calendar
from samprasan.node import limits, person_names, store
from samprasan.node.deeds import awards as deeds_awards
from samprasan.node.deeds import officers
from samprasan.node.identity import ID_COLUMN, NAME_COLUMN, Identity, Node
from samprasan.node.rows import AwardRow, DeedRow, MoveRow, SubjectRow, present
from samprasan.node.states import MoveState
from samprasan.v1 import documents_pb2, hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_MOVE

REASONS = {
    "wrong-id": documents_pb2.MOVE_REASON_WRONG_ID,
    "two-ids": documents_pb2.MOVE_REASON_TWO_IDS,
    "two-subjects": documents_pb2.MOVE_REASON_TWO_SUBJECTS,
}
_WORDS = {number: word for word, number in REASONS.items()}
_ID_DIGITS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """The right subject of some deeds, a reason, and an officer; ``name`` is needed if the id is unknown here."""

    right: Identifier
    name: str
    reason: str
    by: str


def merge(node: Node, wrong: Identifier, proposal: Proposal) -> dict[str, Any]:
    """Propose that all deeds of ``wrong`` are somebody else's.

    Raises Refused ``subject_unknown``, ``move_nothing``, and as :func:`split`.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        row = store.subjects.find(tx, node.identity.index(wrong))
        if row is None:
            raise Refused("subject_unknown")
        deeds = [deed for deed in store.deeds.of_subject(tx, row.subject_id) if not deed.gone]
        if not deeds:
            raise Refused("move_nothing")
        return _propose(tx, node, deeds, proposal)


def split(node: Node, source: str, record_ids: Sequence[str], proposal: Proposal) -> dict[str, Any]:
    """Propose that the deeds of these records are somebody else's.

    Raises Refused ``deed_unknown``, ``move_of_several``, ``move_nowhere``, ``move_open``, ``move_scheme``,
    ``move_no_consent``, ``move_name``, ``being_erased``, and Malformed ``by``.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        deeds = []
        for record_id in dict.fromkeys(record_ids):
            deed = store.deeds.of_record_ids(tx, source, [record_id, node.identity.record_hash(record_id)])
            if deed is None or deed.gone:
                raise Refused("deed_unknown", source=source)
            deeds.append(deed)
        if len({deed.subject_id for deed in deeds}) != 1:
            raise Refused("move_of_several")
        return _propose(tx, node, deeds, proposal)


def list_moves(node: Node) -> list[dict[str, Any]]:
    """Every move, oldest first."""
    with node.db.read() as tx:
        return [_document(tx, node.identity, row) for row in store.moves.every(tx)]


def question(node: Node, move_id: int, by: str) -> hub_pb2.GetTotalsRequest | None:
    """What to ask the hub before the move can be confirmed: who else is linked; None if it knows nothing of the deeds.

    Raises Refused ``move_unknown``, ``move_over``, ``move_by_maker``, ``move_changed``, Malformed ``by``, Unavailable
    ``link_pending``.
    """
    with node.db.read() as tx:
        move = _open_move(tx, move_id)
        _check_checker(move, by)
        _check_as_shown(tx, move)
        if not _awards_in_force(tx, _deeds(tx, move)):
            return None
        (row,) = store.subjects.of_ids(tx, [move.subject_id])
        if row.account_id is None:
            return None
        if row.linked and not row.link_settled:
            raise Unavailable("link_pending")
        return hub_pb2.GetTotalsRequest(request_id=node.world.random_bytes(16), account_ids=[row.account_id])


def confirm_move(
    node: Node, move_id: int, by: str, shown: Mapping[str, Any], *, linked_elsewhere: bool
) -> Envelope | None:
    """Carry the move out; or, if ``linked_elsewhere``, what to submit to the agencies first, if it does not wait yet.

    ``shown`` is what :func:`show_move` gave and the officer has seen.  Raises as :func:`question`; Refused
    ``move_moved_on`` if that is not what there is any more.
    """
    with node.db.begin() as tx:
        store.awards.lock(tx)
        move = _open_move(tx, move_id)
        _check_checker(move, by)
        _check_as_shown(tx, move)
        if _shown(tx, node, move) != shown:
            raise Refused("move_moved_on", number=move_id)
        (wrong,) = store.subjects.of_ids(tx, [move.subject_id])
        if not linked_elsewhere or wrong.account_id is None:  # it may have been given up since the hub was asked
            _carry_out(tx, node.world, move, by)
            return None
        if move.document is not None and store.documents.is_proposed(tx, move.document):
            return None
        envelope = node.world.sign(_joint(tx, node, move))
        store.moves.mark_waiting(tx, move_id, by, signing.digest(envelope))
        return envelope


def carry_out_approved(tx: Tx, world: World, digest: bytes) -> None:
    """The joint document with that digest is in force: what waited for it is carried out, unless it changed since."""
    store.awards.lock(tx)
    move = store.moves.waiting_for(tx, digest)
    if move is not None and _worth(_deeds(tx, move)) == move.credits:
        _carry_out(tx, world, move, present(move.checker))


def drop_move(db: Database, move_id: int) -> None:
    """Give the move up.  Raises Refused ``move_unknown`` or ``move_over``."""
    with db.begin() as tx:
        move = _open_move(tx, move_id)
        store.moves.end_move(tx, move_id, MoveState.DROPPED, move.checker)


def show_move(node: Node, move_id: int) -> dict[str, Any]:
    """One move with its records; while it is open, those that it would move and what the hub holds of them.

    Raises Refused ``move_unknown``.
    """
    with node.db.read() as tx:
        move = store.moves.find(tx, move_id)
        if move is None:
            raise Refused("move_unknown", number=move_id)
        return _shown(tx, node, move)


def masked_name(tx: Tx, identity: Identity, move: documents_pb2.Move) -> str | None:
    """Whose awards it moves, so that only who knows the name knows it again; None if nobody here has that account."""
    of_here = (
        account_id
        for account_id in store.links.every_account(tx)
        if documents.account_in_move(account_id, move.move_id) == move.account
    )
    row = next(iter(store.links.subjects_of(tx, of_here)), None)
    return None if row is None else person_names.masked(identity.vault.open(NAME_COLUMN, row.sealed_name).decode())


def reason_word(reason: documents_pb2.MoveReason.ValueType) -> str:
    """A joint document's reason as the command line takes it."""
    return _WORDS[reason]


def _propose(tx: Tx, node: Node, deeds: Sequence[DeedRow], proposal: Proposal) -> dict[str, Any]:
    right, name = proposal.right, proposal.name
    (wrong,) = store.subjects.of_ids(tx, [deeds[0].subject_id])
    index = node.identity.index(right)
    known = store.subjects.find(tx, index)
    maker = officers.check_officer(proposal.by)
    if wrong.id_index == index:
        raise Refused("move_nowhere")
    if wrong.erasing or (known and known.erasing):
        raise Refused("being_erased")
    if known is None and wrong.scheme != right.scheme.value:
        raise Refused("move_scheme", scheme=wrong.scheme)
    if known is None and not name.strip():
        raise Refused("move_name")
    if known is not None and not known.share and _awards_in_force(tx, deeds):
        raise Refused("move_no_consent")
    if others := store.moves.in_open_ones(tx, [deed.deed_id for deed in deeds]):
        raise Refused("move_open", number=min(others))
    values = {
        "reason": REASONS[proposal.reason],
        "maker": maker,
        "proposed_at": node.world.now(),
        "subject_id": wrong.subject_id,
        "scheme": right.scheme.value,
        "id_index": index,
        "sealed_id": node.identity.seal(node.world, ID_COLUMN, right.reveal().encode()),
        "sealed_name": node.identity.seal(node.world, NAME_COLUMN, name.strip()[: limits.CELL_CHARACTERS_MAX].encode()),
        "credits": _worth(deeds),
    }
    move_id = store.moves.add(tx, values, [deed.deed_id for deed in deeds])
    return _document(tx, node.identity, _open_move(tx, move_id))


def _open_move(tx: Tx, move_id: int) -> MoveRow:
    move = store.moves.find(tx, move_id)
    if move is None:
        raise Refused("move_unknown", number=move_id)
    if move.state not in store.moves.OPEN:
        raise Refused("move_over", number=move_id)
    return move


def _check_checker(move: MoveRow, by: str) -> None:
    if officers.is_same(officers.check_officer(by), move.maker):
        raise Refused("move_by_maker")


def _check_as_shown(tx: Tx, move: MoveRow) -> None:
    """That an import has not made its records worth more or less than what was proposed and is shown."""
    found = _worth(_deeds(tx, move))
    if found != move.credits:
        raise Refused("move_changed", number=move.move_id, proposed=move.credits, found=found)


def _deeds(tx: Tx, move: MoveRow) -> list[DeedRow]:
    """What is still to be moved: a deed that an import gave to somebody else meanwhile, or took back, is not."""
    found = store.deeds.of_ids(tx, store.moves.deeds_of(tx, move.move_id))
    return [deed for deed in found if deed.subject_id == move.subject_id and not deed.gone]


def _worth(deeds: Sequence[DeedRow]) -> int:
    return sum(deed.credits for deed in deeds if deed.status == "verified")


def _awards_in_force(tx: Tx, deeds: Sequence[DeedRow]) -> list[AwardRow]:
    """What the hub holds of these deeds."""
    found = store.awards.of_deeds(tx, [deed.deed_id for deed in deeds]).values()
    standing = (deeds_awards.award_in_force(awards) for awards in found)
    return [award for award in standing if award and not award.reverse_reason]


def _awarded(tx: Tx, deeds: Sequence[DeedRow]) -> tuple[int, int]:
    """What the agencies' document says of these deeds: how many awards, of how many credits."""
    awards = _awards_in_force(tx, deeds)
    return len(awards), sum(award.credits for award in awards)


def _joint(tx: Tx, node: Node, move: MoveRow) -> documents_pb2.Move:
    awards, credits_ = _awarded(tx, _deeds(tx, move))
    (row,) = store.subjects.of_ids(tx, [move.subject_id])
    now, move_id = node.world.now(), node.world.random_bytes(16)
    return documents_pb2.Move(
        federation_id=store.documents.agreed_on(tx).federation_id,
        version=store.documents.version_in_force(tx, DOCUMENT_KIND_MOVE) + 1,
        created_at=now,
        expires_at=now + limits.DOCUMENT_LIFETIME_MS,
        agency=node.identity.agency,
        account=documents.account_in_move(present(row.account_id), move_id),
        awards=awards,
        credits=credits_,
        reason=move.reason,
        move_id=move_id,
    )


def _carry_out(tx: Tx, world: World, move: MoveRow, checker: str) -> None:
    now = world.now()
    deeds = _deeds(tx, move)
    if deeds:
        (wrong,) = store.subjects.of_ids(tx, [move.subject_id])
        right_id = _find_or_add_right(tx, move, wrong.kind, agrees=all(deed.share for deed in deeds))
        changed = [deed._replace(subject_id=right_id) for deed in deeds]
        deed_ids = [deed.deed_id for deed in deeds]
        store.deeds.replace(tx, changed)
        store.deeds.change_earlier(tx, deed_ids, wrong.subject_id, right_id)
        store.moves.remember(tx, deed_ids, wrong.id_index)
        deeds_awards.AwardQueue(tx, world, now).correct(changed)
        deeds_awards.give_up_untold(tx, {wrong.subject_id}, now + limits.UNLINK_GRACE_MS)
    store.moves.end_move(tx, move.move_id, MoveState.DONE, checker.strip())


def _find_or_add_right(tx: Tx, move: MoveRow, kind: int, *, agrees: bool) -> int:
    """The subject with the right id, added if it is new; then it agrees to what the records say."""
    known = store.subjects.find(tx, move.id_index)
    if known is not None:
        return known.subject_id
    subject_id = store.subjects.next_id(tx)
    sealed = (move.sealed_id, move.sealed_name)
    consents = (agrees, agrees, False, False)
    store.subjects.add(tx, [(subject_id, move.id_index, kind, move.scheme, *sealed, *consents)])
    return subject_id


def _shown(tx: Tx, node: Node, move: MoveRow) -> dict[str, Any]:
    is_open = move.state in store.moves.OPEN
    deeds = _deeds(tx, move) if is_open else store.deeds.of_ids(tx, store.moves.deeds_of(tx, move.move_id))
    awards, credits_ = _awarded(tx, deeds) if is_open else (None, None)
    records = [
        {"source": deed.source, "record_id": deed.record_id, "status": deed.status, "credits": deed.credits}
        for deed in deeds
    ]
    found = {"deeds": len(deeds), "hub_awards": awards, "hub_credits": credits_, "records": records}
    return _document(tx, node.identity, move) | found


def _document(tx: Tx, identity: Identity, move: MoveRow) -> dict[str, Any]:
    wrong = next(iter(store.subjects.of_ids(tx, [move.subject_id])), None)
    right = store.subjects.find(tx, move.id_index)
    state = move.state
    waits_for = move.document if state == MoveState.WAITING else None
    if waits_for is not None and not store.documents.is_proposed(tx, waits_for):
        state, waits_for = "lapsed", None
    return {
        "move_id": move.move_id,
        "state": state,
        "reason": _WORDS[move.reason],
        "deeds": len(store.moves.deeds_of(tx, move.move_id)),
        "credits": move.credits,
        "from": _masked(identity, wrong),
        "to": _masked(identity, right or (move if move.sealed_id else None)),
        "by": move.maker,
        "confirmed_by": move.checker,
        "proposed_at": calendar.iso(move.proposed_at),
        "approval": waits_for.hex()[:12] if waits_for else None,
    }


def _masked(identity: Identity, row: SubjectRow | MoveRow | None) -> str | None:
    """Who the row is about; an id in a public register as it is, of others the last digits."""
    if row is None:
        return None
    identifier = identity.identifier(row)
    text = identifier.reveal()
    shown = text if identifier.is_public else "…" + text[-_ID_DIGITS_SHOWN:]
    return f"{person_names.masked(identity.vault.open(NAME_COLUMN, present(row.sealed_name)).decode())} {shown}".strip()
