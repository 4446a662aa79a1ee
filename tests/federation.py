"""One test federation: a hub and three nodes with their real steps and stores, and messages that somebody delivers.

Delivered at once and in order it is the unit test; with a seeded network in between it is the simulation.  A party
never calls another: it gives messages to send, and is given messages that arrived.
"""

import contextlib
import hashlib
import random
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from samprasan.edge import database
from samprasan.edge.database import Database
from samprasan.edge.world import World
from samprasan.hub import home as hub_homes
from samprasan.hub import store as hub_store
from samprasan.hub.accounts import opening, rekey, totals
from samprasan.hub.identity import Hub
from samprasan.hub.log import checkpoints, intake, recall
from samprasan.hub.members import dissent, documents, hello, joining, mailbox
from samprasan.hub.recovery import recovery
from samprasan.keys import certificates, sealing
from samprasan.keys.errors import SamprasanError, Unavailable, Unproven
from samprasan.keys.identifiers import Scheme, check_digit, parse
from samprasan.keys.sealing import Vault
from samprasan.keys.signing import KeySigner, Signer, Verify, verify_ed25519
from samprasan.node import home as node_homes
from samprasan.node import store as node_store
from samprasan.node.counter import redemption
from samprasan.node.documents import accepted as node_agreeing
from samprasan.node.documents import inbox, proposals
from samprasan.node.exports.export import Export
from samprasan.node.exports.profile import Profile
from samprasan.node.identity import Identity, Node
from samprasan.node.imports import importer
from samprasan.node.imports.deed import Consents, Deed
from samprasan.node.linking import accounts as linking_accounts
from samprasan.node.linking import ceremony, letters, questions, rotation
from samprasan.node.proof import witness as node_witnessing
from samprasan.node.recovery import refeed
from samprasan.node.recovery import replay as node_recovery
from samprasan.node.session import mail
from samprasan.node.sync import batches, hub_chain, leaving, receipts
from samprasan.node.sync import hello as sync_hello
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope

AGENCIES = ("mpc", "nhco", "codi")
SAMPLES = Path(__file__).parents[1] / "deploy" / "local" / "samples"
START_MS = int(datetime(2026, 11, 23, 3, tzinfo=UTC).timestamp() * 1000)
TO_RECOVER = frozenset({"hello", "list", "recall", "refeed", "submit"})  # what a hub that recovers answers
GREETINGS = frozenset({"hello", "fetch", "witness", "witnessed"})  # the messages of a round without news
LAST_WORDS = GREETINGS | {"cosign", "recall", "recalled"}  # those of a round behind which nobody has anything to send
ROUNDS = 4
TLS_CA = b"the hub's authority"


