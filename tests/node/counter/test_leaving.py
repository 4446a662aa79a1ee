"""Leaving: consent taken back reverses nothing, the account is given up once, and what was erased is nowhere."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from samprasan.edge import database
from samprasan.hub import store as hub_store
from samprasan.hub.tables import subjects as hub_subjects_table
from samprasan.keys import signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Refused
from samprasan.node import limits
from samprasan.node import store as node_store
from samprasan.node.counter import consent, erasure, redemption
from samprasan.node.identity import OPENED_COLUMN
from samprasan.node.imports import undo
from samprasan.node.imports.deed import Consents
from samprasan.node.sync import batches as sync_batches
from samprasan.node.sync import halt, outbox, receipts
from samprasan.node.tables import evaluations, questions, subjects
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation, deed
from tests.leaving import available, close_what_rests, leave, run_without, withdraw
from tests.log_entries import batches
from tests.privacy import Scanner
from tests.reconciling import reconcile
from tests.redemptions import wish

NO = Consents(share=False, redeem=False)


def changes(fed: Federation, agency: str = "mpc") -> list[str]:
    return [update.WhichOneof("change") or "" for batch in batches(fed, agency) for update in batch.updates]


def purposes(fed: Federation, agency: str = "mpc") -> list[list[int]]:
    updates = [update for batch in batches(fed, agency) for update in batch.updates]
    return [list(update.link.purposes) for update in updates if update.HasField("link")]


def row_of(fed: Federation, number: int, agency: str = "mpc") -> Any:
    node = fed.nodes[agency]
    with node.db.read() as tx:
        return node_store.subjects.find(tx, node.identity.index(deed(1, number).subject))


def give(fed: Federation, number: int, *what: str, agency: str = "mpc") -> dict[str, Any]:
    node = fed.nodes[agency]
    return consent.give(node, deed(1, number).subject, what)


def erase(fed: Federation, number: int, agency: str = "mpc") -> dict[str, Any]:
    node = fed.nodes[agency]
    return erasure.erase(node, deed(1, number).subject)


def pseudonyms(fed: Federation) -> list[bytes]:
    """Every subject key the hub ties to an account."""
    with fed.hub.db.read() as tx:
        return [row.subject_key for row in tx.execute(hub_subjects_table.select())]


def test_taking_all_consent_back_sends_one_unlink_and_reverses_nothing(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    assert leave(fed, 1)["account"] == "leaving"
    assert not outbox.outbox(fed.nodes["mpc"].db, fed.clock()).is_empty
    fed.run()
    fed.run()
    assert changes(fed) == ["link", "award", "unlink"]
    assert (row_of(fed, 1).linked, len(pseudonyms(fed))) == (0, 1), "the account rests"
    close_what_rests(fed)
    assert (row_of(fed, 1).account_id, row_of(fed, 1).sealed_opened) == (None, None)
    assert (pseudonyms(fed), available(fed)) == ([], 16)
    assert outbox.outbox(fed.nodes["mpc"].db, fed.clock()).is_empty


def test_with_some_consent_left_the_link_says_less(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    withdraw(fed, 1, "share")
    fed.run()
    give(fed, 1, "integrators")
    fed.run()
    assert purposes(fed) == [[1, 2], [2], [2, 3]]
    assert "unlink" not in changes(fed)


async def test_the_account_lives_on_while_another_agency_keeps_it_open(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    (account,) = {row_of(fed, 1, agency).account_id for agency in ("mpc", "nhco")}
    leave(fed, 1)
    fed.run()
    give(fed, 1, "share")
    fed.give("mpc", deed(2, 1, consents=Consents(share=True, redeem=False)))
    fed.run()
    assert row_of(fed, 1).account_id == account
    assert changes(fed)[3:] == ["link", "award"]
    assert owned(fed, 1) == 48
    assert (await reconcile(fed, "mpc")).differences == []


def test_the_same_person_later_gets_a_new_account(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    before = row_of(fed, 1).account_id
    leave(fed, 1)
    fed.run()
    close_what_rests(fed)
    give(fed, 1, "share", "redeem")
    fed.give("mpc", deed(2, 1))
    fed.run()
    assert row_of(fed, 1).account_id not in (None, before)
    assert changes(fed) == ["link", "award", "unlink", "link", "award"]
    assert owned(fed, 1) == 16, "they start at nothing, and what was told once is not told anew"


def test_who_comes_back_while_the_account_rests_loses_nothing(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    before = row_of(fed, 1).account_id
    leave(fed, 1)
    fed.run()
    fed.clock.now_ms += 6 * DAY_MS
    fed.run()
    assert consent.show(fed.nodes["mpc"], deed(1, 1).subject)["account"] == "resting"
    give(fed, 1, "share", "redeem")
    fed.give("mpc", deed(2, 1))
    fed.run()
    close_what_rests(fed)
    assert (row_of(fed, 1).account_id, owned(fed, 1)) == (before, 32)
    assert questions_asked(fed) == 1, "nobody is asked about them again"


async def test_agreeing_again_is_enough_to_keep_everything(fed: Federation) -> None:
    """No deed, no balance: the word alone, while the account rests."""
    fed.give("mpc", deed(1, 1))
    fed.run()
    leave(fed, 1)
    fed.run()
    give(fed, 1, "share")
    fed.run()
    close_what_rests(fed)
    assert owned(fed, 1) == 16
    assert (await reconcile(fed, "mpc")).differences == []


async def test_what_was_told_of_who_left_is_over_even_if_the_first_link_came_too_late(fed: Federation) -> None:
    """Another agency keeps the account, the person comes back and is told it, and it closes before the Link comes."""
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    leave(fed, 1)
    fed.run()
    close_what_rests(fed)
    give(fed, 1, "share", "redeem")
    fed.give("mpc", deed(2, 1))
    run_without(fed, "push")
    assert row_of(fed, 1).left_account == row_of(fed, 1).account_id
    leave(fed, 1, agency="nhco")
    fed.deliver(fed.nodes["nhco"].tick())
    for _ in range(2):
        fed.clock.now_ms += 8 * DAY_MS
        fed.deliver(fed.nodes["nhco"].tick())
        fed.hub.tick()
    fed.run()
    fed.run()
    assert owned(fed, 1) == 16
    assert (await reconcile(fed, "mpc")).differences == []


def questions_asked(fed: Federation) -> int:
    with fed.nodes["mpc"].db.read() as tx:
        return node_store.questions.asked(tx)


def test_consent_given_again_while_the_unlink_is_on_its_way_waits_for_its_receipt(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    leave(fed, 1)
    seq = outbox.outbox(node.db, fed.clock()).head.seq
    found = sync_batches.seal_next_batch(node, seq)
    assert found is not None
    give(fed, 1, "share", "redeem")
    fed.give("mpc", deed(2, 1))
    assert sync_batches.seal_next_batch(node, found[0]) is None
    fed.run()
    assert changes(fed) == ["link", "award", "unlink", "link", "award"]
    assert available(fed) == 32


@pytest.mark.parametrize("days", [0, 9])
def test_an_account_that_was_left_before_the_link_came_is_kept_or_opened_anew_and_no_award_is_lost(
    fed: Federation, days: int
) -> None:
    fed.give("nhco", deed(1, 1))
    fed.run()
    shared = row_of(fed, 1, "nhco").account_id
    fed.give("mpc", deed(1, 1))
    run_without(fed, "push")  # the batch is sealed and on its way
    assert row_of(fed, 1).account_id == shared
    leave(fed, 1, agency="nhco")
    fed.deliver(fed.nodes["nhco"].tick())
    fed.clock.now_ms += days * DAY_MS
    fed.hub.tick()
    fed.run()
    assert (row_of(fed, 1).account_id == shared) == (not days)
    assert available(fed) == 32
    assert changes(fed)[:4] == ["link", "award"] * 2 if days else ["link", "award"]


def test_an_account_that_nobody_ever_linked_is_given_up_too(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    run_without(fed, "hello")  # the account is known, and nothing sealed yet
    assert len(pseudonyms(fed)) == 1
    leave(fed, 1)
    fed.run()
    assert (changes(fed), pseudonyms(fed)) == (["unlink"], [])


def test_a_key_that_the_hub_may_have_been_told_is_given_up_too(fed: Federation) -> None:
    """The answer to OpenAccounts got lost: the hub has the pseudonym, the node no account."""
    fed.give("mpc", deed(1, 1))
    run_without(fed, "opened")
    assert (len(pseudonyms(fed)), row_of(fed, 1).account_id) == (1, None)
    erase(fed, 1)
    assert row_of(fed, 1) is not None
    fed.run()
    assert (changes(fed), pseudonyms(fed), row_of(fed, 1)) == (["unlink"], [], None)


def test_a_reversal_for_an_undone_import_goes_before_the_unlink(fed: Federation) -> None:
    report = fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    assert report.import_id is not None
    undo.undo_import(node, report.import_id)
    leave(fed, 1)
    fed.run()
    assert changes(fed) == ["link", "award", "reverse", "unlink"]
    assert available(fed) == 0


def test_a_reversal_for_an_undone_import_goes_before_a_link_that_says_less(fed: Federation) -> None:
    wrong = fed.give("mpc", deed(1, 1))
    fed.run()
    assert wrong.import_id is not None
    undo.undo_import(fed.nodes["mpc"], wrong.import_id)
    give(fed, 1, "integrators")
    fed.run()
    assert changes(fed) == ["link", "award", "link", "reverse", "link"]
    assert purposes(fed)[1:] == [[log.PURPOSE_SHARE, log.PURPOSE_INTEGRATORS], [log.PURPOSE_INTEGRATORS]]
    assert available(fed) == 0


def test_a_link_made_for_a_hold_leaves_what_is_to_be_taken_back_in_reach(fed: Federation) -> None:
    federation.publish(fed)
    wrong = fed.give("mpc", deed(1, 1))
    withdraw(fed, 1, "redeem")
    fed.give("nhco", deed(2, 1, quantity=Decimal(10), credits=80))
    fed.run()
    node = fed.nodes["mpc"]
    assert wrong.import_id is not None
    undo.undo_import(node, wrong.import_id)
    give(fed, 1, "redeem")
    redemption.request_redemption(node, wish())
    fed.run()
    assert [each for each in changes(fed) if each != "post"] == ["link", "award", "link", "reserve", "reverse", "link"]
    assert purposes(fed)[1:] == [[log.PURPOSE_SHARE, log.PURPOSE_REDEEM], [log.PURPOSE_REDEEM]]
    with fed.hub.db.read() as tx:
        assert hub_store.ledger.federation_totals(tx)["earned"] == 80


def test_a_refused_batch_brings_the_unlink_back(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    node = fed.nodes["mpc"]
    leave(fed, 1)
    found = sync_batches.seal_next_batch(node, outbox.outbox(node.db, fed.clock()).head.seq)
    assert found is not None
    refusal = log.Refusal(
        federation_id=log.Batch.FromString(found[1].payload).federation_id,
        agency="mpc",
        seq=found[0],
        batch_digest=signing.digest(found[1]),
        reason=log.REFUSAL_REASON_OVER_LIMIT,
    )
    receipts.accept_refusal(node, fed.hub.world.sign(refusal))
    halt.resume_sending(node.db)
    fed.run()
    assert changes(fed) == ["link", "award", "unlink"]


class TestImports:
    """What files say of consent, beside what the subject said at the counter."""

    def test_no_import_gives_back_what_the_subject_took_back(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1))
        fed.run()
        leave(fed, 1)
        fed.run()
        fed.give("mpc", deed(2, 1))
        fed.run()
        assert changes(fed) == ["link", "award", "unlink"]
        give(fed, 1, "share")
        fed.run()
        assert changes(fed) == ["link", "award", "unlink", "link", "award"]

    def test_consent_at_the_counter_tells_what_files_kept_back(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1, consents=NO), deed(2, 1, consents=NO, status="pending"))
        fed.run()
        assert changes(fed) == []
        assert give(fed, 1, "share")["account"] == "none"
        fed.run()
        assert changes(fed) == ["link", "award"]
        assert fed.give("mpc", deed(1, 1, consents=NO)).unchanged == 1
        fed.run()
        assert changes(fed) == ["link", "award"]

    def test_a_no_in_a_file_stops_everything_at_once_and_gives_the_account_up_a_week_later(
        self, fed: Federation
    ) -> None:
        fed.give("mpc", deed(1, 1))
        fed.run()
        fed.give("mpc", deed(2, 1, consents=NO))
        fed.run()
        assert purposes(fed) == [[1, 2], [1]]
        fed.clock.now_ms += limits.UNLINK_GRACE_MS
        fed.run()
        assert changes(fed) == ["link", "award", "link", "unlink"]

    def test_a_file_that_said_no_by_mistake_is_undone_in_time_and_nothing_is_lost(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1))
        fed.run()
        account = row_of(fed, 1).account_id
        wrong = fed.give("mpc", deed(2, 1, consents=NO))
        fed.run()
        node = fed.nodes["mpc"]
        assert wrong.import_id is not None
        undo.undo_import(node, wrong.import_id)
        fed.clock.now_ms += 2 * limits.UNLINK_GRACE_MS
        fed.run()
        assert row_of(fed, 1).account_id == account
        assert purposes(fed) == [[1, 2], [1], [1, 2]]

    def test_undoing_an_import_does_not_undo_what_the_subject_said_since(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1, consents=NO))
        later = fed.give("mpc", deed(2, 1, consents=NO, status="pending"), deed(3, 1, consents=NO))
        give(fed, 1, "share", "redeem")
        fed.run()
        node = fed.nodes["mpc"]
        assert later.import_id is not None
        undo.undo_import(node, later.import_id)
        assert (row_of(fed, 1).share, row_of(fed, 1).unlink_at) == (True, None)

    def test_people_whom_only_an_undone_import_brought_are_given_up_and_forgotten(self, fed: Federation) -> None:
        wrong = fed.give("mpc", deed(1, 1))
        fed.give("mpc", deed(2, 2))
        fed.run()
        node = fed.nodes["mpc"]
        assert wrong.import_id is not None
        undo.undo_import(node, wrong.import_id)
        fed.run()
        assert len(pseudonyms(fed)) == 2
        fed.clock.now_ms += limits.UNLINK_GRACE_MS
        fed.run()
        close_what_rests(fed)
        assert (row_of(fed, 1), len(pseudonyms(fed))) == (None, 1)
        assert changes(fed)[-2:] == ["reverse", "unlink"] or changes(fed)[-3:] == ["reverse", "link", "unlink"]


class TestRecordsOfPeopleWhoLeft:
    """A record that turns out to be somebody else's, when the one it was booked on has left or is about to."""

    def test_the_right_person_gets_the_credits_though_the_wrong_one_has_left(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1), deed(2, 2))
        fed.run()
        leave(fed, 1)
        fed.run()
        fed.give("mpc", deed(1, 2))
        fed.run()
        assert owned(fed, 2) == 32
        assert outbox.outbox(fed.nodes["mpc"].db, fed.clock()).is_empty

    def test_what_is_to_be_moved_is_moved_before_the_wrong_one_leaves(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1), deed(2, 2))
        fed.run()
        leave(fed, 1)
        fed.give("mpc", deed(1, 2))
        fed.run()
        assert (owned(fed, 2), available(fed)) == (32, 32), "nothing stays where it was booked by mistake"
        assert changes(fed)[-2:] == ["award", "unlink"]

    def test_undoing_gives_the_first_one_its_credits_back_though_the_second_has_left(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1), deed(5, 2))
        fed.run()
        wrong = fed.give("mpc", deed(1, 2))
        fed.run()
        assert owned(fed, 1) == 0
        leave(fed, 2)
        fed.run()
        node = fed.nodes["mpc"]
        assert wrong.import_id is not None
        undo.undo_import(node, wrong.import_id)
        fed.run()
        assert owned(fed, 1) == 16

    def test_a_move_that_met_the_unlink_on_its_way_is_made_anew(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1), deed(2, 2))
        fed.run()
        node = fed.nodes["mpc"]
        leave(fed, 1)
        first = sync_batches.seal_next_batch(node, outbox.outbox(node.db, fed.clock()).head.seq)
        assert first is not None
        with node.db.begin() as tx:  # as if the Link had not been looked at
            tx.execute(subjects.update().where(subjects.c.linked == 1).values(linked=6))
        fed.give("mpc", deed(1, 2))
        second = sync_batches.seal_next_batch(node, first[0])
        assert second is not None
        fed.run()
        assert owned(fed, 2) == 32


