"""Who may connect: mutual TLS 1.3 with a certificate that this hub gave to that agency, and nothing else."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from samprasan.client.connection import Connection, Hub, open_channel
from samprasan.edge import wire
from samprasan.edge.configuration import address_of
from samprasan.hub import home as hub_homes
from samprasan.hub.tables import certificates as issued
from samprasan.hub.tables import mailbox
from samprasan.keys import certificates
from samprasan.keys.errors import SamprasanError, Unavailable, Unproven
from samprasan.node import home as node_homes
from samprasan.node import store
from samprasan.node.tables import subjects
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests.local import Live
from tests.wire.connections import NOW, Shown, address, authority_of, nodes_own, shown_by

PROTO = Path(__file__).parents[2] / "proto"
BUF = Path(__file__).parents[2] / ".venv" / "bin" / "buf"


def of_another_authority(_live: Live) -> Shown:
    key, ca_key = certificates.new_key(), certificates.new_key()
    ca = certificates.authority(ca_key, NOW)
    request = certificates.certificate_request(key, "mpc")
    return Shown(certificates.key_pem(key), certificates.client_certificate(request, "mpc", ca_key, ca, NOW))


def never_issued(live: Live) -> Shown:
    """Signed by the hub's authority, but not given by joining: a stolen authority key makes no member."""
    opened = hub_homes.open_home(live.federation.home("hub"))
    hub = opened.hub
    key = certificates.new_key()
    request = certificates.certificate_request(key, "mpc")
    der = certificates.client_certificate(request, "mpc", opened.authority.key, opened.authority.certificate, NOW)
    hub.db.close()
    return Shown(certificates.key_pem(key), der)


def given_at(live: Live, moment: datetime) -> Shown:
    """Signed by the hub's authority as if it were ``moment``."""
    opened = hub_homes.open_home(live.federation.home("hub"))
    hub = opened.hub
    key = certificates.new_key()
    request = certificates.certificate_request(key, "mpc")
    der = certificates.client_certificate(request, "mpc", opened.authority.key, opened.authority.certificate, moment)
    with hub.db.begin() as tx:
        tx.execute(issued.insert().values(fingerprint=certificates.fingerprint(der), agency="mpc", revoked=False))
    hub.db.close()
    return Shown(certificates.key_pem(key), der)


def expired(live: Live) -> Shown:
    """Given by joining, three years ago."""
    return given_at(live, NOW - timedelta(days=1100))


def not_yet_valid(live: Live) -> Shown:
    """Given by joining, by a clock that was ten days ahead."""
    return given_at(live, NOW + timedelta(days=10))


def revoked(live: Live) -> Shown:
    """Given by joining, and revoked since."""
    shown = given_at(live, NOW)
    hub = hub_homes.open_home(live.federation.home("hub")).hub
    mine = issued.c.fingerprint == certificates.fingerprint(shown.certificate)
    with hub.db.begin() as tx:
        tx.execute(issued.update().where(mine).values(revoked=True))
    hub.db.close()
    return shown


def none_at_all(_live: Live) -> None:
    """No certificate."""


def the_hubs_own(live: Live) -> Shown:
    """A server's certificate shown by a client."""
    opened = hub_homes.open_home(live.federation.home("hub"))
    hub = opened.hub
    der = (live.federation.home("hub") / "server.der").read_bytes()
    hub.db.close()
    return Shown(opened.listening.key, der)


CALLS: dict[str, Callable[[Hub], Awaitable[object]]] = {
    "Hello": lambda hub: hub.hello(hub_pb2.HelloRequest()),
    "OpenAccounts": lambda hub: hub.open_accounts(hub_pb2.OpenAccountsRequest()),
    "GetTotals": lambda hub: hub.totals(hub_pb2.GetTotalsRequest()),
    "PostMail": lambda hub: hub.post_mail("nhco", b"-"),
    "AcknowledgeMail": lambda hub: hub.acknowledge_mail(0),
    "SubmitDocument": lambda hub: hub.submit_document(Envelope()),
    "SubmitDissent": lambda hub: hub.submit_dissent(Envelope()),
    "ListDocuments": lambda hub: hub.list_documents(),
    "ReceiveMail": lambda hub: anext(hub.receive_mail(0)),
    "Push": lambda hub: anext(hub.push(one_batch())),
    "Recall": lambda hub: anext(hub.recall(hub_pb2.RecallRequest())),
    "Refeed": lambda hub: hub.refeed([hub_pb2.RefeedRequest()]),
}