@dataclass
class Clock:
    """A clock that somebody moves."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass(frozen=True)
class Message:
    """What one party sends another; ``reply_to`` names the request that an answer belongs to."""

    sender: str
    to: str
    kind: str
    body: Any


class HubParty(Hub):
    """The hub, and its steps behind messages, as its service puts them behind gRPC methods."""

    name = "hub"

    def __init__(self, db: Database, world: World, authority: joining.Authority) -> None:
        super().__init__(db, world)
        self.authority = authority

    def with_clock(self, clock: Callable[[], int]) -> "HubParty":
        """The same hub, by another clock."""
        return HubParty(self.db, replace(self.world, clock=clock), self.authority)

    def receive(self, message: Message) -> list[Message]:
        """Answer a node; an error of ours is an answer too."""
        try:
            with self.db.read() as tx:
                if message.kind not in TO_RECOVER and recovery.recovery_progress(tx) is not None:
                    raise Unavailable("hub_recovering")
            return self._answers(message)
        except SamprasanError as problem:
            return [Message(self.name, message.sender, "error", (message.kind, problem))]

    def _answers(self, message: Message) -> list[Message]:
        agency, body = message.sender, message.body

        def back(kind: str, answer: Any) -> list[Message]:
            return [Message(self.name, agency, kind, answer)]

        match message.kind:
            case "hello":
                return back("hello", (body, hello.answer_hello(self, agency, body.request)))
            case "push":
                submission = intake.verify(self, agency, body)
                (answer,) = intake.append(self, [submission])
                if isinstance(answer, SamprasanError):
                    raise answer
                return back("pushed", answer)
            case "submit":
                documents.submit_document(self, agency, body)
                return []
            case "list":
                return back("listed", documents.list_documents(self.db))
            case "open_accounts":
                return back("opened", (body, opening.open_accounts(self, agency, body)))
            case "rekey":
                moved = rekey.rekey(self, agency, body)
                return back("rekeyed", (body, moved.accounts_opened))
            case "totals":
                return back("totals", (body, totals.read_totals(self, agency, body)))
        return self._mail(message)

    def _mail(self, message: Message) -> list[Message]:
        agency, body = message.sender, message.body
        match message.kind:
            case "post":
                request_id, request = body
                mailbox.post_mail(self, agency, request)
                return [Message(self.name, agency, "posted", request_id)]
            case "fetch":
                return [
                    Message(self.name, agency, "mail", piece) for piece in mailbox.mail_after(self.db, agency, body)
                ]
            case "acknowledge":
                mailbox.acknowledge_mail(self.db, agency, body)
                return []
            case "witness":
                answer = checkpoints.answer_question(self.db, agency, body.request)
                return [Message(self.name, agency, "witnessed", (body, answer))]
            case "dissent":
                dissent.submit_dissent(self, agency, body)
                return []
            case "cosign":
                checkpoints.accept_cosignature(self, agency, body)
                return []
        return self._recovery(message)

    def _recovery(self, message: Message) -> list[Message]:
        agency, body = message.sender, message.body
        match message.kind:
            case "recall":
                own, after_seq = body
                entries = recall.recalled(self.db, agency, own, after_seq)
                return [Message(self.name, agency, "recalled", (own, entries))] if entries else []
            case "refeed":
                recovery.accept_returned(self, agency, body)
                recovery.advance_recovery(self)
                return []
        raise AssertionError(message.kind)

    def tick(self) -> list[Message]:
        """The hub says which holds have run out, and signs a checkpoint; nobody is told."""
        recovery.advance_recovery(self)
        intake.expire_due(self)
        intake.turn_due(self)
        opening.forget_lapsed(self)
        checkpoints.offer_checkpoint(self)
        return []

    def restart(self) -> None:
        """Nothing of the hub lives outside its database."""


class NodeParty(Node):
    """A node, and its steps behind messages, as its service runs them: hello, then send, link and read mail."""

    def __init__(self, db: Database, world: World, identity: Identity) -> None:
        super().__init__(db, world, identity, TLS_CA)
        self.after_seq: int | None = None
        self.shown: tuple[node_witnessing.Question, hub_pb2.WitnessResponse] | None = None  # until it has kept up
        self.on_way: set[object] = set()  # a service posts a letter, and waits for its answer, before the next round
        self.errors: list[SamprasanError] = []

    def with_clock(self, clock: Callable[[], int]) -> "NodeParty":
        """The same node, by another clock."""
        return NodeParty(self.db, replace(self.world, clock=clock), self.identity)

    @property
    def name(self) -> str:
        """The agency's code."""
        return self.identity.agency

    def tick(self) -> list[Message]:
        """A new session: hello; and everything that may not have arrived is sent again."""
        self.after_seq = None
        self.on_way.clear()
        redemption.expire(self.db, self.world.now())
        leaving.forget_rested(self)
        questions.ask_peers(self)
        return [
            self._to_hub("hello", sync_hello.compose_hello(self)),
            self._to_hub("fetch", 0),
            *self._witness(),
            *self._ceremony(),
            *self._questions(),
            *self._accounts(),
        ]

    def _witness(self) -> list[Message]:
        asked = node_witnessing.question(self.db)
        try:
            node_witnessing.count_question(self.db, asked)
        except Unproven as problem:  # the service logs it, and goes on with its other tasks
            self.errors.append(problem)
            return []
        return [self._to_hub("witness", asked)]

    def restart(self) -> None:
        """What was only in memory is gone."""
        self.after_seq = self.shown = None
        self.on_way.clear()

    def receive(self, message: Message) -> list[Message]:
        """Deal with an answer or a piece of mail; what is refused is remembered for the test to see."""
        try:
            return self._dealt_with(message)
        except SamprasanError as problem:
            self.errors.append(problem)
            return []

    def _dealt_with(self, message: Message) -> list[Message]:
        body = message.body
        match message.kind:
            case "hello":
                return self._greeted(*body)
            case "recalled":
                return self._recalled(*body)
            case "listed":
                node_agreeing.accept_listing(self, body)
                lost = node_agreeing.lost_by_hub(self, body)
                return [*(self._to_hub("submit", each) for each in lost), *self._ceremony()]
            case "pushed":
                return self._pushed(body)
            case "opened" | "rekeyed":
                take = linking_accounts.accept_accounts if message.kind == "opened" else rotation.accept_rekeyed
                take(self, *body)
                self.on_way.discard("accounts")
                return [*self._accounts(), *self._batches(), *self._ceremony()]
            case "posted":
                return self._posted(body)
            case "mail":
                return self._mail(body)
            case "witnessed":
                return self._witnessed(*body)
            case "error":
                self.errors.append(body[1])
                return []
        raise AssertionError(message.kind)

    def _greeted(self, said: sync_hello.Hello, answer: hub_pb2.HelloResponse) -> list[Message]:
        """As the service does: give back what the hub lacks, else go on."""
        seqs = (answer.head.seq, answer.own_head.seq)
        if answer.cut_version > said.request.cut_version:
            return [self._to_hub("list", None)]
        if answer.refeed:
            held = list(refeed.everything(self, *seqs, answer.damaged))
            return [self._to_hub("refeed", held)]
        if answer.recovering:
            return []
        if mended := list(refeed.mending(self.db, answer.damaged)):
            return [self._to_hub("refeed", mended), self._to_hub("hello", said)]
        self.after_seq = sync_hello.accept_answer(self, said, answer)
        kept = hub_chain.kept_up_to(self.db)
        is_behind = kept < answer.own_head.seq and node_agreeing.has_roster(self.db)
        recalling_it = [self._to_hub("recall", (True, kept))] if is_behind else []
        return [*recalling_it, *self._news(answer), *self._batches()]

    def _recalled(self, own: bool, entries: list[hub_pb2.LogEntry]) -> list[Message]:
        if own:
            hub_chain.keep_entries(self, entries)
            shown, self.shown = self.shown, None
            more = self._witnessed(*shown) if shown else []
            return more or [self._to_hub("recall", (True, hub_chain.kept_up_to(self.db)))]
        node_recovery.take_back(self, entries)
        return [self._to_hub("recall", (False, node_recovery.common_seq(self.db)))]

    def _witnessed(self, asked: node_witnessing.Question, answer: hub_pb2.WitnessResponse) -> list[Message]:
        kept = hub_chain.kept_up_to(self.db)
        if kept < answer.own_seq:
            self.shown = (asked, answer)
            return [self._to_hub("recall", (True, kept))]
        word = node_witnessing.accept_answer(self, asked, answer)
        return [self._to_hub("cosign", word)] if word else []

    def recover(self) -> list[Message]:
        """Take back the own chain, as ``samprasan-node recover`` does; :func:`Federation.recover` ends it."""
        return [self._to_hub("recall", (False, node_recovery.common_seq(self.db)))]

    def _posted(self, letter_id: bytes | int | None) -> list[Message]:
        if isinstance(letter_id, bytes):
            questions.mark_posted(self.db, letter_id)
        elif letter_id is not None:
            ceremony.mark_posted(self.db, letter_id)
        return []

    def _pushed(self, envelope: Envelope) -> list[Message]:
        if envelope.payload_type.endswith("receipt"):
            receipts.settle(self, envelope)
        else:
            receipts.accept_refusal(self, envelope)
        return self._batches()

    def _mail(self, piece: hub_pb2.Mail) -> list[Message]:
        out = []
        try:
            letter = mail.read_letter(self, piece)
        except SamprasanError as problem:
            self.errors.append(problem)
            letter = None
        if letter is not None:
            out.append(self._post(None, letter))
        return [*out, self._to_hub("acknowledge", piece.number), *self._ceremony(), *self._accounts()]

    def _batches(self) -> list[Message]:
        found = []
        while self.after_seq is not None:
            batch = batches.seal_next_batch(self, self.after_seq)
            if batch is None:
                break
            self.after_seq = batch[0]
            found.append(self._to_hub("push", batch[1]))
        return found

    def _news(self, answer: hub_pb2.HelloResponse) -> list[Message]:
        """Ask for the documents if the hub's are newer."""
        with self.db.read() as tx:
            kinds = (log_pb2.DOCUMENT_KIND_ROSTER, log_pb2.DOCUMENT_KIND_POLICY)
            mine = tuple(node_store.documents.version_in_force(tx, kind) for kind in kinds)
        return [] if mine == (answer.roster_version, answer.policy_version) else [self._to_hub("list", None)]

    def _ceremony(self) -> list[Message]:
        """Go on with a key ceremony, and send what it has to say."""
        ceremony.advance(self)
        waiting = [each for each in ceremony.unposted_letters(self) if each[0] not in self.on_way]
        self.on_way.update(letter_id for letter_id, _ in waiting)
        confirmed = ceremony.confirmation(self)
        said = [
            each for each in [confirmed, *rotation.close_rotation(self)] if each and each.payload not in self.on_way
        ]
        self.on_way.update(each.payload for each in said)
        return [
            *(self._post(letter_id, letter) for letter_id, letter in waiting),
            *(self._to_hub("submit", each) for each in said),
        ]

    def _questions(self) -> list[Message]:
        return [self._post(request_id, letter) for request_id, letter in questions.unposted_letters(self)]

    def _accounts(self) -> list[Message]:
        if "accounts" in self.on_way:
            return []
        request = linking_accounts.accounts_request(self)
        keys = rotation.rekey_request(self)
        wanted = [self._to_hub("open_accounts", request)] if request else []
        wanted += [self._to_hub("rekey", keys)] if keys else []
        self.on_way.update(["accounts"] if wanted else [])
        return wanted

    def _post(self, request_id: bytes | int | None, letter: letters.Letter) -> Message:
        sealed = letters.seal(self, letter)
        return self._to_hub("post", (request_id, hub_pb2.PostMailRequest(to=letter.to, sealed=sealed)))

    def _to_hub(self, kind: str, body: Any) -> Message:
        return Message(self.name, "hub", kind, body)


