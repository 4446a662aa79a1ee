"""What the agencies agreed on: the roster in force, the federation it makes, and every other document in force.

Made from documents that were believed before they were stored; nothing is verified again here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from samprasan.keys import checkpoint, documents, rosters, signing
from samprasan.keys.errors import Refused, Unproven
from samprasan.ledger import benefits, policy
from samprasan.v1.documents_pb2 import Catalogue, Cut, Grant, Integrator, Policy, Roster
from samprasan.v1.envelope_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Agreed:
    """What is in force.  Before roster 1 ``roster`` is None, ``roster_digest`` and ``federation_id`` are empty."""

    roster: Roster | None
    roster_digest: bytes
    federation_id: bytes
    policies: Mapping[int, policy.Policy]
    policies_by_digest: Mapping[bytes, policy.Policy]
    digests: frozenset[bytes]
    grants: tuple[Grant, ...] = ()
    catalogues: Mapping[str, benefits.Catalogue] = field(default_factory=dict)
    catalogues_by_digest: Mapping[bytes, benefits.Catalogue] = field(default_factory=dict)
    cuts: tuple[Envelope, ...] = ()
    cut_sizes: tuple[int, ...] = ()
    integrators: Mapping[str, Integrator] = field(default_factory=dict)
    rosters_by_digest: Mapping[bytes, Roster] = field(default_factory=dict)

    @property
    def activated(self) -> Mapping[bytes, policy.Policy | benefits.Catalogue | Roster]:
        """What an Activate in the log may name, by digest."""
        return {**self.rosters_by_digest, **self.policies_by_digest, **self.catalogues_by_digest}

    @property
    def signing_keys(self) -> Mapping[str, set[bytes]]:
        """Agency → every key that it ever signed with, as rosters said."""
        found: dict[str, set[bytes]] = {}
        for roster in self.rosters_by_digest.values():
            for member in roster.members:
                found.setdefault(member.agency, set()).add(member.signing_key)
        return found

    @property
    def key_epochs(self) -> frozenset[int]:
        """Those of the linking keys in the roster in force."""
        return frozenset(each.key_epoch for each in rosters.linking_keys(self.roster)) if self.roster else frozenset()

    @property
    def cut_version(self) -> int:
        """The version of the newest cut of the log; 0 if there was none."""
        return len(self.cuts)

    def cuts_at(self, log_index: int) -> int:
        """How many cuts the log has had before that place, which its receipt says."""
        return sum(size <= log_index for size in self.cut_sizes)

    @property
    def origin(self) -> str:
        """The origin line of the log's checkpoints."""
        return checkpoint.origin_of(self.federation_id, self.cut_version)

    @property
    def required_roster(self) -> Roster:
        """The roster in force; Refused ``no_roster`` before the first."""
        if self.roster is None:
            raise Refused("no_roster")
        return self.roster

    def grant_of(self, agency: str, now: int) -> Grant | None:
        """The newest grant of ``agency`` that is still valid."""
        found = [each for each in self.grants if each.agency == agency and each.valid_until > now]
        return found[-1] if found else None

    def roster_with(self, agency: str) -> Roster:
        """The roster in force, of which ``agency`` is a member; Refused ``no_roster``, Unproven ``not_a_member``."""
        if all(member.agency != agency for member in self.required_roster.members):
            raise Unproven("not_a_member", agency=agency)
        return self.required_roster


_REMEMBERED_MAX = 16  # the newest, those of an audit, and in tests those of several federations
_remembered: dict[tuple[bytes, ...], Agreed] = {}


def remembered(digests: tuple[bytes, ...], read: Callable[[], Sequence[bytes]]) -> Agreed:
    """What the documents with these digests amount to; their envelopes are read only if nobody asked before."""
    found = _remembered.get(digests)
    if found is None:
        found = read_documents(read())
        if len(_remembered) >= _REMEMBERED_MAX:
            _remembered.pop(next(iter(_remembered)), None)
        _remembered[digests] = found
    return found


def read_documents(envelopes: Sequence[bytes]) -> Agreed:
    """What stored envelopes in force, of every kind and all versions ascending, amount to."""
    opened = [Envelope.FromString(data) for data in envelopes]
    rosters = [each for each in opened if each.payload_type == signing.payload_type(Roster)]
    prices = {
        signing.digest(each): policy.from_document(Policy.FromString(each.payload))
        for each in opened
        if each.payload_type == signing.payload_type(Policy)
    }
    offered = {
        signing.digest(each): benefits.from_document(Catalogue.FromString(each.payload))
        for each in opened
        if each.payload_type == signing.payload_type(Catalogue)
    }
    readers = [
        Integrator.FromString(each.payload) for each in opened if each.payload_type == signing.payload_type(Integrator)
    ]
    cuts = tuple(each for each in opened if each.payload_type == signing.payload_type(Cut))
    return Agreed(
        roster=Roster.FromString(rosters[-1].payload) if rosters else None,
        roster_digest=signing.digest(rosters[-1]) if rosters else b"",
        federation_id=documents.federation_id(rosters[0]) if rosters else b"",
        policies={each.version: each for each in prices.values()},
        policies_by_digest=prices,
        digests=frozenset(map(signing.digest, opened)),
        grants=tuple(
            Grant.FromString(each.payload) for each in opened if each.payload_type == signing.payload_type(Grant)
        ),
        catalogues={each.agency: each for each in offered.values()},
        catalogues_by_digest=offered,
        cuts=cuts,
        cut_sizes=tuple(checkpoint.read(Cut.FromString(each.payload).checkpoint).checkpoint.size for each in cuts),
        integrators={each.name: each for each in readers},
        rosters_by_digest={signing.digest(each): Roster.FromString(each.payload) for each in rosters},
    )
