"""Followers over the wire that note all they see, for the validator, in a thread of their own."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from samprasan.client.protocol import Following
from samprasan.edge import wire
from samprasan.edge.configuration import address_of
from samprasan.keys.credentials import Credentials
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc

from tests.validator import Record

SILENCE_SECONDS_MAX = 7.0  # a bookmark comes every 5


def channel(credentials: Credentials, address: str = "") -> grpc.aio.Channel:
    """A connection of an integrator, to another address than its own if one is named."""
    issued = credentials.complete
    shown = wire.channel_credentials(issued.authority.encode(), credentials.key.encode(), issued.certificate.encode())
    return grpc.aio.secure_channel(address or issued.hub, shown, options=wire.CHANNEL_OPTIONS)


@dataclass
class Recorder:
    """One program of an integrator; ``pause`` seconds between words make it slow."""

    credentials: Path
    wanted: v1.Filter = field(default_factory=v1.Filter)
    pause: float = 0.0
    begins_anew: bool = False  # with a snapshot, instead of the oldest kept
    address: str = ""
    records: list[Record] = field(default_factory=list)
    breaks: int = 0

    async def run(self) -> None:
        """Until cancelled."""
        own = Credentials.decode(self.credentials.read_bytes())
        following = Following(own.complete, "", self.wanted, "", lambda _cursor: None)
        async with channel(own, self.address) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            while True:
                with suppress(grpc.RpcError, TimeoutError):
                    await self._once(stub, following)
                self.breaks += 1
                await asyncio.sleep(0.1)

    async def _once(self, stub: Any, following: Following) -> None:
        if self.begins_anew and following.needs_snapshot:
            await self._snapshot(stub, following)
        request = following.follow_request()
        self.records.append(Record("begin", request.after))
        call = stub.Follow(request)
        try:
            while (word := await asyncio.wait_for(call.read(), SILENCE_SECONDS_MAX)) is not grpc.aio.EOF:
                list(following.read_word(word))
                self._note(word)
                await asyncio.sleep(self.pause)
        finally:
            call.cancel()

    async def _snapshot(self, stub: Any, following: Following) -> None:
        events: list[v1.Event] = []
        async for part in stub.Snapshot(following.snapshot_request()):
            list(following.take_snapshot(part, is_first=not events))
            events += part.events
        self.records.append(Record("snapshot", following.cursor, events))

    def _note(self, word: v1.FollowResponse) -> None:
        assert not word.HasField("too_old")
        if word.HasField("page"):
            self.records.append(Record("page", b"", list(word.page.events)))
        elif word.HasField("bookmark"):
            self.records.append(Record("bookmark", word.bookmark.cursor))


@contextmanager
def recording(recorders: Sequence[Recorder]) -> Iterator[None]:
    """All of them run in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(each.run()) for each in recorders]

    def stop() -> None:
        for task in tasks:
            task.cancel()

    def work() -> None:
        ended = loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        failures.extend(each for each in ended if isinstance(each, Exception))
        loop.close()

    failures: list[Exception] = []
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop)
        thread.join(30)
    assert not failures, failures


class Proxy:
    """Passes bytes between readers and the hub, one by one if it ``trickles``.

    While it ``is_down`` they wait, and no side hears that the line broke.
    """

    def __init__(self, hub: str) -> None:
        self._hub = address_of(hub)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_down = self.trickles = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                reader, _ = self._listener.accept()
                try:
                    hub = socket.create_connection(self._hub)
                except OSError:
                    reader.close()
                    continue
                for ends in ((reader, hub), (hub, reader)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(1 if self.trickles else 65_536):
                while self.is_down:
                    time.sleep(0.05)
                time.sleep(0.002 * self.trickles)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