class SeededSigner:
    """A signer for the simulation: as unforgeable as the tests need, and a hundred times faster than Ed25519."""

    def __init__(self, seed: bytes) -> None:
        self._public = hashlib.sha256(b"public" + seed).digest()

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """A tag over the data; the simulated network has no copy of this class."""
        return hashlib.sha512(self._public + data).digest()

    @staticmethod
    def verify(public_key: bytes, data: bytes, signature: bytes) -> bool:
        """Whether the tag is that of the key."""
        return hashlib.sha512(public_key + data).digest() == signature


@dataclass
class Federation:
    """A hub and three nodes with roster 1 and the sample policy in force."""

    clock: Clock
    random: random.Random
    hub: HubParty
    nodes: dict[str, NodeParty]

    @property
    def parties(self) -> dict[str, HubParty | NodeParty]:
        """Every party by name."""
        return {"hub": self.hub, **self.nodes}

    def run(self) -> None:
        """Deliver everything, in order: one to four rounds of ticks, until one leads to no other."""
        self.hub.tick()
        for _ in range(ROUNDS):
            told = self.deliver(message for node in self.nodes.values() for message in node.tick())
            if told <= LAST_WORDS:
                return

    def deliver(self, messages: Iterable[Message]) -> set[str]:
        """Deliver ``messages`` and whatever they lead to, in order; the kinds of messages that there were."""
        waiting = deque(messages)
        kinds = set()
        while waiting:
            message = waiting.popleft()
            kinds.add(message.kind)
            waiting.extend(self.parties[message.to].receive(message))
        return kinds

    def ask_hub(self, agency: str, kind: str, body: Any) -> Any:
        """The hub's answer to one message of ``agency``; an error of ours is raised."""
        (answer,) = self.hub.receive(Message(agency, "hub", kind, body))
        if answer.kind == "error":
            raise answer.body[1]
        return answer.body[1] if kind == "totals" else answer.body

    def give(self, agency: str, *deeds: Deed, source: str = "test") -> importer.Report:
        """Let an agency import these deeds."""
        node = self.nodes[agency]
        return bring_in(node, deeds, source)

    def recover(self, agency: str) -> tuple[int, int]:
        """Let a restored node recover; orphans and people without name that are left."""
        self.deliver(self.nodes[agency].recover())
        return node_recovery.finish_recovery(self.nodes[agency])

    def close(self) -> None:
        """Close every database."""
        for party in self.parties.values():
            party.db.close()


