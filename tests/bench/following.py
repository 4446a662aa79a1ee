"""Events delivered and decoded a second, against JetStream push on the same payload; delays, and what streams hold."""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nats
from federation import AGENCIES
from federation import Federation as LocalFederation
from samprasan.client import blocking
from samprasan.keys.credentials import Credentials
from samprasan.node import home as node_homes
from samprasan.node.process import serve
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc
from samprasan.v1 import log_pb2 as log

from tests import integrating, jetstream, local
from tests.bench.push import AGENCY, PEER, Sender
from tests.bench.readers import SUBJECT
from tests.recording import channel

ACCOUNTS = 1_000
SIZES = ((1, 20, 1_000), (10, 20, 1_000), (100, 10, 1_000), (1_000, 1, 1_000), (100, 100, 20))
OPEN_STREAMS = 10_000
ALONE = 200  # updates, one a batch, of which the delay is taken
IDLE_READERS = 20
PAUSE_SECONDS = 0.03
STEADY_SECONDS = 12.0


def run(folder: Path) -> None:
    """Print every figure."""
    served = LocalFederation(folder)
    try:
        served.set_up()
        credentials = integrating.admit(served, "bench", folder, "balances", streams=OPEN_STREAMS)
        for agency in AGENCIES:
            served.kill(agency)  # nobody else extends its chain
        home, peer = (node_homes.open_home(served.home(agency)) for agency in (AGENCY, PEER))
        sender = partial(Sender, home, peer=peer)
        asyncio.run(serve.ask(home.connect, lambda hub: Bench(served, credentials, sender(hub)).run()))
        for each in (home, peer):
            each.node.db.close()
    finally:
        served.stop()


