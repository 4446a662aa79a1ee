"""A record that says something else: the hub hears of the difference, once, whatever was on its way meanwhile."""

import threading
from datetime import date
from typing import Any

import pytest
from samprasan.hub.log import audit
from samprasan.hub.process import status
from samprasan.keys import signing
from samprasan.keys.errors import Refused
from samprasan.node import store
from samprasan.node.deeds import history
from samprasan.node.imports import undo as imports_undo
from samprasan.node.imports.deed import Consents, Deed
from samprasan.node.imports.importer import Watcher
from samprasan.node.rows import AwardRow
from samprasan.node.states import AwardState
from samprasan.node.sync import batches as sync_batches
from samprasan.node.sync import halt, outbox, receipts
from samprasan.v1 import log_pb2 as log

from tests.federation import SAMPLES, Federation, bring_in, deed, propose_policy
from tests.log_entries import batches

NO = Consents(share=False, redeem=False)


def changes(fed: Federation) -> list[str]:
    """The kinds of update that mpc ever sent, links left out."""
    kinds = [update.WhichOneof("change") or "" for batch in batches(fed) for update in batch.updates]
    return [kind for kind in kinds if kind != "link"]


def totals(fed: Federation) -> tuple[int, int]:
    hub = fed.hub
    assert audit.audit(hub, hub.world.signer.public_key).problems == []
    found = status.status(hub.db, hub.world.now())["totals"]
    assert found["written_off"] == 0
    return found["earned"], found["available"]


def shown(fed: Federation, record_id: str = "R00001") -> dict[str, Any]:
    node = fed.nodes["mpc"]
    return history.show(node, "test", record_id)


@pytest.mark.parametrize(
    ("second", "kinds", "earned"),
    [
        ({"quantity": "3"}, ["award", "award"], 24),
        ({"category": "temple-volunteer"}, ["award", "award"], 10),
        ({"status": "revoked"}, ["award", "reverse"], 0),
        ({"quantity": "0.1"}, ["award", "reverse"], 0),
        ({"occurred_on": date(2026, 9, 30)}, ["award", "award"], 16),
        ({"area_code": "720801"}, ["award"], 16),
        ({"occurred_on": date(2026, 10, 2)}, ["award"], 16),
        ({"consents": NO}, ["award"], 16),
        ({"status": "revoked", "consents": NO}, ["award"], 16),
    ],
)
def test_what_changed_decides_what_the_hub_hears(
    fed: Federation, second: dict[str, Any], kinds: list[str], earned: int
) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    report = fed.give("mpc", deed(1, 1, **second))
    assert (report.accepted, report.corrected, report.unchanged) == (0, 1, 0)
    fed.run()
    assert changes(fed) == kinds
    assert totals(fed) == (earned, earned)
    assert outbox.outbox(fed.nodes["mpc"].db, fed.nodes["mpc"].world.now()).is_empty


