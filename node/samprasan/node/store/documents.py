"""Joint documents as this node believes them, and those that wait for its approval."""

from typing import NamedTuple

import sqlalchemy as sa
from samprasan.keys.documents import Standing
from samprasan.ledger import agreement
from samprasan.ledger.agreement import Agreed
from samprasan.node.tables import activations, documents
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_ROSTER, Activate

_LATER = documents.alias()
_OWN = (_LATER.c.kind == documents.c.kind, _LATER.c.series == documents.c.series, _LATER.c.active)
_OVER = sa.and_(documents.c.series != "", sa.exists().where(*_OWN, _LATER.c.version > documents.c.version))
_IN_FORCE = sa.select(documents.c.envelope).where(documents.c.active, ~_OVER)
_IN_FORCE = _IN_FORCE.order_by(documents.c.kind, documents.c.version)
_DIGESTS = _IN_FORCE.with_only_columns(documents.c.digest)


def active(tx: sa.Connection) -> list[bytes]:
    """Envelopes in force, oldest version first, rosters before policies; of each series with a name the newest."""
    return list(tx.execute(_IN_FORCE).scalars())


def agreed_on(tx: sa.Connection) -> Agreed:
    """What the documents in force amount to."""
    return agreement.remembered(tuple(tx.execute(_DIGESTS).scalars()), lambda: active(tx))


def proposed(tx: sa.Connection) -> list[bytes]:
    """Envelopes that wait."""
    query = sa.select(documents.c.envelope).where(~documents.c.active)
    return list(tx.execute(query.order_by(documents.c.kind, documents.c.version, documents.c.digest)).scalars())


_VERSION = sa.select(sa.func.max(documents.c.version)).where(
    documents.c.kind == sa.bindparam("of_kind"), documents.c.series == sa.bindparam("of_series"), documents.c.active
)


def version_in_force(tx: sa.Connection, kind: int, series: str = "") -> int:
    """The newest version of ``kind`` in force, within ``series`` if it has several; 0 if there is none."""
    return tx.execute(_VERSION, {"of_kind": kind, "of_series": series}).scalar() or 0


def save(tx: sa.Connection, found: Standing, envelope: bytes, *, active: bool) -> None:
    """Store the document as it stands now."""
    values = {"envelope": envelope, "active": active}
    changed = tx.execute(documents.update().where(documents.c.digest == found.digest).values(values))
    if not changed.rowcount:
        new = {"digest": found.digest, "kind": found.kind, "series": found.series, "version": found.version}
        tx.execute(documents.insert().values(new | values))


def note_activation(tx: sa.Connection, said: Activate, log_index: int, appended_at: int) -> None:
    """Keep that the hub's chain puts a document into force, with the place and the moment that it first had."""
    row = {"digest": said.digest, "kind": said.document, "version": said.version}
    if activation(tx, said.digest) is None:
        tx.execute(activations.insert().values(row | {"log_index": log_index, "appended_at": appended_at}))


class Activation(NamedTuple):
    """As what the hub's chain put a document into force, where, and when, milliseconds since the Unix epoch."""

    kind: int
    version: int
    log_index: int
    appended_at: int


def activation(tx: sa.Connection, digest: bytes) -> Activation | None:
    """What the hub's chain says of the document, as far as it is kept."""
    columns = (activations.c.kind, activations.c.version, activations.c.log_index, activations.c.appended_at)
    row = tx.execute(sa.select(*columns).where(activations.c.digest == digest)).first()
    return Activation(*row) if row else None


def newest_activated(tx: sa.Connection, kind: int) -> int:
    """The newest version of a kind of which there is one series that the hub's chain puts into force; 0 if none."""
    return tx.execute(sa.select(sa.func.max(activations.c.version)).where(activations.c.kind == kind)).scalar() or 0


def find_active(tx: sa.Connection, digest: bytes) -> bytes | None:
    """The envelope of a document that is, or was, in force here."""
    own = (documents.c.digest == digest, documents.c.active)
    return tx.execute(sa.select(documents.c.envelope).where(*own)).scalar()


def roster(tx: sa.Connection, version: int) -> Roster | None:
    """The roster that was in force under that version."""
    own = (documents.c.kind == DOCUMENT_KIND_ROSTER, documents.c.version == version, documents.c.active)
    data = tx.execute(sa.select(documents.c.envelope).where(*own)).scalar()
    return Roster.FromString(Envelope.FromString(data).payload) if data else None


def forget_activations(tx: sa.Connection, log_index: int) -> None:
    """Forget those from there on: the log was cut."""
    tx.execute(activations.delete().where(activations.c.log_index >= log_index))


def is_another(tx: sa.Connection, kind: int, version: int, digest: bytes) -> bool:
    """Whether another document than that is in force under the version, here or by the hub's chain.

    Of kinds that all agencies count alike; an owner's catalogue and an integrator have versions of their own.
    """
    here = (documents.c.kind == kind, documents.c.series == "", documents.c.version == version, documents.c.active)
    in_log = (activations.c.kind == kind, activations.c.version == version)
    queries = (
        sa.select(documents.c.digest).where(*here, documents.c.digest != digest),
        sa.select(activations.c.digest).where(*in_log, activations.c.digest != digest),
    )
    return any(tx.execute(query).first() is not None for query in queries)


def is_proposed(tx: sa.Connection, digest: bytes) -> bool:
    """Whether the document waits for approvals, as far as this node has heard."""
    return (
        tx.execute(sa.select(documents.c.digest).where(documents.c.digest == digest, ~documents.c.active)).first()
        is not None
    )


def clear_proposed(tx: sa.Connection) -> None:
    """Forget what waits: the hub's list replaces it."""
    tx.execute(documents.delete().where(~documents.c.active))
