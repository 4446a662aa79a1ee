"""Hello: both sides say their head of the caller's chain, and how many ids were evaluated for whom."""

from collections.abc import Sequence

from samprasan.edge.database import Database, Tx
from samprasan.hub import limits, store
from samprasan.hub.accounts import evaluations, rotation_progress
from samprasan.hub.identity import Hub
from samprasan.hub.log import intake
from samprasan.hub.members import probing_alarm
from samprasan.hub.recovery import recovery
from samprasan.keys import rosters
from samprasan.keys.errors import Unavailable, Unproven
from samprasan.v1 import hub_pb2, log_pb2
from samprasan.v1.envelope_pb2 import Envelope


def answer_hello(hub: Hub, agency: str, request: hub_pb2.HelloRequest) -> hub_pb2.HelloResponse:
    """The hub's head of ``agency``'s chain, its clock, what is in force, and what came of everybody's evaluations.

    Raises Unproven ``federation`` for another's, ``evaluation_total`` for a count that not both agencies have signed.
    """
    now = hub.world.now()
    with hub.db.begin() as tx:
        federation_id = store.documents.agreed_on(tx).federation_id
        if request.federation_id and request.federation_id != federation_id:
            raise Unproven("federation", kind="Hello")
        ahead = hub.world.others.ahead_of(agency, now) if hub.world.others else 0
        store.members.note_seen(tx, agency, now, ahead)
        if request.evaluated and store.recovery.current(tx) is None and hub.world.is_right():
            _hear_of_evaluations(tx, hub, agency, request.evaluated)
        head = store.log.chain_head(tx, agency)
        own = store.log.chain_head(tx, rosters.HUB)
        running = rotation_progress.rotation_progress(tx)
        cut_version = store.documents.version_in_force(tx, log_pb2.DOCUMENT_KIND_CUT)
        recovers = recovery.hear_receipt(tx, hub.world, agency, request)
        return hub_pb2.HelloResponse(
            federation_id=federation_id,
            agency=agency,
            head=hub_pb2.Head(seq=head.seq, digest=head.digest),
            now=now,
            roster_version=store.documents.version_in_force(tx, log_pb2.DOCUMENT_KIND_ROSTER),
            policy_version=store.documents.version_in_force(tx, log_pb2.DOCUMENT_KIND_POLICY),
            rotation=hub_pb2.Rotation(key_epoch=running.key_epoch, not_moved=running.not_moved) if running else None,
            linking_use=[_use_message(each) for each in probing_alarm.linking_use(tx, now)],
            recovering=recovers,
            refeed=recovers and recovery.is_wanted(tx, agency),
            own_head=hub_pb2.Head(seq=own.seq, digest=own.digest),
            damaged=list(store.damages.first(tx, limits.DAMAGES_SHOWN)),
            cut_version=cut_version,
            rest=recovery.rest_of_log(tx, hub.world),
        )


def _hear_of_evaluations(tx: Tx, hub: Hub, agency: str, told: Sequence[Envelope]) -> None:
    """The log hears of what was evaluated even if nobody asks for an account, or the one keeps it back."""
    if found := evaluations.news(tx, hub.world, told, agency):
        intake.append_own(tx, hub.world, found)


def _use_message(use: probing_alarm.Use) -> hub_pb2.LinkingUse:
    return hub_pb2.LinkingUse(
        agency=use.agency,
        evaluated=use.evaluated,
        used=use.used,
        unused=use.unused,
        probing=use.is_probing,
        alone=use.alone,
    )


def identify_caller(db: Database, fingerprint: bytes, named: str, *, to_recover: bool = False) -> str:
    """The agency of a certificate that this hub issued and that names it; else Unproven ``certificate_unknown``.

    Unavailable ``hub_recovering`` while the hub recovers, for all that is not ``to_recover``.
    """
    with db.read() as tx:
        agency = store.members.agency_of_certificate(tx, fingerprint)
        if agency is not None and not to_recover and store.recovery.current(tx) is not None:
            raise Unavailable("hub_recovering")
    if agency is None or agency != named:
        raise Unproven("certificate_unknown")
    return agency
