"""Opening: who asks for a subject is admitted to its account, and what nobody uses in time is forgotten."""

from collections.abc import Iterable
from typing import Any

import pytest
from samprasan.hub import limits, store
from samprasan.hub.accounts import opening
from samprasan.hub.log import audit, intake, recall
from samprasan.hub.tables import accounts, admissions, subjects
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.keys.identifiers import Scheme, parse
from samprasan.ledger import calendar
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log

from tests import federation
from tests.evaluating import covering
from tests.federation import Federation
from tests.signed_batches import Agency, outcomes

KEYS = [bytes([number]) * 32 for number in range(1, 31)]


def open_all(
    fed: Federation,
    keys: Iterable[bytes],
    agency: str = "mpc",
    kind: log.SubjectKind.ValueType = log.SUBJECT_KIND_PERSON,
) -> list[hub_pb2.AccountOpened]:
    wanted = list(keys)
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16, evaluated=[covering(fed, len(wanted), agency)])
    for key in wanted:
        request.subjects.add(subject_key=key, kind=kind, key_epoch=1)
    answers = opening.open_accounts(fed.hub, agency, request)
    return [hub_pb2.AccountOpened.FromString(each.payload) for each in answers]


def open_one(
    fed: Federation, agency: str = "mpc", kind: log.SubjectKind.ValueType = log.SUBJECT_KIND_PERSON
) -> hub_pb2.AccountOpened:
    (opened,) = open_all(fed, KEYS[:1], agency, kind)
    return opened


def admitted_in(fed: Federation) -> list[log.Admitted]:
    entries = recall.recalled(fed.hub.db, "nhco", True, 0)
    batches = [log.Batch.FromString(entry.batch.payload) for entry in entries]
    return [update.admitted for batch in batches for update in batch.updates if update.HasField("admitted")]


def known(fed: Federation) -> int:
    """How many pseudonyms the hub keeps."""
    with fed.hub.db.read() as tx:
        return len(tx.execute(subjects.select()).all())


def move_log_on(fed: Federation, agency: Agency) -> None:
    agency.send(agency.sign(agency.batch(agency.award())))


def unlink(agency: Agency, admission: bytes = b"") -> log.Update:
    return log.Update(op_id=agency.op_id(), unlink=log.Unlink(account_id=agency.account_id, admission=admission))


def test_who_asks_again_in_time_is_told_the_same_and_later_something_new(fed: Federation) -> None:
    first = open_one(fed)
    fed.clock.now_ms += limits.ADMISSION_LIFETIME_MS - 1
    again = open_one(fed)
    assert (again.account_id, again.admission, again.lapses_at) == (first.account_id, first.admission, first.lapses_at)
    assert len(admitted_in(fed)) == 1
    fed.clock.now_ms += 1
    later = open_one(fed)
    assert (later.account_id, later.admission != first.admission) == (first.account_id, True)
    assert len(admitted_in(fed)) == 2


def test_each_agency_is_admitted_by_itself_and_who_is_linked_needs_no_admission(fed: Federation) -> None:
    agency = Agency(fed)
    other = open_all(fed, [b"k" * 32], "nhco")[0]
    assert (other.account_id, len(other.admission)) == (agency.account_id, 16)
    assert other.admission != agency.admissions[agency.account_id]
    assert [each.agency for each in admitted_in(fed)] == ["mpc", "nhco"]
    agency.send(agency.sign(agency.batch(agency.link())))
    linked = open_all(fed, [b"k" * 32])[0]
    assert (linked.account_id, linked.admission) == (agency.account_id, b"")
    assert len(admitted_in(fed)) == 2


def test_who_says_another_kind_gets_another_account(fed: Federation) -> None:
    person = open_one(fed)
    community = open_one(fed, "codi", log.SUBJECT_KIND_COMMUNITY)
    assert person.account_id != community.account_id
    assert open_one(fed, "nhco").account_id == person.account_id


def test_the_chain_that_everybody_reads_names_no_account_and_no_pseudonym(fed: Federation) -> None:
    opened = open_all(fed, KEYS)
    data = b"".join(
        entry.SerializeToString() for agency in fed.nodes for entry in recall.recalled(fed.hub.db, agency, True, 0)
    )
    assert len(admitted_in(fed)) == len(KEYS)
    for each in opened:
        assert not any(secret in data for secret in (each.account_id, each.admission, each.subject_key))