MakeStore = Callable[[str], Database]


class Reused(Database):
    """A database in memory whose engine another one gets once it is closed: it knows its statements already."""

    idle: ClassVar[list[sa.Engine]] = []

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self._left_open = weakref.finalize(self, engine.dispose)

    def close(self) -> None:
        """Let another one have the engine; this one has none any more."""
        if hasattr(self, "engine"):
            self._left_open.detach()
            self.idle.append(self.engine)
            del self.engine


def memory_database(_party: str) -> Database:
    """SQLite in memory, for a copy: what is in it from before is overwritten."""
    return Reused(Reused.idle.pop() if Reused.idle else empty_database("").engine)


def empty_database(_party: str) -> Database:
    """SQLite in memory, with nothing in it."""
    return Reused(database.open_database("sqlite://").engine)


def make(
    make_database: MakeStore = memory_database,
    seed: int = 1,
    make_signer: Callable[[bytes], Signer] | None = None,
    verify: Verify = verify_ed25519,
) -> Federation:
    """A federation: joined, roster 1 approved by all, the linking key made by all, the sample policy approved by two.

    It is a copy of one that is made once a process, in memory: ``make_database`` makes SQLite databases.
    """
    return copy_of(_template(make_signer or KeySigner, verify), make_database, seed)


def finish(made: Federation) -> None:
    """The key ceremony begins by itself; then two agencies agree on the sample policy."""
    made.run()
    propose_policy(made, (SAMPLES / "policy.toml").read_text("utf-8"))


