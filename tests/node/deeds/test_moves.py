"""Putting deeds right that stand under a wrong id: two people agree, the hub sees it, the record cannot undo it."""

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit
from samprasan.hub.members import documents
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.identifiers import Scheme, parse
from samprasan.node import limits, person_names
from samprasan.node import store as node_store
from samprasan.node.counter import balance, consent, erasure
from samprasan.node.deeds import moves as deeds_moves
from samprasan.node.documents import inbox
from samprasan.node.imports import undo
from samprasan.node.imports.deed import Consents
from samprasan.node.rows import present
from samprasan.node.tables import moved, moves
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Move

from tests import federation
from tests.federation import Federation, deed
from tests.leaving import run_without
from tests.log_entries import batches
from tests.moving import approve, confirm, propose_merge, propose_split


def owns(fed: Federation, number: int, agency: str = "mpc") -> int | None:
    """What the hub's totals of a subject say is available; None if the agency has no account of it."""
    node = fed.nodes[agency]
    with node.db.read() as tx:
        row = node_store.subjects.find(tx, node.identity.index(deed(1, number).subject))
    if row is None or row.account_id is None:
        return None
    with fed.hub.db.read() as tx:
        return hub_store.ledger.totals_of(tx, [row.account_id])[row.account_id].available


def refused(step: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(Refused) as told:
        step(*arguments)
    return told.value.code


def agreed_by_all(fed: Federation) -> bool:
    hub = fed.hub
    return audit.audit(hub, hub.world.signer.public_key).problems == []


def deeds_of(fed: Federation, number: int) -> list[str]:
    node = fed.nodes["mpc"]
    with node.db.read() as tx:
        row = node_store.subjects.find(tx, node.identity.index(deed(1, number).subject))
        return [each.record_id for each in node_store.deeds.of_subject(tx, row.subject_id)] if row else []


def test_one_deed_moves_to_somebody_new_as_one_replacing_award(fed_on_each: Federation) -> None:
    fed = fed_on_each
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    move = propose_split(fed, "R00002")
    assert (move["state"], move["deeds"], move["credits"]) == ("proposed", 1, 16)
    assert owns(fed, 1) == 32, "nothing has changed yet"
    assert confirm(fed, move) == "done"
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (16, 16)
    last = batches(fed)[-1].updates[-1].award
    assert last.replaces
    assert agreed_by_all(fed)


def test_merging_leaves_nobody_behind(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 2))
    fed.run()
    assert confirm(fed, propose_merge(fed)) == "done"
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (0, 48)
    fed.clock.now_ms += limits.UNLINK_GRACE_MS
    fed.run()
    assert deeds_of(fed, 1) == []
    node = fed.nodes["mpc"]
    with node.db.read() as tx:
        assert node_store.subjects.find(tx, node.identity.index(deed(1, 1).subject)) is None
    assert agreed_by_all(fed)


