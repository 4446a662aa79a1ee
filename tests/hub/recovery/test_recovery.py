"""A hub that lost a part of its log, or all of it, has it back from the agencies: the same bytes, nothing twice."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import sqlalchemy as sa
from samprasan.edge.world import World
from samprasan.hub import home as hub_homes
from samprasan.hub import limits
from samprasan.hub import store as hub_store
from samprasan.hub.__main__ import recovery_lines
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake, recall
from samprasan.hub.log import scrub as log_scrub
from samprasan.hub.process import status
from samprasan.hub.recovery import rebuild, recovery
from samprasan.hub.tables import accounts as hub_accounts
from samprasan.hub.tables import log, refed, subjects, tree
from samprasan.keys.errors import Malformed, Refused, Unavailable, Unproven
from samprasan.keys.signing import KeySigner
from samprasan.ledger import verify
from samprasan.node import store as node_store
from samprasan.node.documents import inbox, proposals
from samprasan.node.recovery import refeed
from samprasan.node.rows import present
from samprasan.node.sync import batches, halt, hello, hub_chain, outbox
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import SUBJECT_KIND_PERSON, Activate, Admitted, Batch, Turn, Unlink, Update

from tests import federation
from tests.disaster import ask_for_rice, is_sound, replace_hub, standing
from tests.federation import AGENCIES, Federation, HubParty, Message, deed
from tests.leaving import run_without
from tests.reconciling import busy, reconcile

Rows = list[tuple[object, ...]]


def rows_of(hub: HubParty, table: sa.Table) -> Rows:
    with hub.db.read() as tx:
        return sorted(tuple(row) for row in tx.execute(sa.select(table)))


def state_of(hub: HubParty) -> bytes:
    with hub.db.read() as tx:
        return verify.digest_of(hub_store.ledger.load_all(tx))


def restored(fed: Federation, lost: HubParty) -> None:
    """The log is the one that was, byte for byte; so are totals and who has which account."""
    assert standing(fed.hub) is None
    assert rows_of(fed.hub, log)[: len(rows_of(lost, log))] == rows_of(lost, log)
    assert is_sound(fed.hub)


@pytest.mark.parametrize("founding", [False, True], ids=["yesterday", "the day it was founded"])
async def test_a_restored_hub_is_fed_again(fed_on_each: Federation, founding: bool) -> None:
    fed = fed_on_each
    if not founding:
        busy(fed)
    yesterday = federation.copy_of(fed, federation.memory_database, 5) if is_sqlite(fed) else earlier_copy(fed)
    if founding:
        busy(fed)
    fed.give("nhco", *(deed(100 + each, each) for each in range(4, 9)))
    fed.run()
    fed.run()
    lost = replace_hub(fed, yesterday)
    fed.give("mpc", deed(200, 7), deed(201, 77))
    with pytest.raises(Unavailable) as waits:
        fed.ask_hub("mpc", "totals", hub_pb2.GetTotalsRequest())
    assert waits.value.code == "hub_recovering"
    fed.run()
    restored(fed, lost)
    assert set(rows_of(lost, subjects)) <= set(rows_of(fed.hub, subjects))
    fed.run()
    assert [(await reconcile(fed, agency)).differences for agency in AGENCIES] == [[], [], []]
    assert all(not halt.halt_reason(node.db) for node in fed.nodes.values())


def is_sqlite(fed: Federation) -> bool:
    return fed.hub.db.engine.dialect.name == "sqlite"


def earlier_copy(fed: Federation) -> Federation:
    """A copy of the hub's rows in SQLite: what a backup of PostgreSQL restores just as well."""
    made = federation.make()
    with fed.hub.db.read() as source, made.hub.db.begin() as target:
        metadata = log.metadata
        for table in reversed(metadata.sorted_tables):
            target.execute(table.delete())
        for table in metadata.sorted_tables:
            if found := [row._asdict() for row in source.execute(sa.select(table))]:
                target.execute(table.insert(), found)
    return made