@cache
def young() -> Federation:
    """A federation whose agencies have approved roster 1, and nothing else; to be copied."""
    return approved()


@cache
def _template(make_signer: Callable[[bytes], Signer], verify: Verify) -> Federation:
    """A federation in memory, to be copied."""
    made = approved(empty_database, make_signer, verify)
    finish(made)
    return made


def made() -> Federation:
    """A federation as :func:`make` gives copies of; to be copied."""
    return _template(KeySigner, verify_ed25519)


def copy_of(template: Federation, make_database: MakeStore, seed: int) -> Federation:
    """The same federation in SQLite databases of its own, with its own clock and chance."""
    databases = {name: make_database(name) for name in template.parties}
    for name, party in template.parties.items():
        with _connection(party.db) as original, _connection(databases[name]) as copy:
            original.backup(copy)  # the pragmas of the copy stay its own
    return rehoused(template, databases, seed)


@contextlib.contextmanager
def copied(template: Federation, seed: int = 1) -> Iterator[Federation]:
    """A copy in memory, until the block ends."""
    copy = copy_of(template, memory_database, seed)
    try:
        yield copy
    finally:
        copy.close()


def rehoused(template: Federation, databases: dict[str, Database], seed: int) -> Federation:
    """The same federation over copies of its databases, with its own clock and chance."""
    clock, chance = Clock(), random.Random(f"copy {seed}")

    def world(of: HubParty | NodeParty) -> World:
        return World(of.world.signer, clock, chance.randbytes, of.world.verify)

    hub = HubParty(databases["hub"], world(template.hub), template.hub.authority)
    nodes = {name: NodeParty(databases[name], world(node), node.identity) for name, node in template.nodes.items()}
    return Federation(clock, chance, hub, nodes)


