"""Counters over the wire: real nodes, their local service, the command line, and a hub that goes away."""

import asyncio
import itertools
import json
import stat
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from federation import SAMPLES, Federation
from samprasan.edge import wire
from samprasan.v1 import counter_pb2, counter_pb2_grpc

from tests import local
from tests.federation import citizen

RULES = '[[benefit]]\ncode = "one"\ntitle = { th = "หนึ่ง", en = "One" }\ncredits = 1\n'
RULES += "valid_from = 2026-01-01\nvalid_until = 2027-12-31\n"
REDEEMERS = 64
AGENCIES = ("mpc", "codi")
PERSON = citizen(4711)
BALANCE = 100
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    folder = tmp_path_factory.mktemp("counters") / "federation"
    local_federation = local.copied(template, folder)
    for agency in AGENCIES:
        with (local_federation.home(agency) / "node.toml").open("a", encoding="utf-8") as file:
            file.write(f'counter = "unix:{socket_of(local_federation, agency)}"\noffline_credits_max = 3\n')
    try:
        local_federation.start()
        catalogue = folder / "codi.toml"
        catalogue.write_text(RULES, "utf-8")
        local.said(local_federation, "codi", "benefit", "publish", str(catalogue))
        asyncio.run(prepare(local_federation))
        yield local_federation
    finally:
        local_federation.stop()


def socket_of(served: Federation, agency: str) -> str:
    return f"{served.folder}/{agency}.sock"


@asynccontextmanager
async def counter(served: Federation, agency: str) -> AsyncIterator[Any]:
    credentials = grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    async with grpc.aio.secure_channel(f"unix:{socket_of(served, agency)}", credentials) as channel:
        yield counter_pb2_grpc.CounterStub(channel)


def person() -> counter_pb2.Subject:
    return counter_pb2.Subject(scheme="th-pid", id=PERSON)


def record(credits_: int, **changes: Any) -> counter_pb2.RecordDeedRequest:
    """A verified deed worth ``credits_`` (8 an hour)."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "source": "app",
        "record_id": f"A{number}",
        "subject_kind": "person",
        "subject": person(),
        "subject_name": "ชื่อสมมติ",
        "category": "volunteer.elder-care",
        "quantity": str(credits_ / 8),
        "occurred_on": "2026-10-01",
        "area_code": "720803",
        "status": "verified",
        "consent": True,
    }
    return counter_pb2.RecordDeedRequest(**(values | changes))


async def prepare(served: Federation) -> None:
    """The person is known and linked at both agencies, which know of the benefit; everything owned is spent again."""
    ends = time.monotonic() + 30
    while not all("codi/one" in json.dumps(served.answer(agency, "benefit", "list")) for agency in AGENCIES):
        assert time.monotonic() < ends, "the news of a catalogue did not come"
        await asyncio.sleep(0.2)
    for agency in AGENCIES:
        async with counter(served, agency) as stub:
            assert (await stub.RecordDeed(record(8))).outcome == "accepted"
        assert served.answer(agency, "sync", "--wait", "60")["pending"] == 0
    await spend(served, 16)


async def spend(served: Federation, times: int) -> None:
    async with counter(served, "mpc") as stub:
        for _ in range(times):
            assert (await redeem(stub)).state == "posted"


async def redeem(stub: Any, op_id: bytes | None = None, **changes: Any) -> counter_pb2.Redemption:
    values: dict[str, Any] = {"subject": person(), "benefit": "codi/one", "authorised_by": "card"}
    request = counter_pb2.RedeemRequest(op_id=op_id or uuid.uuid4().bytes, **(values | changes))
    found: counter_pb2.Redemption = (await stub.Redeem(request, timeout=30)).redemption
    return found


async def code_of(call: Any) -> str:
    """The code of our error that the call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as problem:
        return wire.from_rpc_error(problem).code
    return ""


async def available(served: Federation, agency: str) -> int:
    async with counter(served, agency) as stub:
        found = await stub.Balance(counter_pb2.BalanceRequest(subject=person()), timeout=20)
    return int(found.available)


