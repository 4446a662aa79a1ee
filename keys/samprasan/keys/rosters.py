"""Rosters: who takes part with which keys, and what one may change of the one before."""

import re

from samprasan.keys import sharing
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.keys.signing import encode
from samprasan.v1.documents_pb2 import LinkingKey, LinkingPlan, Member, Roster

HUB = "hub"
FEDERATION_ID_BYTES = 16
MEMBERS_MAX = 16
QUORUM = 2  # shares that it takes to use the linking key
_DIGEST_BYTES = 32
NAME_LENGTH_MAX = 200
_AGENCY = re.compile(r"[a-z0-9]{2,16}")


def check_agency_code(agency: str) -> None:
    """That ``agency`` may be an agency's code; else Malformed ``agency_code``."""
    if not is_agency_code(agency):
        raise Malformed("agency_code", agency=agency)


def is_agency_code(agency: str) -> bool:
    """Whether ``agency`` may be an agency's code: never the hub's."""
    return bool(_AGENCY.fullmatch(agency)) and agency != HUB


def signing_keys(roster: Roster) -> dict[bytes, str]:
    """Raw signing key → agency."""
    return {member.signing_key: member.agency for member in roster.members}


def member(roster: Roster, agency: str) -> Member:
    """The roster's entry for ``agency``; Refused ``agency_unknown``."""
    for entry in roster.members:
        if entry.agency == agency:
            return entry
    raise Refused("agency_unknown", agency=agency)


def linking_keys(roster: Roster) -> list[LinkingKey]:
    """The linking keys that are answered: the one in force, and the one that takes its place."""
    keys = [roster.linking] if roster.HasField("linking") else []
    return [*keys, roster.next] if roster.HasField("next") else keys


def confirming(body: Roster, roster: Roster | None) -> frozenset[str]:
    """Who must have signed ``body`` besides: the holders of every linking key that it brings or drops."""
    before = {encode(key) for key in linking_keys(roster)} if roster else set()
    after = {encode(key) for key in linking_keys(body)}
    return frozenset(entry.agency for data in before ^ after for entry in LinkingKey.FromString(data).commitments)


def changed_members(body: Roster, roster: Roster | None) -> frozenset[str]:
    """Who must have signed ``body``, with the key it names, because it says something else of them than ``roster``."""
    before = {encode(each) for each in roster.members} if roster else set()
    return frozenset(each.agency for each in body.members if encode(each) not in before)


def check_succession(body: Roster, roster: Roster | None) -> None:
    """That ``body`` follows ``roster`` and changes one thing: who takes part, the linking key, or the plan for it.

    Raises Refused ``document_version`` or ``roster_mixed``.
    """
    expected = roster.version + 1 if roster else 1
    if body.version != expected:
        raise Refused("document_version", kind="roster", version=body.version, expected=expected)
    if roster is None:
        return
    before, after = _parts(roster), _parts(body)
    changed = {part for part, said in after.items() if said != before[part]}
    if changed == {"keys", "plan"} and not body.HasField("plan"):
        return  # the ceremony that was planned has been held
    if len(changed) > 1 or (body.HasField("plan") and changed - {"plan"}):
        raise Refused("roster_mixed")


def _parts(roster: Roster) -> dict[str, bytes]:
    """What a roster says, apart from which one it is and when it was made."""
    return {
        "people": encode(Roster(threshold=roster.threshold, members=roster.members, hub=roster.hub)),
        "keys": b"".join(encode(Roster(linking=key)) for key in linking_keys(roster)),
        "plan": encode(roster.plan) if roster.HasField("plan") else b"",
    }


def check_form(roster: Roster) -> None:
    """That every field reads as what it is; else Malformed ``document_form``."""

    def require(holds: bool, problem: str) -> None:
        if not holds:
            raise Malformed("document_form", kind="roster", problem=problem)

    codes = [entry.agency for entry in roster.members]
    signing_keys_ = {entry.signing_key for entry in roster.members} | {roster.hub.signing_key}
    require(len(roster.federation_id) == (0 if roster.version == 1 else FEDERATION_ID_BYTES), "federation_id")
    require(codes == sorted(set(codes)) and 1 <= len(codes) <= MEMBERS_MAX, "members")
    require(all(map(is_agency_code, codes)), "agency")
    require(all(0 < len(entry.name) <= NAME_LENGTH_MAX for entry in roster.members), "name")
    require(1 <= roster.threshold <= len(codes), "threshold")
    require(all(len(key) == 32 for key in signing_keys_) and len(signing_keys_) == len(codes) + 1, "signing_key")
    require(all(len(entry.sealing_key) == 32 for entry in roster.members), "sealing_key")
    keys = linking_keys(roster)
    require(all(_is_sound(key, frozenset(codes)) for key in keys), "linking")
    # A key in roster 1 would be one that somebody dealt: the agencies' ceremony comes behind it.
    require(roster.version > 1 or not keys, "linking")
    require(not roster.HasField("next") or roster.next.key_epoch == roster.linking.key_epoch + 1, "next")
    require(not roster.HasField("plan") or _can_be_held(roster.plan, keys, codes), "plan")


def _is_sound(key: LinkingKey, codes: frozenset[str]) -> bool:
    points = {entry.index: entry.point for entry in key.commitments}
    holders = {entry.agency for entry in key.commitments}
    try:
        sharing.check_commitments(points)
    except SamprasanError:
        return False
    one_each = len(points) == len(key.commitments) == len(holders) and holders <= codes
    return one_each and key.key_epoch > 0 and key.share_version > 0 and len(key.transcript) == _DIGEST_BYTES


def _can_be_held(plan: LinkingPlan, keys: list[LinkingKey], codes: list[str]) -> bool:
    """Whether the plan's ceremony makes new shares of a key in force, or a key of the epoch that comes next."""
    dealers = list(plan.dealers)
    if dealers != sorted(set(dealers)):
        return False
    for key in keys:
        if key.key_epoch == plan.key_epoch:
            holders = {entry.agency for entry in key.commitments}
            return plan.share_version == key.share_version + 1 and len(dealers) >= QUORUM and set(dealers) <= holders
    last_epoch = keys[0].key_epoch if keys else 0
    is_next = (plan.key_epoch, plan.share_version) == (last_epoch + 1, 1)
    return is_next and len(keys) <= 1 and dealers == codes and len(codes) == len(sharing.INDICES)