@contextlib.contextmanager
def _connection(db: Database) -> Iterator[Any]:
    """A sqlite3 connection of the database; of one in memory there is but one."""
    with contextlib.closing(db.engine.raw_connection()) as pooled:
        yield pooled.driver_connection


def approved(
    make_database: MakeStore = empty_database,
    make_signer: Callable[[bytes], Signer] = KeySigner,
    verify: Verify = verify_ed25519,
) -> Federation:
    """A federation whose agencies have joined and approved roster 1; there is no linking key and no policy yet."""
    chance = random.Random(1)
    clock = Clock()

    def world() -> World:
        return World(make_signer(chance.randbytes(32)), clock, chance.randbytes, verify)

    hub_store = make_database("hub")
    hub_homes.create_tables(hub_store)
    key = certificates.new_key()
    hub = HubParty(hub_store, world(), joining.Authority(key, TLS_CA))
    nodes = {}
    for agency in AGENCIES:
        db = make_database(agency)
        database.migrate(db, node_homes.MIGRATIONS)
        nodes[agency] = NodeParty(db, world(), Identity(agency, Vault(chance.randbytes(32)), chance.randbytes(32)))
    federation = Federation(clock, chance, hub, nodes)
    _join(federation)
    _agree(federation)
    return federation


def _join(federation: Federation) -> None:
    """Put every application where joining puts it; certificates are the wire tests' business."""
    hub = federation.hub
    for number, (agency, node) in enumerate(federation.nodes.items()):
        application = hub_pb2.Application(
            agency=agency,
            signing_key=node.world.signer.public_key,
            sealing_key=sealing.sealing_public_key(node.identity.mail_key),
            certificate_request=b"-",
        )
        secret_hash = hashlib.sha256(bytes([number])).digest()
        with hub.db.begin() as tx:
            hub_store.members.add_invite(tx, secret_hash, agency, agency.upper(), hub.world.now() + 1)
            data = node.world.sign(application).SerializeToString()
            hub_store.members.use_invite(tx, secret_hash, agency, data, b"-", hashlib.sha256(agency.encode()).digest())


def _agree(federation: Federation) -> None:
    hub, nodes = federation.hub, federation.nodes
    assert documents.compose_roster(hub, TLS_CA)
    share_documents(federation)
    for node in nodes.values():
        (waiting,) = inbox.inbox(node)
        signed = inbox.approve(node, waiting, waiting.standing.digest.hex())
        documents.submit_document(hub, node.name, signed)
    share_documents(federation)


def propose_policy(federation: Federation, text: str) -> None:
    """Let mpc propose and nhco approve a policy."""
    hub, mpc, nhco = federation.hub, federation.nodes["mpc"], federation.nodes["nhco"]
    proposal = proposals.propose_policy(mpc, text)
    documents.submit_document(hub, "mpc", proposal)
    share_documents(federation)
    (waiting,) = inbox.inbox(nhco)
    signed = inbox.approve(nhco, waiting, "")
    documents.submit_document(hub, "nhco", signed)
    share_documents(federation)


