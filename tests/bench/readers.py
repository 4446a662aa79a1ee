"""Followers in a process of their own, of our streams or of JetStream: they decode, count, and say when they are done.

python -m tests.bench.readers stream|jetstream FOLLOWERS EVENTS ADDRESS CREDENTIALS AFTER
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from samprasan.edge import wire
from samprasan.keys.credentials import Credentials
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

FOLLOWERS_A_CONNECTION = 50
OPENING_AT_ONCE = 50
AGAIN_SECONDS_MAX = 5.0
SUBJECT = "samprasan.bench"
SUBSCRIPTIONS = 100  # with cursors of their own, as many as an integrator may have; the next share them


class Count:
    """What all followers have decoded, and the moments at which the first one did."""

    def __init__(self, followers: int, events: int) -> None:
        self.arrived: list[float] = []
        self.done = asyncio.Event()
        self.began = asyncio.Event()
        self._missing = followers * events
        self.again = 0
        self._idle = followers

    def begin(self) -> None:
        """One more follower waits for news."""
        self._idle -= 1
        if not self._idle:
            self.began.set()

    def take(self, events: int, *, is_first: bool) -> None:
        """So many more were decoded."""
        if is_first:
            self.arrived += [time.time()] * events
        self._missing -= events
        if self._missing <= 0:
            self.done.set()


def decode(event: v1.Event) -> int:
    """What any reader would look at."""
    return event.earned if event.handle and event.id else 0


async def end_of(channel: grpc.aio.Channel, subscription: str) -> bytes:
    """Where the log ends now, as a cursor of the subscription."""
    stub: Any = changes_pb2_grpc.ChangesStub(channel)
    async for part in stub.Snapshot(v1.SnapshotRequest(subscription=subscription)):
        after: bytes = part.cursor
    return after


async def follow_stream(
    count: Count, channels: list[grpc.aio.Channel], number: int, subscription: str, after: bytes
) -> None:
    """One stream of ours, begun again where a crowd keeps it from beginning."""
    stub: Any = changes_pb2_grpc.ChangesStub(channels[number // FOLLOWERS_A_CONNECTION])
    has_begun = False
    while not has_begun:
        try:
            async for word in stub.Follow(v1.FollowRequest(after=after, subscription=subscription)):
                if word.HasField("page"):
                    for event in word.page.events:
                        decode(event)
                    count.take(len(word.page.events), is_first=not number)
                elif not has_begun:
                    has_begun = True
                    count.begin()
        except grpc.aio.AioRpcError:
            if has_begun:
                raise
            count.again += 1
            await asyncio.sleep(random.uniform(0, AGAIN_SECONDS_MAX))


async def follow_jetstream(count: Count, connections: list[Any], number: int) -> None:
    """One ephemeral push consumer that acknowledges nothing: the cheapest that JetStream has."""
    context = connections[number // FOLLOWERS_A_CONNECTION].jetstream(timeout=60)

    async def take(message: Any) -> None:
        decode(v1.Event.FromString(message.data))
        count.take(1, is_first=not number)

    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.NEW)
    await context.subscribe(SUBJECT, cb=take, config=config, pending_msgs_limit=-1, pending_bytes_limit=-1)
    count.begin()


async def main(kind: str, followers: int, events: int, address: str, credentials: str) -> None:
    """Say when all are ready, when all have everything, and how often one had to begin again."""
    count = Count(followers, events)
    room = asyncio.Semaphore(OPENING_AT_ONCE)
    needed = -(-followers // FOLLOWERS_A_CONNECTION)
    if kind == "stream":
        own = Credentials.decode(Path(credentials).read_bytes())
        issued = own.complete
        secure = wire.channel_credentials(issued.authority.encode(), own.key.encode(), issued.certificate.encode())
        options = [*wire.CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.secure_channel(address, secure, options=options) for _ in range(needed)]
        names = [f"s{number % SUBSCRIPTIONS}" for number in range(followers)]
        ends = {name: await end_of(channels[0], name) for name in set(names)}
        tasks = [
            asyncio.ensure_future(follow_stream(count, channels, number, name, ends[name]))
            for number, name in enumerate(names)
        ]
    else:
        connections = [await nats.connect(address) for _ in range(needed)]

        async def subscribe(number: int) -> None:
            async with room:
                await follow_jetstream(count, connections, number)

        tasks = [asyncio.ensure_future(subscribe(n)) for n in range(followers)]
    failing = asyncio.gather(*tasks)
    await _first(count.began.wait(), failing)
    print("ready", flush=True)
    await _first(count.done.wait(), failing)
    found = {"done": time.time(), "arrived": count.arrived, "again": count.again}
    print(json.dumps(found), flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # until it is told to go


async def _first(wanted: Any, failing: "asyncio.Future[Any]") -> None:
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait({waiting, failing}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        failing.result()
        await waiting


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(given[0], int(given[1]), int(given[2]), given[3], given[4]))
