"""A simulated world around the real steps: network, clock and disk with seeded faults.

One step is one delivered message, one timer, one import or one crash.  The same seed gives the same trace.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import rows_as
from samprasan.hub import store as hub_store
from samprasan.hub.log import audit
from samprasan.keys import signing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Refused, SamprasanError
from samprasan.ledger import verify
from samprasan.node import limits
from samprasan.node.counter import balance, consent, erasure
from samprasan.node.imports import undo
from samprasan.node.imports.deed import Deed
from samprasan.node.rows import SubjectRow
from samprasan.node.sync import halt, outbox
from samprasan.node.tables import awards, subjects
from samprasan.v1 import hub_pb2, log_pb2

from tests import federation
from tests.federation import Federation, Message, NodeParty
from tests.sim import agreement
from tests.sim.counters import Counters
from tests.sim.stores import (
    SUBJECTS,
    Crash,
    SimulatedStore,
    SkewedClock,
    begun_federation,
    made_deed,
    simulated_database,
)

Seeds = Callable[[int, int, int], Iterator[int]]  # the fixture that gives seeds to try
CHECK_EVERY = 100
SKEW_MS = 60_000  # a node's clock may be a minute off
LEAVERS = 6
WAITS_MS = (DAY_MS, 3 * DAY_MS, 9 * DAY_MS)


@dataclass(frozen=True)
class Faults:
    """How often each fault strikes, of 1,000 steps or messages."""

    lost: int = 50
    doubled: int = 50
    corrupted: int = 20  # of mail
    forged: int = 20  # of batches and receipts
    crashed: int = 15
    forgotten: int = 10
    swapped: int = 100  # of totals: another question's answer comes
    hostile: int = 100  # of redemptions: a node spends a hold a second time
    parted: int = 5  # a party is cut off, or comes back


_SIGNED = frozenset({"push", "pushed"})
NO_FAULTS = Faults(0, 0, 0, 0, 0, 0, 0, 0, 0)


@dataclass
class Simulation:
    """A federation in the hands of a seed."""

    seed: int
    faults: Faults = field(default_factory=Faults)
    leaving: bool = False  # people take consent back, agree again and are erased: what was earned is not added up then
    fed: Federation = field(init=False)
    chance: random.Random = field(init=False)
    in_flight: list[Message] = field(default_factory=list)
    trace: Any = field(default_factory=hashlib.sha256)
    given: dict[str, dict[str, int]] = field(default_factory=dict)
    records: dict[str, dict[int, list[tuple[int, Deed]]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    at_counter: Counters = field(init=False)
    last_totals: Any = None
    cut_off: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        begun, earlier = begun_federation()
        self.fed = federation.copy_of(begun, simulated_database, self.seed)
        self.at_counter = Counters(self.fed, self.chance, self.agencies)
        for party in self.fed.parties.values():
            assert isinstance(party.db, SimulatedStore)
            party.db.sync()  # the setting up happened long ago
        for agency, node in list(self.fed.nodes.items()):
            skew_ms = self.chance.randrange(-SKEW_MS, SKEW_MS)
            self.fed.nodes[agency] = node.with_clock(SkewedClock(self.fed.clock, skew_ms))
            self._traced(agency)
        self.given = {agency: {} for agency in self.fed.nodes}
        self.records = {agency: {} for agency in self.fed.nodes}
        for agency, import_id, made in earlier:
            number = int(made.record_id[1:])
            self.records[agency][number] = [(import_id, made)]
            self._expect(agency, number)

    def run(self, steps: int) -> "Simulation":
        """``steps`` steps with faults, then heal, then check that everybody agrees."""
        for number in range(steps):
            self._step(number)
            if number % CHECK_EVERY == 0:
                self._check_conservation()
        self.faults = NO_FAULTS
        self.cut_off.clear()
        for node in self.fed.nodes.values():
            self._note(node)
            halt.resume_sending(node.db)
        self.in_flight.clear()
        for _ in range(3):
            self.fed.clock.now_ms += 3_600_000  # whatever was asked of a peer in vain has run out by now
            self.fed.run()
        if self.leaving:
            self._wait_until_nobody_leaves()
        self._check_agreement()
        return self

    def _wait_until_nobody_leaves(self) -> None:
        """Who takes consent back is given up a week later, and the account rests for another; then the log goes on."""
        for wait in (limits.UNLINK_GRACE_MS, *WAITS_MS, 0, 0):
            self.fed.clock.now_ms += wait
            self.fed.run()
            self.fed.hub.tick()

    @property
    def agencies(self) -> list[str]:
        """Those that do their work."""
        return sorted(self.fed.nodes)

    def digest(self) -> str:
        """Of everything that happened."""
        return str(self.trace.hexdigest())

    def close(self) -> None:
        """Close every database."""
        self.fed.close()

    def _step(self, number: int) -> None:
        self.fed.clock.now_ms += self.chance.randrange(1, 2_000)
        if self._strikes(self.faults.parted):
            self.cut_off ^= {self.chance.choice(sorted(self.fed.nodes))}
            self._traced("cut off", *sorted(self.cut_off))
        choice = self.chance.randrange(1000)
        if choice < self.faults.crashed:
            self._crash(self.chance.choice(sorted(self.fed.parties)))
        elif choice < self.faults.crashed + self.faults.forgotten:
            self._forget_settled(self.chance.choice(self.agencies))
        elif choice < 150:
            self._import(number)
        elif self.leaving and choice < 230:
            self._leave(number)
        elif choice < 270:
            self._traced(*self.at_counter.act(number, hostile=self._strikes(self.faults.hostile)))
        elif choice < 285:
            self._ask_balance()
        elif choice < 420 or not self.in_flight:
            self._act(self.chance.choice(sorted(self.fed.parties)), None)
        else:
            message = self.in_flight.pop(self.chance.randrange(len(self.in_flight)))
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        if self._strikes(self.faults.lost) or {message.sender, message.to} & self.cut_off:
            self._traced("lost", message.kind)
            return
        if self._strikes(self.faults.doubled):
            self.in_flight.append(message)
        if self._strikes(self.faults.forged if message.kind in _SIGNED else self.faults.corrupted):
            message = self._corrupted(message)
        self._act(message.to, message)

    def _act(self, name: str, message: Message | None) -> None:
        """Let a party deal with a message, or with its timer; it may crash in the middle."""
        party = self.fed.parties[name]
        db = party.db
        assert isinstance(db, SimulatedStore)
        if self._strikes(self.faults.crashed):
            db.crash_at_commit = self.chance.choice(("before", "after"))
        try:
            answers = party.tick() if message is None else party.receive(message)
        except Crash:
            self._crash(name)
            return
        db.crash_at_commit = ""
        self._traced(name, message.kind if message else "tick", str(len(answers)))
        self.in_flight.extend(answers)

    def _ask_balance(self) -> None:
        """An officer asks what somebody owns, and waits for the answer."""
        agency = self.chance.choice(self.agencies)
        node = self.fed.nodes[agency]
        with node.db.read() as tx:
            linked = rows_as(SubjectRow, tx.execute(sa.select(subjects).where(subjects.c.link_settled != 0)))
        if not linked:
            return
        subject = node.identity.identifier(self.chance.choice(linked))
        with suppress(Refused):
            found = balance.find_or_want(node, subject)
            if found.request is not None:
                for answer in self.fed.hub.receive(Message(agency, "hub", "totals", found.request)):
                    self._hear_balance(answer)

    def _hear_balance(self, message: Message) -> None:
        """The answer is believed only if it answers what was asked; sometimes another one comes."""
        if message.kind == "error":
            self._traced("balance", message.body[1].code)
            return
        node, (request, answer) = self.fed.nodes[message.to], message.body
        swapped = self._strikes(self.faults.swapped) and self.last_totals is not None
        heard, self.last_totals = (self.last_totals if swapped else answer), answer
        try:
            kept = balance.accept_totals(node, request, heard)
        except SamprasanError as problem:
            self._traced("balance", problem.code)
            return
        told = hub_pb2.Totals.FromString(kept.payload).accounts[0].account_id
        self._traced("balance", told.hex())
        if told != request.account_ids[0]:
            self.problems.append(f"{message.to} was told of another account than it asked about")

    def _crash(self, name: str) -> None:
        self._traced("crash", name)
        party = self.fed.parties[name]
        assert isinstance(party.db, SimulatedStore)
        party.db.lose_unsynced()
        party.restart()

    def _import(self, number: int) -> None:
        agency = self.chance.choice(self.agencies)
        known = sorted(self.records[agency])
        if known and self._strikes(300):
            self._change(agency, self.chance.choice(known))
            return
        consents = self.chance.random() < 0.9
        subject = self.chance.randrange(SUBJECTS) + (0 if consents else SUBJECTS)  # nobody changes his mind here
        self._give(agency, made_deed(number, subject, 2, consents=consents))

    def _leave(self, number: int) -> None:
        """Somebody comes, takes consent back, agrees again, or is erased; at one agency, whatever the others know."""
        agency = self.chance.choice(self.agencies)
        made = made_deed(number, self.chance.randrange(LEAVERS), 2, consents=True)
        node = self.fed.nodes[agency]
        at = (node, made.subject)
        what = self.chance.choice(("import", "import", "withdraw", "withdraw", "give", "wait", "wait", "erase"))
        self._traced(what, agency)
        with suppress(Refused):  # nobody of that id here
            if what == "import":
                self.fed.give(agency, made)
            elif what == "withdraw":
                consent.withdraw(*at, consent.PURPOSES)
            elif what == "give":
                consent.give(*at, ("share", "redeem"))
            elif what == "wait":
                self.fed.clock.now_ms += self.chance.choice(WAITS_MS)
            else:
                erasure.erase(*at)

    def _change(self, agency: str, number: int) -> None:
        """The record says something else, or its last import is undone."""
        newest = self.records[agency][number][-1]
        if self._strikes(300):
            self._traced("undo", agency)
            node = self.fed.nodes[agency]
            undo.undo_import(node, newest[0])
            self.records[agency][number].pop()
            self._expect(agency, number)
            return
        made = newest[1]
        subject = self.chance.randrange(SUBJECTS) if self._strikes(100) and made.consents.share else None
        other = made if subject is None else federation.deed(0, subject)
        hours = self.chance.choice([0, 1, 2, 5])
        status = "verified" if hours else "revoked"
        changed = replace(made, quantity=Decimal(hours or 2), credits=8 * (hours or 2), status=status)
        changed = replace(changed, subject=other.subject, subject_name=other.subject_name)
        self._give(agency, changed)

    def _give(self, agency: str, made: Deed) -> None:
        self._traced("import", agency)
        report = self.fed.give(agency, made)
        assert report.import_id is not None
        number = int(made.record_id[1:])
        if not report.unchanged:
            self.records[agency].setdefault(number, []).append((report.import_id, made))
        self._expect(agency, number)

    def _expect(self, agency: str, number: int) -> None:
        """What the newest word on the record is worth."""
        said = self.records[agency][number]
        if not said:
            del self.records[agency][number]
        worth = said[-1][1].credits if said and said[-1][1].may_leave else 0
        self.given[agency][f"R{number:05d}"] = worth

    def _forget_settled(self, agency: str) -> None:
        """A table that came back from an older copy: settled deeds are queued again, under their old op_ids."""
        self._traced("forget", agency)
        self.records[agency].clear()  # what was forgotten is not changed: its next op_id would be a second award
        with self.fed.nodes[agency].db.begin() as tx:
            other = awards.alias()
            corrected = sa.exists().where(other.c.deed_id == awards.c.deed_id, other.c.state == "queued")
            settled = sa.select(awards.c.award_id).where(awards.c.state == "settled", ~corrected)
            forgotten = list(tx.execute(settled).scalars())
            tx.execute(awards.update().where(awards.c.award_id.in_(forgotten)).values(state="queued", seq=None))

    def _corrupted(self, message: Message) -> Message:
        """The same message with one byte of what is signed or sealed changed."""
        body = message.body
        if message.kind in _SIGNED:
            changed = type(body)()
            changed.CopyFrom(body)
            changed.payload = self._forged(body.payload) if message.kind == "push" else self._flipped(body.payload)
            return Message(message.sender, message.to, message.kind, changed)
        if message.kind == "mail":
            changed = type(body)()
            changed.CopyFrom(body)
            changed.sealed = body.sealed[:-1] + bytes([body.sealed[-1] ^ 1])
            return Message(message.sender, message.to, message.kind, changed)
        return message

    def _flipped(self, payload: bytes) -> bytes:
        data = bytearray(payload)
        data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(data)

    def _forged(self, payload: bytes) -> bytes:
        """A bit flipped at random, or a batch that still reads well and says one credit more."""
        batch = log_pb2.Batch.FromString(payload)
        awards = [update.award for update in batch.updates if update.HasField("award")]
        if not awards or self._strikes(500):
            return self._flipped(payload)
        self.chance.choice(awards).credits += 1
        return signing.encode(batch)

    def _strikes(self, per_thousand: int) -> bool:
        return self.chance.randrange(1000) < per_thousand

    def _traced(self, *words: str) -> None:
        self.trace.update("\x1f".join((*words, str(self.fed.clock.now_ms))).encode() + b"\n")

    def _note(self, node: NodeParty) -> None:
        self.codes |= {problem.code for problem in node.errors}
        halted = outbox.outbox(node.db, node.world.now()).halted
        if halted:
            self.problems.append(f"{node.name} halted: {halted}")

    def _check_conservation(self) -> None:
        with self.fed.hub.db.read() as tx:
            self.problems += verify.breaches(hub_store.ledger.load_all(tx))

    def _check_agreement(self) -> None:
        self.problems += audit.audit(self.fed.hub, self.fed.hub.world.signer.public_key).problems
        if self.leaving:
            self.problems += agreement.links_that_differ(self.fed)
        else:
            earned = {agency: sum(each.values()) for agency, each in self.given.items()}
            self.problems += agreement.credits_that_differ(self.fed, earned)
            self.problems += self.at_counter.disagreements()
        self._traced("end", *self.problems)


def run(seed: int, steps: int, faults: Faults | None = None, *, leaving: bool = False) -> Simulation:
    """A whole simulation; an error that is not ours ends it and is a problem too."""
    simulation = Simulation(seed, faults or Faults(), leaving)
    try:
        simulation.run(steps)
    except Exception as problem:
        simulation.problems.append(f"{problem!r} came out of a step")
    finally:
        simulation.close()
    return simulation


STEPS = 1_000


EXPECTED_CODES = {"chain_gap", "signature", "mail_unopenable", "not_canonical", "payload_type", "peer_refused"}
EXPECTED_CODES |= {"receipt_early"}  # the network of the simulation keeps no order; a stream does
