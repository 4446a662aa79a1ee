"""How long a well-behaved node waits for an answer while somebody throws what he can at the hub.

Each attacker is a process of its own that goes as fast as it can; the node asks for totals, one call after the other,
over a connection it keeps, as a counter would.
"""

import asyncio
import itertools
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from federation import Federation as LocalFederation
from samprasan.client.connection import Hub
from samprasan.edge import wire
from samprasan.edge.configuration import address_of
from samprasan.keys import certificates, dissents, documents, signing
from samprasan.node import home as node_homes
from samprasan.node.documents import proposals
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import MOVE_REASON_WRONG_ID, Move

CALLS = 1500
WARM_UP = 200
FLOOD = "a member flooding proposals, moves and letters"
ATTACKS = ("strangers shaking hands", "a member sending junk calls", "a member pushing junk batches", FLOOD)
LETTER_BYTES = 100_000


def run(folder: Path) -> None:
    """Print the node's p50 and p99, idle and under each attack."""
    served = LocalFederation(folder)
    try:
        served.set_up()
        home = node_homes.open_home(served.home("mpc"))
        idle = asyncio.run(serve.ask(home.connect, latencies))
        print(f"a node's call, hub idle: {shown(idle)}", flush=True)
        for attack in ATTACKS:
            attacker = subprocess.Popen([sys.executable, "-m", "tests.bench.hostile", attack, str(served.home("nhco"))])
            time.sleep(2)
            found = asyncio.run(serve.ask(home.connect, latencies))
            attacker.kill()
            attacker.wait()
            print(f"… with {attack}: {shown(found)}, p99 {found[1] / idle[1]:.1f} × idle", flush=True)
        home.node.db.close()
    finally:
        served.stop()


def shown(found: tuple[float, float]) -> str:
    """Milliseconds."""
    return f"p50 {found[0] * 1000:.1f} ms, p99 {found[1] * 1000:.1f} ms"


async def latencies(hub: Hub) -> tuple[float, float]:
    """p50 and p99 of calls one after the other, seconds."""
    request = hub_pb2.GetTotalsRequest(request_id=bytes(16), account_ids=[bytes(16)])
    taken = []
    for number in range(WARM_UP + CALLS):
        begun = time.perf_counter()
        await hub.totals(request)
        if number >= WARM_UP:
            taken.append(time.perf_counter() - begun)
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 99 // 100]


def attack(name: str, home: Home) -> None:
    """Until killed."""
    if name == ATTACKS[0]:
        shake_hands(home)
    elif name == FLOOD:
        asyncio.run(serve.ask(home.connect, lambda hub: flood(home, hub)))
    else:
        asyncio.run(junk(home, push=name == ATTACKS[2]))


def shake_hands(home: Home) -> None:
    """Connect without a certificate, again and again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    where = address_of(home.hub_address())
    while True:
        try:
            with socket.create_connection(where, 5) as plain, context.wrap_socket(plain) as secured:
                secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100))
        except OSError:
            continue


async def flood(home: Home, hub: Hub) -> None:
    """Well-formed: sixteen at a time, proposals that are withdrawn, moves, and letters that nobody can open."""
    node = home.node

    async def propose(number: int) -> None:
        envelope = proposals.propose_grant(node, 1 + number % 1_000, 1 + number % 300)
        await hub.submit_document(envelope)
        found = documents.read(envelope)
        standing = documents.Standing(
            documents.kind_of(found), "", found.version, signing.digest(envelope), frozenset(), frozenset(), False
        )
        said = dissents.compose(
            found.federation_id, standing, node.identity.agency, dissents.WITHDRAWN, node.world.signer
        )
        await hub.submit_dissent(said)

    async def move(number: int) -> None:
        grant = documents.read(proposals.propose_grant(node, 1, 1))
        body = Move(
            federation_id=grant.federation_id,
            version=1,
            created_at=grant.created_at,
            expires_at=grant.expires_at,
            agency=node.identity.agency,
            account=number.to_bytes(16, "big"),
            awards=1,
            credits=1,
            reason=MOVE_REASON_WRONG_ID,
            move_id=secrets.token_bytes(16),
        )
        await hub.submit_document(node.world.sign(body))

    async def write(_number: int) -> None:
        await hub.post_mail("mpc", secrets.token_bytes(LETTER_BYTES))

    for number in itertools.count():
        acts = (act(number * 16 + place) for place in range(4) for act in (propose, move, write, write))
        await asyncio.gather(*acts, return_exceptions=True)


async def junk(home: Home, *, push: bool) -> None:
    """Sixteen connections, sixteen calls at a time each, of bytes that are no message or batches nobody signed."""
    certificate, authority = home.certificate, home.node.tls_ca
    assert certificate is not None
    credentials = wire.channel_credentials(
        certificates.pem_of(authority), home.ring.get("tls"), certificates.pem_of(certificate)
    )
    options = [*wire.CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]

    async def calls(make: Callable[[Any], Awaitable[Any]]) -> None:
        async with grpc.aio.secure_channel(home.hub_address(), credentials, options=options) as channel:
            while True:
                await asyncio.gather(*(make(channel) for _ in range(16)), return_exceptions=True)

    async def unary(channel: Any) -> None:
        await channel.unary_unary("/samprasan.v1.Hub/OpenAccounts")(b"\xff\xff\xff", timeout=10)

    async def stream(channel: Any) -> None:
        async def batches() -> Any:
            for _ in range(16):
                yield b"\x0a\x80\x80\x04" + bytes(65_536)

        async for _ in channel.stream_stream("/samprasan.v1.Hub/Push")(batches(), timeout=10):
            pass

    await asyncio.gather(*(calls(stream if push else unary) for _ in range(16)))


if __name__ == "__main__":
    attack(sys.argv[1], node_homes.open_home(Path(sys.argv[2])))