async def one_batch() -> AsyncIterator[hub_pb2.PushRequest]:
    """A stream with one empty envelope."""
    yield hub_pb2.PushRequest()


def connection(live: Live, shown: Shown | None) -> Connection:
    if shown is not None:
        return Connection(open_channel(address(live), authority_of(live), shown.key, shown.certificate))
    bare = wire.channel_credentials(certificates.pem_of(authority_of(live)))
    return Connection(grpc.aio.secure_channel(address(live), bare, options=wire.CHANNEL_OPTIONS))


def call(live: Live, shown: Shown | None, name: str) -> object:
    async def run() -> object:
        async with connection(live, shown) as hub:
            return await asyncio.wait_for(CALLS[name](hub), 15)

    try:
        return asyncio.run(run())
    except Unavailable as problem:
        if problem.values.get("status") != "INTERNAL":
            raise
        return asyncio.run(
            run()
        )  # gRPC lost the answer to a stream that both sides ended at once: nodes ask again, too


# Whoever is not a member under its own valid certificate is refused every call, at the handshake or by name.
REFUSED: dict[Callable[[Live], Shown | None], set[str]] = {
    none_at_all: {"hub_unreachable"},
    of_another_authority: {"hub_unreachable"},
    expired: {"hub_unreachable"},
    not_yet_valid: {"hub_unreachable"},
    never_issued: {"certificate_unknown"},
    revoked: {"certificate_unknown"},
    the_hubs_own: {"certificate_agency", "hub_unreachable"},
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("make", REFUSED)
def test_no_other_certificate_can_call_anything(live: Live, make: Callable[[Live], Shown | None], name: str) -> None:
    with pytest.raises((Unproven, Unavailable)) as refused:
        call(live, shown_by(live, make), name)
    assert refused.value.code in REFUSED[make]


# A node's own certificate is served; what it asks with nothing in it is Malformed.
SERVED = {
    "Hello": "",
    "OpenAccounts": "request",
    "GetTotals": "request",
    "PostMail": "",
    "AcknowledgeMail": "",
    "SubmitDocument": "payload_type",
    "SubmitDissent": "payload_type",
    "ListDocuments": "",
    "ReceiveMail": "",
    "Push": "payload_type",
    "Recall": "",
    "Refeed": "nothing_lost",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_nodes_own_certificate_can_call_everything(live: Live, name: str) -> None:
    code = ""
    try:
        call(live, shown_by(live, nodes_own), name)
    except SamprasanError as problem:
        code = problem.code
    assert code == SERVED[name]


def test_the_certificate_says_who_calls_whatever_the_request_says(live: Live) -> None:
    """Another member's valid certificate: it gets what is its own, never mpc's."""
    theirs = node_homes.open_home(live.federation.home("mpc"))
    with theirs.node.db.read() as tx:
        envelope = Envelope.FromString(store.batches.find(tx, 1).envelope)  # type: ignore[union-attr]
        account_id = tx.execute(
            sa.select(subjects.c.account_id).where(subjects.c.account_id.is_not(None), subjects.c.linked > 0)
        ).scalar()
        waiting = mail_waiting(live, "mpc")
    theirs.node.db.close()

    async def signed_by_mpc() -> AsyncIterator[hub_pb2.PushRequest]:
        yield hub_pb2.PushRequest(batch=envelope)

    async def run() -> None:
        async with connection(live, nodes_own(live, "nhco")) as hub:
            assert (await hub.hello(hub_pb2.HelloRequest())).agency == "nhco"
            with pytest.raises(Unproven) as refused:
                await anext(hub.push(signed_by_mpc()))
            assert refused.value.code == "signature"
            request = hub_pb2.GetTotalsRequest(request_id=b"r" * 16, account_ids=[account_id or b""])
            answer = hub_pb2.Totals.FromString((await hub.totals(request)).payload)
            assert answer.agency == "nhco"
            await hub.acknowledge_mail(2**62)

    asyncio.run(run())
    assert mail_waiting(live, "mpc") == waiting


def mail_waiting(live: Live, reader: str) -> int:
    hub = hub_homes.open_home(live.federation.home("hub")).hub
    with hub.db.read() as tx:
        count = tx.execute(sa.select(sa.func.count()).where(mailbox.c.reader == reader)).scalar_one()
    hub.db.close()
    return count


def test_neither_listener_serves_the_others_calls(live: Live) -> None:
    """Joining is open to whoever has an invite; everything else is behind mutual TLS."""
    reached = hub_homes.reached_at(live.federation.home("hub"))
    ca = certificates.pem_of(authority_of(live))
    own = nodes_own(live)

    async def code(where: str, credentials: grpc.ChannelCredentials, method: str) -> grpc.StatusCode:
        async with grpc.aio.secure_channel(where, credentials, options=wire.CHANNEL_OPTIONS) as channel:
            try:
                await channel.unary_unary(f"/samprasan.v1.{method}")(b"", timeout=10)  # type: ignore[arg-type]
            except grpc.aio.AioRpcError as problem:
                return problem.code()
        return grpc.StatusCode.OK

    mutual = wire.channel_credentials(ca, own.key, certificates.pem_of(own.certificate))
    one_sided = wire.channel_credentials(ca)
    assert asyncio.run(code(reached.hub, mutual, "Joining/Join")) is grpc.StatusCode.UNIMPLEMENTED
    assert asyncio.run(code(reached.join, one_sided, "Hub/Hello")) is grpc.StatusCode.UNIMPLEMENTED
    assert asyncio.run(code(reached.join, one_sided, "Joining/Join")) is not grpc.StatusCode.OK


def test_a_nodes_own_certificate_can_call_hello(live: Live) -> None:
    answer = call(live, nodes_own(live), "Hello")
    assert isinstance(answer, hub_pb2.HelloResponse)
    assert answer.agency == "mpc"


def test_a_hub_of_another_authority_is_not_spoken_to(live: Live) -> None:
    shown = nodes_own(live)
    other = certificates.authority(certificates.new_key(), NOW)

    async def run() -> None:
        async with Connection(open_channel(address(live), other, shown.key, shown.certificate)) as hub:
            await hub.hello(hub_pb2.HelloRequest())

    with pytest.raises(Unavailable):
        asyncio.run(run())


@pytest.mark.parametrize(("version", "connects"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)])
def test_nothing_below_tls_1_3_connects(live: Live, tmp_path: Path, version: ssl.TLSVersion, connects: bool) -> None:
    import socket

    shown = nodes_own(live)
    pem = tmp_path / "both.pem"
    pem.write_bytes(shown.key + certificates.pem_of(shown.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority_of(live))
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version

    def shake_hands() -> str | None:
        with (
            socket.create_connection(address_of(address(live)), 5) as plain,
            context.wrap_socket(plain, server_hostname="samprasan-hub") as secured,
        ):
            return secured.version()

    if connects:
        assert shake_hands() == "TLSv1.3"
    else:
        with pytest.raises(ssl.SSLError):
            shake_hands()


def buf_curl(live: Live, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [str(BUF), "curl", "--schema", str(PROTO), "--protocol", "grpc", "--servername", "samprasan-hub"]
    url = f"https://{address(live)}/samprasan.v1.Hub/Hello"
    return subprocess.run([*command, *options, "--data", "{}", url], capture_output=True, text=True)


def test_another_client_can_call_hello_with_a_nodes_certificate_and_not_without(live: Live, tmp_path: Path) -> None:
    shown = nodes_own(live, "codi")
    files = {
        "cacert": certificates.pem_of(authority_of(live)),
        "cert": certificates.pem_of(shown.certificate),
        "key": shown.key,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    ca = ("--cacert", str(tmp_path / "cacert"))
    own = ("--cert", str(tmp_path / "cert"), "--key", str(tmp_path / "key"))
    answered = buf_curl(live, *ca, *own)
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["agency"] == "codi"
    refused = buf_curl(live, *ca)
    assert refused.returncode != 0
    assert refused.stdout == ""