def test_a_hub_restored_by_hand_notices(busy_fed: Federation) -> None:
    """Nobody said that it is an old copy: the first hello of an agency that holds a later receipt proves it."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("nhco", deed(100, 4))
    fed.run()
    lost = replace_hub(fed, yesterday, why="")
    fed.deliver(fed.nodes["nhco"].tick())
    assert standing(fed.hub) is not None
    fed.run()
    restored(fed, lost)


def test_nothing_new_is_taken_before_everybody_has_spoken(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("codi", deed(100, 4))
    fed.run()
    replace_hub(fed, yesterday)
    for agency in ("mpc", "nhco"):
        fed.deliver(fed.nodes[agency].tick())
        fed.deliver(fed.nodes[agency].tick())
    document = status.status(fed.hub.db, fed.clock())["recovery"]
    assert (document["waiting_for"], document["missing"], document["why"]) == (["codi"], None, "restored")
    size = status.status(fed.hub.db, fed.clock())["log"]["size"]
    fed.hub = fed.hub.with_clock(lambda: fed.clock() + 10**9)
    with fed.hub.db.begin() as tx, pytest.raises(Unavailable):
        intake.append_own(tx, fed.hub.world, [])
    assert status.status(fed.hub.db, fed.clock())["log"]["size"] == size


@pytest.mark.parametrize("waited_ms", [0, 40 * 60_000, 20 * 3_600_000], ids=["at once", "40 minutes", "20 hours"])
@pytest.mark.parametrize("covered", [True, False])
async def test_a_batch_whose_receipt_nobody_got_keeps_its_place(
    busy_fed: Federation, covered: bool, waited_ms: int
) -> None:
    """Before and behind it stand batches whose agencies have their receipts; a checkpoint may cover it, or not.

    The line may have been down for a while before the hub took it.
    """
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    node = fed.nodes["mpc"]
    sealed = [push for message in node.tick() for answer in fed.hub.receive(message) for push in node.receive(answer)]
    fed.clock.now_ms += waited_ms
    for push in sealed:
        if push.kind == "push":
            fed.hub.receive(push)  # the receipt is lost
    fed.clock.now_ms += 1234
    fed.give("nhco", deed(101, 4))
    for message in fed.nodes["nhco"].tick():
        if covered or message.kind != "witness":
            fed.deliver([message])
    if covered:
        fed.hub.tick()
        fed.deliver(fed.nodes["nhco"].tick())
    lost = replace_hub(fed, yesterday)
    fed.run()
    if covered:
        restored(fed, lost)
    assert standing(fed.hub) is None
    assert is_sound(fed.hub)
    fed.run()
    assert [(await reconcile(fed, agency)).differences for agency in AGENCIES] == [[], [], []]
    assert outbox.outbox(node.db, fed.clock()).is_empty


async def test_an_account_that_the_log_has_lost_is_opened_again(busy_fed: Federation) -> None:
    """The hub named the account and lost the entry that says so, before anybody kept it."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    node = fed.nodes["codi"]
    fed.give("codi", deed(300, 42))
    run_without_batches(fed)
    assert outbox.outbox(node.db, fed.clock()).queued
    replace_hub(fed, yesterday)
    fed.run()
    fed.run()
    assert standing(fed.hub) is None
    assert (await reconcile(fed, "codi")).accounts == 7
    assert outbox.outbox(node.db, fed.clock()).is_empty
    assert is_sound(fed.hub)


def run_without_batches(fed: Federation) -> None:
    for _ in range(4):
        waiting = [message for node in fed.nodes.values() for message in node.tick()]
        while waiting:
            message = waiting.pop(0)
            if message.kind not in {"push", "recall", "witness"}:
                waiting += fed.parties[message.to].receive(message)


