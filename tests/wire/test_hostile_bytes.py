"""Bytes that no honest client sends: each call ends with a clear status, and the next caller is answered at once."""

import asyncio
import gzip
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest
from samprasan.edge import throttle, wire
from samprasan.edge.configuration import address_of
from samprasan.hub import home as hub_homes
from samprasan.hub import limits
from samprasan.hub.tables import certificates as issued
from samprasan.keys import certificates
from samprasan.v1 import hub_pb2

from tests.local import Live
from tests.wire.connections import NOW, Shown, address, authority_of, nodes_own, shown_by

UNARY = (
    *("Hello", "OpenAccounts", "GetTotals", "PostMail", "AcknowledgeMail"),
    *("SubmitDocument", "SubmitDissent", "ListDocuments"),
)
GRANTED_SECONDS = 10.0
CERTIFICATES = 900
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@cache
def certificates_of_codi(live: Live) -> Iterator[Shown]:
    """As many as the tests need: who makes faults under one certificate soon has to wait."""
    opened = hub_homes.open_home(live.federation.home("hub"))
    hub = opened.hub
    made = []
    for _ in range(CERTIFICATES):
        key = certificates.new_key()
        request = certificates.certificate_request(key, "codi")
        der = certificates.client_certificate(request, "codi", opened.authority.key, opened.authority.certificate, NOW)
        made.append(Shown(certificates.key_pem(key), der))
    with hub.db.begin() as tx:
        rows = [
            {"fingerprint": certificates.fingerprint(each.certificate), "agency": "codi", "revoked": False}
            for each in made
        ]
        tx.execute(issued.insert(), rows)
    hub.db.close()
    return iter(made)


def own(live: Live, agency: str = "codi") -> Shown:
    if agency == "codi":
        return next(certificates_of_codi(live))
    shown = shown_by(live, nhcos_own)
    assert shown is not None
    return shown


def nhcos_own(live: Live) -> Shown:
    return nodes_own(live, "nhco")


def channel(live: Live, agency: str = "codi", shown: Shown | None = None, **options: int) -> grpc.aio.Channel:
    shown = shown or own(live, agency)
    credentials = wire.channel_credentials(
        certificates.pem_of(authority_of(live)), shown.key, certificates.pem_of(shown.certificate)
    )
    more = [(f"grpc.{name}", value) for name, value in options.items()]
    return grpc.aio.secure_channel(address(live), credentials, options=[*wire.CHANNEL_OPTIONS, *more])


def send(live: Live, method: str, data: bytes, **options: object) -> tuple[grpc.StatusCode, str]:
    """The status that raw bytes get."""

    async def run() -> tuple[grpc.StatusCode, str]:
        async with channel(live) as opened:
            call: Any = opened.unary_unary(f"/samprasan.v1.Hub/{method}")
            try:
                await call(data, timeout=GRANTED_SECONDS, **options)
            except grpc.aio.AioRpcError as problem:
                return problem.code(), problem.details() or ""
            return grpc.StatusCode.OK, ""

    return asyncio.run(run())


def answers_at_once(live: Live) -> None:
    begun = time.monotonic()

    async def hello() -> None:
        async with channel(live, "nhco") as opened:
            await opened.unary_unary("/samprasan.v1.Hub/Hello")(b"", timeout=5)  # type: ignore[arg-type]

    asyncio.run(hello())
    assert time.monotonic() - begun < 3


def hub_memory_mebibytes(live: Live) -> int:
    pid = live.federation.processes["hub"].pid
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    raise AssertionError("the hub is gone")


def nested(depth: int) -> bytes:
    return b"\xfb\x07" * depth + b"\xfc\x07" * depth


UNREADABLE = {
    "no message": b"\xff\xff\xff\xff",
    "wrong wire type": b"\x0a\xff",  # a length that goes beyond the end
    "a varint without end": b"\x08" + b"\xff" * 11,
    "nested 101 deep": nested(101),
    "a group that ends another": b"\xfb\x07\xf4\x07",
    "an unknown wire type": b"\x0f",
}


@pytest.mark.parametrize("what", UNREADABLE)
@pytest.mark.parametrize("method", UNARY)
def test_bytes_that_are_no_message_are_malformed(live: Live, method: str, what: str) -> None:
    code, _ = send(live, method, UNREADABLE[what])
    assert code is grpc.StatusCode.INVALID_ARGUMENT