async def test_two_agencies_with_64_redeemers_each_spend_exactly_what_there_is(
    served: Federation, numbers: Callable[[int, int, int], range], record_property: Callable[[str, object], None]
) -> None:
    rounds = numbers(15, 30, 500)
    begun = time.perf_counter()
    async with counter(served, "mpc") as first, counter(served, "codi") as second:
        for number in rounds:
            await give(served, first, BALANCE)
            asked = [redeem(stub) for stub in (first, second) for _ in range(REDEEMERS)]
            states = [each.state for each in await asyncio.gather(*asked)]
            assert (states.count("posted"), states.count("declined")) == (BALANCE, 2 * REDEEMERS - BALANCE), number
        assert (await first.Balance(counter_pb2.BalanceRequest(subject=person()))).available == 0
    each_second = len(rounds) * 2 * REDEEMERS / (time.perf_counter() - begun)
    record_property("redemptions/s", f"{each_second:.0f} in {len(rounds)} rounds")
    assert local.said(served, "hub", "audit")["problems"] == []


async def give(served: Federation, stub: Any, credits_: int) -> None:
    """The person earns so much, and the hub knows."""
    assert (await stub.RecordDeed(record(credits_ - credits_ % 8))).outcome == "accepted"
    if credits_ % 8:
        assert (await stub.RecordDeed(record(credits_ % 8))).outcome == "accepted"
    ends = time.monotonic() + 20
    while (await stub.Balance(counter_pb2.BalanceRequest(subject=person()))).available < credits_:
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


async def test_asked_again_with_the_same_op_id_it_is_the_same(served: Federation) -> None:
    op_id = uuid.uuid4().bytes
    async with counter(served, "mpc") as stub:
        await give(served, stub, 8)
        answers = await asyncio.gather(*(redeem(stub, op_id) for _ in range(5)))
        assert {(each.state, each.receipt, each.hold) for each in answers} == {
            ("posted", answers[0].receipt, answers[0].hold)
        }
        assert answers[0].subject == "ชื่อ***"
        assert await code_of(redeem(stub, op_id, reserve_only=True)) == "op_reused"
        cancelled = (await stub.Cancel(counter_pb2.CancelRequest(op_id=op_id))).redemption
        again = (await stub.Cancel(counter_pb2.CancelRequest(op_id=op_id))).redemption
        assert (cancelled.state, again.state, cancelled.refunded) == ("refunded", "refunded", 1)
        held = await redeem(stub, reserve_only=True)
        voided = (await stub.Cancel(counter_pb2.CancelRequest(op_id=held.op_id))).redemption
        assert (held.state, voided.state) == ("held", "voided")
    assert await available(served, "codi") == 8
    await spend(served, 8)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"op_id": b"short"}, "op_id"),
        ({"subject": counter_pb2.Subject(scheme="x", id=PERSON)}, "scheme"),
        ({"subject": counter_pb2.Subject(scheme="th-pid", id="1234567890123")}, "id_check_digit"),
        ({"subject": counter_pb2.Subject(scheme="th-pid", id=citizen(99))}, "subject_unknown"),
        ({"benefit": "codi"}, "benefit_unknown"),
        ({"benefit": "nhco/one"}, "benefit_unknown"),
        ({"authorised_by": "face"}, "authorised_by"),
        ({"ttl_seconds": 4_000_000_000}, "hold_too_long"),
    ],
)
async def test_what_an_application_asks_wrongly_is_answered_with_its_code(
    served: Federation, changes: dict[str, Any], code: str
) -> None:
    async with counter(served, "mpc") as stub:
        assert await code_of(redeem(stub, changes.pop("op_id", None), **changes)) == code


async def test_records_of_an_application_are_imported_with_the_importers_rules(served: Federation) -> None:
    async with counter(served, "mpc") as stub:
        told = record(8, status="pending")
        assert (await stub.RecordDeed(told)).outcome == "accepted"
        assert (await stub.RecordDeed(told)).outcome == "unchanged"
        told.quantity = "3"
        assert (await stub.RecordDeed(told)).outcome == "corrected"
        told.quantity = "900"
        found = await stub.RecordDeed(told)
        assert (found.outcome, found.reason) == ("rejected", "quantity_over_limit")
        assert found.message_th != found.message_en
        assert await code_of(stub.RecordDeed(record(8, source=""))) == "source"


def test_only_the_owner_may_connect_to_the_socket(served: Federation) -> None:
    assert stat.S_IMODE(Path(socket_of(served, "mpc")).stat().st_mode) & 0o077 == 0


