"""Reading: every event that may be seen, once, in order, under names of one's own; every bad question is answered."""

from collections.abc import Iterator
from typing import Any

import pytest
from samprasan.hub import limits, store
from samprasan.hub.integrators import approval, handle_token, snapshot
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators.reader import Reader
from samprasan.hub.integrators.recent_changes import RecentChanges
from samprasan.hub.process import status
from samprasan.keys.errors import Refused, SamprasanError, Unproven
from samprasan.keys.handles import Place
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import hub_pb2
from samprasan.v1 import log_pb2 as log
from samprasan.v1.envelope_pb2 import Envelope

from tests import reading
from tests.federation import Federation
from tests.reading import Integration, Stream, too_old, totals
from tests.working import Working

DAY_MS = 86_400_000


@pytest.fixture
def mpc(fed: Federation) -> Working:
    made = Working(fed)
    made.do(made.link(), made.award(10))
    return made


@pytest.fixture
def app(fed: Federation, mpc: Working) -> Integration:
    reading.approve(fed, "welfare-app", "balances")
    return Integration(fed)


def kinds(stream: Stream | list[v1.Event]) -> list[str]:
    events = stream.events if isinstance(stream, Stream) else stream
    return [v1.EventType.Name(each.type).removeprefix("EVENT_TYPE_").lower() for each in events]


def code_of(step: Any) -> str:
    with pytest.raises(SamprasanError) as problem:
        step()
    return problem.value.code


def test_a_stream_tells_everything_in_order_and_goes_on_from_any_event(app: Integration, mpc: Working) -> None:
    mpc.do(mpc.award(5), mpc.award(6))
    mpc.do(mpc.link(purposes=[log.PURPOSE_SHARE]))
    mpc.do(mpc.award(7))
    mpc.do(mpc.link())
    whole = app.follow().events
    assert kinds(whole) == [
        *("policy_activated", "linked", "credit_changed", "credit_changed", "credit_changed", "unlinked", "linked"),
    ]
    assert [each.earned for each in whole] == [0, 0, 10, 15, 21, 0, 28]
    assert len({each.id for each in whole}) == len({each.cursor for each in whole}) == len(whole)
    for number, event in enumerate(whole):
        assert app.follow(event.cursor).events == whole[number + 1 :]
    assert app.follow(app.follow().cursor).events == []


def test_a_snapshot_and_the_rest_make_the_whole(app: Integration, mpc: Working) -> None:
    events, cursor = app.snapshot()
    assert kinds(events) == ["linked", "policy_activated"]
    assert all(not event.id and not event.cursor for event in events)
    known = totals(events)
    mpc.do(mpc.award(30), mpc.award(1))
    known = totals(app.follow(cursor).events, known)
    assert known == totals(app.snapshot()[0]) == totals(app.follow().events)
    assert list(known.values()) == [(41, 41, 0, 0)]


