"""Joining, step by step: a bad application is refused before it uses up an invite or blocks a roster."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from samprasan.edge import database
from samprasan.edge.database import Database
from samprasan.edge.world import World
from samprasan.hub import home as hub_homes
from samprasan.hub.members import documents, joining
from samprasan.keys import certificates
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unproven
from samprasan.keys.signing import KeySigner
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Roster

from tests.federation import Clock

AGENCIES = ("codi", "mpc", "nhco")
CLOCK = Clock()
HUB = World(KeySigner(b"\x09" * 32), CLOCK)
CA_KEY = certificates.new_key()
AUTHORITY = joining.Authority(CA_KEY, certificates.authority(CA_KEY, datetime.now(UTC)))


@pytest.fixture
def db() -> Iterator[Database]:
    made = database.open_database("sqlite://")
    hub_homes.create_tables(made)
    yield made
    made.close()


def apply(db: Database, agency: str, secret: bytes, key: int, **changes: Any) -> bytes:
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
    application = joining.examine(db, HUB, request)
    return joining.join(db, HUB, AUTHORITY, request, application)


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
    db: Database, changes: dict[str, Any], kind: type[SamprasanError]
) -> None:
    secret, _ = joining.invite(db, HUB, "mpc", "MPC")
    with pytest.raises(kind):
        apply(db, "mpc", secret, 1, **changes)
    assert apply(db, "mpc", secret, 1)


def test_two_agencies_cannot_have_one_key(db: Database) -> None:
    secrets = {agency: joining.invite(db, HUB, agency, agency)[0] for agency in ("mpc", "nhco")}
    apply(db, "mpc", secrets["mpc"], 1)
    with pytest.raises(Malformed):
        apply(db, "nhco", secrets["nhco"], 1)
    assert apply(db, "nhco", secrets["nhco"], 2)


def test_an_unknown_invite_is_told_before_anything_is_read(db: Database) -> None:
    with pytest.raises(Refused):
        apply(db, "mpc", bytes(32), 1, signing_key=b"short")


@pytest.mark.parametrize("agencies", [AGENCIES, AGENCIES[:2]])
def test_roster_1_has_no_key_but_plans_one_of_three_shares(db: Database, agencies: tuple[str, ...]) -> None:
    for number, agency in enumerate(agencies, 1):
        secret, _ = joining.invite(db, HUB, agency, agency)
        apply(db, agency, secret, number)
    assert documents.compose_roster(db, HUB, b"the hub's authority")
    (proposed,) = documents.listed(db).proposed
    roster = Roster.FromString(proposed.payload)
    assert not roster.HasField("linking")
    assert tuple(roster.plan.dealers) == (AGENCIES if len(agencies) == 3 else ())
