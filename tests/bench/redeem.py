"""Redemptions from call to receipt: alone, 64 at once, beside a backlog; against plain SQL on the same server."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psycopg
from federation import Federation as LocalFederation
from samprasan.keys.identifiers import check_digit
from samprasan.node import home as node_homes
from samprasan.node.exports.export import Export
from samprasan.node.exports.profile import Profile
from samprasan.node.imports import importer
from samprasan.v1 import counter_pb2, counter_pb2_grpc

ONE_BY_ONE = 300
AT_ONCE = 64
ROUNDS_AT_ONCE = 10
BACKLOG = 200_000
AGENCY = "mpc"
_TWELVE = "110170020345"
PERSON = _TWELVE + check_digit(_TWELVE)
CATALOGUE = """[[benefit]]
code = "one"
title = { th = "หนึ่ง", en = "One" }
credits = 1
valid_from = 2026-01-01
valid_until = 2099-12-31
"""
_COLUMNS = (
    *("record_id", "subject_kind", "subject_id", "subject_name", "category", "quantity", "occurred_on"),
    *("area_code", "status", "consent"),
)


def run(folder: Path, url: str) -> None:
    """Print p50 and p99 of each, and the ratios."""
    served = LocalFederation(folder, url)
    try:
        served.set_up()
        socket = f"unix:{folder}/counter.sock"
        served.kill(AGENCY)
        with (served.home(AGENCY) / "node.toml").open("a", encoding="utf-8") as file:
            file.write(f'counter = "{socket}"\n')
        served.start(AGENCY)
        (folder / "benefits.toml").write_text(CATALOGUE, "utf-8")
        served.answer(AGENCY, "benefit", "publish", str(folder / "benefits.toml"))
        _import(served, 3_000, first=0)
        served.answer(AGENCY, "sync", "--wait", "120")
        idle = asyncio.run(_measured(socket, served, url))
        _import(served, BACKLOG, first=10_000)
        busy, left = asyncio.run(_beside_a_backlog(socket, served))
        print(
            f"redeeming while {BACKLOG:,} updates drain ({left:,} left at the end): p50 {_ms(busy, 0.5)},"
            f" p99 {_ms(busy, 0.99)} = {_at(busy, 0.99) / _at(idle, 0.99):.1f} × idle p99",
            flush=True,
        )
    finally:
        served.stop()


async def _measured(socket: str, served: LocalFederation, url: str) -> list[float]:
    async with _channel(socket) as channel:
        stub: Any = counter_pb2_grpc.CounterStub(channel)
        for _ in range(20):
            await _redeem(stub)
        alone = [await _timed(lambda: _redeem(stub)) for _ in range(ONE_BY_ONE)]
        at_once: list[float] = []
        for _ in range(ROUNDS_AT_ONCE):
            at_once += await asyncio.gather(*(_timed(lambda: _redeem(stub)) for _ in range(AT_ONCE)))
    plain, plain_at_once = _plain_sql(url)
    for what, ours, theirs in (("one at a time", alone, plain), (f"{AT_ONCE} at once", at_once, plain_at_once)):
        print(
            f"redemption, {what}: p50 {_ms(ours, 0.5)}, p99 {_ms(ours, 0.99)}; SELECT FOR UPDATE + 2 updates:"
            f" p50 {_ms(theirs, 0.5)}, p99 {_ms(theirs, 0.99)}; ratio at p50 {_at(ours, 0.5) / _at(theirs, 0.5):.1f}",
            flush=True,
        )
    return alone


async def _beside_a_backlog(socket: str, served: LocalFederation) -> tuple[list[float], int]:
    async with _channel(socket) as channel:
        stub: Any = counter_pb2_grpc.CounterStub(channel)
        times = [await _timed(lambda: _redeem(stub)) for _ in range(100)]
    return times, int(served.answer(AGENCY, "status")["outbox"])


async def _redeem(stub: Any) -> None:
    subject = counter_pb2.Subject(scheme="th-pid", id=PERSON)
    request = counter_pb2.RedeemRequest(
        op_id=uuid.uuid4().bytes, subject=subject, benefit=f"{AGENCY}/one", authorised_by="card"
    )
    found = (await stub.Redeem(request, timeout=60)).redemption
    if found.state != "posted":
        raise RuntimeError(f"a redemption of the bench is {found.state}: {found.reason}")


async def _timed(act: Callable[[], Awaitable[None]]) -> float:
    begun = time.perf_counter()
    await act()
    return time.perf_counter() - begun


def _plain_sql(url: str) -> tuple[list[float], list[float]]:
    """The same work as a centralised system would do it: one row locked, two rows written, one commit."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS plain (id int PRIMARY KEY, available bigint, spent bigint)")
        connection.execute("CREATE TABLE IF NOT EXISTS stock (id int PRIMARY KEY, taken bigint)")
        connection.execute("INSERT INTO plain VALUES (1, 1000000, 0)")
        connection.execute("INSERT INTO stock VALUES (1, 0)")

    def spend(connection: Any) -> float:
        begun = time.perf_counter()
        with connection.transaction():
            connection.execute("SELECT available FROM plain WHERE id = 1 FOR UPDATE").fetchone()
            connection.execute("UPDATE plain SET available = available - 1, spent = spent + 1 WHERE id = 1")
            connection.execute("UPDATE stock SET taken = taken + 1 WHERE id = 1")
        return time.perf_counter() - begun

    with psycopg.connect(url, autocommit=True) as connection:
        alone = [spend(connection) for _ in range(ONE_BY_ONE)]
    connections = [psycopg.connect(url, autocommit=True) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        at_once = [took for _ in range(ROUNDS_AT_ONCE) for took in threads.map(spend, connections)]
    for each in connections:
        each.close()
    return alone, at_once


def _import(served: LocalFederation, count: int, first: int) -> None:
    """``count`` deeds of one person, a credit each, into the node's outbox."""
    opened = node_homes.open_home(served.home(AGENCY))
    cells = ("person", PERSON, "ชื่อสมมติ", "volunteer.elder-care", "0.125", "2026-10-01", "720803", "verified", "yes")

    def rows() -> Iterator[tuple[int, list[str]]]:
        for number in range(first, first + count):
            yield number, [f"B{number}", *cells]

    columns = {name: name for name in _COLUMNS if name != "record_id"}
    profile = Profile(source="bench", columns=columns, record_columns=("record_id",), calendar="gregorian")
    digest = hashlib.sha256(str(first).encode()).digest()
    export = Export(digest, count, _COLUMNS, rows(), lambda: None)
    node = opened.node
    report = importer.import_rows(node, profile, export)
    if report.accepted != count:
        raise RuntimeError(f"{report.accepted} of {count} deeds of the bench were accepted: {report.rejections[:1]}")
    node.db.close()


def _channel(socket: str) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(socket, grpc.local_channel_credentials(grpc.LocalConnectionType.UDS))


def _at(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def _ms(times: list[float], share: float) -> str:
    return f"{_at(times, share) * 1000:.1f} ms"
