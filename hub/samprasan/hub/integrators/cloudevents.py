"""Events as CloudEvents 1.0 in NATS messages, under subjects by agency and dimension.

In JSON a message is a CloudEvent whole (structured mode, the JSON event format): any reader of CloudEvents takes it.
In protobuf its body is the ``samprasan.v1.Event`` as streams have it, and the attributes stand in ``ce-`` headers
(binary mode).  Either way the id is the event's own, and *data* is what the integrator's own stream says.

``reset`` begins a snapshot: whoever keeps something is to forget it.  What follows up to the next change is all there
is.  It and the events of a snapshot have ids made of the snapshot's cursor, which no change has.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple
from urllib.parse import quote

from samprasan.ledger import calendar, events
from samprasan.v1.changes_pb2 import Event

CURSOR_HEADER = "Samprasan-Cursor"
_SPENDING = "spending"  # what was spent has no dimension


Format = Literal["json", "protobuf"]


class Message(NamedTuple):
    """One NATS message."""

    subject: str
    payload: bytes
    headers: dict[str, str]


class Writer(NamedTuple):
    """Writes one integrator's events: ``prefix`` begins every subject, ``source`` says whose they are."""

    prefix: str
    source: str
    format: Format

    def change(self, event: Event) -> Message:
        """An event of a stream."""
        return self._message(event, events.from_event(event), event.id.hex(), event.cursor)

    def reset(self, tag: str, cursor: bytes = b"") -> Message:
        """What begins a snapshot, called ``tag``; with a cursor if nothing comes behind it."""
        return self._message(Event(), events.Change(type=events.RESET), f"{tag}/reset", cursor)

    def snapshot_messages(self, encoded: Iterable[bytes], tag: str, cursor: bytes) -> Iterator[Message]:
        """The events of a snapshot; the last alone has the cursor to go on from."""
        before, number = None, 0
        for event in map(Event.FromString, encoded):
            if before is not None:
                yield self._message(before, events.from_event(before), f"{tag}/{number}", b"")
            before, number = event, number + 1
        if before is None:
            yield self.reset(f"{tag}/0", cursor)
        else:
            yield self._message(before, events.from_event(before), f"{tag}/{number}", cursor)

    def _message(self, event: Event, change: events.Change, event_id: str, cursor: bytes) -> Message:
        attributes = {
            "specversion": "1.0",
            "id": event_id,
            "source": self.source,
            "type": f"samprasan.{change.type}",
            "datacontenttype": f"application/{self.format}",
        }
        if change.handle:
            attributes["subject"] = change.handle
        if change.at:
            attributes["time"] = calendar.iso(change.at)
        headers = {CURSOR_HEADER: cursor.hex()} if cursor else {}
        subject = f"{self.prefix}.{_subject(change)}"
        if self.format == "protobuf":
            headers |= {f"ce-{name}": quote(value, safe="/:+") for name, value in attributes.items()}
            return Message(subject, event.SerializeToString(deterministic=True), headers)
        headers["content-type"] = "application/cloudevents+json"
        document = attributes | {"data": change.as_document()}
        return Message(subject, json.dumps(document, ensure_ascii=False).encode(), headers)


def source_of(federation_id: bytes, integrator: str) -> str:
    """The *source* of an integrator's events: with an id, no other event has it."""
    return f"urn:samprasan:{federation_id.hex()}:{integrator}"


def _subject(change: events.Change) -> str:
    match change.type:
        case events.CREDIT_CHANGED:
            return f"credit.{change.agency}.{change.dimension or _SPENDING}"
        case events.BENEFIT_CHANGED | events.BENEFIT_WITHDRAWN:
            return f"benefit.{change.agency}"
        case events.POLICY_ACTIVATED:
            return "policy"
    return change.type