OURS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
}
ODD = {
    "a scalar twice": b"\x0a\x10" + b"a" * 16 + b"\x0a\x10" + b"b" * 16,
    "a varint of ten bytes for zero": b"\x18" + b"\x80" * 9 + b"\x00",
    "an unknown field": b"\xf8\x07\x01",
    "text that is no UTF-8": b"\x0a\x03\xff\xfe\xfd",
    "a field of another type": b"\x08\x01",
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("method", UNARY)
def test_odd_but_readable_bytes_are_answered_or_refused_in_our_words(live: Live, method: str, what: str) -> None:
    """A request is not signed: oddities in it are harmless; those in signed payloads are Malformed (tests/keys)."""
    code, _ = send(live, method, ODD[what])
    assert code in OURS


def test_ten_thousand_metadata_keys_are_refused(live: Live) -> None:
    metadata = tuple((f"key-{number}", "x" * 20) for number in range(10_000))
    code, _ = send(live, "Hello", b"", metadata=metadata)
    assert code is not grpc.StatusCode.OK
    answers_at_once(live)


@pytest.mark.parametrize("method", ["PostMail", "SubmitDocument"])
def test_a_message_that_decompresses_to_far_more_is_not_kept(live: Live, method: str) -> None:
    field = b"\x12" if method == "PostMail" else b"\x0a"
    size = 256 << 20
    length = b""
    rest = size
    while rest:
        length += bytes([rest & 127 | (128 if rest > 127 else 0)])
        rest >>= 7
    before = hub_memory_mebibytes(live)
    code, _ = send(live, method, field + length + bytes(size), compression=grpc.Compression.Gzip)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(gzip.compress(bytes(size), 1)) < 2 << 20
    assert hub_memory_mebibytes(live) - before < 64
    answers_at_once(live)


@contextmanager
def connected(live: Live, count: int) -> Iterator[list[ssl.SSLSocket]]:
    """Connections that shook hands as codi and say what they like."""
    shown = own(live)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority_of(live))
    pem = live.federation.folder / "hostile.pem"
    pem.write_bytes(shown.key + certificates.pem_of(shown.certificate))
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2"])
    opened = []
    try:
        for _ in range(count):
            plain = socket.create_connection(address_of(address(live)), 5)
            opened.append(context.wrap_socket(plain, server_hostname="samprasan-hub"))
        yield opened
    finally:
        for each in opened:
            each.close()


def frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    """An HTTP/2 frame (RFC 9113 section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


HALVES = {
    "nothing": b"",
    "half a preface": PREFACE[:10],
    "a preface and half a frame's head": PREFACE + frame(4, 0, b"") + b"\x00\x00",
    "a frame that announces more than comes": PREFACE
    + frame(4, 0, b"")
    + b"\x00\x40\x00\x00\x00\x00\x00\x00\x01"
    + b"x",
    "headers that never end": PREFACE + frame(4, 0, b"") + frame(1, 1, b"\x82\x86\x84"),
}


@pytest.mark.parametrize("what", HALVES)
def test_connections_that_stop_in_the_middle_hold_nobody_up(live: Live, what: str) -> None:
    before = hub_memory_mebibytes(live)
    with connected(live, 60) as sockets:
        for each in sockets:
            each.sendall(HALVES[what])
        answers_at_once(live)
        assert hub_memory_mebibytes(live) - before < 64


def test_bytes_one_at_a_time_hold_nobody_up(live: Live) -> None:
    data = PREFACE + frame(4, 0, b"")
    with connected(live, 20) as sockets:
        for byte in data:
            for each in sockets:
                each.sendall(bytes([byte]))
        answers_at_once(live)


FLOODS = {
    "settings": frame(4, 0, b"") * 2000,
    "pings": frame(6, 0, bytes(8)) * 2000,
    "streams opened and reset": b"".join(
        frame(1, 1 + 2 * n, b"\x82\x86\x84", 4) + frame(3, 1 + 2 * n, struct.pack(">I", 8)) for n in range(2000)
    ),
    "window updates that overflow": frame(8, 0, b"\x7f\xff\xff\xff") * 10,
    "garbage": bytes(range(256)) * 100,
}


@pytest.mark.parametrize("what", FLOODS)
def test_floods_of_frames_hold_nobody_up(live: Live, what: str) -> None:
    before = hub_memory_mebibytes(live)
    with connected(live, 4) as sockets:
        for each in sockets:
            try:
                each.sendall(PREFACE + frame(4, 0, b"") + FLOODS[what])
            except OSError:
                continue  # the hub has hung up: that is an answer too
        answers_at_once(live)
    assert hub_memory_mebibytes(live) - before < 64


def test_a_storm_of_reconnects_leaves_everybody_answered(live: Live) -> None:
    """Two hundred callers at once, each on a connection of its own, five times over."""

    async def once() -> int:
        async with channel(live, use_local_subchannel_pool=1) as opened:
            try:
                await opened.unary_unary("/samprasan.v1.Hub/Hello")(b"", timeout=30)  # type: ignore[arg-type]
            except grpc.aio.AioRpcError:
                return 0
            return 1

    async def storm() -> list[int]:
        return await asyncio.gather(*(once() for _ in range(200)))

    before = hub_memory_mebibytes(live)
    for _ in range(3):
        assert sum(asyncio.run(storm())) == 200, "none is silently cancelled"
    answers_at_once(live)
    assert hub_memory_mebibytes(live) - before < 200


def test_who_goes_on_making_faults_waits_and_nobody_else_does(live: Live) -> None:
    async def junk() -> list[float]:
        taken = []
        async with channel(live) as opened:
            call: Any = opened.unary_unary("/samprasan.v1.Hub/Hello")
            for _ in range(14):
                begun = time.monotonic()
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(b"\xff", timeout=GRANTED_SECONDS)
                taken.append(time.monotonic() - begun)
        return taken

    taken = asyncio.run(junk())
    assert max(taken[:8]) < 0.5 < sum(taken[8:])
    answers_at_once(live)


async def flood(live: Live, shown: Shown, method: str, data: bytes, count: int, seconds: float = 2) -> Counter[str]:
    """What comes within ``seconds`` of so many calls at once, a few over each connection."""

    async def some(count: int) -> Counter[str]:
        async with channel(live, shown=shown, use_local_subchannel_pool=1) as opened:
            stub: Any = opened.unary_unary(f"/samprasan.v1.Hub/{method}")
            calls = [stub(data, timeout=GRANTED_SECONDS) for _ in range(count)]
            ended = [asyncio.create_task(call.code()) for call in calls]
            await asyncio.wait(ended, timeout=seconds)
            found = Counter(each.result().name if each.done() else "waits" for each in ended)
            for call in calls:
                call.cancel()
            return found

    each = wire.STREAMS_PER_CONNECTION_MAX // 2
    counts = [min(each, count - first) for first in range(0, count, each)]
    return sum(await asyncio.gather(*map(some, counts)), Counter())


def test_who_writes_to_others_too_fast_waits_and_is_refused_before_many_wait_and_nobody_else_does(live: Live) -> None:
    letter = hub_pb2.PostMailRequest(to="mpc", sealed=b"nobody can open it").SerializeToString()
    waiting = round(limits.FOR_OTHERS_PER_SECOND * throttle.WAIT_SECONDS_MAX)

    async def both() -> tuple[Counter[str], ...]:
        enemy = flood(live, own(live), "PostMail", letter, limits.FOR_OTHERS_AT_ONCE + waiting + 9, 5)
        return await asyncio.gather(enemy, flood(live, own(live, "nhco"), "PostMail", letter, 9))

    found, others = asyncio.run(both())
    assert found["OK"] >= limits.FOR_OTHERS_AT_ONCE, found
    assert 0 < found["waits"] <= waiting, found
    assert found["UNAVAILABLE"] == found.total() - found["OK"] - found["waits"] > 0
    assert others == {"OK": 9}
    answers_at_once(live)


@pytest.mark.parametrize("method", ["SubmitDocument", "SubmitDissent", "AcknowledgeMail", "OpenAccounts", "Hello"])
def test_calls_of_one_agency_that_are_too_many_wait(live: Live, method: str) -> None:
    at_once = limits.WRITES_AT_ONCE if method in {"AcknowledgeMail", "OpenAccounts", "Hello"} else 0
    found = asyncio.run(flood(live, own(live), method, b"", at_once + 200))
    assert found["waits"] > 0, found
    answers_at_once(live)


def test_one_agency_pushes_over_eight_streams_and_no_more(live: Live) -> None:
    async def never() -> AsyncIterator[bytes]:
        await asyncio.sleep(GRANTED_SECONDS)
        yield b""

    async def codes(count: int) -> list[grpc.StatusCode]:
        async with channel(live) as opened:
            method: Any = opened.stream_stream("/samprasan.v1.Hub/Push")
            calls = [method(never(), timeout=GRANTED_SECONDS) for _ in range(count)]
            ended = [asyncio.create_task(call.code()) for call in calls]
            await asyncio.wait(ended, timeout=2)
            found = [each.result() for each in ended if each.done()]
            for call in calls:
                call.cancel()
            return found

    assert asyncio.run(codes(limits.STREAMS_PER_AGENCY_MAX - 1)) == []  # codi's own node has one too
    time.sleep(0.5)
    refused = asyncio.run(codes(limits.STREAMS_PER_AGENCY_MAX + 1))
    assert set(refused) == {grpc.StatusCode.FAILED_PRECONDITION}