def test_what_nobody_has_heard_of_just_moves(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    assert confirm(fed, propose_merge(fed)) == "done"
    fed.run()
    assert owns(fed, 2) == 16
    assert [update.WhichOneof("change") for batch in batches(fed) for update in batch.updates] == ["link", "award"]


def test_what_is_on_its_way_moves_too(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    run_without(fed, "pushed")  # the batch gets into the log, its receipt is lost
    with pytest.raises(SamprasanError) as pending:
        confirm(fed, propose_merge(fed))
    assert pending.value.code == "link_pending"
    fed.run()
    assert confirm(fed, {"move_id": 1}) == "done"
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (0, 16)


def test_where_another_agency_is_linked_it_waits_for_an_approval(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    move = propose_split(fed, "R00002")
    assert confirm(fed, move) == "waiting"
    fed.run()
    assert owns(fed, 2) is None
    body = approve(fed)
    assert (body.agency, body.awards, body.credits) == ("mpc", 1, 16)
    with fed.nodes["nhco"].db.read() as tx:
        assert deeds_moves.masked_name(tx, fed.nodes["nhco"].identity, body) == "ชื่อ*** 1***"
    with fed.nodes["codi"].db.read() as tx:
        assert deeds_moves.masked_name(tx, fed.nodes["codi"].identity, body) is None
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (32, 16)
    node = fed.nodes["mpc"]
    shown = deeds_moves.show_move(node, 1)
    assert (shown["state"], shown["by"], shown["confirmed_by"]) == ("done", "มาลี", "สมชาย")
    assert agreed_by_all(fed)


def test_two_moves_at_once_take_turns_and_the_one_left_out_is_confirmed_again(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    first, second = propose_split(fed, "R00002"), propose_split(fed, "R00003", right=3)
    assert confirm(fed, first) == "waiting"
    assert confirm(fed, first) == "waiting", "nothing new is proposed while it waits"
    assert confirm(fed, second) == "waiting"
    nhco = fed.nodes["nhco"]
    assert len(inbox.inbox(nhco)) == 2
    mine = next(each for each in inbox.inbox(nhco) if each.body.version == 1)
    signed = inbox.approve(nhco, mine, "")
    documents.submit_document(fed.hub, "nhco", signed)
    federation.share_documents(fed)
    node = fed.nodes["mpc"]
    states = {each["state"]: each for each in deeds_moves.list_moves(node)}
    assert set(states) == {"done", "lapsed"}
    assert confirm(fed, states["lapsed"]) == "waiting"
    assert approve(fed).version == 2
    fed.run()
    assert (owns(fed, 1), owns(fed, 2), owns(fed, 3)) == (32, 16, 16)


def test_a_move_that_was_dropped_is_not_carried_out_when_its_document_comes_into_force(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    move = propose_merge(fed)
    assert confirm(fed, move) == "waiting"
    deeds_moves.drop_move(fed.nodes["mpc"].db, 1)
    approve(fed)
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (32, None)
    with pytest.raises(Refused) as refused:
        confirm(fed, move)
    assert refused.value.code == "move_over"


def test_whatever_else_the_record_says_later_its_deed_stays_moved(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    confirm(fed, propose_split(fed, "R00002"))
    assert fed.give("mpc", deed(1, 1), deed(2, 1)).unchanged == 2
    report = fed.give("mpc", deed(1, 1), deed(2, 1, quantity="3", subject_name="ชื่อสมมติ 2"))
    assert (report.unchanged, report.corrected) == (1, 1)
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (16, 24)
    assert fed.give("mpc", deed(2, 2, quantity="3")).corrected == 1, "the right id at last"
    assert fed.give("mpc", deed(2, 3, quantity="3")).corrected == 1, "a third one, which is news"
    fed.run()
    assert (owns(fed, 2), owns(fed, 3)) == (0, 24)


def test_undoing_the_import_takes_a_moved_deed_back_from_whom_it_was_moved_to(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(1, 1, quantity="3"))
    fed.run()
    confirm(fed, propose_merge(fed))
    fed.run()
    node = fed.nodes["mpc"]
    undo.undo_import(node, 2)
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (0, 16)
    undo.undo_import(node, 1)
    fed.run()
    assert owns(fed, 2) in {0, None}
    assert fed.give("mpc", deed(1, 1)).accepted == 1
    fed.run()
    assert (owns(fed, 1), owns(fed, 2)) == (16, 0), "what was forgotten altogether is new again"
    assert agreed_by_all(fed)


def test_a_deed_that_an_import_gave_to_somebody_else_meanwhile_is_left_alone(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1))
    fed.run()
    move = propose_merge(fed)
    fed.give("mpc", deed(2, 3))
    assert refused(confirm, fed, move) == "move_changed"
    deeds_moves.drop_move(fed.nodes["mpc"].db, move["move_id"])
    assert confirm(fed, propose_merge(fed)) == "done"
    fed.run()
    assert (owns(fed, 2), owns(fed, 3)) == (16, 16)


def test_nobody_confirms_more_than_was_proposed_and_is_shown(fed: Federation) -> None:
    """Neither here nor, where another agency has to sign, in the document that it is shown."""
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(2, 1))
    fed.run()
    move = propose_split(fed, "R00001")
    assert deeds_moves.show_move(fed.nodes["mpc"], move["move_id"])["credits"] == 16
    fed.give("mpc", deed(1, 1, quantity=Decimal(8), credits=64))
    fed.run()
    assert refused(confirm, fed, move) == "move_changed"
    assert inbox.inbox(fed.nodes["mpc"]) == []
    deeds_moves.drop_move(fed.nodes["mpc"].db, move["move_id"])
    again = propose_split(fed, "R00001")
    assert again["credits"] == 64
    assert confirm(fed, again) == "waiting"
    assert approve(fed).credits == 64
    fed.run()
    assert owns(fed, 2) == 64


def test_nobody_confirms_what_the_hub_has_heard_of_since_it_was_shown(fed: Federation) -> None:
    """What another agency is to sign says how many awards the hub knows: the officer has seen that, too."""
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(3, 1))
    fed.run()
    fed.give("mpc", deed(2, 1))
    node, move = fed.nodes["mpc"], propose_merge(fed)
    shown = deeds_moves.show_move(node, move["move_id"])
    assert (shown["credits"], shown["hub_awards"], shown["hub_credits"]) == (32, 1, 16)
    fed.run()
    for _ in range(2):
        with pytest.raises(Refused) as moved_on:
            deeds_moves.confirm_move(node, move["move_id"], "สมชาย", shown, linked_elsewhere=True)
        assert moved_on.value.code == "move_moved_on"
    assert confirm(fed, move) == "waiting"
    assert (approve(fed).awards, owns(fed, 2)) == (2, None)


def other_credits(fed: Federation, move: dict[str, Any]) -> None:
    """The records are worth as much together."""
    fed.give("mpc", deed(1, 1, quantity=Decimal(3), credits=24), deed(2, 1, quantity=Decimal(1), credits=8))


def other_name(fed: Federation, move: dict[str, Any]) -> None:
    """Who has the right id turns out to be called otherwise."""
    fed.give("mpc", deed(9, 2, subject_name="คนอื่น"))


def other_move(fed: Federation, move: dict[str, Any]) -> None:
    """It was forgotten with somebody who was erased, and another one has its number."""
    node = fed.nodes["mpc"]
    with node.db.begin() as tx:
        row = node_store.subjects.find(tx, node.identity.index(deed(1, 1).subject))
        assert row is not None
        node_store.moves.forget(tx, row.subject_id, row.id_index)
    fed.give("mpc", deed(7, 3), deed(8, 3))
    assert propose_merge(fed, wrong=3, right=4)["move_id"] == move["move_id"]


@pytest.mark.parametrize("change", [other_credits, other_name, other_move])
def test_nobody_confirms_what_was_not_shown(
    fed: Federation, change: Callable[[Federation, dict[str, Any]], None]
) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1))
    node, move = fed.nodes["mpc"], propose_merge(fed)
    shown = deeds_moves.show_move(node, move["move_id"])
    change(fed, move)
    with pytest.raises(Refused) as moved_on:
        deeds_moves.confirm_move(node, move["move_id"], "สมชาย", shown, linked_elsewhere=False)
    assert moved_on.value.code == "move_moved_on"
    assert confirm(fed, move) == "done"


def test_what_is_shown_is_what_would_be_moved(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 1, status="rejected"), deed(4, 2))
    fed.run()
    node, move = fed.nodes["mpc"], propose_merge(fed)
    fed.give("mpc", deed(3, 3, status="rejected"))
    shown = deeds_moves.show_move(node, move["move_id"])
    assert (shown["deeds"], shown["hub_awards"], shown["hub_credits"]) == (2, 2, 32)
    assert [(each["record_id"], each["status"]) for each in shown["records"]] == [
        ("R00001", "verified"),
        ("R00002", "verified"),
    ]
    assert confirm(fed, move) == "done"
    done = deeds_moves.show_move(node, move["move_id"])
    assert (done["deeds"], done["hub_awards"], done["hub_credits"]) == (3, None, None)


