"""Signed updates a second, from the signing at a node to the verified receipt, over mutual TLS to a hub process."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.client.connection import Hub
from samprasan.keys import signing
from samprasan.keys.chain import Head
from samprasan.ledger import batch_form
from samprasan.node import home as node_homes
from samprasan.node import store
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.linking_pb2 import EvaluationTotal

ACCOUNTS = 10_000
BATCHES = 100
IN_FLIGHT = 8
AGENCY, PEER = "mpc", "nhco"


def updates_per_second(folder: Path, database_url: str) -> float:
    """Measured on a new federation whose parties keep their data at ``database_url`` (SQLite if empty)."""
    served = LocalFederation(folder, database_url)
    try:
        served.set_up()
        for agency in AGENCIES:
            served.kill(agency)  # nobody else extends its chain
        home, peer = (node_homes.open_home(served.home(agency)) for agency in (AGENCY, PEER))
        rate = asyncio.run(serve.ask(home.connect, lambda hub: Sender(home, hub, peer).measure()))
        for each in (home, peer):
            each.node.db.close()
        return rate
    finally:
        served.stop()


class Sender:
    """Extends an agency's chain as fast as receipts allow."""

    def __init__(self, home: Home, hub: Hub, peer: Home) -> None:
        self._hub = hub
        self._peer = peer.node.world.signer
        self._evaluated = 0
        self._world = home.node.world
        self._head = Head()
        with home.node.db.read() as tx:
            agreed = store.documents.agreed_on(tx)
        self._federation_id = agreed.federation_id
        self._hub_key = agreed.required_roster.hub.signing_key
        self._key_epoch = agreed.required_roster.linking.key_epoch
        self._chance = random.Random(1)

    async def measure(self) -> float:
        """Link the accounts, then award to them."""
        opened = await self.accounts(ACCOUNTS)
        account_ids = [each.account_id for each in opened]
        links = [self.link(each, [log.PURPOSE_SHARE]) for each in opened]
        await self.push([links[first : first + 1000] for first in range(0, ACCOUNTS, 1000)])
        batches = [self.awards(account_ids, batch_form.UPDATES_MAX) for _ in range(BATCHES)]
        begun = time.perf_counter()
        await self.push(batches)
        return BATCHES * batch_form.UPDATES_MAX / (time.perf_counter() - begun)

    def link(self, opened: hub_pb2.AccountOpened, purposes: list[log.Purpose.ValueType]) -> log.Update:
        """The agency's right to act on an account."""
        return self._update(link=log.Link(account_id=opened.account_id, purposes=purposes, admission=opened.admission))

    def awards(self, account_ids: list[bytes], count: int) -> list[log.Update]:
        """To some of the accounts."""
        return [self._update(award=self._award(self._chance.choice(account_ids))) for _ in range(count)]

    async def accounts(self, count: int) -> list[hub_pb2.AccountOpened]:
        """New accounts."""
        found: list[hub_pb2.AccountOpened] = []
        while len(found) < count:
            request = hub_pb2.OpenAccountsRequest(request_id=self._chance.randbytes(16), evaluated=[self._total(1000)])
            for _ in range(1000):
                key = self._chance.randbytes(32)
                request.subjects.add(subject_key=key, kind=log.SUBJECT_KIND_PERSON, key_epoch=self._key_epoch)
            answers = await self._hub.open_accounts(request)
            found += [self._world.open(each, hub_pb2.AccountOpened, self._hub_key) for each in answers]
        return found

    def _total(self, more: int) -> Envelope:
        """What a peer evaluated, as if it had."""
        self._evaluated += more
        total = EvaluationTotal(
            federation_id=self._federation_id, requester=AGENCY, evaluator=PEER, total=self._evaluated
        )
        return signing.seal(total, self._peer, self._world.signer)

    async def push(self, batches: list[list[log.Update]]) -> None:
        """Send batches of updates, and wait for every receipt."""
        room = asyncio.Semaphore(IN_FLIGHT)

        async def signed() -> AsyncIterator[hub_pb2.PushRequest]:
            for updates in batches:
                await room.acquire()
                yield hub_pb2.PushRequest(batch=self._sign(updates))

        answered = 0
        async for answer in self._hub.push(signed()):
            receipt = self._world.open(answer.receipt, log.Receipt, self._hub_key)
            if any(outcome.kind != log.OUTCOME_KIND_APPLIED for outcome in receipt.outcomes):
                raise RuntimeError("an update of the bench was not applied")
            room.release()
            answered += 1
            if answered == len(batches):
                return

    def _sign(self, updates: list[log.Update]) -> Envelope:
        batch = log.Batch(
            federation_id=self._federation_id,
            agency=AGENCY,
            seq=self._head.seq + 1,
            previous=self._head.digest,
            created_at=self._world.now(),
            updates=updates,
        )
        envelope = self._world.sign(batch)
        self._head = Head(batch.seq, signing.digest(envelope))
        return envelope

    def _update(self, link: log.Link | None = None, award: log.Award | None = None) -> log.Update:
        return log.Update(
            op_id=batch_form.new_op_id(self._chance.randbytes(10), self._world.now()), link=link, award=award
        )

    def _award(self, account_id: bytes) -> log.Award:
        return log.Award(
            account_id=account_id,
            credits=self._chance.randrange(1, 9),
            dimension=log.DIMENSION_HEALTH,
            month=202610,
            policy_version=1,
        )