def owned(fed: Federation, number: int) -> int:
    """What stands on the subject's account."""
    with fed.hub.db.read() as tx:
        return hub_store.ledger.load_all(tx).accounts[row_of(fed, number).account_id].available


def test_who_withdraws_while_a_peer_evaluates_is_never_told_of(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    messages = fed.nodes["mpc"].tick()
    leave(fed, 1)
    fed.deliver(messages)
    fed.run()
    with fed.hub.db.read() as tx:
        assert hub_store.ledger.load_all(tx).accounts == {}
    assert (changes(fed), row_of(fed, 1).sealed_key) == ([], None)


class TestErasing:
    def test_what_was_erased_does_not_come_back(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1), deed(2, 2))
        fed.run()
        assert erase(fed, 1) == {"deeds": 1, "done": False}
        again = fed.give("mpc", deed(1, 1), deed(2, 2), deed(3, 1))
        assert [(each.reason, each.record_id) for each in again.rejections] == [
            ("erased", "R00001"),
            ("erased", "R00003"),  # its subject is still being erased
        ]
        fed.run()
        assert row_of(fed, 1) is None
        again = fed.give("mpc", deed(1, 1), deed(2, 2), deed(3, 1))
        assert [(each.reason, each.record_id) for each in again.rejections] == [("erased", "R00001")]
        assert (again.unchanged, again.accepted) == (1, 1)
        fed.run()
        assert available(fed) == 48

    def test_somebody_the_hub_never_heard_of_is_gone_at_once(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1, consents=NO))
        assert erase(fed, 1) == {"deeds": 1, "done": True}
        assert row_of(fed, 1) is None

    def test_a_deed_that_had_moved_to_somebody_else_stays(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1))
        fed.run()
        fed.give("mpc", deed(1, 2))  # the id was wrong
        assert erase(fed, 1)["deeds"] == 0
        fed.run()
        assert row_of(fed, 1) is None
        assert changes(fed).count("award") == 2

    def test_nobody_gives_consent_for_somebody_who_is_being_erased(self, fed: Federation) -> None:
        fed.give("mpc", deed(1, 1))
        fed.run()
        erase(fed, 1)
        with pytest.raises(Refused) as refused:
            give(fed, 1, "share")
        assert refused.value.code == "being_erased"

    def test_who_is_unknown_cannot_be_erased(self, fed: Federation) -> None:
        with pytest.raises(Refused) as refused:
            erase(fed, 1)
        assert refused.value.code == "subject_unknown"