def test_a_tail_that_nobody_has_keeps_the_hub_waiting(busy_fed: Federation) -> None:
    """An entry that a checkpoint covers and that nobody gives back is told; nothing is appended in its place."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    fed.run()
    fed.run()  # a checkpoint covers it
    node = fed.nodes["mpc"]
    with node.db.begin() as tx:
        newest = node_store.batches.head(tx).seq
        node_store.batches.drop_from(tx, newest)
    replace_hub(fed, yesterday)
    fed.run()
    document = status.status(fed.hub.db, fed.clock())
    assert document["recovery"]["missing"] == document["log"]["size"]
    assert document["recovery"]["waiting_for"] == []


def spoilt(fed: Federation, column: str) -> None:
    """A bit is flipped in an entry that an agency holds."""
    index = index_of(fed, "nhco")
    with fed.hub.db.begin() as tx:
        if column == "gone":
            tx.execute(log.delete().where(log.c.log_index == index))
            return
        data = bytearray(tx.execute(sa.select(log.c[column]).where(log.c.log_index == index)).scalar_one())
        data[len(data) // 2] ^= 4
        tx.execute(log.update().where(log.c.log_index == index).values({column: bytes(data)}))


def index_of(fed: Federation, agency: str) -> int:
    with fed.hub.db.read() as tx:
        return int(tx.execute(sa.select(sa.func.min(log.c.log_index)).where(log.c.agency == agency)).scalar_one())


def newest_held(fed: Federation, agency: str) -> int:
    with fed.hub.db.read() as tx:
        held = log.c.agency.in_((agency, "hub"))
        return int(tx.execute(sa.select(sa.func.max(log.c.log_index)).where(held)).scalar_one())


def scrub(fed: Federation) -> list[log_scrub.Damage]:
    return log_scrub.scrub(fed.hub, 0)[1]


@pytest.mark.parametrize(("agency", "scrubbed"), [("nhco", True), ("hub", True), ("nhco", False)])
@pytest.mark.parametrize("column", ["batch", "receipt", "gone"])
def test_a_damaged_entry_is_mended_by_who_holds_it(
    busy_fed: Federation, column: str, agency: str, scrubbed: bool
) -> None:
    """Scrubbing finds it; the newest one that an agency holds shows at its hello, too."""
    fed = busy_fed
    before = rows_of(fed.hub, log)
    index = index_of(fed, agency) if scrubbed else newest_held(fed, agency)
    with fed.hub.db.begin() as tx:
        if column == "gone":
            tx.execute(log.delete().where(log.c.log_index == index))
        else:
            data = bytearray(tx.execute(sa.select(log.c[column]).where(log.c.log_index == index)).scalar_one())
            data[len(data) // 2] ^= 4
            tx.execute(log.update().where(log.c.log_index == index).values({column: bytes(data)}))
    if scrubbed:
        assert [each.log_index for each in scrub(fed)] == [index]
    fed.run()
    assert rows_of(fed.hub, log) == before
    assert scrub(fed) == []
    assert status.status(fed.hub.db, fed.clock())["log"]["damaged"] == {}
    assert is_sound(fed.hub)


SPOILT: dict[str, Callable[[], sa.UpdateBase]] = {
    "totals": lambda: hub_accounts.update().values(available=hub_accounts.c.available + 1),
    "links": lambda: hub_accounts.update().values(links=0),
    "an account": lambda: hub_accounts.delete(),
    "the tree": lambda: tree.delete().where(tree.c.number == 3),
    "a hash": lambda: tree.update().where(tree.c.number == 3).values(hash=b"x" * 32),
}


@pytest.mark.parametrize("what", SPOILT)
def test_tables_and_tree_are_made_anew_from_the_log(fed_on_each: Federation, what: str) -> None:
    fed = fed_on_each
    busy(fed)
    before = (state_of(fed.hub), rows_of(fed.hub, tree), rows_of(fed.hub, subjects))
    assert rebuild.rebuild(fed.hub).tables is False
    with fed.hub.db.begin() as tx:
        tx.execute(SPOILT[what]())
    found = rebuild.rebuild(fed.hub)
    assert (found.tables, found.tree) == (what not in {"the tree", "a hash"}, what in {"the tree", "a hash"})
    assert (state_of(fed.hub), rows_of(fed.hub, tree), rows_of(fed.hub, subjects)) == before
    assert is_sound(fed.hub)


def test_nothing_is_made_of_a_damaged_log(busy_fed: Federation) -> None:
    fed = busy_fed
    spoilt(fed, "batch")
    before = state_of(fed.hub)
    with pytest.raises(Refused) as refused:
        rebuild.rebuild(fed.hub)
    assert refused.value.code == "log_damaged_here"
    assert state_of(fed.hub) == before


def entry_of(fed: Federation, agency: str) -> hub_pb2.LogEntry:
    with fed.nodes[agency].db.read() as tx:
        row = node_store.batches.find(tx, 1)
    assert row is not None
    return hub_pb2.LogEntry(batch=Envelope.FromString(row.envelope), receipt=Envelope.FromString(present(row.receipt)))


def changed(envelope: Envelope) -> Envelope:
    other = Envelope.FromString(envelope.SerializeToString())
    other.payload = other.payload[:-1] + bytes([other.payload[-1] ^ 1])
    return other


HOSTILE: dict[str, Callable[[Federation], hub_pb2.RefeedRequest]] = {
    "another's batch": lambda fed: hub_pb2.RefeedRequest(entry=entry_of(fed, "nhco")),
    "a changed batch": lambda fed: hub_pb2.RefeedRequest(
        entry=hub_pb2.LogEntry(batch=changed(entry_of(fed, "mpc").batch), receipt=entry_of(fed, "mpc").receipt)
    ),
    "another receipt": lambda fed: hub_pb2.RefeedRequest(
        entry=hub_pb2.LogEntry(batch=entry_of(fed, "mpc").batch, receipt=entry_of(fed, "nhco").receipt)
    ),
    "no batch": lambda _: hub_pb2.RefeedRequest(entry=hub_pb2.LogEntry()),
    "an account that nobody signed": lambda _: hub_pb2.RefeedRequest(account=Envelope()),
    "a checkpoint that nobody signed": lambda _: hub_pb2.RefeedRequest(checkpoint=b"x\n1\nAAAA\n\n"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_was_not_signed_by_whom_it_should_is_not_kept(busy_fed: Federation, what: str) -> None:
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    replace_hub(fed, yesterday)
    before = rows_of(fed.hub, log)
    with pytest.raises((Malformed, Unproven)):
        recovery.accept_returned(fed.hub, "mpc", [HOSTILE[what](fed)])
    with fed.hub.db.read() as tx:
        assert hub_store.recovery.next_index(tx, -1) is None
        assert hub_store.recovery.checkpoints(tx) == {}
    assert rows_of(fed.hub, log) == before


def test_a_hub_that_lost_nothing_takes_nothing(busy_fed: Federation) -> None:
    fed = busy_fed
    with pytest.raises(Refused) as refused:
        recovery.accept_returned(fed.hub, "mpc", [hub_pb2.RefeedRequest(entry=entry_of(fed, "mpc"))])
    assert refused.value.code == "nothing_lost"


def test_another_agencys_subjects_are_not_tied_to_accounts(busy_fed: Federation) -> None:
    """An agency feeds the hub's signed word to another one."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    replace_hub(fed, yesterday)
    node = fed.nodes["nhco"]
    requests = refeed.everything(node, 10**6, 10**6, [])
    accounts = [each for each in requests if each.HasField("account")]
    assert accounts
    with pytest.raises(Unproven) as refused:
        recovery.accept_returned(fed.hub, "mpc", accounts)
    assert refused.value.code == "refeed_foreign"


