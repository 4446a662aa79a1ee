"""What a broken or hostile client does, the hub survives: another call right behind it is answered."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import takewhile
from typing import Any, cast

import grpc
import pytest
from samprasan.client.connection import Connection, open_channel
from samprasan.keys import signing
from samprasan.keys.errors import SamprasanError
from samprasan.node import home as node_homes
from samprasan.node.home import Home
from samprasan.v1 import hub_pb2, hub_pb2_grpc
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests.local import Live
from tests.wire.connections import address, authority_of, nodes_own


@pytest.fixture(scope="module")
def mpc(live: Live) -> Home:
    return node_homes.open_home(live.federation.home("mpc"))


def channel_of(live: Live, agency: str) -> grpc.aio.Channel:
    shown = nodes_own(live, agency)
    return open_channel(address(live), authority_of(live), shown.key, shown.certificate)


async def greet(live: Live) -> str:
    async with Connection(channel_of(live, "nhco")) as hub:
        return (await asyncio.wait_for(hub.hello(hub_pb2.HelloRequest()), 10)).agency


def test_calls_that_are_given_up_leave_the_hub_writing(live: Live) -> None:
    async def give_up() -> int:
        given_up = 0
        async with channel_of(live, "mpc") as channel:
            stub: hub_pb2_grpc.HubAsyncStub = cast("Any", hub_pb2_grpc.HubStub(channel))
            calls = [stub.Hello(hub_pb2.HelloRequest(), timeout=10) for _ in range(60)]
            for number, call in enumerate(calls):
                await asyncio.sleep(0.002)
                given_up += call.cancel()
                if number % 10 == 0:
                    await asyncio.sleep(0.02)
        return given_up

    assert asyncio.run(give_up()) > 0
    assert asyncio.run(greet(live)) == "nhco"


def batches(home: Home, count: int) -> list[Envelope]:
    """Signed by mpc, of its federation, and far beyond its head: each is a gap."""
    with home.node.db.read() as tx:
        from samprasan.node import store

        federation_id = store.documents.agreed_on(tx).federation_id
    unlink = log.Update(op_id=b"o" * 16, unlink=log.Unlink(account_id=b"a" * 16))
    made = [
        log.Batch(federation_id=federation_id, agency="mpc", seq=1000 + n, previous=bytes(32), updates=[unlink])
        for n in range(count)
    ]
    return [home.node.world.sign(batch) for batch in made]


@pytest.mark.parametrize("spoil", ["gap", "garbage", "another's"])
def test_streams_that_fail_in_the_middle_are_told_why_and_block_nobody(live: Live, mpc: Home, spoil: str) -> None:
    envelopes = batches(mpc, 40)
    if spoil == "garbage":
        envelopes = [Envelope(payload_type=signing.payload_type(log.Batch), payload=b"\xff" * 100)] * 40
    elif spoil == "another's":
        nhco = node_homes.open_home(live.federation.home("nhco"))
        envelopes = batches(nhco, 40)
        nhco.node.db.close()

    async def stream() -> AsyncIterator[hub_pb2.PushRequest]:
        for envelope in envelopes:
            yield hub_pb2.PushRequest(batch=envelope)

    async def push() -> SamprasanError:
        async with mpc.connect() as hub:
            try:
                async for _ in hub.push(stream()):
                    raise AssertionError("nothing of this is ever answered with a receipt")
            except SamprasanError as problem:
                return problem
        raise AssertionError("the stream ended without a word")

    expected = {"gap": "chain_gap", "garbage": "signature", "another's": "signature"}[spoil]
    # Who is still sending when the hub ends the stream may see the end before its reason.
    codes = takewhile(lambda code: code != expected, (asyncio.run(push()).code for _ in range(30)))
    seen = list(codes)
    assert set(seen) <= {"hub_unreachable"}
    assert len(seen) < 30
    begun = time.monotonic()
    assert asyncio.run(greet(live)) == "nhco"
    assert time.monotonic() - begun < 10


def test_a_message_over_the_limit_is_not_read(live: Live, mpc: Home) -> None:
    async def post() -> None:
        async with mpc.connect() as hub:
            await hub.post_mail("nhco", bytes(2 << 20))

    with pytest.raises(SamprasanError) as refused:
        asyncio.run(post())
    assert type(refused.value).__name__ == "Malformed"
    assert asyncio.run(greet(live)) == "nhco"


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_numbers_beyond_the_databases_are_harmless(live: Live, mpc: Home, number: int) -> None:
    async def acknowledge() -> None:
        async with mpc.connect() as hub:
            news = hub.receive_mail(number)
            assert (await anext(news)).HasField("documents_changed")

    asyncio.run(acknowledge())
    assert asyncio.run(greet(live)) == "nhco"