async def test_an_application_calls_over_mutual_tls_and_nobody_else(served: Federation, tmp_path: Path) -> None:
    served.kill("nhco")
    with (served.home("nhco") / "node.toml").open("a", encoding="utf-8") as file:
        file.write('counter = "127.0.0.1:0"\n')
    said: list[str] = []
    wait_ready, served.wait_ready = served.wait_ready, lambda party: said.append(read_ready(served, party))  # type: ignore[method-assign]
    served.start("nhco")
    served.wait_ready = wait_ready  # type: ignore[method-assign]
    at = json.loads(said[0].removeprefix("ready "))["counter"]
    served.run("nhco", "application", "frontdesk", "--out", str(tmp_path / "app.pem"))
    assert stat.S_IMODE((tmp_path / "app.pem").stat().st_mode) & 0o077 == 0
    pem = (tmp_path / "app.pem").read_bytes()
    key, own, authority = split_pem(pem)
    request = counter_pb2.BalanceRequest(subject=person())
    for credentials, code in (
        (grpc.ssl_channel_credentials(authority, key, own), "subject_unknown"),
        (grpc.ssl_channel_credentials(authority), "hub_unreachable"),
    ):
        async with grpc.aio.secure_channel(at, credentials) as channel:
            assert await code_of(counter_pb2_grpc.CounterStub(channel).Balance(request, timeout=10)) == code


def read_ready(served: Federation, party: str) -> str:
    output = served.processes[party].stdout
    assert output is not None
    return output.readline()


def split_pem(pem: bytes) -> list[bytes]:
    begin = b"-----BEGIN "
    return [begin + part for part in pem.split(begin)[1:]]


def test_the_command_line_redeems_shows_and_gives_back(served: Federation) -> None:
    asyncio.run(give_some(served, 16))
    redeemed = local.said(served, "mpc", "redeem", "--id", PERSON, "--benefit", "codi/one", "--authorised-by", "card")
    assert (redeemed["state"], redeemed["available"], redeemed["receipt"][:4]) == ("posted", 15, "MPC-")
    held = local.said(
        served, "mpc", "redeem", "--id", PERSON, "--benefit", "codi/one", "--authorised-by", "otp", "--reserve-only"
    )
    posted = local.said(served, "mpc", "redemptions", "post", held["redemption_id"])
    assert (held["state"], posted["state"]) == ("held", "posted")
    listed = local.said(served, "mpc", "redemptions", "list")
    assert [each["redemption_id"] for each in listed[:2]] == [held["redemption_id"], redeemed["redemption_id"]]
    back = local.said(served, "codi", "redemptions", "refund", redeemed["hold"], "--credits", "1")
    assert back["state"] == "refunded"
    declined = served.run(
        "mpc", "redeem", "--id", PERSON, "--benefit", "codi/two", "--authorised-by", "card", "--lang", "th", check=False
    )
    assert declined.returncode == 1
    assert "ไม่มีสิทธิประโยชน์ codi/two" in declined.stderr
    shown = served.run("mpc", "redemptions", "show", posted["redemption_id"], "--lang", "th").stdout
    assert "ใบรับการแลก" in shown
    assert PERSON not in shown
    asyncio.run(spend(served, 15))


async def give_some(served: Federation, credits_: int) -> None:
    async with counter(served, "mpc") as stub:
        await give(served, stub, credits_)


def test_a_second_try_of_what_is_spent_is_declined_in_words(served: Federation) -> None:
    asked = ("redeem", "--id", PERSON, "--benefit", "codi/one", "--authorised-by", "card", "--lang", "th")
    done = served.run("mpc", *asked, check=False)
    assert done.returncode == 1
    assert "เครดิตไม่พอ" in done.stdout