def account_of(fed: Federation, agency: str, number: int) -> bytes | None:
    node = fed.nodes[agency]
    with node.db.read() as tx:
        row = node_store.subjects.find(tx, node.identity.index(deed(1, number).subject))
    return row.account_id if row else None


def test_whom_the_backup_knows_by_an_account_that_nobody_linked_is_found_by_the_one_that_came_later(
    busy_fed: Federation,
) -> None:
    """The backup was made between opening and linking; then the admission lapsed, and another account was opened."""
    fed = busy_fed
    fed.give("mpc", deed(100, 50))
    run_without(fed, "push")
    first = account_of(fed, "mpc", 50)
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.clock.now_ms += 3 * limits.ADMISSION_LIFETIME_MS
    fed.give("nhco", deed(101, 1))
    fed.deliver(fed.nodes["nhco"].tick())
    fed.hub.tick()
    fed.run()
    assert first is not None
    assert account_of(fed, "mpc", 50) not in (first, None)
    replace_hub(fed, yesterday)
    fed.run()
    assert standing(fed.hub) is None
    fed.give("nhco", deed(102, 50))
    fed.run()
    assert account_of(fed, "nhco", 50) == account_of(fed, "mpc", 50)
    assert is_sound(fed.hub)


def test_a_stale_receipt_starts_no_recovery(busy_fed: Federation) -> None:
    fed = busy_fed
    node = fed.nodes["mpc"]
    for receipt in (entry_of(fed, "mpc").receipt, Envelope(), changed(entry_of(fed, "mpc").receipt)):
        request = hello.compose_hello(node).request
        request.newest_receipt.CopyFrom(receipt)
        with suppress(Malformed, Unproven):
            _, answer = fed.ask_hub("mpc", "hello", hello.Hello(request, 0))
            assert answer.recovering is False
        assert standing(fed.hub) is None


