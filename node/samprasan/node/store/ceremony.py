"""Key ceremonies as far as they have come: what was drawn, every message, letters to be posted, and the shares made."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import row_as, rows_as
from samprasan.node.rows import CeremonyLetterRow, CeremonyMessageRow, CeremonyRow
from samprasan.node.tables import ceremonies, ceremony_letters, ceremony_messages, documents, shares

_NEWEST = sa.select(ceremonies).where(ceremonies.c.roster_digest == sa.bindparam("roster"))
_NEWEST = _NEWEST.order_by(ceremonies.c.attempt.desc()).limit(1)


def newest(tx: sa.Connection, roster_digest: bytes) -> CeremonyRow | None:
    """The newest attempt under a roster."""
    return row_as(CeremonyRow, tx.execute(_NEWEST, {"roster": roster_digest}).first())


_HEARD_OF = sa.select(sa.func.max(ceremony_messages.c.attempt))
_HEARD_OF = _HEARD_OF.where(ceremony_messages.c.roster_digest == sa.bindparam("roster"))


def newest_attempt_heard_of(tx: sa.Connection, roster_digest: bytes) -> int:
    """The newest attempt of which there is a message; 0 if there is none."""
    return tx.execute(_HEARD_OF, {"roster": roster_digest}).scalar() or 0


def begin_attempt(tx: sa.Connection, roster_digest: bytes, attempt: int, sealed_line: bytes | None) -> None:
    """An attempt of which nothing has happened yet."""
    values = {"roster_digest": roster_digest, "attempt": attempt, "sealed_line": sealed_line, "state": "open"}
    tx.execute(ceremonies.insert().values(values))


def change(tx: sa.Connection, row: CeremonyRow, **values: Any) -> None:
    """How the attempt stands now."""
    mine = (ceremonies.c.roster_digest == row.roster_digest, ceremonies.c.attempt == row.attempt)
    tx.execute(ceremonies.update().where(*mine).values(**values))


def messages(tx: sa.Connection, roster_digest: bytes, attempt: int) -> list[CeremonyMessageRow]:
    """Every message of an attempt, always in the same order."""
    query = sa.select(ceremony_messages).where(
        ceremony_messages.c.roster_digest == roster_digest, ceremony_messages.c.attempt == attempt
    )
    return rows_as(CeremonyMessageRow, tx.execute(query.order_by(ceremony_messages.c.digest)))


def message_count(tx: sa.Connection, dealer: str, roster_digest: bytes) -> int:
    """How many messages of a dealer are kept of what a roster plans."""
    own = (ceremony_messages.c.dealer == dealer, ceremony_messages.c.roster_digest == roster_digest)
    return tx.execute(sa.select(sa.func.count()).select_from(ceremony_messages).where(*own)).scalar_one()


def forget_earlier_attempts(tx: sa.Connection, dealer: str, roster_digest: bytes, attempt: int) -> None:
    """Forget a dealer's messages of attempts before that one."""
    own = (ceremony_messages.c.dealer == dealer, ceremony_messages.c.roster_digest == roster_digest)
    tx.execute(ceremony_messages.delete().where(*own, ceremony_messages.c.attempt < attempt))


def forget_other_rosters(tx: sa.Connection, dealer: str, *roster_digests: bytes) -> None:
    """Forget a dealer's messages but for those of what these rosters plan."""
    others = ceremony_messages.c.roster_digest.not_in(roster_digests)
    tx.execute(ceremony_messages.delete().where(ceremony_messages.c.dealer == dealer, others))


def has_message(tx: sa.Connection, digest: bytes) -> bool:
    """Whether that message is kept."""
    query = sa.select(ceremony_messages.c.digest).where(ceremony_messages.c.digest == digest)
    return tx.execute(query).first() is not None


def add_message(tx: sa.Connection, **values: Any) -> None:
    """A message of this node, or one that came and whose signature holds."""
    tx.execute(ceremony_messages.insert().values(**values))


def add_letter(tx: sa.Connection, roster_digest: bytes, reader: str, sealed_envelope: bytes) -> None:
    """A message that is to reach another node."""
    values = {"roster_digest": roster_digest, "reader": reader, "sealed_envelope": sealed_envelope, "posted": False}
    tx.execute(ceremony_letters.insert().values(values))


_UNPOSTED = sa.select(ceremony_letters).where(~ceremony_letters.c.posted).order_by(ceremony_letters.c.letter_id)


def unposted(tx: sa.Connection) -> list[CeremonyLetterRow]:
    """Letters that perhaps never left."""
    return rows_as(CeremonyLetterRow, tx.execute(_UNPOSTED))


def drop_letter(tx: sa.Connection, letter_id: int) -> None:
    """The hub has the letter."""
    change_ = ceremony_letters.update().where(ceremony_letters.c.letter_id == letter_id)
    tx.execute(change_.values(posted=True))


def drop_unposted(tx: sa.Connection) -> None:
    """Letters that have not left are of no use any more."""
    tx.execute(ceremony_letters.update().where(~ceremony_letters.c.posted).values(posted=True))


def save_share(tx: sa.Connection, point: bytes, sealed_share: bytes, roster_digest: bytes) -> None:
    """A share of this node's, sealed."""
    tx.execute(shares.delete().where(shares.c.point == point))
    tx.execute(shares.insert().values(point=point, sealed_share=sealed_share, roster_digest=roster_digest))


_AT_POINT = sa.select(shares.c.sealed_share).where(shares.c.point == sa.bindparam("at"))


def sealed_share(tx: sa.Connection, point: bytes) -> bytes | None:
    """The share with that commitment."""
    return tx.execute(_AT_POINT, {"at": point}).scalar()


_BEGUN = sa.exists().where(ceremonies.c.roster_digest != sa.bindparam("roster"))
_UNNAMED = sa.exists().where(
    shares.c.roster_digest != sa.bindparam("roster"), shares.c.point.not_in(sa.bindparam("points", expanding=True))
)
_HAS_EARLIER = sa.select(sa.or_(_BEGUN, _UNNAMED))


def has_earlier(tx: sa.Connection, roster_digest: bytes, points: Iterable[bytes]) -> bool:
    """Whether :func:`forget_earlier` has anything to do."""
    return bool(tx.execute(_HAS_EARLIER, {"roster": roster_digest, "points": list(points)}).scalar_one())


def forget_earlier(tx: sa.Connection, roster_digest: bytes, points: Iterable[bytes]) -> None:
    """What was begun and made under rosters that are not in force any more goes, but for the shares at ``points``.

    Messages may belong to the roster that comes next, of which this node has not heard yet: they stay.
    """
    earlier = sa.select(documents.c.digest).where(documents.c.active, documents.c.digest != roster_digest)
    for table in (ceremonies, ceremony_messages, ceremony_letters):
        tx.execute(table.delete().where(table.c.roster_digest.in_(earlier)))
    tx.execute(shares.delete().where(shares.c.roster_digest.in_(earlier), shares.c.point.not_in(list(points))))