def test_after_erasing_no_file_of_hub_or_node_holds_id_pseudonym_or_name(tmp_path: Path) -> None:
    def make_database(name: str) -> database.Database:
        return database.open_database(f"sqlite:///{tmp_path}/{name}.db")

    fed = federation.make(make_database)
    for agency in ("mpc", "nhco"):
        fed.give(agency, *(deed(number, number) for number in range(1, 6)))
    fed.run()
    subject = deed(1, 1).subject
    pseudonym = _pseudonym(fed)
    stored = {agency: _sealed_fields(fed, agency) for agency in ("mpc", "nhco")}
    needles = [pseudonym, *(each for fields in stored.values() for each in fields)]

    def found() -> set[bytes]:
        data = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
        scanner = Scanner([subject.reveal()], ["ชื่อสมมติ 1"])
        assert scanner.hits(data) == set()
        return {each for each in needles if each in data}

    assert pseudonym in found()
    assert set(stored["mpc"]) <= found()
    for agency in ("mpc", "nhco"):
        erase(fed, 1, agency)
    fed.run()
    close_what_rests(fed)
    for party in fed.parties.values():
        database.compact(party.db)
    assert found() == set()
    with fed.hub.db.read() as tx:
        assert len(hub_store.pseudonyms.accounts_of(tx, [(key, 1, 1) for key in pseudonyms(fed)])) == 4
    fed.close()