def test_what_changed_while_another_agency_looked_at_it_is_not_moved(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(2, 1))
    fed.run()
    move = propose_split(fed, "R00001")
    assert confirm(fed, move) == "waiting"
    fed.give("mpc", deed(1, 1, quantity=Decimal(8), credits=64))
    assert approve(fed).credits == 16
    fed.run()
    assert deeds_moves.show_move(fed.nodes["mpc"], move["move_id"])["state"] == "lapsed"
    assert owns(fed, 2) is None
    assert refused(confirm, fed, move) == "move_changed"


def test_somebody_new_agrees_to_what_the_records_say(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1, consents=Consents(share=False, redeem=False)))
    confirm(fed, propose_merge(fed))
    node = fed.nodes["mpc"]
    found = consent.show(node, deed(1, 2).subject)
    assert (found["share"], found["redeem"], found["integrators"], found["publish"]) == (False, False, False, False)


def test_erasing_either_side_leaves_nothing_of_it(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 1))
    fed.run()
    confirm(fed, propose_split(fed, "R00002"))
    propose_split(fed, "R00003", right=3)
    fed.run()
    node = fed.nodes["mpc"]
    erasure.erase(node, deed(1, 1).subject)
    with node.db.read() as tx:
        assert list(tx.execute(moves.select())) == []
        assert list(tx.execute(moved.select())) == []
    erasure.erase(node, deed(1, 2).subject)
    fed.run()
    assert deeds_of(fed, 2) == []


