"""What stands in the log."""

from samprasan.v1 import log_pb2 as log

from tests.federation import Federation


def batches(fed: Federation, agency: str = "mpc") -> list[log.Batch]:
    """Everything the hub has of the agency, in order."""
    from samprasan.hub import store as hub_store
    from samprasan.v1.envelope_pb2 import Envelope

    with fed.hub.db.read() as tx:
        rows = [row for row in hub_store.log.entries(tx) if row.agency == agency]
    return [log.Batch.FromString(Envelope.FromString(row.batch).payload) for row in rows]
