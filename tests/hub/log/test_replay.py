"""Every message a second time, before and after a restart of the hub: the same answer, and nothing twice."""

from collections.abc import Callable
from typing import Any

import pytest
from samprasan.edge.database import open_database
from samprasan.hub.log import audit
from samprasan.hub.process import status
from samprasan.keys.errors import SamprasanError
from samprasan.node import store
from samprasan.node.linking import letters, questions
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests.evaluating import covering
from tests.federation import Federation, HubParty, deed


def a_batch(fed: Federation) -> tuple[str, Any]:
    with fed.nodes["mpc"].db.read() as tx:
        row = store.batches.find(tx, 1)
    assert row is not None
    return "push", Envelope.FromString(row.envelope)


def opening_accounts(fed: Federation) -> tuple[str, Any]:
    subject = hub_pb2.SubjectRef(subject_key=b"k" * 32, kind=1, key_epoch=1)  # type: ignore[arg-type]
    told = [covering(fed, 1)]
    return "open_accounts", hub_pb2.OpenAccountsRequest(request_id=b"r" * 16, subjects=[subject], evaluated=told)


def totals(fed: Federation) -> tuple[str, Any]:
    return "totals", hub_pb2.GetTotalsRequest(request_id=b"r" * 16, account_ids=[b"a" * 16])


def hello(fed: Federation) -> tuple[str, Any]:
    from samprasan.node.sync import hello as sync_hello

    return "hello", sync_hello.compose_hello(fed.nodes["mpc"])


REPLAYED: dict[str, Callable[[Federation], tuple[str, Any]]] = {
    "batch": a_batch,
    "accounts": opening_accounts,
    "totals": totals,
    "hello": hello,
}


def answer(fed: Federation, kind: str, body: Any) -> bytes:
    """The hub's answer as bytes, an error by its code."""
    try:
        found = fed.ask_hub("mpc", kind, body)
    except SamprasanError as problem:
        return problem.code.encode()
    if kind in {"hello", "open_accounts"}:
        found = found[1]
    if kind == "open_accounts":
        return b"".join(hub_pb2.AccountOpened.FromString(each.payload).account_id for each in found)
    if kind == "hello":
        return found.head.SerializeToString()  # type: ignore[no-any-return]
    return found.SerializeToString()  # type: ignore[no-any-return]


def restarted(fed: Federation, url: str) -> HubParty:
    """The same hub in a new process: nothing but its database is left."""
    fed.hub.db.close()
    return HubParty(open_database(url), fed.hub.world, fed.hub.authority)


@pytest.mark.parametrize("name", REPLAYED)
def test_a_message_again_is_answered_as_before_and_changes_nothing(name: str, fed_on_each: Federation) -> None:
    fed = fed_on_each
    url = fed.hub.db.engine.url.render_as_string(hide_password=False)
    fed.give("mpc", *(deed(number, number) for number in range(5)))
    fed.run()
    kind, body = REPLAYED[name](fed)
    first = answer(fed, kind, body)
    before = standing(fed)
    for _ in range(3):
        assert answer(fed, kind, body) == first
        fed.clock.now_ms += 3_600_000
        assert standing(fed) == before
        fed.hub = restarted(fed, url)


def standing(fed: Federation) -> tuple[Any, ...]:
    hub = fed.hub
    assert audit.audit(hub, hub.world.signer.public_key).problems == []
    found = status.status(hub.db, hub.world.now())
    return found["totals"], found["log"]


def test_a_document_again_changes_nothing(fed: Federation) -> None:
    listing = fed.hub
    from samprasan.hub.members import documents as members_documents

    documents = members_documents.list_documents(listing.db)
    for envelope in (*documents.active, *documents.proposed):
        try:
            members_documents.submit_document(listing, "mpc", envelope)
        except SamprasanError as problem:
            assert problem.code  # noqa: PT017
    assert members_documents.list_documents(listing.db) == documents


def test_a_question_between_nodes_again_is_answered_from_memory_after_a_restart_too(fed: Federation) -> None:
    fed.give("mpc", deed(1, 1))
    asker = fed.nodes["mpc"]
    questions.ask_peers(asker)
    ((_, letter),) = questions.unposted_letters(asker)
    peer = fed.nodes[letter.to]
    sealed = letters.seal(asker, letter)
    piece = hub_pb2.Mail(number=1, sender="mpc", sealed=sealed)
    from samprasan.node.session import mail

    first = mail.read_letter(peer, piece)
    peer.restart()
    again = mail.read_letter(peer, piece)
    assert first is not None
    assert again is not None
    assert first.envelope == again.envelope
