"""Joint documents as they arrived, in force or waiting."""

from collections.abc import Iterable

import sqlalchemy as sa
from samprasan.edge.database import rows_where_in
from samprasan.hub.tables import dissents, documents, head
from samprasan.keys.documents import Standing
from samprasan.keys.rosters import HUB
from samprasan.ledger import agreement
from samprasan.ledger.agreement import Agreed
from samprasan.v1.documents_pb2 import Roster
from samprasan.v1.envelope_pb2 import Envelope
from samprasan.v1.log_pb2 import DOCUMENT_KIND_CATALOGUE, DOCUMENT_KIND_ROSTER

_LATER = documents.alias()
_OWN = (_LATER.c.kind == documents.c.kind, _LATER.c.series == documents.c.series, _LATER.c.active)
_OVER = sa.and_(documents.c.series != "", sa.exists().where(*_OWN, _LATER.c.version > documents.c.version))
_IN_FORCE = sa.select(documents.c.envelope).where(documents.c.active, ~_OVER)
_IN_FORCE = _IN_FORCE.order_by(documents.c.kind, documents.c.version)
_DIGESTS = _IN_FORCE.with_only_columns(documents.c.digest)


def active(tx: sa.Connection) -> list[bytes]:
    """Envelopes in force, oldest version first; rosters before policies."""
    query = sa.select(documents.c.envelope).where(documents.c.active)
    return list(tx.execute(query.order_by(documents.c.kind, documents.c.version)).scalars())


def current(tx: sa.Connection) -> list[bytes]:
    """Those of the envelopes in force that count: of each series with a name the newest."""
    return list(tx.execute(_IN_FORCE).scalars())


def agreed_on(tx: sa.Connection) -> Agreed:
    """What the documents in force amount to."""
    return agreement.remembered(tuple(tx.execute(_DIGESTS).scalars()), lambda: current(tx))


def ever_agreed_on(tx: sa.Connection) -> Agreed:
    """The same with every document that was ever in force, for whoever reads the log from its beginning."""
    return agreement.read_documents(active(tx))


def signers(tx: sa.Connection) -> dict[str, set[bytes]]:
    """Every raw public key that the hub and each agency ever had, as far as rosters in force have said."""
    keys: dict[str, set[bytes]] = {HUB: set()}
    own = (documents.c.kind == DOCUMENT_KIND_ROSTER, documents.c.active)
    for data in tx.execute(sa.select(documents.c.envelope).where(*own)).scalars():
        roster = Roster.FromString(Envelope.FromString(data).payload)
        keys[HUB].add(roster.hub.signing_key)
        for member in roster.members:
            keys.setdefault(member.agency, set()).add(member.signing_key)
    return keys


def published_since(tx: sa.Connection, owner: str, since: int) -> int:
    """How many catalogues the agency has published since."""
    own = (documents.c.kind == DOCUMENT_KIND_CATALOGUE, documents.c.series == owner, documents.c.proposed_at >= since)
    return tx.execute(sa.select(sa.func.count()).where(*own)).scalar_one()


def proposed(tx: sa.Connection) -> list[bytes]:
    """Envelopes that wait for approvals, oldest first."""
    query = sa.select(documents.c.envelope).where(~documents.c.active)
    return list(tx.execute(query.order_by(documents.c.proposed_at, documents.c.digest)).scalars())


def proposed_with_time(tx: sa.Connection) -> list[tuple[bytes, int]]:
    """Envelopes that wait for approvals, and when each came first, milliseconds since the Unix epoch."""
    query = sa.select(documents.c.envelope, documents.c.proposed_at).where(~documents.c.active)
    return [(row.envelope, row.proposed_at) for row in tx.execute(query)]


_VERSION = sa.select(sa.func.max(documents.c.version)).where(
    documents.c.kind == sa.bindparam("of_kind"), documents.c.series == sa.bindparam("of_series"), documents.c.active
)


def version_in_force(tx: sa.Connection, kind: int, series: str = "") -> int:
    """The newest version of ``kind`` in force, within ``series`` if it has several; 0 if there is none."""
    return tx.execute(_VERSION, {"of_kind": kind, "of_series": series}).scalar() or 0


def digest_in_force(tx: sa.Connection, kind: int, version: int) -> bytes:
    """The digest of the joint document that is in force under that version."""
    own = (documents.c.kind == kind, documents.c.series == "", documents.c.version == version, documents.c.active)
    return bytes(tx.execute(sa.select(documents.c.digest).where(*own)).scalar_one())


def find(tx: sa.Connection, digest: bytes) -> bytes | None:
    """The envelope of the document with that digest."""
    return tx.execute(sa.select(documents.c.envelope).where(documents.c.digest == digest)).scalar()


def in_force(tx: sa.Connection, digests: Iterable[bytes]) -> set[bytes]:
    """Which of these documents are, or ever were, in force."""
    return {row.digest for row in rows_where_in(tx, documents, documents.c.digest, digests) if row.active}


def proposals_by_proposer(tx: sa.Connection) -> dict[str, tuple[int, int]]:
    """Agency, or ``hub`` → how many of its proposals wait, and their bytes."""
    columns = (documents.c.proposed_by, sa.func.count(), sa.func.sum(sa.func.length(documents.c.envelope)))
    query = sa.select(*columns).where(~documents.c.active).group_by(documents.c.proposed_by)
    return {row[0]: (row[1], int(row[2])) for row in tx.execute(query)}


def save(tx: sa.Connection, found: Standing, envelope: bytes, now: int, *, active: bool, proposed_by: str = "") -> None:
    """Store the document, or the signatures and standing it has now; ``proposed_by`` is who brought it first."""
    values = {"envelope": envelope, "active": active}
    if active:
        tx.execute(dissents.delete().where(dissents.c.digest == found.digest))
    changed = tx.execute(documents.update().where(documents.c.digest == found.digest).values(values))
    if not changed.rowcount:
        new = {
            "digest": found.digest,
            "kind": found.kind,
            "series": found.series,
            "version": found.version,
            "proposed_at": now,
            "proposed_by": proposed_by,
        }
        tx.execute(documents.insert().values(new | values))
    note_change(tx)


def note_change(tx: sa.Connection) -> None:
    """Tell everybody to list them again."""
    tx.execute(head.update().values(documents_changed=head.c.documents_changed + 1))


def proposer_of(tx: sa.Connection, digest: bytes) -> str | None:
    """The agency that brought the proposal with that digest, or ``hub``; None if none waits."""
    own = (documents.c.digest == digest, ~documents.c.active)
    return tx.execute(sa.select(documents.c.proposed_by).where(*own)).scalar()


def drop(tx: sa.Connection, digest: bytes) -> None:
    """Forget one document."""
    tx.execute(documents.delete().where(documents.c.digest == digest))
    tx.execute(dissents.delete().where(dissents.c.digest == digest))
    note_change(tx)


def drop_proposed(tx: sa.Connection, kind: int, version: int, series: str = "") -> None:
    """Forget proposals of ``kind`` and ``series`` up to ``version``: another document has taken their place."""
    own = (documents.c.kind == kind, documents.c.series == series, ~documents.c.active, documents.c.version <= version)
    of_own = dissents.c.digest.in_(sa.select(documents.c.digest).where(*own))
    tx.execute(dissents.delete().where(of_own))
    tx.execute(documents.delete().where(*own))


def changed(tx: sa.Connection) -> int:
    """A number that grows with every change."""
    return int(tx.execute(sa.select(head.c.documents_changed)).scalar_one())
