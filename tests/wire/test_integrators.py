"""Integrators over the wire: nobody reads what is not for him."""

import asyncio
import base64
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from federation import AGENCIES
from samprasan.client import blocking
from samprasan.client.connection import Connection, open_channel
from samprasan.edge import wire
from samprasan.hub import home as hub_homes
from samprasan.hub.members.joining import Authority
from samprasan.hub.tables import subjects
from samprasan.keys import certificates
from samprasan.keys.credentials import Credentials
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.node import home as node_homes
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import changes_pb2_grpc, hub_pb2

from tests import commands, integrating
from tests.federation import deed
from tests.integrating import SOON, SUBJECTS, Shown, follow_until_now
from tests.privacy import Scanner
from tests.recording import channel

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_no_other_certificate_reads_changes_and_an_integrators_reads_nothing_else(shown: Shown, tmp_path: Path) -> None:
    own = Credentials.decode(shown.app.read_bytes())
    opened = hub_homes.open_home(shown.served.home("hub"))
    hub = opened.hub
    node = node_homes.open_home(shown.served.home("mpc"))
    assert node.certificate is not None
    node.node.db.close()
    hub.db.close()
    request = certificates.certificate_request(certificates.load_key(own.key.encode()), "welfare-app")

    def signed(authority: Any, moment: datetime) -> bytes:
        return certificates.client_certificate(
            request, "welfare-app", authority.key, authority.certificate, moment, certificates.INTEGRATOR
        )

    now = datetime.now(UTC)
    another_key = certificates.new_key()
    another = Authority(another_key, certificates.authority(another_key, now))
    certificate = {
        "never issued": signed(opened.authority, now),
        "expired": signed(opened.authority, now - timedelta(days=1100)),
        "of another authority": signed(another, now),
    }
    refused = {
        "never issued": "certificate_unknown",
        "expired": "hub_unreachable",
        "of another authority": "hub_unreachable",
    }
    for name, der in certificate.items():
        issued = replace(own.complete, certificate=certificates.pem_of(der).decode())
        assert code_of(replace(own, issued=issued)) == refused[name], name
    agencys = replace(
        own,
        key=node.ring.get("tls").decode(),
        issued=replace(own.complete, certificate=certificates.pem_of(node.certificate).decode()),
    )
    assert code_of(agencys) == "certificate_integrator"

    async def hello() -> None:
        key = own.key.encode()
        der = x509.load_pem_x509_certificate(own.complete.certificate.encode()).public_bytes(Encoding.DER)
        async with Connection(open_channel(own.complete.hub, opened.authority.certificate, key, der)) as member:
            await member.hello(hub_pb2.HelloRequest())

    with pytest.raises(Unproven) as told:
        asyncio.run(hello())
    assert told.value.code == "certificate_agency"


def code_of(credentials: Credentials, **asked: Any) -> str:
    """With which error a stream ends, or begins none."""

    async def run() -> str:
        async with channel(credentials) as opened:
            stub: Any = changes_pb2_grpc.ChangesStub(opened)
            try:
                async for word in stub.Follow(v1.FollowRequest(**asked), timeout=20):
                    if word.HasField("bookmark"):
                        return ""
            except Exception as problem:
                return wire.from_rpc_error(problem).code
        return ""

    return asyncio.run(run())


BAD_CURSORS = {
    "garbage": b"\x07" * 16,
    "too short": b"\x07" * 15,
    "too long": b"\x07" * 400,
}


@pytest.mark.parametrize("name", BAD_CURSORS)
def test_a_cursor_that_is_none_is_told_so(shown: Shown, name: str) -> None:
    own = Credentials.decode(shown.app.read_bytes())
    assert code_of(own, after=BAD_CURSORS[name]) == "cursor"
    done = commands.client("follow", "--credentials", str(shown.app), "--after", BAD_CURSORS[name].hex())
    assert done.returncode == 1
    assert "cursor" in done.stderr


def test_a_cursor_serves_its_own_subscription_of_its_own_integrator(shown: Shown) -> None:
    apps, banks = (bytes.fromhex(follow_until_now(each)[-1]["cursor"]) for each in (shown.app, shown.bank))
    app, bank = (Credentials.decode(each.read_bytes()) for each in (shown.app, shown.bank))
    assert code_of(app, after=apps) == ""
    assert code_of(app, after=banks) == "cursor"
    assert code_of(bank, after=apps) == "cursor"
    assert code_of(app, after=apps, subscription="other") == "cursor"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["agency=onep"], "filter_unknown"),
        (["dimension=luck"], "scope_word"),
        (["dimension=economy"], "scope_exceeded"),
        (["cause=post"], "scope_exceeded"),
    ],
)
def test_what_is_not_in_scope_cannot_be_asked_for(shown: Shown, words: list[str], code: str) -> None:
    with pytest.raises(SamprasanError) as told:
        next(blocking.follow(shown.bank, only=words))
    assert told.value.code == code


def test_a_revoked_integrator_is_cut_off_within_a_minute(shown: Shown, tmp_path: Path) -> None:
    credentials = integrating.admit(shown.served, "shop", tmp_path)
    stream = blocking.follow(credentials, bookmarks=True)
    while next(stream).type != "bookmark":
        pass
    shown.served.run("hub", "integrator", "revoke", "shop")
    begun = time.monotonic()
    with pytest.raises(Unproven) as told:
        deque(stream, maxlen=0)
    assert told.value.code == "integrator_revoked"
    assert time.monotonic() - begun < 60
    print(f"revoked after {time.monotonic() - begun:.1f} s")
    assert code_of(Credentials.decode(credentials.read_bytes())) == "integrator_revoked"
    again = commands.client("follow", "--credentials", str(credentials))
    assert again.returncode == 1
    assert "shop" in again.stderr