class Readers:
    """A process of followers."""

    def __init__(self, *given: object) -> None:
        command = [sys.executable, "-m", "tests.bench.readers", *map(str, given)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def line(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        found = await asyncio.to_thread(self._process.stdout.readline)
        if not found:
            raise RuntimeError("the readers of the bench ended")
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def readers(*given: object) -> Iterator[Readers]:
    """Until the block ends."""
    made = Readers(*given)
    try:
        yield made
    finally:
        made.close()


class Bench:
    """One federation, of which one agency awards as fast as it can."""

    def __init__(self, served: LocalFederation, credentials: Path, sender: Sender) -> None:
        self._served = served
        self._credentials = credentials
        self._sender = sender
        self._accounts: list[bytes] = []
        issued = Credentials.decode(credentials.read_bytes()).complete
        self._hub = issued.hub

    async def run(self) -> None:
        """Everything, one after another."""
        opened = await self._sender.accounts(ACCOUNTS)
        self._accounts = [each.account_id for each in opened]
        purposes = [log.PURPOSE_SHARE, log.PURPOSE_INTEGRATORS]
        await self._sender.push([[self._sender.link(each, purposes) for each in opened]])
        for followers, batches, updates in SIZES:
            await self._compare(followers, batches, updates)
        await self._delays()
        await self._open_streams()

    async def _compare(self, followers: int, batches: int, updates: int) -> None:
        after = await asyncio.to_thread(self._end)
        ours = await self._streams(followers, batches, updates)
        payloads = await asyncio.to_thread(events_behind, self._credentials, after)
        theirs = await pushed_by_jetstream(self._served.folder, followers, payloads)
        print(
            f"{followers:,} followers, batches of {updates:,}: {ours:,.0f} events/s delivered and decoded, "
            f"JetStream push {theirs:,.0f}: {ours / theirs:.1f} ×",
            flush=True,
        )

    async def _streams(self, followers: int, batches: int, updates: int) -> float:
        made = [self._sender.awards(self._accounts, updates) for _ in range(batches)]
        events = batches * updates
        with readers("stream", followers, events, self._hub, self._credentials) as process:
            await process.line()
            begun = time.time()
            await self._sender.push(made)
            found = json.loads(await process.line())
        return followers * events / (float(found["done"]) - begun)

    async def _delays(self) -> None:
        alone = await self._delay(100)
        print(f"delay from receipt to event, 100 followers: {shown(alone)}", flush=True)
        before = memory(self._served)
        async with channel(Credentials.decode(self._credentials.read_bytes())) as idle:
            stub: Any = changes_pb2_grpc.ChangesStub(idle)
            calls = [stub.Follow(v1.FollowRequest()) for _ in range(IDLE_READERS)]
            for call in calls:
                await call.read()
            beside = await self._delay(100)
            cost = (memory(self._served) - before) / IDLE_READERS
            for call in calls:
                call.cancel()
        print(
            f"the same beside {IDLE_READERS} that do not read: {shown(beside)}, "
            f"p99 {at(beside, 99) / at(alone, 99):.2f} ×; one of them holds {cost / 1024:,.2f} MiB",
            flush=True,
        )

    async def _delay(self, followers: int) -> list[float]:
        with readers("stream", followers, ALONE, self._hub, self._credentials) as process:
            await process.line()
            received = []
            for _ in range(ALONE):
                await self._sender.push([self._sender.awards(self._accounts, 1)])
                received.append(time.time())
                await asyncio.sleep(PAUSE_SECONDS)
            arrived = json.loads(await process.line())["arrived"]
        return [max(0.0, came - was) for came, was in zip(arrived, received, strict=True)]

    async def _open_streams(self) -> None:
        before = memory(self._served)
        begun = time.time()
        with readers("stream", OPEN_STREAMS, 1, self._hub, self._credentials) as process:
            await process.line()
            opened = time.time() - begun
            each = (memory(self._served) - before) / OPEN_STREAMS
            used = cpu_seconds(self._served)
            await asyncio.sleep(STEADY_SECONDS)
            share = (cpu_seconds(self._served) - used) / STEADY_SECONDS
            begun = time.time()
            await self._sender.push([self._sender.awards(self._accounts, 1)])
            found = json.loads(await process.line())
            last = float(found["done"]) - begun
        print(
            f"{OPEN_STREAMS:,} open streams: {each:.1f} KiB each, opened in {opened:.0f} s "
            f"({found['again']:,} tries again), idle they take {share:.0%} of a core; "
            f"one event reaches the last in {last:.1f} s",
            flush=True,
        )

    def _end(self) -> bytes:
        return bytes.fromhex(list(blocking.snapshot(self._credentials))[-1].cursor or "")


def events_behind(credentials: Path, after: bytes) -> list[bytes]:
    """The encoded events of a stream behind a cursor."""

    async def read() -> list[bytes]:
        found: list[bytes] = []
        async with channel(Credentials.decode(credentials.read_bytes())) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            async for word in stub.Follow(v1.FollowRequest(after=after)):
                if word.HasField("bookmark"):
                    break
                found += [event.SerializeToString() for event in word.page.events]
        return found

    return blocking.run(read())


async def pushed_by_jetstream(folder: Path, followers: int, payloads: list[bytes]) -> float:
    """Events a second that as many ordered push consumers are given and decode."""
    place = folder / f"nats-{followers}-{len(payloads)}"
    place.mkdir()
    config = place / "patient.conf"  # or it ends connections of readers that are slower than it is
    config.write_text('jetstream: enabled\nmax_pending: 2GB\nwrite_deadline: "120s"\n')
    with jetstream.server(place, local.free_address(), "-c", str(config)) as server:
        connection = await nats.connect(server.url)
        context = connection.jetstream(timeout=60)
        await context.add_stream(name="BENCH", subjects=[SUBJECT])
        with readers("jetstream", followers, len(payloads), server.url, "-") as process:
            await process.line()
            begun = time.time()
            for payload in payloads:
                await context.publish_async(SUBJECT, payload)
            await context.publish_async_completed()
            found = json.loads(await process.line())
        await connection.close()
    return followers * len(payloads) / (float(found["done"]) - begun)


def memory(served: LocalFederation) -> int:
    """Resident memory of the hub, KiB."""
    status = Path(f"/proc/{served.processes['hub'].pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


def cpu_seconds(served: LocalFederation) -> float:
    """What the hub has used of processors."""
    fields = Path(f"/proc/{served.processes['hub'].pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at(times: list[float], percent: int) -> float:
    """A percentile, seconds."""
    return statistics.quantiles(times, n=100)[percent - 1]


def shown(times: list[float]) -> str:
    """Two percentiles in words."""
    return f"p50 {at(times, 50) * 1000:.0f} ms, p99 {at(times, 99) * 1000:.0f} ms"