CATALOGUE = """
[[benefit]]
code = "rice"
title = { th = "ข้าวสาร", en = "Rice" }
credits = 10
valid_from = 2026-01-01
valid_until = 2027-12-31

[[benefit]]
code = "book"
title = { th = "หนังสือ", en = "Book" }
credits = 4
stock = 3
per_subject_max = 1
period = "month"
areas = ["72"]
valid_from = 2026-01-01
valid_until = 2027-12-31
"""


def publish(federation: Federation, agency: str = "codi", text: str = CATALOGUE) -> None:
    """Let an agency publish its catalogue."""
    node = federation.nodes[agency]
    envelope = proposals.publish(node, text)
    documents.submit_document(federation.hub, agency, envelope)
    share_documents(federation)


def share_documents(federation: Federation) -> None:
    """Every node hears what is in force and what waits."""
    listing = documents.list_documents(federation.hub.db)
    for node in federation.nodes.values():
        node_agreeing.accept_listing(node, listing)


def bring_in(
    node: NodeParty,
    deeds: Iterable[Deed],
    source: str = "test",
    watcher: importer.Watcher | None = None,
    *,
    confirm: bool = False,
) -> importer.Report:
    """Import ready-made deeds through the importer, as if a file had said them."""
    rows = [list(_cells(deed).values()) for deed in deeds]
    header = _cells_names()
    columns = {name: name for name in header if name != "record_id"}
    profile = Profile(source=source, columns=columns, record_columns=("record_id",), registry="codi.council")
    digest = hashlib.sha256(source.encode()).digest()
    export = Export(digest, len(rows), header, iter(enumerate(rows, 2)), lambda: None)
    return importer.import_rows(node, profile, export, watcher=watcher, confirm=confirm)


def _cells_names() -> tuple[str, ...]:
    names = ("record_id", "subject_kind", "subject_id", "subject_name", "category", "quantity", "occurred_on")
    return (*names, "area_code", "status", "consent", "consent_integrators")


def _cells(deed: Deed) -> dict[str, Any]:
    kinds = {1: "person", 2: "organization", 3: "community", 4: "area"}
    subject_id = deed.subject.reveal()
    return {
        "record_id": deed.record_id,
        "subject_kind": kinds[deed.kind],
        "subject_id": subject_id.partition("/")[2] or subject_id,
        "subject_name": deed.subject_name,
        "category": deed.category,
        "quantity": str(deed.quantity),
        "occurred_on": deed.occurred_on.isoformat(),
        "area_code": deed.area_code,
        "status": deed.status,
        "consent": "yes" if deed.consents.share else "no",
        "consent_integrators": "yes" if deed.consents.integrators else "no",
    }


def citizen(number: int) -> str:
    """A made-up citizen id with a right check digit."""
    twelve = f"{1 + number % 8}{number:011d}"
    return twelve + check_digit(twelve)


def deed(number: int, subject: int, **changes: Any) -> Deed:
    """A verified deed of a made-up person: two hours of care for elders, 16 credits."""
    values: dict[str, Any] = {
        "record_id": f"R{number:05d}",
        "kind": log_pb2.SUBJECT_KIND_PERSON,
        "subject": parse(Scheme.CITIZEN, citizen(subject)),
        "subject_name": f"ชื่อสมมติ {subject}",
        "category": "volunteer.elder-care",
        "quantity": Decimal(2),
        "occurred_on": datetime(2026, 10, 1, tzinfo=UTC).date(),
        "area_code": "720803",
        "status": "verified",
        "consents": Consents(share=True, redeem=True),
        "credits": 16,
        "dimension": 1,
        "policy_version": 1,
    }
    return Deed(**(values | changes))
