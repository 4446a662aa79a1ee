"""What this node asked its peers to evaluate, and what it evaluated for them."""

from typing import Any

import sqlalchemy as sa
from samprasan.edge.database import row_as, rows_as
from samprasan.node.rows import EvaluationRow, QuestionRow
from samprasan.node.states import QuestionState
from samprasan.node.tables import evaluations, questions

_FORGOTTEN = {"envelope": b"", "sealed_plan": b""}


def add_question(tx: sa.Connection, **values: Any) -> None:
    """A question that is about to be asked."""
    tx.execute(questions.insert().values(posted=False, state=QuestionState.OPEN, retry_at=0, **values))


def question(tx: sa.Connection, request_id: bytes) -> QuestionRow | None:
    """The question with that id."""
    return row_as(QuestionRow, tx.execute(sa.select(questions).where(questions.c.request_id == request_id)).first())


_OPEN = sa.select(questions).where(
    questions.c.state == QuestionState.OPEN, questions.c.expires_at > sa.bindparam("now")
)


def open_questions(tx: sa.Connection, now: int) -> list[QuestionRow]:
    """Questions that may still be answered."""
    return rows_as(QuestionRow, tx.execute(_OPEN, {"now": now}))


_UNPOSTED = _OPEN.where(~questions.c.posted).order_by(questions.c.asked_at)


def unposted(tx: sa.Connection, now: int) -> list[QuestionRow]:
    """Questions that were stored and perhaps never sent."""
    return rows_as(QuestionRow, tx.execute(_UNPOSTED, {"now": now}))


def mark_posted(tx: sa.Connection, request_id: bytes) -> None:
    """The hub has the question."""
    tx.execute(questions.update().where(questions.c.request_id == request_id).values(posted=True))


def close_question(tx: sa.Connection, request_id: bytes, state: str, retry_at: int = 0) -> None:
    """The question is ``answered`` or ``refused``."""
    change = questions.update().where(questions.c.request_id == request_id)
    tx.execute(change.values(state=state, retry_at=retry_at, **_FORGOTTEN))


_EXPIRE = questions.update().where(
    questions.c.state == QuestionState.OPEN, questions.c.expires_at <= sa.bindparam("now")
)
_EXPIRE = _EXPIRE.values(state=QuestionState.EXPIRED, **_FORGOTTEN)


def expire_questions(tx: sa.Connection, now: int) -> None:
    """Questions that ran out: what would have opened their answers is forgotten."""
    tx.execute(_EXPIRE, {"now": now})


def asked(tx: sa.Connection) -> int:
    """How many questions were ever asked."""
    return tx.execute(sa.select(sa.func.count()).select_from(questions)).scalar_one()


def asked_since(tx: sa.Connection, moment: int) -> dict[str, int]:
    """Peer → how many elements it was asked to evaluate since ``moment``."""
    sums = sa.select(questions.c.evaluator, sa.func.sum(questions.c.elements)).where(questions.c.asked_at >= moment)
    return {row[0]: int(row[1]) for row in tx.execute(sums.group_by(questions.c.evaluator))}


def evaluated_by_requester(tx: sa.Connection, day: int) -> dict[str, int]:
    """Peer → how many elements were evaluated for it on ``day`` (YYYYMMDD)."""
    sums = sa.select(evaluations.c.requester, sa.func.sum(evaluations.c.elements)).where(evaluations.c.day == day)
    return {row[0]: int(row[1]) for row in tx.execute(sums.group_by(evaluations.c.requester))}


def unanswered_since_last_answer(tx: sa.Connection, now: int) -> int:
    """How many questions ran out since a peer last answered one."""
    last = sa.select(sa.func.coalesce(sa.func.max(questions.c.asked_at), 0)).where(
        questions.c.state == QuestionState.ANSWERED
    )
    query = sa.select(sa.func.count()).where(
        questions.c.state.in_((QuestionState.OPEN, QuestionState.EXPIRED)),
        questions.c.expires_at <= now,
        questions.c.asked_at > last.scalar_subquery(),
    )
    return tx.execute(query).scalar_one()


def retry_at(tx: sa.Connection, evaluator: str) -> int:
    """Not to ask this peer before; milliseconds since the Unix epoch."""
    query = sa.select(sa.func.max(questions.c.retry_at)).where(questions.c.evaluator == evaluator)
    return tx.execute(query).scalar() or 0


def ask_again(tx: sa.Connection) -> None:
    """Peers that refused may be asked at once."""
    tx.execute(questions.update().values(retry_at=0))


def evaluation(tx: sa.Connection, requester: str, request_id: bytes) -> EvaluationRow | None:
    """What was answered to that request."""
    query = sa.select(evaluations).where(evaluations.c.requester == requester, evaluations.c.request_id == request_id)
    return row_as(EvaluationRow, tx.execute(query).first())


def add_evaluation(tx: sa.Connection, **values: Any) -> None:
    """A request that is charged; its answer follows."""
    tx.execute(evaluations.insert().values(**values))


def keep_answer(tx: sa.Connection, requester: str, request_id: bytes, answer: bytes) -> None:
    """An answer that is about to be sent."""
    own = (evaluations.c.requester == requester, evaluations.c.request_id == request_id)
    tx.execute(evaluations.update().where(*own).values(answer=answer))


_EXPIRED = evaluations.c.expires_at <= sa.bindparam("now")
_FORGET_REFUSED = evaluations.delete().where(_EXPIRED, evaluations.c.elements == 0)
_FORGET_ANSWERS = evaluations.update().where(_EXPIRED, evaluations.c.answer != b"").values(answer=b"")


def forget_answers(tx: sa.Connection, now: int) -> None:
    """Answers to requests that have expired: nobody may ask for them again.  Of what was refused nothing is kept."""
    tx.execute(_FORGET_REFUSED, {"now": now})
    tx.execute(_FORGET_ANSWERS, {"now": now})


def evaluated_on(tx: sa.Connection, requester: str, day: int) -> int:
    """How many elements were evaluated for ``requester`` on ``day`` (YYYYMMDD) within its allowance."""
    within = sa.func.sum(evaluations.c.elements - evaluations.c.granted)
    query = sa.select(sa.func.coalesce(within, 0)).where(evaluations.c.requester == requester, evaluations.c.day == day)
    return int(tx.execute(query).scalar_one())


def charged_to(tx: sa.Connection, requester: str, grant_version: int) -> int:
    """How many elements were charged to that grant of ``requester``."""
    charged = sa.func.sum(evaluations.c.granted)
    query = sa.select(sa.func.coalesce(charged, 0)).where(
        evaluations.c.requester == requester, evaluations.c.grant_version == grant_version
    )
    return int(tx.execute(query).scalar_one())