def test_what_nobody_used_in_time_is_forgotten_once_the_log_has_gone_on(fed: Federation) -> None:
    agency = Agency(fed)
    agency.send(agency.sign(agency.batch(agency.link())))
    open_one(fed)
    fed.clock.now_ms += limits.ADMISSION_LIFETIME_MS
    opening.forget_lapsed(fed.hub)
    assert known(fed) == 2, "a Link could still come before a newer entry"
    move_log_on(fed, agency)
    assert opening.forget_lapsed(fed.hub)
    assert not opening.forget_lapsed(fed.hub)
    assert known(fed) == 1


def test_what_two_were_told_is_kept_while_one_may_use_it(fed: Federation) -> None:
    agency = Agency(fed)
    agency.send(agency.sign(agency.batch(agency.link())))
    first = open_one(fed)
    fed.clock.now_ms += limits.ADMISSION_LIFETIME_MS // 2
    open_one(fed, "nhco")
    fed.clock.now_ms += limits.ADMISSION_LIFETIME_MS // 2
    move_log_on(fed, agency)
    opening.forget_lapsed(fed.hub)
    assert (known(fed), open_one(fed, "codi").account_id) == (2, first.account_id)


def test_an_admission_that_is_given_up_is_forgotten_with_the_pseudonym(fed: Federation) -> None:
    agency = Agency(fed)
    secret = agency.admissions[agency.account_id]
    (outcome,) = outcomes(agency.send(agency.sign(agency.batch(unlink(agency, secret)))))
    assert outcome == (log.OUTCOME_KIND_APPLIED, 0)
    assert known(fed) == 0
    with fed.hub.db.read() as tx:
        assert tx.execute(admissions.select()).all() == []


def test_an_account_rests_and_is_then_forgotten(fed: Federation) -> None:
    agency = Agency(fed)
    agency.send(agency.sign(agency.batch(agency.link(), agency.award(), unlink(agency))))
    fed.clock.now_ms += 7 * 86_400_000
    assert not intake.turn_due(fed.hub)
    assert open_all(fed, [b"k" * 32])[0].account_id == agency.account_id
    fed.clock.now_ms += 86_400_000
    assert intake.turn_due(fed.hub)
    assert not intake.turn_due(fed.hub)
    assert known(fed) == 0
    assert open_all(fed, [b"k" * 32])[0].account_id != agency.account_id
    assert audit.audit(fed.hub, fed.hub.world.signer.public_key).problems == []


def test_nobody_is_given_an_account_whose_rest_is_over(fed: Federation) -> None:
    agency = Agency(fed)
    agency.send(agency.sign(agency.batch(agency.link(), unlink(agency))))
    fed.clock.now_ms += 8 * 86_400_000
    assert open_all(fed, [b"k" * 32], "nhco")[0].account_id != agency.account_id


@pytest.mark.parametrize("at_once", [16, 3])
def test_many_that_close_on_one_day_are_closed_some_at_a_time(
    fed: Federation, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(limits, "TURNS_AT_ONCE_MAX", at_once)
    agency = Agency(fed)
    opened = [agency.open_account(key) for key in KEYS]
    for account_id in opened:
        agency.account_id = account_id
        agency.send(agency.sign(agency.batch(agency.link(), unlink(agency))))
    fed.clock.now_ms += 8 * 86_400_000
    rounds = 0
    while intake.turn_due(fed.hub):
        rounds += 1
        with fed.hub.db.read() as tx:
            closed = {row.account_id[:1] for row in tx.execute(accounts.select().where(accounts.c.closed))}
        assert len(closed) <= rounds * at_once
    assert len(closed) == len({each[:1] for each in opened})
    with fed.hub.db.read() as tx:
        day = calendar.packed(calendar.day_of(fed.clock()))
        assert store.ledger.prefixes_resting_until(tx, day, 1) == []


def open_public(fed: Federation, text: str, kind: int, agency: str = "mpc", **changes: Any) -> hub_pb2.AccountOpened:
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16)
    request.subjects.add(public_id=text, kind=log.SubjectKind.ValueType(kind), **changes)
    (answer,) = opening.open_accounts(fed.hub, agency, request)
    return hub_pb2.AccountOpened.FromString(answer.payload)