def test_the_hubs_own_chain_is_kept(busy_fed: Federation) -> None:
    fed = busy_fed
    with fed.hub.db.read() as tx:
        seq = hub_store.log.chain_head(tx, "hub").seq
    assert seq > 3
    assert {hub_chain.kept_up_to(node.db) for node in fed.nodes.values()} == {seq}


def test_a_hub_chain_that_was_changed_is_not_kept(busy_fed: Federation) -> None:
    """The hub shows another batch at a place of its own chain that this node has kept."""
    fed = busy_fed
    node = fed.nodes["mpc"]
    twin = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 40))
    fed.run()
    twin.give("mpc", deed(100, 41))
    twin.run()
    kept = hub_chain.kept_up_to(node.db)
    entries = recall.recalled(twin.hub.db, "mpc", True, kept - 1)
    with pytest.raises(Unproven) as refused:
        hub_chain.keep_entries(node, entries)
    assert refused.value.code == "hub_chain_fork"
    assert hub_chain.kept_up_to(node.db) == kept


def held(fed: Federation, agency: str) -> list[hub_pb2.RefeedRequest]:
    """What the agency gives back."""
    node = fed.nodes[agency]
    with fed.hub.db.read() as tx:
        own, hub = hub_store.log.chain_head(tx, agency).seq, hub_store.log.chain_head(tx, "hub").seq
    return list(refeed.everything(node, own, hub, []))


def unreceipted(fed: Federation, agency: str, *updates: Update, **changes: object) -> hub_pb2.RefeedRequest:
    """A batch of the agency behind its last one, without a receipt."""
    node = fed.nodes[agency]
    with node.db.read() as tx:
        head = node_store.batches.head(tx)
    values = {"agency": agency, "seq": head.seq + 1, "previous": head.digest, "created_at": fed.clock()}
    batch = Batch(federation_id=federation_id_of(fed), updates=updates)
    for name, value in (values | changes).items():
        setattr(batch, name, value)
    return hub_pb2.RefeedRequest(entry=hub_pb2.LogEntry(batch=node.world.sign(batch)))


def federation_id_of(fed: Federation) -> bytes:
    with fed.hub.db.read() as tx:
        return hub_store.documents.agreed_on(tx).federation_id


def some_account(fed: Federation) -> bytes:
    with fed.hub.db.read() as tx:
        return bytes(tx.execute(sa.select(hub_accounts.c.account_id)).scalars().first() or b"")


