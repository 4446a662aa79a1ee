"""Joining, step by step: a bad application is refused before it uses up an invite or blocks a roster."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from samprasan.edge import database
from samprasan.edge.world import World
from samprasan.hub import home as hub_homes
from samprasan.hub.identity import Hub
from samprasan.hub.members import documents, joining
from samprasan.keys import certificates
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.signing import KeySigner
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Roster

from tests.federation import Clock

AGENCIES = ("codi", "mpc", "nhco")
CLOCK = Clock()
CA_KEY = certificates.new_key()
AUTHORITY = joining.Authority(CA_KEY, certificates.authority(CA_KEY, datetime.now(UTC)))


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = database.open_database("sqlite://")
    hub_homes.create_tables(made)
    yield Hub(made, World(KeySigner(b"\x09" * 32), CLOCK))
    made.close()


def apply(hub: Hub, agency: str, secret: bytes, key: int, **changes: Any) -> bytes:
    """Join as ``agency`` with an application that is good but for ``changes``."""
    signer = KeySigner(bytes([key]) * 32)
    values: dict[str, Any] = {
        "agency": agency,
        "signing_key": signer.public_key,
        "sealing_key": bytes([key]) * 32,
        "certificate_request": certificates.certificate_request(certificates.new_key(), agency),
    }
    envelope = World(signer, CLOCK).sign(hub_pb2.Application(**(values | changes)))
    request = hub_pb2.JoinRequest(invite_secret=secret, application=envelope)
    application = joining.examine(hub, request)
    return joining.join(hub, AUTHORITY, request, application)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"signing_key": b"short"}, Malformed),
        ({"signing_key": bytes(32)}, Unproven),
        ({"certificate_request": b"x"}, Malformed),
        ({"certificate_request": bytes(5000)}, Malformed),
        ({"sealing_key": b"x"}, Malformed),
    ],
)
def test_a_bad_application_leaves_the_invite_as_it_was(
    hub: Hub, changes: dict[str, Any], kind: type[SamprasanError]
) -> None:
    secret, _ = joining.invite(hub, "mpc", "MPC")
    with pytest.raises(kind):
        apply(hub, "mpc", secret, 1, **changes)
    assert apply(hub, "mpc", secret, 1)


@pytest.mark.parametrize("name", ["", "x" * 201, "\x1b[2Kศูนย์", "mpc \u202egpj", "one\ntwo", "[bold]\x00"])
def test_nobody_is_invited_under_a_name_that_speaks_to_terminals(hub: Hub, name: str) -> None:
    with pytest.raises(Malformed) as refused:
        joining.invite(hub, "mpc", name)
    assert refused.value.code == "agency_name"
    assert joining.invite(hub, "mpc", "ศูนย์คุณธรรม [MPC]")


def test_two_agencies_cannot_have_one_key(hub: Hub) -> None:
    secrets = {agency: joining.invite(hub, agency, agency)[0] for agency in ("mpc", "nhco")}
    apply(hub, "mpc", secrets["mpc"], 1)
    with pytest.raises(Malformed):
        apply(hub, "nhco", secrets["nhco"], 1)
    assert apply(hub, "nhco", secrets["nhco"], 2)


def test_an_unknown_invite_is_told_before_anything_is_read(hub: Hub) -> None:
    with pytest.raises(Refused):
        apply(hub, "mpc", bytes(32), 1, signing_key=b"short")


@pytest.mark.parametrize("agencies", [AGENCIES, AGENCIES[:2]])
def test_roster_1_has_no_key_but_plans_one_of_three_shares(hub: Hub, agencies: tuple[str, ...]) -> None:
    for number, agency in enumerate(agencies, 1):
        secret, _ = joining.invite(hub, agency, agency)
        apply(hub, agency, secret, number)
    assert documents.compose_roster(hub, b"the hub's authority")
    (proposed,) = documents.list_documents(hub.db).proposed
    roster = Roster.FromString(proposed.payload)
    assert not roster.HasField("linking")
    assert tuple(roster.plan.dealers) == (AGENCIES if len(agencies) == 3 else ())