def test_a_public_id_is_hashed_by_the_hub_and_takes_no_evaluation(fed: Federation) -> None:
    village = parse(Scheme.REGISTRY, "71-09-0005", "codi.council")
    opened = open_public(fed, village.public_text(), log.SUBJECT_KIND_COMMUNITY)
    assert (opened.subject_key, opened.key_epoch) == (village.public_subject_key(), 0)
    again = open_public(fed, "registry/codi.council/71-09-0005", log.SUBJECT_KIND_COMMUNITY, "codi")
    assert again.account_id == opened.account_id
    assert open_public(fed, "th-area/10", log.SUBJECT_KIND_AREA).account_id != opened.account_id


def test_who_knows_the_hash_of_a_public_id_does_not_get_in_its_way(fed: Federation) -> None:
    """As a pseudonym it is another one, which goes with its linking key."""
    village = parse(Scheme.REGISTRY, "1", "codi.council")
    (taken,) = open_all(fed, [village.public_subject_key()], "codi", log.SUBJECT_KIND_COMMUNITY)
    assert open_public(fed, village.public_text(), log.SUBJECT_KIND_COMMUNITY).account_id != taken.account_id


def test_an_agency_is_not_told_of_public_ids_without_end(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ADMISSIONS_UNUSED_MAX", 3)
    for number in range(3):
        open_public(fed, f"th-area/1{number}", log.SUBJECT_KIND_AREA)
    with pytest.raises(Refused) as refused:
        open_public(fed, "th-area/20", log.SUBJECT_KIND_AREA)
    assert refused.value.code == "admissions_unused"
    assert known(fed) == 3
    assert open_public(fed, "th-area/10", log.SUBJECT_KIND_AREA).account_id, "the same again is nothing new"
    assert open_public(fed, "th-area/20", log.SUBJECT_KIND_AREA, "nhco").account_id
    open_all(fed, [b"k" * 32])
    fed.clock.now_ms += limits.ADMISSION_LIFETIME_MS
    move_log_on(fed, Agency(fed))
    opening.forget_lapsed(fed.hub)
    assert open_public(fed, "th-area/21", log.SUBJECT_KIND_AREA).account_id


SECRET = federation.citizen(7)
NOT_PUBLIC: dict[str, tuple[str, int, dict[str, Any], str]] = {
    "a citizen's id": (f"registry/codi.council/{SECRET}", 3, {}, "id_secret"),
    "the same with dashes": (f"registry/codi.council/{SECRET[0]}-{SECRET[1:]}", 3, {}, "id_secret"),
    "a citizen's id by its scheme": (f"th-pid/{SECRET}", 3, {}, "id_not_public"),
    "written otherwise": ("th-area/ 10", 4, {}, "id_not_public"),
    "a person": ("registry/codi.council/1", 1, {}, "request"),
    "with a key": ("registry/codi.council/1", 3, {"subject_key": b"k" * 32}, "request"),
    "with a linking key": ("registry/codi.council/1", 3, {"key_epoch": 1}, "request"),
    "of a register that the policy does not name": ("registry/my.list/1", 3, {}, "registry_unknown"),
    "too long": (f"registry/codi.council/{'1' * 200}", 3, {}, "request"),
}


@pytest.mark.parametrize("what", NOT_PUBLIC)
def test_what_is_no_public_id_opens_nothing(fed: Federation, what: str) -> None:
    text, kind, changes, code = NOT_PUBLIC[what]
    with pytest.raises(SamprasanError) as refused:
        open_public(fed, text, kind, **changes)
    assert refused.value.code == code
    assert SECRET not in str(refused.value)
    assert known(fed) == 0


def test_a_pseudonym_of_no_linking_key_opens_nothing(fed: Federation) -> None:
    request = hub_pb2.OpenAccountsRequest(request_id=b"r" * 16)
    request.subjects.add(subject_key=b"k" * 32, kind=log.SUBJECT_KIND_COMMUNITY)
    with pytest.raises(Malformed):
        opening.open_accounts(fed.hub, "mpc", request)


def test_accounts_that_are_due_are_found_by_their_index(fed: Federation) -> None:
    with fed.hub.db.read() as tx:
        query = "EXPLAIN QUERY PLAN SELECT 1 FROM accounts WHERE closes_on > 0 AND NOT closed AND closes_on <= 20261201"
        (plan,) = tx.exec_driver_sql(query).all()
        condition = str(store.ledger.due(20261201).compile(compile_kwargs={"literal_binds": True}))
    assert "accounts_closes_on" in plan[-1]
    assert "NOT closed" in condition
