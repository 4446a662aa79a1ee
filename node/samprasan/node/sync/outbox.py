"""What is left to send, and why it stands."""

from dataclasses import dataclass

from samprasan.edge.database import Database
from samprasan.keys.chain import Head
from samprasan.node import limits, store


@dataclass(frozen=True, slots=True)
class Outbox:
    """What is left to do, and why it stands.

    Deeds and hold updates without receipt, subjects without account, subjects of whose consents the hub is to hear (at
    most ``UPDATES_MAX`` are counted), batches without receipt.
    """

    queued: int
    waiting_for_link: int
    links_due: int
    in_flight: int
    head: Head
    halted: str

    @property
    def is_empty(self) -> bool:
        """Whether everything that may be sent has its receipt."""
        return not (self.queued or self.waiting_for_link or self.links_due or self.in_flight)


def outbox(db: Database, now: int) -> Outbox:
    """How the outbox stands."""
    with db.read() as tx:
        return Outbox(
            queued=store.awards.queued(tx) + store.redemptions.queued(tx),
            waiting_for_link=store.subjects.waiting_for_link(tx, now),
            links_due=len(store.links.due(tx, limits.UPDATES_MAX, now)),
            in_flight=store.batches.in_flight(tx),
            head=store.batches.head(tx),
            halted=store.facts.get(tx, store.facts.HALTED) or "",
        )