def test_a_record_may_move_to_another_subject(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    fed.give("mpc", deed(1, 2))
    fed.run()
    assert totals(fed) == (32, 32)
    node = fed.nodes["mpc"]
    with node.db.read() as tx:
        from samprasan.node import store

        assert [store.awards.settled_credits(tx, subject_id) for subject_id in (1, 2)] == [0, 32]


def test_what_nobody_has_heard_of_is_just_different(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(1, 1, quantity="5"))
    fed.give("mpc", deed(1, 1, quantity="1"))
    fed.run()
    assert changes(fed) == ["award"]
    assert totals(fed) == (8, 8)


def test_revoked_before_it_was_sent_nothing_is_sent_and_verified_again_it_is(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(1, 1, status="revoked"))
    fed.run()
    assert changes(fed) == []
    fed.give("mpc", deed(1, 1))
    fed.run()
    fed.give("mpc", deed(1, 1, status="revoked"))
    fed.run()
    fed.give("mpc", deed(1, 1))
    fed.run()
    assert changes(fed) == ["award", "reverse", "award"]
    assert totals(fed) == (16, 16)


def in_flight(fed: Federation) -> tuple[int, Any]:
    """Seal mpc's next batch and keep it from arriving."""
    node = fed.nodes["mpc"]
    fed.run()
    return _sealed(node)


def _sealed(node: Any) -> tuple[int, Any]:
    found = sync_batches.seal_next_batch(node, outbox.outbox(node.db, node.world.now()).head.seq)
    assert found is not None
    return found


def arrive(fed: Federation, envelope: Any) -> log.Receipt:
    node = fed.nodes["mpc"]
    return receipts.settle(node, fed.ask_hub("mpc", "push", envelope))


def test_a_correction_waits_for_the_receipt_of_what_it_corrects(fed: Federation) -> None:
    fed.give("mpc", deed(9, 1))
    fed.run()  # the subject is linked
    fed.give("mpc", deed(1, 1))
    node = fed.nodes["mpc"]
    seq, envelope = _sealed(node)
    fed.give("mpc", deed(1, 1, quantity="5"))
    assert sync_batches.seal_next_batch(node, seq) is None
    arrive(fed, envelope)
    fed.run()
    assert changes(fed) == ["award", "award", "award"]
    assert totals(fed) == (16 + 40, 16 + 40)
    assert [each["state"] for each in shown(fed)["updates"]] == ["replaced", "settled"]


@pytest.mark.parametrize(
    ("second", "kinds"), [({"quantity": "5"}, ["award", "award"]), ({"status": "revoked"}, ["award"])]
)
def test_what_waits_to_correct_a_declined_award_is_a_first_award_or_nothing(
    fed: Federation, second: dict[str, Any], kinds: list[str]
) -> None:
    fed.give("mpc", deed(9, 1))
    fed.run()
    fed.give("mpc", deed(1, 1))
    node = fed.nodes["mpc"]
    _declined_by_a_cap(fed)
    _, envelope = _sealed(node)
    fed.give("mpc", deed(1, 1, **second))
    receipt = arrive(fed, envelope)
    assert [outcome.reason for outcome in receipt.outcomes] == [log.DECLINE_REASON_CREDITS_OVER_CAP]
    fed.run()
    assert changes(fed)[1:] == kinds
    earned = 16 + (40 if len(kinds) > 1 else 0)
    assert totals(fed) == (earned, earned)


def _declined_by_a_cap(fed: Federation) -> None:
    """Let the award that waits ask for more than the policy allows."""
    from samprasan.node.tables import awards

    with fed.nodes["mpc"].db.begin() as tx:
        tx.execute(awards.update().where(awards.c.state == "queued").values(credits=501))


def test_a_deed_is_priced_by_the_policy_of_its_day_and_importing_again_never_reprices(fed: Federation) -> None:
    september, october = date(2026, 9, 30), date(2026, 10, 1)
    fed.give("mpc", deed(1, 1, occurred_on=september), deed(2, 1, occurred_on=october))
    text = (SAMPLES / "policy.toml").read_text("utf-8")
    dearer = text.replace("version = 1", "version = 2").replace("2025-01-01", "2026-10-01")
    propose_policy(fed, dearer.replace("credits_per_unit = 8\n", "credits_per_unit = 10\n"))
    again = fed.give("mpc", deed(1, 1, occurred_on=september), deed(2, 1, occurred_on=october))
    assert again.unchanged == 2
    fed.give("mpc", deed(3, 1, occurred_on=september), deed(4, 1, occurred_on=october))
    found = {number: shown(fed, f"R{number:05d}")["deed"] for number in (1, 2, 3, 4)}
    priced = [(each["credits"], each["policy_version"]) for each in found.values()]
    assert priced == [(16, 1), (16, 1), (16, 1), (20, 2)]
    fed.run()
    assert totals(fed) == (68, 68)


def test_a_deed_is_followed_from_its_file_to_its_receipt(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 2, consents=NO))
    assert (shown(fed)["state"], shown(fed)["receipt"]) == ("queued", None)
    assert shown(fed, "R00002")["state"] == "local"
    fed.run()
    settled = shown(fed)
    assert (settled["state"], settled["credits_at_hub"], settled["import"]["import_id"]) == ("settled", 16, 1)
    assert settled["receipt"] == settled["updates"][0]["receipt"]
    assert settled["receipt"]["seq"] == 1
    with pytest.raises(Refused) as unknown:
        shown(fed, "R00009")
    assert unknown.value.code == "deed_unknown"


def undo(fed: Federation, number: int) -> dict[str, Any]:
    node = fed.nodes["mpc"]
    return imports_undo.undo_import(node, number)


def test_undo_takes_back_what_was_sent_and_restores_what_was_said(fed_on_each: Federation) -> None:
    fed = fed_on_each
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    fed.give("mpc", deed(1, 1, quantity="5"), deed(3, 3))
    fed.run()
    assert totals(fed) == (16 + 40 + 16, 72)
    assert undo(fed, 2) == {"import_id": 2, "removed": 1, "restored": 1}
    fed.run()
    assert totals(fed) == (32, 32)
    assert undo(fed, 1)["removed"] == 2
    fed.run()
    assert totals(fed) == (0, 0)
    report = fed.give("mpc", deed(1, 1), deed(2, 2))
    assert (report.accepted, report.corrected) == (2, 0)
    fed.run()
    assert totals(fed) == (32, 32)


