"""What a hub's operator can sign into the log, with a program of its own that asks for no rule, to help the enemy."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from samprasan.hub import store as hub_store
from samprasan.hub import tables as hub_tables
from samprasan.hub.log import intake
from samprasan.hub.log.intake import Submission
from samprasan.keys import dissents, documents, signing
from samprasan.keys.documents import Standing
from samprasan.keys.durations import DAY_MS
from samprasan.ledger import admissions, batch_form, calendar, ledger
from samprasan.ledger.state import Entry, State
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import deed
from tests.sim import officers
from tests.sim.adversary import ENEMY, Enemy
from tests.sim.counters import Counters

_NOBODYS = 90_000  # the number of a record that no other step makes
_MUCH = 1_000_000


def _append(enemy: Enemy, *updates: log.Update, later_ms: int = 0) -> None:
    """A batch of the hub's chain, whatever stands in it, as of a moment of the operator's choice."""
    hub = enemy.fed.hub
    with pytest.MonkeyPatch.context() as patch, hub.db.begin() as tx:
        patch.setattr(batch_form, "check", lambda *_: None)
        patch.setattr(batch_form, "may_be_public", lambda _: True)
        newest = hub_store.log.lock_head(tx).appended_at
        moment = newest + later_ms if later_ms < 0 else max(hub.world.now(), newest) + later_ms
        intake._append_own(tx, hub.world, updates, moment)


def _outcomes(patch: pytest.MonkeyPatch, kind: log.OutcomeKind.ValueType) -> None:
    """Receipts say what the operator wants."""
    real = ledger.fold

    def lying(*given: Any) -> Any:
        state, outcomes = real(*given)
        return state, [log.Outcome(kind=kind, reason=log.DECLINE_REASON_NOT_LINKED) for _ in outcomes]

    patch.setattr(ledger, "fold", lying)


def _admitted(enemy: Enemy, count: int, **changes: int) -> list[log.Update]:
    """The enemy is admitted to accounts that stand there already."""
    with enemy.fed.hub.db.read() as tx:
        known = sorted(hub_store.ledger.load_all(tx).accounts)
    said = [
        log.Admitted(
            agency=ENEMY,
            tag=admissions.tag_of(ENEMY, enemy.chance.choice(known), enemy.chance.randbytes(16)),
            kind=log.SUBJECT_KIND_PERSON,
            lapses_at=enemy.fed.clock() + DAY_MS,
            **changes,
        )
        for _ in range(count)
    ]
    return [log.Update(admitted=each) for each in said]


def admits_to_more_than_was_evaluated(enemy: Enemy) -> None:
    """The enemy is admitted to more accounts than ids were evaluated for it."""
    with enemy.fed.hub.db.read() as tx:
        did = hub_store.ledger.agency_totals(tx)[ENEMY]
    _append(enemy, *_admitted(enemy, did.evaluated - did.admitted + 1, key_epoch=enemy.linking.key_epoch))


def admits_to_a_person_as_if_public(enemy: Enemy) -> None:
    """The enemy is admitted to a person's account as if by a public id."""
    _append(enemy, *_admitted(enemy, 1))


def evaluates_for_it(enemy: Enemy) -> None:
    """The chain has a total of evaluations that only the enemy signed."""
    _append(enemy, log.Update(evaluated=log.Evaluated(total=enemy.made_up(ENEMY, enemy.chance.choice(enemy.others)))))


def puts_into_force_what_nobody_signed(enemy: Enemy) -> None:
    """The next policy takes effect, of which only the operator knows."""
    version = officers.next_policy(enemy.fed, enemy.fed.clock()).version
    said = log.Activate(document=log.DOCUMENT_KIND_POLICY, version=version, digest=enemy.chance.randbytes(32))
    _append(enemy, log.Update(activate=said))


def puts_into_force_what_is_not_complete(enemy: Enemy) -> None:
    """A policy takes effect that the enemy alone has signed."""
    body = officers.next_policy(enemy.fed, enemy.fed.clock())
    body.limits.credits_per_agency_day_max = _MUCH
    envelope = enemy.node.world.sign(body)
    standing = replace(_standing(enemy, envelope), complete=True)
    said = log.Activate(document=log.DOCUMENT_KIND_POLICY, version=body.version, digest=standing.digest)
    with enemy.fed.hub.db.begin() as tx:
        hub_store.documents.save(tx, standing, envelope.SerializeToString(), enemy.fed.clock(), active=True)
    _append(enemy, log.Update(activate=said))


def puts_into_force_again(enemy: Enemy) -> None:
    """A document takes effect that did before."""
    with enemy.fed.hub.db.read() as tx:
        entries = [Envelope.FromString(row.batch) for row in hub_store.log.of_agency(tx, "hub")]
    updates = [each for entry in entries for each in log.Batch.FromString(entry.payload).updates]
    _append(enemy, enemy.chance.choice([each for each in updates if each.HasField("activate")]))