def test_a_batch_comes_whole_in_one_message(app: Integration, mpc: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGE_BYTES_MAX", 300)
    mpc.do(*(mpc.award(1) for _ in range(20)))
    mpc.do(*(mpc.award(1) for _ in range(3)))
    pages = [list(word.page.events) for word in app.follow().words if word.HasField("page")]
    batches = [len(page) for page in pages]
    assert batches == [3, 20, 3]


def test_a_reader_that_is_far_behind_is_given_a_part_at_a_time(
    app: Integration, mpc: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        mpc.do(mpc.award(1))
    whole = app.follow().events
    monkeypatch.setattr(limits, "ENTRIES_READ_AT_ONCE", 2)
    assert app.follow().events == whole


def test_recent_changes_are_what_the_database_has(
    app: Integration, mpc: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = app.fed.hub.db
    recent, reader = RecentChanges(), app.begin()
    assert isinstance(reader, Reader)
    assert recent.since(reader) is None
    list(app.rest(reader))
    recent.start(integrators_reader.log_size(db))
    monkeypatch.setattr(limits, "RECENT_CHANGES_MAX", 4)
    late = app.begin(app.follow().cursor)
    assert isinstance(late, Reader)
    expected: list[v1.Event] = []
    for _ in range(5):
        mpc.do(mpc.award(1), mpc.award(2))
        assert recent.add(integrators_reader.newest(db, recent.size))
        found = recent.since(reader)
        assert found is not None
        expected += [event for word in reading.words(reader, found) for event in word.page.events]
    assert not recent.add(integrators_reader.newest(db, recent.size))
    assert len(expected) == 10
    assert recent.since(late) is None
    assert [event for word in app.rest(late) for event in word.page.events] == expected


def test_what_a_subject_does_not_agree_to_any_more_is_not_told_late(app: Integration, mpc: Working) -> None:
    (first, *_) = app.follow().events
    recent = RecentChanges()
    recent.start(0)
    recent.add(integrators_reader.newest(app.fed.hub.db, 0))
    mpc.do(mpc.award(5))
    mpc.do(mpc.link(purposes=[log.PURPOSE_SHARE]))
    assert kinds(app.follow(first.cursor)) == ["unlinked"]
    recent.add(integrators_reader.newest(app.fed.hub.db, recent.size))
    reader = app.begin(first.cursor)
    assert isinstance(reader, Reader)
    in_memory = recent.since(reader)
    assert in_memory is not None
    assert kinds([event for word in reading.words(reader, in_memory) for event in word.page.events]) == ["unlinked"]
    assert kinds(app.snapshot()[0]) == ["policy_activated"]


def test_two_integrators_have_nothing_in_common(app: Integration, fed: Federation, mpc: Working) -> None:
    reading.approve(fed, "bank", "balances")
    mpc.do(mpc.award(5), mpc.award(6))
    bank = Integration(fed, "bank")

    def names(of: Integration) -> set[bytes]:
        stream, (events, cursor) = of.follow(), of.snapshot()
        own = {cursor, stream.cursor}
        for event in (*stream.events, *events):
            own |= {event.id, event.cursor, event.handle}
        return own - {b""}

    assert len(names(app)) > 8
    assert not names(app) & names(bank)
    assert code_of(lambda: bank.follow(app.follow().cursor)) == "cursor"
    assert not names(app) & names(Integration(fed, secret=b"i" * 32))


def test_a_scope_shows_no_more_than_it_says(fed: Federation, mpc: Working) -> None:
    for name, scope in (
        ("plain", ()),
        ("green", ("dimension=environment", "balances")),
        ("firms", ("kind=organization",)),
        ("of-nhco", ("agency=nhco", "balances")),
        ("of-mpc", ("agency=mpc", "balances")),
    ):
        reading.approve(fed, name, *scope)
    mpc.do(mpc.award(5))

    def told(name: str) -> list[tuple[Any, ...]]:
        events = [*Integration(fed, name).follow().events, *Integration(fed, name).snapshot()[0]]
        return [
            (
                kind,
                event.earned if event.HasField("earned") else -1,
                event.available if event.HasField("available") else -1,
            )
            for kind, event in zip(kinds(events), events, strict=True)
            if event.handle
        ]

    changed, linked = "credit_changed", "linked"
    assert told("plain") == [(linked, 0, -1), (changed, 10, -1), (changed, 15, -1), (linked, 15, -1)]
    assert told("green") == [(linked, 0, 0), (linked, 0, 15)]
    assert told("firms") == []
    assert told("of-nhco") == [(linked, -1, -1), (linked, -1, -1)]
    assert told("of-mpc") == [(linked, -1, -1), (changed, -1, -1), (changed, -1, -1), (linked, -1, -1)]


def test_what_is_spent_is_told_only_with_balances(fed: Federation, mpc: Working) -> None:
    from tests.federation import publish

    publish(fed)
    reading.approve(fed, "plain")
    reading.approve(fed, "full", "balances")
    mpc.do(mpc.award(100))
    benefit = next(event.benefit for event in Integration(fed, "full").follow().events if event.HasField("benefit"))
    from samprasan.ledger import benefits

    digest = benefits.from_message(benefit.SerializeToString(deterministic=True)).digest
    wanted = log.Reserve(
        account_id=mpc.account_id,
        credits=benefit.credits,
        benefit_agency="codi",
        benefit=benefit.code,
        benefit_digest=digest,
        ttl_seconds=60,
    )
    mpc.do(log.Update(op_id=mpc.op_id(), reserve=wanted))
    events = Integration(fed, "full").follow().events
    assert events[-1].cause == documents.CAUSE_RESERVE
    assert (events[-1].held, events[-1].credits) == (benefit.credits, benefit.credits)
    assert not {each.cause for each in Integration(fed, "plain").follow().events} & {documents.CAUSE_RESERVE}


def test_filters_choose_among_what_the_scope_allows(app: Integration, fed: Federation, mpc: Working) -> None:
    assert kinds(app.follow(wanted=v1.Filter(agencies=["nhco"]))) == ["policy_activated", "linked"]
    assert kinds(app.follow(wanted=v1.Filter(dimensions=[log.DIMENSION_SOCIAL]))) == ["policy_activated", "linked"]
    assert kinds(app.follow(wanted=v1.Filter(kinds=[log.SUBJECT_KIND_AREA]))) == ["policy_activated"]
    assert kinds(app.follow(wanted=v1.Filter(causes=[documents.CAUSE_AWARD]))) == kinds(app.follow())
    reading.approve(fed, "narrow", "agency=mpc", "dimension=health", "kind=person", "cause=award")
    narrow = Integration(fed, "narrow")
    for wanted, code in (
        (v1.Filter(agencies=["nobody"]), "filter_unknown"),
        (v1.Filter(dimensions=[9]), "filter_unknown"),  # type: ignore[list-item]
        (v1.Filter(kinds=[0]), "filter_unknown"),  # type: ignore[list-item]
        (v1.Filter(causes=[99]), "filter_unknown"),  # type: ignore[list-item]
        (v1.Filter(agencies=["nhco"]), "scope_exceeded"),
        (v1.Filter(dimensions=[log.DIMENSION_SOCIAL]), "scope_exceeded"),
        (v1.Filter(kinds=[log.SUBJECT_KIND_AREA]), "scope_exceeded"),
        (v1.Filter(causes=[documents.CAUSE_REVERSE]), "scope_exceeded"),
    ):
        assert code_of(lambda wanted=wanted: narrow.follow(wanted=wanted)) == code
        assert code_of(lambda wanted=wanted: narrow.snapshot(wanted=wanted)) == code
    reading.approve(fed, "earned-only")
    spent = v1.Filter(causes=[documents.CAUSE_POST])
    assert code_of(lambda: Integration(fed, "earned-only").follow(wanted=spent)) == "scope_exceeded"


def test_cursors_that_cannot_be_are_refused(app: Integration, mpc: Working) -> None:
    cursor = app.follow().cursor
    assert app.follow(cursor).events == []
    for bad in (b"x", bytes(16), cursor[:-1] + bytes((cursor[-1] ^ 1,)), cursor + b"x"):
        assert code_of(lambda bad=bad: app.follow(bad)) == "cursor"
    assert code_of(lambda: app.follow(cursor, subscription="main")) == "cursor"
    assert code_of(lambda: app.follow(subscription="Main")) == "subscription_name"
    (future,) = app.cursors().sealed([Place(10_000)])
    assert code_of(lambda: app.follow(future)) == "cursor_future"
    (uncut,) = app.cursors().sealed([Place(1, 0, 3)])
    assert code_of(lambda: app.follow(uncut)) == "cursor_future"


def test_a_place_that_is_kept_no_more_is_too_old_and_the_oldest_is_told(
    app: Integration, fed: Federation, mpc: Working
) -> None:
    begun = app.follow().events[0].cursor
    fed.clock.now_ms += 40 * DAY_MS
    mpc.do(mpc.award(5))
    integrators_reader.retain(fed.hub, 30)
    found = too_old(app.begin(begun))
    assert found.reason == v1.TOO_OLD_REASON_NOT_KEPT
    assert kinds(app.follow(found.oldest)) == kinds(app.follow()) == ["credit_changed"]
    with fed.hub.db.read() as tx:
        assert len(store.changes.after(tx, 0, 100)) == 1
    integrators_reader.retain(fed.hub, 30)
    assert kinds(app.follow()) == ["credit_changed"]


def test_a_stream_that_retention_overtakes_is_told_so_and_passes_nothing_over(
    app: Integration, fed: Federation, mpc: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        mpc.do(mpc.award(1))
    monkeypatch.setattr(limits, "ENTRIES_READ_AT_ONCE", 2)
    reader = app.begin()
    assert isinstance(reader, Reader)
    list(reader.pages(integrators_reader.read_changes(fed.hub.db, reader.place.log_index)))
    fed.clock.now_ms += 40 * DAY_MS
    mpc.do(mpc.award(1))
    integrators_reader.retain(fed.hub, 30)
    (word,) = reading.words(reader, integrators_reader.read_changes(fed.hub.db, reader.place.log_index))
    assert word.too_old.reason == v1.TOO_OLD_REASON_NOT_KEPT
    assert kinds(app.follow(word.too_old.oldest)) == ["credit_changed"]


def test_who_may_see_other_things_now_begins_with_a_snapshot(app: Integration, fed: Federation, mpc: Working) -> None:
    cursor = app.follow(subscription="main").cursor
    app.acknowledge("main", cursor)
    reading.approve(fed, app.name, "balances", days=300)
    assert kinds(app.follow(cursor, subscription="main")) == []  # the same scope again
    reading.approve(fed, app.name, "kind=organization")
    for after in (cursor, b""):
        found = too_old(app.begin(after, subscription="main"))
        assert found.reason == v1.TOO_OLD_REASON_SCOPE_CHANGED
        assert kinds(app.follow(found.oldest, subscription="main")) == ["policy_activated"]
    app.acknowledge("main", cursor)  # who did not hear of it yet is not told that its cursor is none
    assert too_old(app.begin(subscription="main")).reason == v1.TOO_OLD_REASON_SCOPE_CHANGED


def test_other_handles_begin_with_a_snapshot(app: Integration, fed: Federation, mpc: Working) -> None:
    cursor, (before,) = app.follow().cursor, totals(app.snapshot()[0])
    approval.change_handles(fed.hub.db, app.name)
    assert too_old(app.begin(cursor)).reason == v1.TOO_OLD_REASON_HANDLES_CHANGED
    (after,) = totals(app.snapshot()[0])
    assert before != after
    assert not {each.id for each in app.follow().events} & {before}
    app.acknowledge("main", app.follow(subscription="main").cursor)
    later = app.follow(subscription="main").cursor
    with fed.hub.db.begin() as tx:  # a backup of before is restored
        store.integrators.save(tx, app.name, store.integrators.find(tx, app.name)._replace(handle_epoch=1))
    for after in (later, b""):
        found = too_old(app.begin(after, subscription="main"))
        assert found.reason == v1.TOO_OLD_REASON_HANDLES_CHANGED
    app.acknowledge("main", later)


def test_a_place_that_is_acknowledged_again_and_again_is_written_seldom(
    app: Integration, fed: Federation, mpc: Working
) -> None:
    def heard_at() -> int:
        with fed.hub.db.read() as tx:
            found = store.integrators.subscription(tx, app.name, "main")
        assert found is not None
        return found.heard_at

    cursor = app.follow(subscription="main").cursor
    app.acknowledge("main", cursor)
    begun = heard_at()
    fed.clock.now_ms += 60_000
    app.acknowledge("main", cursor)
    assert heard_at() == begun
    fed.clock.now_ms += limits.HEARD_AGAIN_MS
    app.acknowledge("main", cursor)
    assert heard_at() > begun


@pytest.mark.parametrize("wanted", [v1.Filter(agencies=["mpc"] * 2), v1.Filter.FromString(b"\xa2\x06\x02hi")])
def test_a_filter_that_is_blown_up_is_refused(app: Integration, wanted: v1.Filter) -> None:
    assert code_of(lambda: app.follow(wanted=wanted)) == "filter_form"


def test_a_snapshot_is_sent_in_parts_of_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGE_BYTES_MAX", 1_000)
    events = [v1.Event(handle=bytes(600)), v1.Event(handle=bytes(600)), v1.Event(handle=bytes(100))]
    parts = list(snapshot.portions([snapshot.Sight(each.SerializeToString(), b"") for each in events]))
    assert [len(part) for part in parts] == [1, 2]
    assert list(snapshot.portions([])) == [[]], "the cursor is sent in any case"


def test_who_withdraws_while_a_snapshot_is_sent_is_left_out(fed: Federation, mpc: Working) -> None:
    reading.approve(fed, "welfare-app")
    mpc.do(mpc.link(), mpc.award(1))
    asked = v1.SnapshotRequest()
    approved = snapshot.begin_snapshot(fed.hub, "welfare-app", asked)
    sights, _ = snapshot.read_snapshot(fed.hub.db, reading.SECRET, approved, asked)
    (person,) = [each for each in sights if each.account_id]
    assert person.event in list(snapshot.still_shown(fed.hub.db, sights))
    mpc.do(mpc.link(purposes=[log.PURPOSE_SHARE]))
    assert person.event not in list(snapshot.still_shown(fed.hub.db, sights))
    assert len(snapshot.response_of(fed.hub.db, sights).events) == len(sights) - 1


def test_a_subscription_goes_on_where_it_was_acknowledged(app: Integration, fed: Federation, mpc: Working) -> None:
    events = app.follow(subscription="main").events
    app.acknowledge("main", events[1].cursor)
    assert app.follow(subscription="main").events == events[2:]
    (listed,) = approval.list_integrators(fed.hub.db, fed.hub.world.now())
    (followed,) = listed["subscriptions"]
    assert (followed["subscription"], followed["is_silent"]) == ("main", False)
    assert followed["behind"] > 0
    gauges = {each.name: each.values for each in status.gauges(fed.hub.db, fed.hub.world.now())}
    assert gauges["samprasan_hub_integrator_behind"] == {"welfare-app": followed["behind"]}
    assert gauges["samprasan_hub_integrator_silent"] == {"welfare-app": 0}
    assert code_of(lambda: app.acknowledge("other", events[1].cursor)) == "cursor"
    assert code_of(lambda: app.acknowledge("", events[1].cursor)) == "subscription_name"
    fed.clock.now_ms += limits.SUBSCRIPTION_SILENT_MS
    assert approval.list_integrators(fed.hub.db, fed.hub.world.now())[0]["subscriptions"][0]["is_silent"]
    fed.clock.now_ms += limits.SUBSCRIPTION_KEPT_MS
    integrators_reader.retain(fed.hub, 10_000)
    assert approval.list_integrators(fed.hub.db, fed.hub.world.now())[0]["subscriptions"] == []
    assert app.follow(subscription="main").events == events


def test_an_integrator_has_so_many_subscriptions(
    app: Integration, fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SUBSCRIPTIONS_MAX", 2)
    for name in ("a", "b"):
        app.acknowledge(name, app.follow(subscription=name).cursor)
    assert code_of(lambda: app.follow(subscription="c")) == "subscriptions_over_limit"
    app.follow(subscription="a")


def test_snapshots_are_counted_by_the_day(fed: Federation, mpc: Working) -> None:
    reading.approve(fed, "welfare-app", snapshots=2)
    app = Integration(fed)
    app.snapshot()
    app.snapshot()
    assert code_of(app.snapshot) == "snapshots_over_quota"
    fed.clock.now_ms += DAY_MS
    app.snapshot()


def test_nobody_reads_who_may_not(app: Integration, fed: Federation) -> None:
    assert code_of(lambda: Integration(fed, "nobody").approved) == "integrator_unknown"
    approval.revoke(fed.hub, app.name)
    assert code_of(lambda: app.approved) == "integrator_revoked"
    assert approval.list_integrators(fed.hub.db, fed.hub.world.now())[0]["state"] == "revoked"
    fed.clock.now_ms += 1000
    reading.approve(fed, app.name, days=2)
    assert app.approved.document.version == 2
    fed.clock.now_ms += 3 * DAY_MS
    assert code_of(lambda: app.approved) == "integrator_over"
    assert approval.list_integrators(fed.hub.db, fed.hub.world.now())[0]["state"] == "over"
    with pytest.raises(Refused):
        approval.revoke(fed.hub, "nobody")


@pytest.fixture
def token(app: Integration, fed: Federation, mpc: Working) -> Envelope:
    return issue(app, mpc.account_id)


def issue(app: Integration, account_id: bytes, agency: str = "mpc", name: str = "welfare-app") -> Envelope:
    request = hub_pb2.IssueTokenRequest(account_id=account_id, integrator=name)
    return handle_token.issue(app.fed.hub, app.secret, agency, request)


def resolve(app: Integration, token: Envelope) -> bytes:
    return handle_token.resolve(app.fed.hub, app.secret, app.approved, token)


def test_a_token_is_traded_for_the_handle_of_its_subject(app: Integration, token: Envelope) -> None:
    (handle,) = totals(app.snapshot()[0])
    assert resolve(app, token) == resolve(app, token) == handle
    assert handle not in token.SerializeToString()


def test_a_token_is_worth_nothing_to_others_or_later_or_changed(
    app: Integration, fed: Federation, mpc: Working, token: Envelope
) -> None:
    reading.approve(fed, "bank")
    assert code_of(lambda: resolve(Integration(fed, "bank"), token)) == "token"
    changed = Envelope.FromString(token.SerializeToString())
    changed.payload = changed.payload[:-1] + bytes((changed.payload[-1] ^ 1,))
    forged = fed.nodes["mpc"].world.sign(v1.HandleToken.FromString(token.payload))
    for bad in (changed, forged, Envelope()):
        assert code_of(lambda bad=bad: resolve(app, bad)) == "token"
    fed.clock.now_ms += limits.TOKEN_LIFETIME_MS
    assert code_of(lambda: resolve(app, token)) == "token"


def test_no_token_without_consent(app: Integration, fed: Federation, mpc: Working, token: Envelope) -> None:
    assert code_of(lambda: issue(app, mpc.account_id, agency="nhco")) == "not_shown"
    assert code_of(lambda: issue(app, b"?" * 16)) == "not_shown"
    assert code_of(lambda: issue(app, b"?")) == "request"
    assert code_of(lambda: issue(app, mpc.account_id, name="nobody")) == "integrator_unknown"
    mpc.do(mpc.link(purposes=[log.PURPOSE_SHARE]))
    assert code_of(lambda: issue(app, mpc.account_id)) == "not_shown"
    assert code_of(lambda: resolve(app, token)) == "not_shown"


def streamed(app: Integration) -> Iterator[v1.FollowResponse]:
    yield from app.follow().words


def test_a_client_checks_what_it_was_shown(app: Integration, mpc: Working) -> None:
    mpc.do(mpc.award(5))
    client = app.client()
    client.follow_request()
    found = [change for word in streamed(app) for change in client.read_word(word)]
    assert [each.type for each in found] == [
        *("policy.activated", "linked", "credit.changed", "credit.changed", "bookmark"),
    ]
    assert client.cursor == app.follow().cursor
    again = app.client(after=client.cursor.hex())
    assert again.follow_request().after == client.cursor
    assert [change.type for word in app.follow(client.cursor).words for change in again.read_word(word)] == ["bookmark"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda page: page.events.pop(),
        lambda page: setattr(page.events[1], "earned", 1_000),
        lambda page: page.events.reverse(),
        lambda page: page.events.append(page.events[0]),
    ],
    ids=["one lost", "one changed", "another order", "one twice"],
)
def test_a_client_finds_out_what_was_changed_on_the_way(app: Integration, spoil: Any) -> None:
    client = app.client()
    client.follow_request()
    words = list(streamed(app))
    spoil(words[0].page if len(words[0].page.events) > 1 else words[1].page)
    with pytest.raises(Unproven, match="what it showed"):
        [change for word in words for change in client.read_word(word)]


def test_a_client_believes_only_the_hub_about_its_own_stream(app: Integration, fed: Federation) -> None:
    for spoil in ("integrator", "subscription", "after", "digest"):
        client = app.client()
        client.follow_request()
        words = list(streamed(app))
        shown = v1.Shown.FromString(words[-1].bookmark.shown.payload)
        if spoil == "after":
            client = app.client(after=(b"y" * 16).hex())
            client.follow_request()
        else:
            setattr(shown, spoil, b"x" * 32 if spoil == "digest" else "x")
        words[-1].bookmark.shown.CopyFrom(fed.hub.world.sign(shown))
        with pytest.raises(Unproven, match="what it showed"):
            [change for word in words for change in client.read_word(word)]
