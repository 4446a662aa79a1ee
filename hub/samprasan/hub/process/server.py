"""The hub's process: both listeners with their certificates, from start to drain."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from samprasan.edge import garbage_collection, wire
from samprasan.edge.logs import get_logger
from samprasan.edge.throttle import Pace
from samprasan.hub import limits
from samprasan.hub.identity import Hub
from samprasan.hub.members.joining import Authority
from samprasan.hub.process import background
from samprasan.hub.process.changes_service import ChangesServicer
from samprasan.hub.process.hub_service import HubServicer, JoiningServicer
from samprasan.hub.process.running import Running, Showing
from samprasan.v1 import changes_pb2_grpc, hub_pb2_grpc

logger = get_logger("hub")
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the hub listens, what it shows there, and whom it trusts; PEM."""

    listen: str
    join_listen: str
    key: bytes
    certificate: bytes
    authority: bytes
    tiles: str = ""


@dataclass
class Servers:
    """Both listeners, and the ports they got."""

    running: Running
    hub: grpc.aio.Server
    joining: grpc.aio.Server
    hub_port: int
    join_port: int
    watchers: "list[asyncio.Task[None]]"

    async def stop(self, grace_seconds: float = DRAIN_SECONDS) -> None:
        """Let calls finish, then stop everything."""
        for watcher in self.watchers:
            watcher.cancel()
        self.running.draining = True
        self.running.ring()
        self.running.changed.set()
        await asyncio.gather(self.hub.stop(grace_seconds), self.joining.stop(grace_seconds))
        await asyncio.to_thread(self.running.sequencer.close)
        self.running.threads.shutdown()


def _paces() -> dict[str, Pace]:
    """How fast one agency may call; a stream that was begun keeps its own pace by what is on its way."""
    for_others = Pace(limits.FOR_OTHERS_AT_ONCE, limits.FOR_OTHERS_PER_SECOND)
    writing = Pace(limits.WRITES_AT_ONCE, limits.WRITES_PER_SECOND)
    reading = Pace(limits.READS_AT_ONCE, limits.READS_PER_SECOND)
    looking = Pace(limits.LOOKS_AT_ONCE, limits.LOOKS_PER_SECOND)
    return {
        **dict.fromkeys(("PostMail", "SubmitDocument", "SubmitDissent"), for_others),
        **dict.fromkeys(("Hello", "OpenAccounts", "Rekey", "AcknowledgeMail", "Cosign"), writing),
        **dict.fromkeys(("ListDocuments", "Recall", "ReceiveMail", "Reconcile", "Witness"), reading),
        **dict.fromkeys(("GetTotals", "IssueToken"), looking),
    }


async def start(hub: Hub, authority: Authority, listening: Listening, showing: Showing) -> Servers:
    """Both listeners, serving.  Raises Refused ``address_taken``."""
    running = Running(hub, authority, showing)
    interceptors = [wire.ErrorInterceptor(logger, _paces())]
    hub_server = grpc.aio.server(interceptors=interceptors, options=wire.SERVER_OPTIONS)
    hub_pb2_grpc.add_HubServicer_to_server(HubServicer(running), hub_server)
    changes_pb2_grpc.add_ChangesServicer_to_server(ChangesServicer(running), hub_server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, hub_server)
    await health_servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    joining_server = grpc.aio.server(interceptors=interceptors, options=wire.SERVER_OPTIONS)
    hub_pb2_grpc.add_JoiningServicer_to_server(JoiningServicer(running), joining_server)
    mutual = wire.server_credentials(listening.key, listening.certificate, listening.authority)
    one_sided = wire.server_credentials(listening.key, listening.certificate, None)
    hub_port = wire.bind(hub_server, listening.listen, mutual)
    join_port = wire.bind(joining_server, listening.join_listen, one_sided)
    await asyncio.gather(hub_server.start(), joining_server.start())
    watchers = [asyncio.create_task(each) for each in background.jobs(running)]
    return Servers(
        running=running,
        hub=hub_server,
        joining=joining_server,
        hub_port=hub_port,
        join_port=join_port,
        watchers=watchers,
    )


async def serve(
    hub: Hub,
    authority: Authority,
    listening: Listening,
    showing: Showing,
    announce: Callable[[int, int, str | None], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as stack:
        tiles_at = None
        if listening.tiles:
            from samprasan.hub.process import tiles  # a web server takes a while to load

            tiles_at = await stack.enter_async_context(tiles.served(listening.tiles, hub.db))
        servers = await start(hub, authority, listening, showing)
        garbage_collection.collect_rarely()
        announce(servers.hub_port, servers.join_port, tiles_at)
        await stopped.wait()
        await servers.stop()