def test_other_handles_begin_with_a_snapshot(shown: Shown, tmp_path: Path) -> None:
    credentials = integrating.admit(shown.served, "clinic", tmp_path)
    handles = {each.handle for each in blocking.snapshot(credentials)} - {None}
    cursor = follow_until_now(credentials)[-1]["cursor"]
    shown.served.run("hub", "integrator", "change-handles", "clinic")
    follow_until_now(credentials)  # what held a moment ago does not end a stream that begins now
    with pytest.raises(Refused) as told:
        next(blocking.follow(credentials, after=cursor, start_over=False))
    assert (told.value.code, told.value.values["reason"]) == ("cursor_too_old", "handles_changed")
    stream = blocking.follow(credentials, after=cursor, bookmarks=True)
    assert next(stream).type == "reset"
    others = set()
    while (change := next(stream)).type != "bookmark":
        others.add(change.handle)
    assert len(others - {None}) == len(handles) > 10
    assert not handles & others


def test_an_apps_user_is_found_by_a_token_and_by_nobody_else(shown: Shown) -> None:
    digits = deed(0, 3).subject.reveal()
    for agency in AGENCIES:  # whoever knows this person, agrees
        shown.served.run(agency, "consent", "give", "--id", digits, "--purpose", "integrators", check=False)
    shown.load.wait()
    token = shown.served.answer("mpc", "handle", "--id", digits, "--integrator", "welfare-app")["token"]
    (found,) = integrating.documents(commands.client("resolve", token, "--credentials", str(shown.app)))
    assert found["handle"] in {each.handle for each in blocking.snapshot(shown.app)}
    assert digits not in token
    stolen = commands.client("resolve", token, "--credentials", str(shown.bank))
    assert stolen.returncode == 1
    assert commands.client("resolve", token[:-8], "--credentials", str(shown.app)).returncode == 1


def test_the_operator_sees_how_far_a_subscription_has_come(shown: Shown) -> None:
    stream = blocking.follow(shown.app, subscription="ledger", bookmarks=True)
    for change in stream:
        if change.type == "bookmark":
            break
    next(stream)  # what came before is dealt with
    (found,) = (each for each in shown.served.answer("hub", "integrator", "list") if each["name"] == "welfare-app")
    (one,) = (each for each in found["subscriptions"] if each["subscription"] == "ledger")
    assert one["behind"] < 10
    assert not one["is_silent"]
    stream.close()  # type: ignore[attr-defined]


def raw(credentials: Path, method: str) -> list[bytes]:
    """All messages that is sent to an integrator until it has caught up, as it is on the wire."""

    async def run() -> list[bytes]:
        found = []
        async with channel(Credentials.decode(credentials.read_bytes())) as opened:
            ask: Any = opened.unary_stream(f"/samprasan.v1.Changes/{method}")
            call = ask(b"")
            async for data in call:
                found.append(data)
                if method == "Follow" and v1.FollowResponse.FromString(data).HasField("bookmark"):
                    call.cancel()
                    break
        return found

    return asyncio.run(run())


def test_two_integrators_have_no_name_in_common_and_none_of_the_hubs(shown: Shown) -> None:
    def names(credentials: Path) -> set[bytes]:
        events = [
            event for word in raw(credentials, "Follow") for event in v1.FollowResponse.FromString(word).page.events
        ]
        return {name for each in events for name in (each.id, each.cursor, each.handle) if name}

    apps, banks = names(shown.app), names(shown.bank)
    assert len(apps) > 60
    assert len(banks) > 60
    assert not apps & banks
    asked = [(each, method) for each in (shown.app, shown.bank) for method in ("Follow", "Snapshot")]
    bytes_of_both = b"".join(message for each, method in asked for message in raw(each, method))
    people = [deed(0, number) for number in range(SUBJECTS)]
    scanner = Scanner([each.subject.reveal() for each in people], [each.subject_name for each in people])
    assert scanner.hits(people[0].subject_name.encode() + bytes_of_both) == {"name"}  # it does find one
    assert scanner.hits(bytes_of_both) == set()
    _, db = hub_homes.open_database(shown.served.home("hub"))
    with db.read() as tx:
        rows = tx.execute(sa.select(subjects.c.subject_key, subjects.c.account_id)).all()
    db.close()
    assert len(rows) > SUBJECTS // 2
    for name in {name for row in rows for name in row}:
        for form in (name, name.hex().encode(), base64.b64encode(name)[:-2]):
            assert form not in bytes_of_both


def test_the_readmes_python_follows_as_it_stands(shown: Shown, tmp_path: Path) -> None:
    (program,) = re.findall(
        r"^```python\n(from samprasan.client import follow.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    assert len([line for line in program.splitlines() if line]) <= 5
    shutil.copy(shown.app, tmp_path / "welfare-app.credentials")
    command = [sys.executable, "-u", "-c", program]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().split() for _ in range(5)]
        process.kill()
    standing = {each.handle: each.earned for each in blocking.snapshot(shown.app)}
    for what, handle, earned in told:
        assert (what, standing[handle]) == ("linked", int(earned))


def test_a_program_that_ends_in_the_middle_of_a_stream_ends(shown: Shown) -> None:
    program = f"from samprasan.client import follow\nchanges = follow({str(shown.app)!r})\nprint(next(changes).type)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SOON)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reset\n", "")