FORGED: dict[str, Callable[[Federation], hub_pb2.RefeedRequest]] = {
    "an admission of its own": lambda fed: unreceipted(
        fed, "mpc", Update(admitted=Admitted(agency="mpc", tag=b"t" * 16, kind=SUBJECT_KIND_PERSON, lapses_at=1))
    ),
    "a document put into force": lambda fed: unreceipted(fed, "mpc", Update(activate=Activate(version=9))),
    "another federation": lambda fed: unreceipted(fed, "mpc", federation_id=b"x" * 16),
    "too many updates": lambda fed: unreceipted(fed, "mpc", *[Update(op_id=b"o" * 16)] * 1001),
    "nothing in an update": lambda fed: unreceipted(fed, "mpc", Update(op_id=b"o" * 16)),
    "the hub's, without its receipt": lambda fed: hub_pb2.RefeedRequest(
        entry=hub_pb2.LogEntry(batch=next(each.entry.batch for each in held(fed, "mpc") if each.HasField("entry")))
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_batch_without_receipt_can_say_no_more_than_any_other(busy_fed: Federation, what: str) -> None:
    """It never passed intake: its form is looked at now, and what only the hub says is not an agency's to say."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("nhco", deed(100, 40))
    fed.run()
    replace_hub(fed, yesterday)
    with suppress(Malformed, Unproven):
        recovery.accept_returned(fed.hub, "mpc", [FORGED[what](fed)])
    with fed.hub.db.read() as tx:
        assert tx.execute(sa.select(refed)).all() == []


def test_documents_are_those_that_the_hub_put_into_force(fed: Federation) -> None:
    """An agency leaves them out, or brings its own along with its batches."""
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    busy(fed)
    replace_hub(fed, yesterday)
    stripped = [each for each in held(fed, "codi") if each.HasField("entry") and each.entry.documents]
    own = [each for each in held(fed, "codi") if each.HasField("entry") and not each.entry.documents][-1]
    own.entry.documents.extend(stripped[0].entry.documents)
    stripped[0].entry.ClearField("documents")
    with pytest.raises(Unproven):
        recovery.accept_returned(fed.hub, "codi", stripped)
    recovery.accept_returned(fed.hub, "codi", [own])
    with fed.hub.db.read() as tx:
        assert {each.documents for each in hub_store.recovery.between(tx, 0, 10**6)} == {b""}
    fed.run()
    assert standing(fed.hub) is None
    assert is_sound(fed.hub)


def test_a_document_that_waited_in_the_backup_is_put_into_force(busy_fed: Federation) -> None:
    """It was proposed before the backup and approved after it: what the log says of it needs it."""
    fed = busy_fed
    text = (federation.SAMPLES / "policy.toml").read_text("utf-8").replace("version = 1", "version = 2", 1)
    proposed = proposals.propose_policy(fed.nodes["mpc"], text)
    fed.deliver([Message("mpc", "hub", "submit", proposed)])
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    federation.share_documents(fed)
    nhco = fed.nodes["nhco"]
    (waiting,) = inbox.inbox(nhco)
    approved = inbox.approve(nhco, waiting, "")
    fed.deliver([Message("nhco", "hub", "submit", approved)])
    fed.give("mpc", deed(100, 4))
    fed.run()
    lost = replace_hub(fed, yesterday)
    fed.run()
    restored(fed, lost)
    with fed.hub.db.read() as tx:
        assert sorted(hub_store.documents.agreed_on(tx).policies) == [1, 2]


def test_a_document_whose_entry_nobody_kept_is_brought_again_by_who_signed_it(busy_fed: Federation) -> None:
    """The nodes believe it, and nobody had kept the hub's entry yet that put it into force."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    federation.propose_policy(fed, (federation.SAMPLES / "policy.toml").read_text("utf-8").replace("= 1", "= 2", 1))
    replace_hub(fed, yesterday)
    fed.run()
    fed.run()
    assert standing(fed.hub) is None
    with fed.hub.db.read() as tx:
        assert sorted(hub_store.documents.agreed_on(tx).policies) == [1, 2]
    assert is_sound(fed.hub)


def test_what_an_agency_holds_otherwise_is_told_and_ends_nothing(busy_fed: Federation) -> None:
    """The hub was restored by hand and went on by itself: two histories stand against each other."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    fed.run()
    replace_hub(fed, yesterday, why="")
    with fed.hub.db.begin() as tx:
        intake.append_own(tx, fed.hub.world, [Update(turn=Turn(day=20260101, prefix=b"?"))])
    recovery.begin_recovery(fed.hub, recovery.ASKED)
    fed.run()
    document = status.status(fed.hub.db, fed.clock())["recovery"]
    assert document["differs"] is not None
    assert any(document["differs"] in line for line in recovery_lines(document))


def test_no_second_receipt_is_signed_for_what_an_agency_withholds(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    fed.deliver(message for message in fed.nodes["mpc"].tick() if message.kind != "witness")
    replace_hub(fed, yesterday)
    node = fed.nodes["mpc"]
    fed.ask_hub("mpc", "hello", hello.compose_hello(node))
    last = [each for each in held(fed, "mpc") if each.HasField("entry") and each.entry.HasField("receipt")][-1]
    last.entry.ClearField("receipt")
    with pytest.raises(Unproven) as refused:
        recovery.accept_returned(fed.hub, "mpc", [last, hub_pb2.RefeedRequest(checkpoint=b"")])
    assert refused.value.code == "refeed_withheld"
    document = status.status(fed.hub.db, fed.clock())["recovery"]
    assert "mpc" in document["waiting_for"]


@pytest.mark.parametrize("on_its_way", [False, True])
def test_what_stood_in_a_gap_follows_from_the_receipts_behind_it(busy_fed: Federation, on_its_way: bool) -> None:
    """Credits were taken in the gap, and what came behind was declined: a batch that the hub never had does not fit."""
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    subject = deed(4, 4).subject
    for number in range(10, 14):  # each takes 10 of 48
        ask_for_rice(fed, "nhco", number, subject)
    node = fed.nodes["nhco"]
    for message in node.tick():
        for answer in fed.hub.receive(message):
            for push in node.receive(answer):
                if push.kind == "push":
                    fed.hub.receive(push)  # the receipt is lost
    fed.clock.now_ms += 1000
    ask_for_rice(fed, "codi", 20, subject)
    fed.deliver(message for message in fed.nodes["codi"].tick() if message.kind != "witness")
    replace_hub(fed, yesterday)
    if on_its_way:
        fed.give("mpc", deed(200, 2))
        mpc = fed.nodes["mpc"]
        with mpc.db.read() as tx:
            seq = node_store.batches.head(tx).seq
        assert batches.seal_next_batch(mpc, seq)
    for _ in range(3):
        fed.run()
    assert standing(fed.hub) is None
    assert is_sound(fed.hub)


def test_recovery_goes_on_after_the_process_that_took_the_last_entry_is_gone(busy_fed: Federation) -> None:
    fed = busy_fed
    yesterday = federation.copy_of(fed, federation.memory_database, 5)
    fed.give("mpc", deed(100, 4))
    fed.run()
    lost = replace_hub(fed, yesterday)
    for agency in AGENCIES:
        recovery.accept_returned(fed.hub, agency, held(fed, agency))
    assert standing(fed.hub) is not None
    fed.hub.tick()
    restored(fed, lost)


def test_an_agency_cannot_fill_the_hub_with_batches_nobody_took(busy_fed: Federation) -> None:
    fed = busy_fed
    replace_hub(fed, federation.copy_of(fed, federation.memory_database, 5))
    update = Update(op_id=b"o" * 16, unlink=Unlink(account_id=some_account(fed)))
    requests = [unreceipted(fed, "mpc", update, seq=seq) for seq in range(2, 302)]
    recovery.accept_returned(fed.hub, "mpc", requests)
    with fed.hub.db.read() as tx:
        kept = tx.execute(sa.select(sa.func.count()).select_from(refed)).scalar_one()
    assert kept == limits.UNRECEIPTED_AHEAD_MAX


def test_before_there_are_agencies_nothing_is_given_back() -> None:
    founded = federation.empty_database("hub")
    hub_homes.create_tables(founded)
    recovery.begin_recovery(Hub(founded, World(KeySigner(b"k" * 32))), recovery.RESTORED)
    assert recovery.is_recovering(founded) is False
    founded.close()
