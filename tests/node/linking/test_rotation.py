"""Rotation of the linking key: pseudonyms change, accounts and totals stay, and a rotation that is cut goes on."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from samprasan.hub import store as hub_store
from samprasan.hub.accounts import opening
from samprasan.hub.accounts import rekey as accounts_rekey
from samprasan.hub.members import documents
from samprasan.hub.process import status as process_status
from samprasan.hub.tables import rekeyed
from samprasan.keys import sharing, signing
from samprasan.keys.errors import Refused, SamprasanError
from samprasan.keys.identifiers import Scheme, parse
from samprasan.node import limits
from samprasan.node import store as node_store
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.documents import inbox, proposals
from samprasan.node.linking import rotation
from samprasan.node.rows import present
from samprasan.node.tables import shares as node_shares
from samprasan.node.tables import subjects as node_subjects
from samprasan.v1 import hub_pb2, log_pb2

from tests import federation
from tests.federation import Federation, Message, deed
from tests.leaving import available, close_what_rests, leave, run_without
from tests.rotating import epoch, go_on, go_on_until_next, keys, linking_status, populate, rounds, start

DAY_MS = 86_400_000


def totals(fed: Federation) -> dict[bytes, int]:
    with fed.hub.db.read() as tx:
        return {key: each.available for key, each in hub_store.ledger.load_all(tx).accounts.items()}


def test_every_pseudonym_changes_and_accounts_and_totals_stay(fed: Federation) -> None:
    before, owned = populate(fed), totals(fed)
    start(fed)
    go_on(fed)
    after = keys(fed)
    assert epoch(fed) == epoch(fed, "nhco") == epoch(fed, "codi") == (2, 0)
    assert after.keys() == before.keys()
    assert all(after[each][0] != before[each][0] and after[each][1] == 2 for each in after)
    assert totals(fed) == owned
    fed.give("codi", *(deed(number, number) for number in range(9)))
    fed.give("mpc", deed(100, 50))
    fed.run()
    assert len(keys(fed)) == len(before) + 1, "old friends are found under the next key, and new people opened with it"
    assert [node.errors for node in fed.nodes.values()] == [[], [], []]
    with fed.hub.db.read() as tx:
        assert list(tx.execute(rekeyed.select())) == []


def test_a_registered_community_keeps_its_public_key(fed: Federation) -> None:
    village = parse(Scheme.REGISTRY, "12", "codi.council")
    fed.give("codi", replace(deed(1, 1), kind=log_pb2.SUBJECT_KIND_COMMUNITY, subject=village))
    fed.run()
    before = keys(fed)
    start(fed)
    go_on(fed)
    assert (epoch(fed), keys(fed)) == ((2, 0), before)


def test_it_takes_all_linked_agencies_and_meanwhile_both_keys_are_answered(fed: Federation) -> None:
    before = populate(fed)
    start(fed)
    codi = fed.nodes["codi"]
    go_on_until_next(fed)  # the ceremony needs all three
    assert epoch(fed) == (1, 2)
    fed.nodes = {name: node for name, node in fed.nodes.items() if name != "codi"}
    _deaf(codi, fed)
    go_on(fed, 4)
    assert epoch(fed) == (1, 2)
    found = process_status.status(fed.hub.db, fed.clock())["rotation"]
    assert found == {"key_epoch": 2, "not_moved": 2, "disagreements": 0}
    fed.give("mpc", deed(200, 60))
    go_on(fed, 8)  # a question to the one that is away has to run out
    assert available(fed) == sum(totals(fed).values())
    assert len(totals(fed)) == len(before) + 1, "new people are linked while it runs"
    fed.nodes["codi"] = codi
    _hears_again(codi)
    go_on(fed)
    assert epoch(fed) == epoch(fed, "codi") == (2, 0)


def _deaf(node: Any, fed: Federation) -> None:
    """Whatever comes for the node is lost, as if it were away; peers' questions to it run out."""
    fed.nodes.setdefault("codi", node)
    node.tick = list
    node.receive = lambda _message: []


def _hears_again(node: Any) -> None:
    del node.tick, node.receive


@pytest.mark.parametrize("lost", ["rekeyed", "rekey", "submit", "mail", "opened"])
def test_a_rotation_that_loses_messages_ends_all_the_same(fed: Federation, lost: str) -> None:
    before = populate(fed)
    start(fed)
    chance = random.Random(1)

    def deliver(messages: list[Message]) -> None:
        waiting = list(messages)
        while waiting:
            message = waiting.pop(0)
            if message.kind != lost or chance.random() < 0.5:
                waiting.extend(fed.parties[message.to].receive(message))

    for _ in range(30):
        deliver([message for node in fed.nodes.values() for message in node.tick()])
        fed.clock.now_ms += limits.REKEY_AGAIN_MS
        federation.share_documents(fed)
        if epoch(fed) == epoch(fed, "nhco") == epoch(fed, "codi") == (2, 0):
            break
    assert epoch(fed) == epoch(fed, "nhco") == epoch(fed, "codi") == (2, 0)
    assert keys(fed).keys() == before.keys()