def _pseudonym(fed: Federation) -> bytes:
    """Subject 1's key, as mpc and the hub knew it while it was linked."""
    answer = fed.nodes["mpc"].identity.vault.open(OPENED_COLUMN, row_of(fed, 1).sealed_opened)
    return hub_pb2.AccountOpened.FromString(Envelope.FromString(answer).payload).subject_key


def _sealed_fields(fed: Federation, agency: str) -> list[bytes]:
    """What the node's database holds of subject 1: index, sealed id, sealed name, sealed answer."""
    row = row_of(fed, 1, agency)
    return [bytes(each) for each in (row.id_index, row.sealed_id, row.sealed_name, row.sealed_opened)]


def test_questions_and_answers_are_forgotten_once_nobody_may_ask_for_them(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    asked = _questions(fed)
    assert [(row.state, row.envelope, row.sealed_plan) for row in asked] == [("answered", b"", b"")]
    (peer,) = {row.evaluator for row in asked}
    assert [bool(row.answer) for row in _answers(fed, peer)] == [True]
    fed.clock.now_ms += limits.QUESTION_LIFETIME_MS
    fed.give("mpc", *(deed(number, number) for number in range(2, 4)))
    fed.run()
    fed.give("mpc", *(deed(number, number) for number in range(4, 6)))
    fed.run()
    assert not next(iter(_answers(fed, peer))).answer


def test_a_question_that_ran_out_keeps_nothing(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    run_without(fed, "post")
    assert [bool(row.sealed_plan) for row in _questions(fed)] == [True]
    fed.clock.now_ms += limits.QUESTION_LIFETIME_MS
    fed.run()
    assert [(row.state, row.sealed_plan) for row in _questions(fed)] == [("expired", b""), ("answered", b"")]


def _questions(fed: Federation) -> list[Any]:
    with fed.nodes["mpc"].db.read() as tx:
        return list(tx.execute(questions.select().order_by(questions.c.asked_at)))


def _answers(fed: Federation, peer: str) -> list[Any]:
    with fed.nodes[peer].db.read() as tx:
        return list(tx.execute(evaluations.select().order_by(evaluations.c.expires_at)))