@pytest.mark.parametrize(("number", "code"), [(7, "import_unknown"), (1, "import_corrected"), (2, "import_undone")])
def test_what_cannot_be_undone(fed: Federation, number: int, code: str) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(2, 1))
    fed.give("mpc", deed(1, 1, quantity="5"))
    undo(fed, 2)
    with pytest.raises(Refused) as refused:
        undo(fed, number)
    assert refused.value.code == code


def subject(fed: Federation, number: int) -> Any:
    node = fed.nodes["mpc"]
    with node.db.read() as tx:
        return store.subjects.find(tx, node.identity.index(deed(1, number).subject))


def test_undo_forgets_people_nobody_else_heard_of_and_never_gives_their_number_again(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(2, 2))
    newest = subject(fed, 2).subject_id
    undo(fed, 2)
    assert subject(fed, 2) is None
    assert subject(fed, 1) is not None
    fed.give("mpc", deed(3, 3))
    assert subject(fed, 3).subject_id > newest


def test_undo_restores_consents_but_not_over_a_newer_word(fed: Federation) -> None:
    yes = Consents(share=True, redeem=True)
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(2, 1, consents=NO))
    assert not subject(fed, 1).share
    undo(fed, 2)
    assert subject(fed, 1).share
    fed.give("mpc", deed(3, 1, consents=NO))
    fed.give("mpc", deed(4, 1, consents=yes))
    undo(fed, 3)
    assert subject(fed, 1).share, "import 4 said so later"
    undo(fed, 4)
    assert subject(fed, 1).share, "and import 1 before them all"


def test_undo_does_not_take_back_what_a_later_import_says_as_well(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1, consents=NO))
    fed.give("mpc", deed(2, 1))
    fed.give("mpc", deed(3, 1))  # says the same once more
    undo(fed, 2)
    assert subject(fed, 1).share
    fed.run()
    assert totals(fed) == (16, 16)
    undo(fed, 3)
    assert not subject(fed, 1).share, "import 1 said so before them both"
    fed.run()
    assert totals(fed) == (0, 0)


def test_in_one_file_the_first_word_on_a_record_stands(fed: Federation) -> None:
    def many(first: Deed, second: Deed) -> Any:
        """The two in different chunks of one file."""
        between = (deed(number, number) for number in range(100, 1200))
        return fed.give("mpc", first, *between, second)

    fresh = many(deed(1, 1), deed(1, 1, quantity="3"))
    assert [each.reason for each in fresh.rejections] == ["duplicate_record"]
    unchanged = many(deed(1, 1), deed(1, 1, quantity="3"))
    assert [each.reason for each in unchanged.rejections] == ["duplicate_record"]
    corrected = many(deed(1, 1, quantity="3"), deed(1, 1))
    assert ([each.reason for each in corrected.rejections], corrected.corrected) == (["duplicate_record"], 1)
    repeated = many(deed(1, 1, quantity="3"), deed(1, 1, quantity="3"))
    assert (repeated.rejections, repeated.unchanged) == ([], 1102)


