"""The end of a rotation: all sign that the old key goes, in the same hours, and nobody is linked under it meanwhile."""

import pytest
from samprasan.hub import limits as hub_limits
from samprasan.hub.members import documents
from samprasan.keys import documents as keys_documents
from samprasan.keys.errors import Refused
from samprasan.node import limits
from samprasan.node import store as node_store
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.linking import rotation
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope

from tests import federation
from tests.federation import Federation, Message, deed
from tests.leaving import available, run_without
from tests.rotating import epoch, go_on, go_on_until_next, keys, populate, rounds, start

DAY_MS = 86_400_000


def test_the_hub_does_not_drop_the_old_key_while_anybody_stays_behind(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    start(fed)
    go_on_until_next(fed)
    with fed.nodes["mpc"].db.read() as tx:
        current = node_store.documents.agreed_on(tx)
    last = rotation.last_roster(current.required_roster, current.federation_id, fed.clock(), fed.clock() + DAY_MS)
    for agency in ("mpc", "nhco"):
        documents.submit_document(fed.hub, agency, fed.nodes[agency].world.sign(last))
    with pytest.raises(Refused) as refused:
        documents.submit_document(fed.hub, "codi", fed.nodes["codi"].world.sign(last))
    assert (refused.value.code, refused.value.values["accounts"]) == ("rotation_unfinished", 1)
    assert len(keys(fed)) == 1


def is_codis_signature(message: Message) -> bool:
    """Whether codi sends a document, which a rotation needs to end."""
    return message.sender == "codi" and message.kind == "submit"


def wait_until_all_sign_again(fed: Federation) -> None:
    """Go on to the next hour in which all nodes sign a rotation's end."""
    for node in fed.nodes.values():
        with node.db.read() as tx:
            before = node_store.rotation.closing_hour(tx)
        again = fed.clock() if before is None else max(fed.clock(), before + limits.ROTATION_AGAIN_MS)
        fed.clock.now_ms = again + -again % limits.ROTATION_AGAIN_MS


def test_a_rotation_whose_last_roster_nobody_completed_in_time_gets_another(fed: Federation) -> None:
    populate(fed)
    start(fed)
    go_on_until_next(fed)
    rounds(fed, is_codis_signature)
    assert epoch(fed) == (1, 2)
    fed.clock.now_ms += 31 * DAY_MS
    wait_until_all_sign_again(fed)
    go_on(fed)
    assert epoch(fed) == epoch(fed, "codi") == (2, 0)


def test_who_does_not_sign_the_end_keeps_nobody_from_being_linked_for_long(fed: Federation) -> None:
    fed.clock.now_ms += -fed.clock.now_ms % limits.ROTATION_AGAIN_MS - 10 * limits.REKEY_AGAIN_MS
    populate(fed)  # shortly before an hour in which all would sign
    start(fed)
    go_on_until_next(fed)
    rounds(fed, is_codis_signature)
    fed.give("mpc", deed(50, 50))
    rounds(fed, is_codis_signature)
    before = available(fed)
    fed.clock.now_ms += limits.ROTATION_CLOSING_MS + limits.CLOCK_OFF_MS_MAX
    rounds(fed, is_codis_signature)
    assert (available(fed) - before, epoch(fed)) == (16, (1, 2))

    wait_until_all_sign_again(fed)
    rounds(fed, is_codis_signature)
    fed.give("mpc", deed(51, 51))
    rounds(fed, is_codis_signature)
    assert available(fed) - before == 16
    wait_until_all_sign_again(fed)
    go_on(fed)
    go_on(fed)
    assert (available(fed) - before, epoch(fed)) == (32, (2, 0))


def test_a_clock_that_was_ahead_holds_up_nothing(fed: Federation) -> None:
    populate(fed)
    start(fed)
    go_on_until_next(fed)
    mpc = fed.nodes["mpc"]
    with mpc.db.begin() as tx:
        node_store.rotation.close_rotation(tx, fed.clock() + 365 * DAY_MS)
        assert not node_store.rotation.is_closing(tx, fed.clock())
    go_on(fed)
    assert epoch(fed) == (2, 0)


def test_what_somebody_lets_run_out_at_once_keeps_nobody_from_signing(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(fed)
    start(fed)
    go_on_until_next(fed)
    rounds(fed, lambda message: message.kind == "submit")
    mpc, codi, now = fed.nodes["mpc"], fed.nodes["codi"], fed.clock()
    with mpc.db.read() as tx:
        agreed = node_store.documents.agreed_on(tx)
    for seconds in (1, 60):
        last = rotation.last_roster(agreed.required_roster, agreed.federation_id, now, now + seconds * 1_000)
        with pytest.raises(Refused) as refused:
            documents.submit_document(fed.hub, "codi", codi.world.sign(last))
        assert refused.value.code == "document_expired"
        with monkeypatch.context() as patch:  # the hub is the enemy's friend
            patch.setattr(hub_limits, "DOCUMENT_LIFETIME_MS_MIN", 0)
            documents.submit_document(fed.hub, "codi", codi.world.sign(last))
    federation.share_documents(fed)
    (signed,) = rotation.close_rotation(mpc)
    body = Roster.FromString(signed.payload)
    assert body.expires_at - body.created_at == limits.ROTATION_CLOSING_MS


def test_a_node_ends_a_rotation_when_the_log_that_it_keeps_says_so(fed: Federation) -> None:
    populate(fed)
    start(fed)
    go_on_until_next(fed)
    codi = fed.nodes["codi"]
    for _ in range(8):
        rounds(fed, lambda message: message.to == "codi" and message.kind == "recalled", 1)
    assert (epoch(fed), epoch(fed, "codi")) == ((2, 0), (1, 2))
    assert not node_agreeing.lacks_roster(codi.db)
    go_on(fed, 2)
    assert epoch(fed, "codi") == (2, 0)


def test_a_last_roster_counts_no_longer_than_nobody_is_linked(fed: Federation) -> None:
    populate(fed)
    start(fed)
    go_on_until_next(fed)
    rounds(fed, is_codis_signature)
    with fed.nodes["mpc"].db.read() as tx:
        agreed = node_store.documents.agreed_on(tx)
        (data,) = node_store.documents.proposed(tx)
    last = Roster.FromString(Envelope.FromString(data).payload)
    end = last.expires_at
    assert last == rotation.last_roster(agreed.required_roster, agreed.federation_id, last.created_at, end)
    in_time = [keys_documents.is_in_time(last, agreed.roster, each) for each in (end - 1, end)]
    assert in_time == [True, False]
    with fed.nodes["mpc"].db.read() as tx:
        closing = [node_store.rotation.is_closing(tx, end + each) for each in (0, limits.CLOCK_OFF_MS_MAX)]
    assert closing == [True, False]


def test_while_the_old_key_goes_those_who_wait_to_be_linked_hold_up_nobody_else(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UPDATES_MAX", 4)
    fed.give("mpc", deed(1, 1))
    fed.run()
    mpc = fed.nodes["mpc"]
    fed.give("mpc", *(deed(number, number) for number in range(100, 110)))
    run_without(fed, "hello")
    with mpc.db.begin() as tx:
        node_store.rotation.close_rotation(tx, fed.clock())
    fed.give("mpc", deed(2, 1))
    fed.run()
    assert available(fed) == 32
    fed.clock.now_ms += DAY_MS
    fed.run()
    assert available(fed) == 32 + 160
