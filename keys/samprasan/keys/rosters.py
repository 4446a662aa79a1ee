"""Rosters: who takes part with which keys, and what one may change of the one before."""

import re
from collections.abc import Set
from typing import Any

from samprasan.keys import sealing, sharing
from samprasan.keys.durations import DAY_MS
from samprasan.keys.errors import Malformed, Refused, SamprasanError
from samprasan.keys.signing import encode
from samprasan.v1.documents_pb2 import LinkingKey, LinkingPlan, Member, Roster

HUB = "hub"
FEDERATION_ID_BYTES = 16
MEMBERS_MAX = 16
QUORUM = 2  # shares that it takes to use the linking key
_DIGEST_BYTES = 32
NAME_LENGTH_MAX = 200
RESULT_LIFETIME_MS = 30 * DAY_MS  # what every joint document says; nodes confirm a result however long it takes
_AGENCY = re.compile(r"[a-z][a-z0-9]{1,15}")


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
    """Who must have signed ``body`` besides: the holders of every linking key that it brings, drops or moves."""
    before, after = (_keys_in_place(each) if each else {} for each in (roster, body))
    changed = before.items() ^ after.items()
    return frozenset(entry.agency for _, data in changed for entry in LinkingKey.FromString(data).commitments)


def _keys_in_place(roster: Roster) -> dict[str, bytes]:
    return {name: encode(getattr(roster, name)) for name in ("linking", "next") if roster.HasField(name)}


def changed_members(body: Roster, roster: Roster | None) -> frozenset[str]:
    """Who must have signed ``body``, with the key it names, because it says something else of them than ``roster``."""
    before = {encode(each) for each in roster.members} if roster else set()
    return frozenset(each.agency for each in body.members if encode(each) not in before)


def bound_members(body: Roster, roster: Roster) -> frozenset[str]:
    """Who of ``roster`` must have signed ``body``: everybody, if who takes part or how many decide is to change."""
    everybody = frozenset(each.agency for each in roster.members)
    changes = body.threshold != roster.threshold or everybody != {each.agency for each in body.members}
    return everybody if changes else frozenset()


def is_result(body: Roster, roster: Roster | None) -> bool:
    """Whether ``body`` is what comes of the ceremony that ``roster`` plans, with the date of that plan."""
    if roster is None or not roster.HasField("plan") or body.HasField("plan"):
        return False
    dates = (body.created_at, body.expires_at) == (roster.created_at, roster.created_at + RESULT_LIFETIME_MS)
    return dates and bool(confirming(body, roster))


def check_succession(body: Roster, roster: Roster | None) -> None:
    """That ``body`` follows ``roster`` and changes one thing: who takes part, one entry, the linking key, or the plan.

    Raises Refused ``document_version``, ``roster_mixed``, or ``roster_change`` for what nothing may change so.
    """
    expected = roster.version + 1 if roster else 1
    if body.version != expected:
        raise Refused("document_version", kind="roster", version=body.version, expected=expected)
    if roster is None:
        return
    if body.hub != roster.hub:
        raise Refused("roster_change", field="hub")
    stay = {each.agency for each in roster.members} & {each.agency for each in body.members}
    before, after = _parts(roster, stay), _parts(body, stay)
    changed = {part for part, said in after.items() if said != before[part]}
    if "keys" in changed and not _is_next_key(body, roster):
        raise Refused("roster_change", field="linking")
    if changed == {"keys", "plan"} and not body.HasField("plan"):
        return  # the ceremony that was planned has been held, or a rotation ends
    if len(changed) > 1 or (body.HasField("plan") and changed - {"plan"}):
        raise Refused("roster_mixed")


def _parts(roster: Roster, stay: Set[str]) -> dict[str, Any]:
    """What a roster says, apart from which one it is and when it was made; ``stay`` are members of both."""
    return {
        "people": (roster.threshold, [each.agency for each in roster.members]),
        "entries": [encode(each) for each in roster.members if each.agency in stay],
        "keys": _keys_in_place(roster),
        "plan": encode(roster.plan) if roster.HasField("plan") else b"",
    }


def _is_next_key(body: Roster, roster: Roster) -> bool:
    """Whether the linking keys of ``body`` come next: as the plan in force says, or by the end of a rotation."""
    before, after = _keys_in_place(roster), _keys_in_place(body)
    if after == {"linking": before.get("next")}:
        return True
    if not roster.HasField("plan"):
        return False
    plan = roster.plan
    place = "linking" if roster.linking.key_epoch in (0, plan.key_epoch) else "next"
    made = getattr(body, place)
    is_planned = (made.key_epoch, made.share_version) == (plan.key_epoch, plan.share_version)
    return is_planned and {**before, place: encode(made)} == after


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
    require(len(codes) < 2 * roster.threshold <= 2 * len(codes), "threshold")
    require(all(len(key) == 32 for key in signing_keys_) and len(signing_keys_) == len(codes) + 1, "signing_key")
    require(all(sealing.is_sound(entry.sealing_key) for entry in roster.members), "sealing_key")
    keys = linking_keys(roster)
    require(all(_is_sound(key, frozenset(codes)) for key in keys), "linking")
    # A key in roster 1 would be one that somebody dealt: the agencies' ceremony comes behind it.
    require(roster.version > 1 or not keys, "linking")
    follows = roster.HasField("linking") and roster.next.key_epoch == roster.linking.key_epoch + 1
    require(not roster.HasField("next") or follows, "next")
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