def ends_a_proposal(enemy: Enemy) -> None:
    """An honest agency's proposal is over, by a no that the enemy signed in its name."""
    agency = enemy.chance.choice(enemy.others)
    envelope = enemy.fed.nodes[agency].world.sign(officers.next_policy(enemy.fed, enemy.fed.clock()))
    standing = _standing(enemy, envelope)
    said = dissents.compose(enemy.federation_id, standing, agency, dissents.WITHDRAWN, enemy.node.world.signer)
    _append(enemy, log.Update(withdrawn=log.Withdrawn(digest=standing.digest, dissents=[said])))


def _standing(enemy: Enemy, envelope: Envelope) -> Standing:
    with enemy.fed.hub.db.read() as tx:
        roster = hub_store.documents.agreed_on(tx).roster
    return documents.check_signatures(envelope, documents.read(envelope), roster, enemy.node.world.verify)


def begins_a_day(enemy: Enemy) -> None:
    """A day begins that has not come, with its caps."""
    day = calendar.packed(calendar.day_of(enemy.fed.clock() + 2 * DAY_MS))
    _append(enemy, log.Update(turn=log.Turn(day=day, prefix=b"")), later_ms=2 * DAY_MS)


def goes_back(enemy: Enemy) -> None:
    """The log goes on at a day that is over, whose caps were not used up."""
    _append(enemy, log.Update(turn=log.Turn(day=calendar.packed(calendar.day_of(enemy.fed.clock())))), later_ms=-DAY_MS)


def expires_what_is_held(enemy: Enemy) -> None:
    """A hold that somebody may still use is over, as if a year had gone by."""
    counters, held = Counters(enemy.fed, enemy.chance, enemy.others), []
    query = sa.select(hub_tables.holds.c.agency, hub_tables.holds.c.hold_id)
    for number in range(_NOBODYS, _NOBODYS + 600):
        counters.act(number, hostile=False)
        if number % 60 == 59:  # most holds are over at once
            enemy.fed.run()
            with enemy.fed.hub.db.read() as tx:
                held = list(tx.execute(query.where(hub_tables.holds.c.state == log.HOLD_STATE_HELD)))
        if held:
            break
    agency, hold_id = enemy.chance.choice(held)
    real = ledger.fold

    def later(state: State, entry: Entry, *more: Any) -> Any:
        return real(state, Entry(entry.batch, entry.appended_at + 366 * DAY_MS), *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "fold", later)
        _append(enemy, log.Update(expire=log.Expire(agency=agency, hold_id=hold_id)))


def awards_what_no_rule_allows(enemy: Enemy) -> None:
    """A million credits to an account of the enemy's choice; the receipt says that they count."""
    award = log.Award(
        account_id=enemy.account(), credits=_MUCH, dimension=log.DIMENSION_HEALTH, month=202611, policy_version=2
    )
    with pytest.MonkeyPatch.context() as patch:
        _outcomes(patch, log.OUTCOME_KIND_APPLIED)
        enemy.push(log.Update(op_id=batch_form.new_op_id(enemy.chance.randbytes(10), enemy.fed.clock()), award=award))


def declines_what_others_award(enemy: Enemy) -> None:
    """Somebody whom an honest agency rewards gets nothing."""
    agency = enemy.chance.choice(enemy.others)
    enemy.fed.give(agency, deed(_NOBODYS, 0))
    with pytest.MonkeyPatch.context() as patch:
        _outcomes(patch, log.OUTCOME_KIND_DECLINED)
        enemy.fed.run()


def signs_for_another(enemy: Enemy) -> None:
    """A batch in an honest agency's chain, with the hub's signature under it."""
    hub, agency = enemy.fed.hub, enemy.chance.choice(enemy.others)
    with hub.db.begin() as tx:
        head = hub_store.log.chain_head(tx, agency)
        update = log.Update(op_id=enemy.op_id(), unlink=log.Unlink(account_id=enemy.account()))
        batch = log.Batch(
            federation_id=enemy.federation_id,
            agency=agency,
            seq=head.seq + 1,
            previous=head.digest,
            created_at=hub.world.now(),
            updates=[update],
        )
        signed = hub.world.sign(batch)
        submission = Submission(agency, signed.SerializeToString(), signing.digest(signed), batch)
        intake.append_in(tx, hub.world, [submission])


# What is forged, and what is said of it: a code of a node's error, or words of the audit.
FORGERIES: dict[Callable[[Enemy], None], str] = {
    admits_to_more_than_was_evaluated: "admissions_uncovered",
    admits_to_a_person_as_if_public: "admissions_uncovered",
    evaluates_for_it: "evaluations that not both agencies signed",
    puts_into_force_what_nobody_signed: "or one that is not here",
    puts_into_force_what_is_not_complete: "document_signatures",
    puts_into_force_again: "document_again",
    ends_a_proposal: "signature",
    begins_a_day: "log_ahead",
    goes_back: "goes back in time",
    expires_what_is_held: "other outcomes than the rules",
    awards_what_no_rule_allows: "other outcomes than the rules",
    declines_what_others_award: "other outcomes than the rules",
    signs_for_another: "node_went_back",
}
