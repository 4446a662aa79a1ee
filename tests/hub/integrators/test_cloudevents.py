"""Every kind of event has its subject, and says as a CloudEvent what the stream says."""

import json

import pytest
from samprasan.hub.integrators.cloudevents import CURSOR_HEADER, Format, Writer, source_of
from samprasan.ledger import events
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1 import documents_pb2 as documents
from samprasan.v1 import log_pb2 as log

HANDLE = b"h" * 32
SUBJECTS = {
    "credit.mpc.health": v1.Event(
        type=v1.EVENT_TYPE_CREDIT_CHANGED,
        handle=HANDLE,
        agency="mpc",
        cause=documents.CAUSE_AWARD,
        dimension=log.DIMENSION_HEALTH,
        credits=5,
        earned=5,
        at=1_764_288_000_000,
    ),
    "credit.codi.spending": v1.Event(
        type=v1.EVENT_TYPE_CREDIT_CHANGED, handle=HANDLE, agency="codi", cause=documents.CAUSE_POST, credits=5
    ),
    "linked": v1.Event(type=v1.EVENT_TYPE_LINKED, handle=HANDLE, earned=0),
    "unlinked": v1.Event(type=v1.EVENT_TYPE_UNLINKED, handle=HANDLE),
    "benefit.nhco": v1.Event(
        type=v1.EVENT_TYPE_BENEFIT_WITHDRAWN, agency="nhco", benefit=documents.Benefit(code="check-up")
    ),
    "policy": v1.Event(type=v1.EVENT_TYPE_POLICY_ACTIVATED, policy_version=2),
}


def writer(form: Format) -> Writer:
    return Writer("samprasan.app", source_of(b"f" * 16, "app"), form)


@pytest.mark.parametrize("name", SUBJECTS)
def test_each_kind_has_its_subject_and_the_same_words_as_a_stream(name: str) -> None:
    event = v1.Event()
    event.CopyFrom(SUBJECTS[name])
    event.id, event.cursor = b"i" * 16, b"c" * 16
    message = writer("json").change(event)
    document = json.loads(message.payload)
    assert message.subject == f"samprasan.app.{name}"
    assert message.headers[CURSOR_HEADER] == event.cursor.hex()
    assert document["id"] == event.id.hex()
    assert document["data"] == events.from_event(event).as_document()
    packed = writer("protobuf").change(event)
    assert packed.subject == message.subject
    assert v1.Event.FromString(packed.payload) == event
    assert packed.headers["ce-type"] == document["type"] == f"samprasan.{document['data']['type']}"


def test_a_snapshot_can_be_gone_on_from_only_when_all_of_it_is_there() -> None:
    found = [event.SerializeToString() for event in (SUBJECTS["linked"], SUBJECTS["benefit.nhco"])]
    messages = [writer("json").reset("tag"), *writer("json").snapshot_messages(found, "tag", b"c" * 16)]
    assert [each.subject.removeprefix("samprasan.app.") for each in messages] == ["reset", "linked", "benefit.nhco"]
    assert [CURSOR_HEADER in each.headers for each in messages] == [False, False, True]
    assert len({json.loads(each.payload)["id"] for each in messages}) == 3
    (alone,) = writer("protobuf").snapshot_messages([], "tag", b"c" * 16)
    assert (alone.payload, alone.headers[CURSOR_HEADER]) == (b"", (b"c" * 16).hex())
