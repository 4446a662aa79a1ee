"""Who throws what at the hub, each in a process of its own, as fast as it can, until it is killed.

    python -m tests.bench.attackers "strangers shaking hands" HOME

A character is printed for everything that the hub has answered; of a flood, for what it took.
"""

import asyncio
import itertools
import secrets
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from samprasan.client.connection import Hub
from samprasan.edge import wire
from samprasan.edge.configuration import address_of
from samprasan.keys import certificates, dissents, documents, signing
from samprasan.node import home as node_homes
from samprasan.node.documents import proposals
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.v1.documents_pb2 import MOVE_REASON_WRONG_ID, Move

FLOOD = "a member flooding proposals, moves and letters"
STRANGERS, CALLS, BATCHES = "strangers shaking hands", "a member sending junk calls", "a member pushing junk batches"
ATTACKS = {STRANGERS: "nhco", FLOOD: "nhco", CALLS: "nhco", BATCHES: "codi"}  # each by an agency that need not wait yet
LETTER_BYTES = 100_000


def attack(name: str, home: Home) -> None:
    """Until killed."""
    if name == STRANGERS:
        shake_hands(home)
    elif name == FLOOD:
        asyncio.run(serve.ask(home.connect, lambda hub: flood(home, hub)))
    else:
        asyncio.run(junk(home, push=name == BATCHES))


def count() -> None:
    """One more answer."""
    sys.stdout.write(".")
    sys.stdout.flush()


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
                count()
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
        for answer in await asyncio.gather(*acts, return_exceptions=True):
            if not isinstance(answer, Exception):
                count()


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
                await asyncio.gather(*(counted(make(channel)) for _ in range(16)))

    async def counted(call: Awaitable[Any]) -> None:
        with suppress(grpc.RpcError):
            await call
        count()

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
