"""Who may connect: mutual TLS 1.3 with a certificate that this hub gave to that agency, and nothing else."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from samprasan.client.connection import Connection, Hub
from samprasan.edge.configuration import address_of
from samprasan.hub import home as hub_homes
from samprasan.keys import certificates
from samprasan.keys.errors import SamprasanError, Unavailable, Unproven
from samprasan.node import home as node_homes
from samprasan.v1 import hub_pb2
from samprasan.v1.envelope_pb2 import Envelope

from tests.wire.conftest import Live

PROTO = Path(__file__).parents[2] / "proto"
BUF = Path(__file__).parents[2] / ".venv" / "bin" / "buf"
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Shown:
    """A certificate with its key, as a caller shows it."""

    key: bytes
    certificate: bytes


def authority_of(live: Live) -> bytes:
    return (live.federation.home("hub") / "authority.der").read_bytes()


def address(live: Live) -> str:
    return hub_homes.reached_at(live.federation.home("hub")).hub


def nodes_own(live: Live, agency: str = "mpc") -> Shown:
    opened = node_homes.open_home(live.federation.home(agency))
    assert opened.certificate is not None
    opened.node.store.close()
    return Shown(opened.ring.get("tls"), opened.certificate)


def of_another_authority(_live: Live) -> Shown:
    key, ca_key = certificates.new_key(), certificates.new_key()
    ca = certificates.authority(ca_key, NOW)
    request = certificates.certificate_request(key, "mpc")
    return Shown(certificates.key_pem(key), certificates.client_certificate(request, "mpc", ca_key, ca, NOW))


def never_issued(live: Live) -> Shown:
    """Signed by the hub's authority, but not given by joining: a stolen authority key makes no member."""
    hub = hub_homes.open_hub(live.federation.home("hub"))
    key = certificates.new_key()
    request = certificates.certificate_request(key, "mpc")
    der = certificates.client_certificate(request, "mpc", hub.authority.key, hub.authority.certificate, NOW)
    hub.store.close()
    return Shown(certificates.key_pem(key), der)


def the_hubs_own(live: Live) -> Shown:
    """A server's certificate shown by a client."""
    hub = hub_homes.open_hub(live.federation.home("hub"))
    der = (live.federation.home("hub") / "server.der").read_bytes()
    hub.store.close()
    return Shown(hub.listening.key, der)


CALLS: dict[str, Callable[[Hub], Awaitable[object]]] = {
    "Hello": lambda hub: hub.hello(hub_pb2.HelloRequest()),
    "OpenAccounts": lambda hub: hub.open_accounts(hub_pb2.OpenAccountsRequest()),
    "GetTotals": lambda hub: hub.totals(hub_pb2.GetTotalsRequest()),
    "PostMail": lambda hub: hub.post_mail("nhco", b"-"),
    "AcknowledgeMail": lambda hub: hub.acknowledge_mail(0),
    "SubmitDocument": lambda hub: hub.submit_document(Envelope()),
    "ListDocuments": lambda hub: hub.list_documents(),
    "ReceiveMail": lambda hub: anext(hub.receive_mail(0)),
    "Push": lambda hub: anext(hub.push(one_batch())),
}


async def one_batch() -> AsyncIterator[Envelope]:
    """A stream with one empty envelope."""
    yield Envelope()


def call(live: Live, shown: Shown, name: str) -> object:
    async def run() -> object:
        async with Connection(address(live), authority_of(live), shown.key, shown.certificate) as hub:
            return await asyncio.wait_for(CALLS[name](hub), 15)

    return asyncio.run(run())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("make", [of_another_authority, never_issued, the_hubs_own])
def test_no_other_certificate_can_call_anything(live: Live, make: Callable[[Live], Shown], name: str) -> None:
    with pytest.raises((Unproven, Unavailable)) as refused:
        call(live, make(live), name)
    expected = {
        of_another_authority: {"hub_unreachable"},
        never_issued: {"certificate_unknown"},
        the_hubs_own: {"certificate_agency", "hub_unreachable"},
    }
    assert refused.value.code in expected[make]


def test_a_nodes_own_certificate_can_call_hello(live: Live) -> None:
    answer = call(live, nodes_own(live), "Hello")
    assert isinstance(answer, hub_pb2.HelloResponse)
    assert answer.agency == "mpc"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OpenAccounts", "request"),
        ("GetTotals", "request"),
        ("SubmitDocument", "payload_type"),
        ("Push", "payload_type"),
    ],
)
def test_an_empty_request_is_malformed_and_the_hub_goes_on(live: Live, name: str, code: str) -> None:
    with pytest.raises(SamprasanError) as refused:
        call(live, nodes_own(live), name)
    assert (type(refused.value).__name__, refused.value.code) == ("Malformed", code)
    assert call(live, nodes_own(live), "Hello")


def test_a_hub_of_another_authority_is_not_spoken_to(live: Live) -> None:
    shown = nodes_own(live)
    other = certificates.authority(certificates.new_key(), NOW)

    async def run() -> None:
        async with Connection(address(live), other, shown.key, shown.certificate) as hub:
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