def test_what_is_over_keeps_neither_id_nor_name(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    confirm(fed, propose_merge(fed))
    raw = fed.nodes["mpc"].db.engine.raw_connection().driver_connection
    assert isinstance(raw, sqlite3.Connection)
    assert raw.execute("SELECT sealed_id, sealed_name, maker FROM moves").fetchall() == [(None, None, "มาลี")]


@pytest.mark.parametrize(
    ("code", "attempt"),
    [
        ("move_nowhere", lambda fed: propose_merge(fed, right=1)),
        ("subject_unknown", lambda fed: propose_merge(fed, wrong=7)),
        ("deed_unknown", lambda fed: propose_split(fed, "R00001", "R00099")),
        ("move_of_several", lambda fed: propose_split(fed, "R00001", "R00003")),
        ("move_name", lambda fed: propose_merge(fed, right=4, name=" ")),
        ("move_no_consent", lambda fed: propose_merge(fed, right=3)),
        ("by", lambda fed: propose_merge(fed, by=" ")),
        ("by", lambda fed: propose_merge(fed, by="ก" * (limits.OFFICER_CHARACTERS_MAX + 1))),
        ("move_by_maker", lambda fed: confirm(fed, propose_merge(fed), by=" มาลี")),
        ("move_unknown", lambda fed: confirm(fed, {"move_id": 9})),
        ("move_open", lambda fed: (propose_merge(fed), propose_split(fed, "R00001"))),
        ("move_over", lambda fed: (confirm(fed, propose_merge(fed)), confirm(fed, {"move_id": 1}))),
    ],
)
def test_what_cannot_be_moved_is_refused_with_its_reason(fed: Federation, code: str, attempt: Any) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 1), deed(3, 2))
    fed.give("mpc", deed(4, 3, consents=Consents(share=False, redeem=False)))
    fed.run()
    with pytest.raises((Refused, Malformed)) as refused:
        attempt(fed)
    assert refused.value.code == code


def test_an_account_that_was_given_up_since_the_hub_was_asked_holds_no_move_up(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    move = propose_split(fed, "R00001")
    node = fed.nodes["mpc"]
    shown = deeds_moves.show_move(node, move["move_id"])
    assert deeds_moves.confirm_move(node, move["move_id"], "สมชาย", shown, linked_elsewhere=True) is None
    assert [each["state"] for each in deeds_moves.list_moves(node)] == ["done"]


def test_an_organization_that_was_entered_under_a_citizens_id_needs_a_known_right_side(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    right = parse(Scheme.REGISTRY, "X1", "codi.council")
    with pytest.raises(Refused) as refused:
        deeds_moves.merge(fed.nodes["mpc"], deed(1, 1).subject, deeds_moves.Proposal(right, "สภา", "wrong-id", "มาลี"))
    assert refused.value.code == "move_scheme"


def test_only_who_is_linked_hears_whether_others_are(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    with node.db.read() as tx:
        row = node_store.subjects.find(tx, node.identity.index(deed(1, 1).subject))
    assert row is not None
    request = hub_pb2.GetTotalsRequest(request_id=bytes(16), account_ids=[present(row.account_id)])

    def told(agency: str) -> bool:
        totals = hub_pb2.Totals.FromString(fed.ask_hub(agency, "totals", request).payload)
        return totals.accounts[0].linked_elsewhere

    assert (told("mpc"), told("nhco"), told("codi")) == (True, True, False)
    consent.withdraw(node, deed(1, 1).subject, ("redeem",))
    fed.run()
    assert told("mpc"), "any open Link will do"
    consent.withdraw(node, deed(1, 1).subject, ("share",))
    fed.clock.now_ms += limits.UNLINK_GRACE_MS
    fed.run()
    assert (told("mpc"), told("nhco")) == (False, False)


def test_an_answer_to_another_question_is_not_believed(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    move = propose_merge(fed)
    request = deeds_moves.question(node, int(move["move_id"]), "สมชาย")
    assert request is not None
    other = hub_pb2.GetTotalsRequest(request_id=bytes(16), account_ids=request.account_ids)
    with pytest.raises(Unproven) as refused:
        balance.is_linked_elsewhere(node, request, fed.ask_hub("mpc", "totals", other))
    assert refused.value.code == "answer_foreign"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"agency": "hub"}, "agency"),
        ({"account": b"short"}, "account"),
        ({"awards": 0}, "awards"),
        ({"awards": 100_001}, "awards"),
        ({"credits": 0}, "credits"),
        ({"credits": -5}, "credits"),
        ({"reason": 0}, "reason"),
        ({"reason": 9}, "reason"),
        ({"move_id": b"short"}, "move_id"),
    ],
)
def test_a_move_that_cannot_be_read_is_malformed(fed: Federation, change: dict[str, Any], problem: str) -> None:
    values: dict[str, Any] = {
        "version": 1,
        "created_at": 1,
        "expires_at": 2,
        "federation_id": bytes(16),
        "agency": "mpc",
    }
    values |= {"account": bytes(16), "awards": 1, "credits": 1, "reason": 1, "move_id": bytes(16)}
    envelope = fed.nodes["mpc"].world.sign(Move(**(values | change)))
    with pytest.raises(Malformed) as refused:
        documents.submit_document(fed.hub, "mpc", envelope)
    assert refused.value.values["problem"] == problem


@pytest.mark.parametrize(
    ("name", "masked"),
    [("สมชาย ใจดี", "สม*** ใจ***"), ("น้ำ", "น***"), ("A", "A***"), ("", ""), ("Malee  Srisuk", "Ma*** Sr***")],
)
def test_a_masked_name_is_known_only_to_who_knows_it(name: str, masked: str) -> None:
    assert person_names.masked(name) == masked