async def test_the_hub_away_a_counter_says_so_and_the_owner_may_risk_a_little(served: Federation) -> None:
    async with counter(served, "codi") as own, counter(served, "mpc") as other:
        await give(served, other, 8)
        assert (await own.Balance(counter_pb2.BalanceRequest(subject=person()))).available == 8
        assert (await other.Balance(counter_pb2.BalanceRequest(subject=person()))).fresh
        served.kill("hub")
        await gone(other)
        assert await code_of(redeem(other)) == "counter_offline", "another agency's benefit is not risked"
        risked = [await redeem(own) for _ in range(3)]
        assert [(each.state, each.on_own_risk) for each in risked] == [("asked", True)] * 3
        assert await code_of(redeem(own)) == "counter_offline", "three credits a subject and no more"
    offline = served.run(
        "mpc", "redeem", "--id", PERSON, "--benefit", "codi/one", "--authorised-by", "card", "--lang", "en", check=False
    )
    assert offline.returncode == 1
    assert "nothing was redeemed" in offline.stderr
    served.restart("hub")
    assert served.answer("codi", "sync", "--wait", "60")["pending"] == 0
    listed = local.said(served, "codi", "redemptions", "list")
    assert [each["state"] for each in listed[:3]] == ["posted"] * 3
    assert await available(served, "codi") == 5
    await until_connected(served)
    await spend(served, 5)


async def gone(stub: Any) -> None:
    ends = time.monotonic() + 20
    while (await stub.Balance(counter_pb2.BalanceRequest(subject=person()), timeout=20)).fresh:
        assert time.monotonic() < ends
        await asyncio.sleep(0.1)


async def until_connected(served: Federation) -> None:
    """What both agencies record reaches the hub; it is spent again."""
    for agency in AGENCIES:
        async with counter(served, agency) as stub:
            earned = await earned_by_all(stub)
            assert (await stub.RecordDeed(record(8))).outcome == "accepted"
            ends = time.monotonic() + 30
            while await earned_by_all(stub) < earned + 8:
                assert time.monotonic() < ends
                await asyncio.sleep(0.1)
    await spend(served, 16)


async def earned_by_all(stub: Any) -> int:
    return int((await stub.Balance(counter_pb2.BalanceRequest(subject=person()), timeout=20)).earned)


async def test_a_node_killed_while_redeeming_ends_in_one_outcome(served: Federation) -> None:
    async with counter(served, "mpc") as stub:
        await give(served, stub, 40)
        ops = [uuid.uuid4().bytes for _ in range(20)]
        calls = [asyncio.create_task(code_of(redeem(stub, op_id))) for op_id in ops]
        await asyncio.sleep(0.05)
        served.kill("mpc")
        await asyncio.gather(*calls)
    served.start("mpc")
    await until_connected(served)
    async with counter(served, "mpc") as stub:
        answers = [await redeem(stub, op_id) for op_id in ops]
    assert {each.state for each in answers} == {"posted"}
    assert await available(served, "codi") == 20
    assert local.said(served, "hub", "audit")["problems"] == []
    await spend(served, 20)


async def test_a_hub_killed_while_somebody_waits_is_told_at_once_and_nothing_is_spent_twice(
    served: Federation,
) -> None:
    async with counter(served, "mpc") as stub:
        await give(served, stub, 24)
        ops = [uuid.uuid4().bytes for _ in range(24)]
        calls = [asyncio.create_task(code_of(redeem(stub, op_id))) for op_id in ops]
        await asyncio.sleep(0.03)
        served.kill("hub")
        begun = time.monotonic()
        codes = set(await asyncio.gather(*calls))
        assert codes <= {"", "counter_offline", "redemption_pending"}
        assert time.monotonic() - begun < 10
        again = {await code_of(redeem(stub, op_id)) for op_id in ops}
        assert again <= {"", "counter_offline", "redemption_pending"}
    served.restart("hub")
    await until_connected(served)
    async with counter(served, "mpc") as stub:
        assert {(await redeem(stub, op_id)).state for op_id in ops} == {"posted"}
    assert await available(served, "codi") == 0
    assert local.said(served, "hub", "audit")["problems"] == []


def test_the_samples_catalogue_is_published_and_listed_everywhere(served: Federation) -> None:
    published = local.said(served, "mpc", "benefit", "publish", str(SAMPLES / "benefits" / "codi.toml"))
    assert (published["agency"], published["benefits"]) == ("mpc", 2)
    listed = local.said(served, "nhco", "benefit", "list")["benefits"]
    assert [each["benefit"] for each in listed] == ["codi/one", "mpc/learning-trip", "mpc/seedlings"]
    table = served.run("nhco", "benefit", "list", "--lang", "th").stdout
    assert "01/10/2569" in table