def test_one_no_in_a_file_is_a_no_in_whatever_chunk(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    between = (deed(number, number) for number in range(100, 1200))
    fed.give("mpc", deed(2, 1, consents=NO), *between, deed(3, 1))
    assert not subject(fed, 1).share


def test_undo_of_a_wrong_yes_takes_back_what_was_shared(fed: Federation) -> None:
    """The consent column was mapped wrongly: that is what undo is for."""
    fed.give("mpc", deed(1, 1, consents=NO))
    fed.give("mpc", deed(2, 1))
    fed.run()
    assert totals(fed) == (16, 16)
    undo(fed, 2)
    assert not subject(fed, 1).share
    assert not outbox.outbox(fed.nodes["mpc"].db, fed.nodes["mpc"].world.now()).is_empty
    fed.run()
    assert totals(fed) == (0, 0)
    assert outbox.outbox(fed.nodes["mpc"].db, fed.nodes["mpc"].world.now()).is_empty


@pytest.mark.parametrize("no_first", [True, False])
def test_an_unchanged_rows_no_counts_in_whatever_chunk(fed: Federation, no_first: bool) -> None:
    """A cumulative export: R1 says no, as it did before; R3 is new and says yes."""
    fed.give("mpc", deed(1, 1, consents=NO), deed(2, 1))
    assert not subject(fed, 1).share
    between = [deed(number, number) for number in range(100, 1200)]
    old, new = deed(1, 1, consents=NO), deed(3, 1)
    fed.give("mpc", *((old, *between, new) if no_first else (new, *between, old)), deed(2, 1))
    assert not subject(fed, 1).share
    assert not subject(fed, 1).redeem
    assert subject(fed, 100).share


def test_an_unchanged_rows_yes_gives_no_consent_anew(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(2, 1, consents=NO))
    assert fed.give("mpc", deed(1, 1)).unchanged == 1
    assert not subject(fed, 1).share


def refuse(fed: Federation, envelope: Any) -> None:
    node = fed.nodes["mpc"]
    batch = log.Batch.FromString(envelope.payload)
    refusal = log.Refusal(
        federation_id=batch.federation_id,
        agency="mpc",
        seq=batch.seq,
        batch_digest=signing.digest(envelope),
        reason=log.REFUSAL_REASON_OVER_LIMIT,
    )
    receipts.accept_refusal(node, fed.hub.world.sign(refusal))
    halt.resume_sending(node.db)


def test_a_refused_reversal_of_a_record_that_came_back_is_not_sent_again(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    undo(fed, 1)
    _, envelope = _sealed(fed.nodes["mpc"])
    fed.give("mpc", deed(1, 1))
    refuse(fed, envelope)
    fed.run()
    assert totals(fed) == (16, 16)
    assert shown(fed)["credits_at_hub"] == 16


def test_a_refused_first_award_that_was_corrected_meanwhile_is_one_award(fed: Federation) -> None:
    fed.give("mpc", deed(8, 1), deed(9, 2))
    fed.run()
    fed.give("mpc", deed(1, 1))
    _, envelope = _sealed(fed.nodes["mpc"])
    fed.give("mpc", deed(1, 2))
    fed.give("mpc", deed(7, 1, consents=NO))
    refuse(fed, envelope)
    fed.run()
    assert totals(fed) == (48, 48)


def test_undo_finds_the_subject_that_an_earlier_word_named(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("mpc", deed(1, 2))
    fed.give("mpc", deed(3, 1))
    for number in (3, 2, 1):
        undo(fed, number)
    assert subject(fed, 1) is None
    assert subject(fed, 2) is None


def test_a_deed_that_was_undone_is_deleted_once_its_reversal_is_settled(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    undo(fed, 1)
    assert shown(fed)["import"]["undone"] is True
    fed.run()
    assert totals(fed) == (0, 0)
    with pytest.raises(Refused):
        shown(fed)


def test_nothing_is_sealed_beside_an_import(fed_on_each: Federation) -> None:
    """A batch sealed then could carry an award that the import is about to replace."""
    fed = fed_on_each
    fed.give("mpc", deed(9, 1))
    fed.run()
    fed.give("mpc", deed(1, 1))
    node = fed.nodes["mpc"]
    after_seq = outbox.outbox(node.db, node.world.now()).head.seq
    sealed: list[Any] = []
    sealing = threading.Thread(target=lambda: sealed.append(sync_batches.seal_next_batch(node, after_seq)))

    def meanwhile(_rows: int) -> None:
        sealing.start()
        sealing.join(0.5)
        assert sealed == []

    bring_in(node, [deed(1, 1, quantity="3")], watcher=Watcher(progress=meanwhile))
    sealing.join(10)
    fed.run()
    assert totals(fed) == (16 + 24, 40)
    assert len(shown(fed)["updates"]) == 1


def test_after_a_cut_receipts_may_come_in_any_order(fed: Federation) -> None:
    """Three awards of a deed, of which the later two are on their way again beside each other."""
    op_ids = [bytes([number]) * 16 for number in range(3)]
    rows = [
        AwardRow(
            award_id=number,
            deed_id=1,
            subject_id=1,
            op_id=op_ids[number],
            replaces=op_ids[number - 1] if number else None,
            reverse_reason=log.REVERSE_REASON_UNSPECIFIED,
            credits=16,
            dimension=log.DIMENSION_HEALTH,
            month=202610,
            policy_version=1,
            state=AwardState.QUEUED if number else AwardState.SETTLED,
            seq=number + 1,
            reason=0,
        )
        for number in range(3)
    ]
    with fed.nodes["mpc"].db.begin() as tx:
        store.awards.add(tx, rows)
        for seq in (3, 2):
            store.awards.settle(tx, seq, {op_ids[seq - 1]: store.awards.Came(0, 0, 0, 0)})
            store.awards.end_replaced(tx, seq)
            store.awards.orphan_doubled(tx, seq)
        found = store.awards.of_deeds(tx, [1])[1]
    assert [each.state for each in found] == [AwardState.REPLACED, AwardState.REPLACED, AwardState.SETTLED]