def test_who_leaves_while_it_runs_holds_nobody_up_for_more_than_a_week(fed: Federation) -> None:
    populate(fed)
    start(fed)
    leave(fed, 4)
    leave(fed, 4, agency="nhco")
    leave(fed, 5)
    go_on(fed)
    assert epoch(fed) == (1, 2), "who comes back in time is to be found under the next key, too"
    close_what_rests(fed)
    go_on(fed)
    assert epoch(fed) == (2, 0)
    assert len(keys(fed)) == 8


def test_an_account_that_was_opened_and_never_linked_is_asked_for_anew(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    run_without(fed, "hello")
    start(fed)
    run_without(fed, "push")
    go_on(fed)
    assert epoch(fed) == (2, 0)
    go_on(fed, 2)
    assert [each[1] for each in keys(fed).values()] == [2]
    assert available(fed) == 16


def request(fed: Federation, agency: str, **changes: Any) -> hub_pb2.RekeyRequest:
    with fed.nodes[agency].db.read() as tx:
        account_id = next(row.account_id for row in node_store.subjects.of_ids(tx, range(100)) if row.account_id)
    values: dict[str, Any] = {
        "request_id": b"r" * 16,
        "key_epoch": 2,
        "accounts": [hub_pb2.Rekeyed(account_id=account_id, subject_key=b"k" * 32)],
    }
    return hub_pb2.RekeyRequest(**(values | changes))


def rekey(fed: Federation, agency: str, asked: hub_pb2.RekeyRequest) -> str | int:
    try:
        return len(accounts_rekey.rekey(fed.hub, agency, asked).accounts_opened)
    except SamprasanError as problem:
        return problem.code


def test_what_agencies_call_differently_stays_and_is_shown(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.give("nhco", deed(1, 1))
    fed.run()
    start(fed)
    go_on_until_next(fed)
    assert rekey(fed, "mpc", request(fed, "mpc")) == 0
    other = request(fed, "nhco")
    other.accounts[0].subject_key = b"x" * 32
    assert rekey(fed, "nhco", other) == 0
    found = process_status.status(fed.hub.db, fed.clock())["rotation"]
    assert (found["not_moved"], found["disagreements"]) == (1, 1)
    assert rekey(fed, "nhco", request(fed, "nhco")) == 1
    found = process_status.status(fed.hub.db, fed.clock())["rotation"]
    assert (found["not_moved"], found["disagreements"]) == (0, 0)


def test_a_pseudonym_that_belongs_to_another_account_moves_nobody(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1), deed(2, 2))
    fed.run()
    start(fed)
    go_on_until_next(fed)
    with fed.nodes["mpc"].db.read() as tx:
        first, second = (present(row.account_id) for row in node_store.subjects.of_ids(tx, (1, 2)))
    for account_id, expected in ((first, 1), (second, 0), (first, 1)):
        asked = request(fed, "mpc", accounts=[hub_pb2.Rekeyed(account_id=account_id, subject_key=b"k" * 32)])
        assert rekey(fed, "mpc", asked) == expected
    assert process_status.status(fed.hub.db, fed.clock())["rotation"]["disagreements"] == 1


def test_an_account_has_one_name_under_the_next_key_and_a_public_one_none(fed: Federation) -> None:
    """Who is linked alone could otherwise call one account by the pseudonyms of many."""
    village = parse(Scheme.REGISTRY, "12", "codi.council")
    fed.give("codi", replace(deed(1, 1), kind=log_pb2.SUBJECT_KIND_COMMUNITY, subject=village))
    fed.give("mpc", deed(1, 1))
    fed.run()
    before = keys(fed)
    start(fed)
    go_on_until_next(fed)
    assert rekey(fed, "codi", request(fed, "codi")) == 0
    assert keys(fed) == before
    asked = request(fed, "mpc")
    assert rekey(fed, "mpc", asked) == 1
    asked.accounts[0].subject_key = b"x" * 32
    assert rekey(fed, "mpc", asked) == 0
    with fed.hub.db.read() as tx:
        found = hub_store.pseudonyms.keys_of(tx, [asked.accounts[0].account_id])
    assert sorted(epoch for each in found.values() for _, _, epoch in each) == [1, 2]


BAD: dict[str, tuple[str, Callable[[Federation], hub_pb2.RekeyRequest], str | int]] = {
    "another epoch": ("mpc", lambda fed: request(fed, "mpc", key_epoch=3), "key_epoch"),
    "no accounts": ("mpc", lambda fed: request(fed, "mpc", accounts=[]), "request"),
    "short id": (
        "mpc",
        lambda fed: request(fed, "mpc", accounts=[hub_pb2.Rekeyed(account_id=b"a", subject_key=bytes(32))]),
        "request",
    ),
    "short key": (
        "mpc",
        lambda fed: request(fed, "mpc", accounts=[hub_pb2.Rekeyed(account_id=bytes(16), subject_key=b"k")]),
        "request",
    ),
    "no request id": ("mpc", lambda fed: request(fed, "mpc", request_id=b""), "request"),
    "another's account": ("codi", lambda fed: request(fed, "mpc"), 0),
}


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_is_not_right_changes_nothing(fed: Federation, name: str) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    start(fed)
    go_on_until_next(fed)
    agency, make, expected = BAD[name]
    assert rekey(fed, agency, make(fed)) == expected
    with fed.hub.db.read() as tx:
        assert list(tx.execute(rekeyed.select())) == []


def test_without_a_rotation_the_hub_takes_no_new_names(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    assert rekey(fed, "mpc", request(fed, "mpc")) == "key_epoch"


def test_a_key_that_comes_after_the_rotation_is_not_kept(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process activates the last roster while this one still computes."""
    fed.give("mpc", deed(1, 1))
    fed.run()
    start(fed)
    go_on_until_next(fed)
    mpc = fed.nodes["mpc"]
    fed.give("mpc", deed(2, 2))
    held: list[Message] = []

    def hold(message: Message) -> bool:
        if message.kind == "mail" and message.to == "mpc":
            held.append(message)
            return True
        return message.to == "mpc" and message.kind in {"hello", "listed"}

    rounds(fed, hold, 3)
    assert held
    with mpc.db.read() as tx:
        current = node_store.documents.agreed_on(tx)
    last = rotation.last_roster(current.required_roster, current.federation_id, fed.clock(), fed.clock() + DAY_MS)
    signed = signing.seal(last)
    for node in fed.nodes.values():
        signing.add_signature(signed, node.world.signer)
    combine = sharing.combine

    def combined(*arguments: Any) -> bytes:
        listing = documents.list_documents(fed.hub.db)
        listing.active.append(signed)
        node_agreeing.accept_listing(mpc, listing)
        return combine(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sharing, "combine", combined)
        mpc.receive(held[0])
    with mpc.db.read() as tx:
        assert [row.sealed_key for row in node_store.subjects.of_ids(tx, (2,))] == [None]


def test_a_lost_share_of_the_next_key_is_repaired_and_the_rotation_goes_on(fed: Federation) -> None:
    populate(fed)
    start(fed)
    go_on_until_next(fed)
    mpc, nhco = fed.nodes["mpc"], fed.nodes["nhco"]
    with mpc.db.begin() as tx:
        coming = node_store.documents.agreed_on(tx).required_roster.next
        (point,) = (entry.point for entry in coming.commitments if entry.agency == "mpc")
        tx.execute(node_shares.delete().where(node_shares.c.point == point))
        tx.execute(node_subjects.update().values(sealed_key=None))
    go_on(fed)
    assert epoch(fed) == (1, 2)
    proposal = proposals.propose_ceremony(mpc, proposals.REPAIR)
    documents.submit_document(fed.hub, "mpc", proposal)
    federation.share_documents(fed)
    (waiting,) = inbox.inbox(nhco)
    signed = inbox.approve(nhco, waiting, "")
    documents.submit_document(fed.hub, "nhco", signed)
    federation.share_documents(fed)
    go_on(fed, 16)
    assert epoch(fed) == (2, 0)
    assert len(keys(fed)) == 9


def test_a_pseudonym_of_an_old_key_opens_nothing(fed: Federation) -> None:
    populate(fed)
    start(fed)
    go_on(fed)
    asked = hub_pb2.OpenAccountsRequest(
        request_id=bytes(16),
        subjects=[hub_pb2.SubjectRef(subject_key=bytes(32), kind=1, key_epoch=1)],  # type: ignore[arg-type]
    )
    with pytest.raises(Refused) as refused:
        opening.open_accounts(fed.hub, "mpc", asked)
    assert refused.value.code == "key_epoch"


def test_one_rotation_at_a_time(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    fed.run()
    start(fed)
    go_on_until_next(fed)
    assert epoch(fed) == (1, 2)
    mpc = fed.nodes["mpc"]
    with pytest.raises(Refused) as refused:
        proposals.propose_ceremony(mpc, proposals.ROTATE)
    assert refused.value.code == "rotation_runs"


def test_looking_everybody_up_again_is_no_probing(fed: Federation) -> None:
    fed.give("mpc", *(deed(number, number) for number in range(150)))
    fed.run()
    start(fed)
    go_on(fed)
    assert epoch(fed) == (2, 0)
    fed.clock.now_ms += 31 * DAY_MS
    fed.run()
    found = {each["agency"]: each["linking"] for each in process_status.status(fed.hub.db, fed.clock())["agencies"]}
    assert found["mpc"] == {"evaluated": 300, "used": 300, "unused": 0, "probing": False, "alone": 150}
    mine = {each["agency"]: each for each in linking_status(fed, "codi")["use"]}["mpc"]
    assert (mine["evaluated"], mine["admitted"], mine["unopened"]) == (300, 150, 0)
