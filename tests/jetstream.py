"""A nats-server with JetStream of one's own, and what its streams hold."""

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
from nats.js import JetStreamContext
from samprasan.edge.configuration import address_of

PROGRAM = Path(__file__).parents[1] / ".venv" / "bin" / "nats-server"
SOON = 20.0


@dataclass
class Server:
    """A server that can be killed and started again at the same address, with what it has stored."""

    folder: Path
    address: str
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    scheme: str = "nats"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    def start(self) -> None:
        """Return when it answers."""
        host, port = address_of(self.address)
        command = [str(PROGRAM), "-a", host, "-p", str(port), "-sd", str(self.folder), *self.options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + SOON
        while True:
            with suppress(OSError), socket.create_connection((host, port)):
                return
            assert time.monotonic() < until
            time.sleep(0.05)

    def kill(self) -> None:
        """With all that it has not written."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def server(folder: Path, address: str, *options: str) -> Iterator[Server]:
    """Serves until the block ends; with JetStream that writes every message to the disk, if no options are given."""
    folder.mkdir(exist_ok=True)
    config = folder / "nats.conf"
    config.write_text("jetstream { sync_interval: always }\n")
    found = Server(folder, address, options or ("-c", str(config)))
    found.start()
    try:
        yield found
    finally:
        found.kill()


@dataclass(frozen=True)
class Stored:
    """One message of a stream."""

    subject: str
    data: bytes
    headers: dict[str, str]

    @property
    def document(self) -> dict[str, Any]:
        """The CloudEvent of a structured message."""
        found: dict[str, Any] = json.loads(self.data)
        return found


def stored(url: str, stream: str, subjects: str = ">") -> list[Stored]:
    """All that the stream holds under these subjects, in order, as a consumer gets it."""

    async def read(context: JetStreamContext) -> list[Stored]:
        consumer = await context.pull_subscribe(subjects, stream=stream)
        waiting = (await consumer.consumer_info()).num_pending or 0
        found: list[Stored] = []
        while len(found) < waiting:
            messages = await consumer.fetch(min(500, waiting - len(found)), timeout=5)
            found += [Stored(each.subject, each.data, dict(each.headers or {})) for each in messages]
        return found

    found: list[Stored] = ask(url, read)
    return found


def ask(url: str, question: Any) -> Any:
    """What a coroutine makes of a connection's JetStream."""

    async def run() -> Any:
        connection = await nats.connect(url, allow_reconnect=False, connect_timeout=5)
        try:
            return await question(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(run())
