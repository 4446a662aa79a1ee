"""No account of an agency stands in anything that another agency can read."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from google.protobuf.descriptor import Descriptor
from samprasan.edge import database
from samprasan.hub.tables import log as log_table
from samprasan.node import store as node_store
from samprasan.v1 import ceremony_pb2, documents_pb2, hub_pb2, linking_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope, Parcel

from tests import federation
from tests.federation import AGENCIES, Federation, deed
from tests.moving import approve, confirm, propose_split
from tests.reconciling import busy

# What everybody reads: the changes of the hub's own chain, joint documents, letters, and what the hub tells all alike.
OF_THE_HUB: tuple[Descriptor, ...] = (
    *(each.DESCRIPTOR for each in (log.Admitted, log.Activate, log.Expire, log.Turn, log.Withdrawn, log.Receipt)),
    *documents_pb2.DESCRIPTOR.message_types_by_name.values(),
    *linking_pb2.DESCRIPTOR.message_types_by_name.values(),
    *ceremony_pb2.DESCRIPTOR.message_types_by_name.values(),
    *(each.DESCRIPTOR for each in (Parcel, Envelope, hub_pb2.HelloResponse, hub_pb2.WitnessResponse, hub_pb2.Mail)),
)


@pytest.mark.parametrize("message", OF_THE_HUB, ids=lambda each: each.name)
def test_no_message_that_others_read_has_a_field_for_an_account(message: Descriptor) -> None:
    waiting, seen = [message], set()
    while waiting:
        each = waiting.pop()
        assert not {name for name in each.fields_by_name if "account_id" in name or name == "admission"}
        seen.add(each.name)
        waiting += [field.message_type for field in each.fields if field.message_type and field.name not in seen]


def test_no_node_holds_the_account_of_somebody_whom_it_does_not_know(tmp_path: Path) -> None:
    """After awards, redemptions, a move that others approve, and the whole of the hub's chain."""

    def make_database(name: str) -> database.Database:
        return database.open_database(f"sqlite:///{tmp_path}/{name}.db")

    fed = federation.make(make_database)
    busy(fed)
    for number, agency in enumerate(AGENCIES):
        fed.give(agency, deed(500 + number, 50 + number))
    fed.run()
    move = propose_split(fed, "R00003", right=9)
    assert confirm(fed, move) == "waiting"
    fed.run()
    approve(fed)
    fed.run()
    accounts = {each for agency in AGENCIES for each in told(fed, agency)}
    for agency in AGENCIES:
        held = b"".join(each.read_bytes() for each in sorted(tmp_path.glob(f"{agency}.db*")))
        own = told(fed, agency)
        assert own
        assert all(each in held for each in own), "it is looked for as it is stored"
        assert accounts - own
        assert not [each for each in accounts - own if each in held or each.hex().encode() in held]
    fed.close()


def told(fed: Federation, agency: str) -> set[bytes]:
    """The accounts that the hub has named to an agency: those in its own batches."""
    with fed.hub.db.read() as tx:
        query = sa.select(log_table.c.batch).where(log_table.c.agency == agency)
        batches = [log.Batch.FromString(Envelope.FromString(data).payload) for data in tx.execute(query).scalars()]
    with fed.nodes[agency].db.read() as tx:
        known = set(node_store.links.every_account(tx))
    return known | {update.link.account_id for batch in batches for update in batch.updates if update.HasField("link")}
