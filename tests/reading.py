"""Integrators in tests: approved by two agencies, reading a hub's steps without a network."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from samprasan.client.protocol import Following
from samprasan.hub import store
from samprasan.hub.integrators import approval
from samprasan.hub.integrators import reader as integrators_reader
from samprasan.hub.integrators import snapshot as integrators_snapshot
from samprasan.hub.integrators.approval import Approved, Proposal
from samprasan.hub.integrators.reader import News, Reader
from samprasan.hub.members import documents
from samprasan.keys import signing
from samprasan.keys.credentials import Issued
from samprasan.keys.handles import Cursors
from samprasan.v1 import changes_pb2 as v1
from samprasan.v1.documents_pb2 import Integrator
from samprasan.v1.envelope_pb2 import Envelope

from tests.federation import Federation

SECRET = b"h" * 32
NOBODY = v1.Filter()


def propose(fed: Federation, name: str, *scope: str, days: int = 365, streams: int = 10, snapshots: int = 24) -> bytes:
    """Lay an integrator before the agencies; the proposal's digest."""
    wanted = Proposal(name, "An app", "Shows people their own credits", scope, streams, snapshots, days)
    return approval.propose(fed.hub, wanted)


def proposed(fed: Federation) -> list[Envelope]:
    """The integrators that wait."""
    kind = signing.payload_type(Integrator)
    return [each for each in documents.list_documents(fed.hub.db).proposed if each.payload_type == kind]


def approve(fed: Federation, name: str, *scope: str, days: int = 365, snapshots: int = 24) -> None:
    """Propose it, and let two agencies sign."""
    propose(fed, name, *scope, days=days, snapshots=snapshots)
    for agency in ("mpc", "nhco"):
        (envelope,) = proposed(fed)
        own = Envelope(payload_type=envelope.payload_type, payload=envelope.payload)
        signing.add_signature(own, fed.nodes[agency].world.signer)
        documents.submit_document(fed.hub, agency, own)


@dataclass
class Stream:
    """What one reader was shown."""

    words: list[v1.FollowResponse] = field(default_factory=list)

    @property
    def events(self) -> list[v1.Event]:
        return [event for word in self.words for event in word.page.events]

    @property
    def cursor(self) -> bytes:
        """Of its bookmark."""
        return self.words[-1].bookmark.cursor


@dataclass
class Integration:
    """One integrator of a federation."""

    fed: Federation
    name: str = "welfare-app"
    secret: bytes = SECRET

    @property
    def approved(self) -> Approved:
        return approval.current_approval(self.fed.hub, self.name)

    @property
    def issued(self) -> Issued:
        world, db = self.fed.hub.world, self.fed.hub.db
        return Issued(self.name, "", "", "", world.signer.public_key, approval.federation_id(db))

    def begin(self, after: bytes = b"", subscription: str = "", wanted: v1.Filter = NOBODY) -> Reader | v1.TooOld:
        asked = v1.FollowRequest(after=after, subscription=subscription, filter=wanted)
        return integrators_reader.begin_reading(self.fed.hub.db, self.secret, self.approved, asked)

    def follow(self, after: bytes = b"", subscription: str = "", wanted: v1.Filter = NOBODY) -> Stream:
        """Everything there is, and a bookmark."""
        reader = self.begin(after, subscription, wanted)
        assert isinstance(reader, Reader)
        told = list(self.rest(reader))
        return Stream([*told, v1.FollowResponse.FromString(reader.bookmark(self.fed.hub.world, b""))])

    def rest(self, reader: Reader) -> Iterator[v1.FollowResponse]:
        """What a reader has not been shown yet."""
        while True:
            yield from words(reader, integrators_reader.read_changes(self.fed.hub.db, reader.place.log_index))
            if reader.place.log_index >= integrators_reader.log_size(self.fed.hub.db):
                return

    def snapshot(self, subscription: str = "", wanted: v1.Filter = NOBODY) -> tuple[list[v1.Event], bytes]:
        asked = v1.SnapshotRequest(subscription=subscription, filter=wanted)
        approved = integrators_snapshot.begin_snapshot(self.fed.hub, self.name, asked)
        db = self.fed.hub.db
        sights, cursor = integrators_snapshot.read_snapshot(db, self.secret, approved, asked)
        return [v1.Event.FromString(each) for each in integrators_snapshot.still_shown(db, sights)], cursor

    def acknowledge(self, subscription: str, cursor: bytes) -> None:
        asked = v1.AcknowledgeRequest(subscription=subscription, cursor=cursor)
        integrators_reader.acknowledge(self.fed.hub, self.secret, self.name, asked)

    def cursors(self, subscription: str = "") -> Cursors:
        """What the hub makes cursors with."""
        with self.fed.hub.db.read() as tx:
            agreed = store.documents.agreed_on(tx)
        return integrators_reader.cursors_of(self.secret, agreed, self.approved, subscription)

    def client(self, subscription: str = "", wanted: v1.Filter = NOBODY, after: str = "") -> Following:
        """The client's side of a stream."""
        return Following(self.issued, subscription, wanted, after, lambda _cursor: None, self.fed.hub.world.verify)


def words(reader: Reader, news: News) -> list[v1.FollowResponse]:
    """What a reader is sent."""
    return [v1.FollowResponse.FromString(word) for word in reader.pages(news)]


def too_old(found: Reader | v1.TooOld) -> v1.TooOld:
    """Why one cannot go on."""
    assert isinstance(found, v1.TooOld)
    return found


def totals(events: list[v1.Event], known: dict[bytes, tuple[int, ...]] | None = None) -> dict[bytes, tuple[int, ...]]:
    """What a reader knows of each handle after these events."""
    found = dict(known or {})
    for event in events:
        if event.type == v1.EVENT_TYPE_UNLINKED:
            found.pop(event.handle, None)
        elif event.handle:
            found[event.handle] = (event.earned, event.available, event.held, event.spent)
    return found
