"""What one roster may change of the one before, and who has to sign for it."""

from collections.abc import Callable

import pytest
from samprasan.keys import documents, ristretto, rosters, signing
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.signing import KeySigner
from samprasan.v1.documents_pb2 import HubKeys, LinkingKey, LinkingPlan, Member, Roster

AGENCIES = ("codi", "mpc", "nhco")
SIGNERS = {agency: KeySigner(bytes([number]) * 32) for number, agency in enumerate(AGENCIES, 1)}
PLAN = LinkingPlan(key_epoch=1, share_version=1, dealers=AGENCIES)
FIRST = Roster(
    version=1,
    created_at=1,
    expires_at=2,
    threshold=2,
    members=[
        Member(agency=each, name=each.upper(), signing_key=signer.public_key, sealing_key=bytes([7]) * 32)
        for each, signer in SIGNERS.items()
    ],
    hub=HubKeys(signing_key=bytes([9]) * 32, tls_ca=b"ca"),
)


def next_one(*changes: Callable[[Roster], None]) -> Roster:
    made = Roster()
    made.CopyFrom(FIRST)
    made.version, made.federation_id = 2, bytes(16)
    for change in changes:
        change(made)
    return made


def rename(roster: Roster) -> None:
    roster.members[1].name = "Another"


def plan(roster: Roster) -> None:
    roster.plan.CopyFrom(PLAN)


def change_sealing_key(roster: Roster) -> None:
    roster.members[2].sealing_key = bytes([8]) * 32


def change_signing_key(roster: Roster) -> None:
    roster.members[2].signing_key = KeySigner(bytes([5]) * 32).public_key


def change_hub(roster: Roster) -> None:
    roster.hub.tls_ca = b"another"


def lower_threshold(roster: Roster) -> None:
    roster.threshold = 1


def add_member(roster: Roster) -> None:
    roster.members.add(
        agency="zz", name="Zz", signing_key=KeySigner(bytes([6]) * 32).public_key, sealing_key=bytes([7]) * 32
    )


def remove_member(roster: Roster) -> None:
    del roster.members[0]


def key(epoch: int, version: int) -> LinkingKey:
    points = {index: ristretto.multiply_base(5 + 3 * index) for index in (1, 2, 3)}
    made = LinkingKey(key_epoch=epoch, share_version=version, transcript=bytes(32))
    for index, agency in enumerate(AGENCIES, 1):
        made.commitments.add(agency=agency, index=index, point=points[index])
    return made


def with_keys(linking: LinkingKey | None, coming: LinkingKey | None = None) -> Callable[[Roster], None]:
    def change(roster: Roster) -> None:
        for name, each in (("linking", linking), ("next", coming)):
            getattr(roster, "ClearField")(name)  # noqa: B009
            if each is not None:
                getattr(roster, name).CopyFrom(each)

    return change


def planned(epoch: int, version: int) -> Callable[[Roster], None]:
    def change(roster: Roster) -> None:
        roster.plan.CopyFrom(LinkingPlan(key_epoch=epoch, share_version=version, dealers=AGENCIES))

    return change


def no_plan(roster: Roster) -> None:
    roster.ClearField("plan")


KEY, RENEWED, COMING = key(1, 1), key(1, 2), key(2, 1)
GOOD = {
    "the first key": ((with_keys(None), planned(1, 1)), (with_keys(KEY), no_plan)),
    "new shares": ((with_keys(KEY), planned(1, 2)), (with_keys(RENEWED), no_plan)),
    "a key beside it": ((with_keys(KEY), planned(2, 1)), (with_keys(KEY, COMING), no_plan)),
    "new shares of the next": ((with_keys(KEY, COMING), planned(2, 2)), (with_keys(KEY, key(2, 2)), no_plan)),
    "the end of a rotation": ((with_keys(KEY, COMING),), (with_keys(COMING),)),
    "its end while a plan stands": ((with_keys(KEY, COMING), planned(1, 2)), (with_keys(COMING), no_plan)),
}
BAD = {
    "moved into the place of the next": ((with_keys(KEY),), (with_keys(None, KEY), planned(1, 2))),
    "moved without a plan": ((with_keys(KEY),), (with_keys(None, KEY),)),
    "dropped": ((with_keys(KEY),), (with_keys(None),)),
    "dropped as if its plan were held": ((with_keys(KEY), planned(1, 2)), (with_keys(None), no_plan)),
    "made by nobody": ((with_keys(KEY),), (with_keys(RENEWED),)),
    "of another version than planned": ((with_keys(KEY), planned(1, 2)), (with_keys(key(1, 3)), no_plan)),
    "another beside what was planned": ((with_keys(KEY), planned(1, 2)), (with_keys(RENEWED, COMING), no_plan)),
    "the first of another epoch": ((with_keys(None), planned(1, 1)), (with_keys(COMING), no_plan)),
    "the next dropped": ((with_keys(KEY, COMING),), (with_keys(KEY),)),
}


def refusal(case: tuple[tuple[Callable[[Roster], None], ...], tuple[Callable[[Roster], None], ...]]) -> str:
    """The code with which the second roster is refused behind the first; empty if it follows."""
    before, after = next_one(*case[0]), next_one(*case[0], *case[1])
    before.version = 1
    try:
        rosters.check_succession(after, before)
    except Refused as problem:
        return problem.code
    return ""


@pytest.mark.parametrize("case", GOOD)
def test_a_linking_key_comes_from_its_ceremony_and_goes_with_its_rotation(case: str) -> None:
    assert refusal(GOOD[case]) == ""


@pytest.mark.parametrize("case", BAD)
def test_no_other_way_leads_to_a_linking_key(case: str) -> None:
    assert refusal(BAD[case]) in {"roster_change", "roster_mixed"}


def test_a_next_key_stands_beside_one_in_force() -> None:
    with pytest.raises(Malformed) as refused:
        documents.read(signing.seal(next_one(with_keys(None, KEY))))
    assert refused.value.values["problem"] == "next"


@pytest.mark.parametrize("change", [add_member, remove_member])
def test_who_takes_part_is_for_all_of_the_old_to_say(change: Callable[[Roster], None]) -> None:
    body = next_one(change)
    rosters.check_succession(body, FIRST)
    newcomer = KeySigner(bytes([6]) * 32)

    def is_complete(*signers: KeySigner) -> bool:
        return documents.check_signatures(signing.seal(body, *signers), body, FIRST, signing.verify_ed25519).complete

    assert not is_complete(SIGNERS["codi"], SIGNERS["nhco"], newcomer)
    assert not is_complete(*list(SIGNERS.values())[1:], newcomer)
    assert is_complete(*SIGNERS.values(), newcomer)


def test_less_than_half_decide_nothing() -> None:
    with pytest.raises(Malformed) as refused:
        documents.read(signing.seal(next_one(lower_threshold)))
    assert refused.value.values["problem"] == "threshold"


def test_the_hubs_keys_stay() -> None:
    with pytest.raises(Refused) as refused:
        rosters.check_succession(next_one(change_hub), FIRST)
    assert (refused.value.code, refused.value.values) == ("roster_change", {"field": "hub"})


@pytest.mark.parametrize("change", [rename, change_sealing_key, change_signing_key, lower_threshold, add_member])
def test_a_roster_with_a_plan_changes_nothing_but_the_plan(change: Callable[[Roster], None]) -> None:
    rosters.check_succession(next_one(plan), FIRST)
    rosters.check_succession(next_one(change), FIRST)
    with pytest.raises(Refused) as refused:
        rosters.check_succession(next_one(plan, change), FIRST)
    assert refused.value.code == "roster_mixed"
    planned = next_one(plan)
    planned.version = 1
    kept = next_one(plan, change)
    with pytest.raises(Refused):
        rosters.check_succession(kept, planned)


@pytest.mark.parametrize(
    ("change", "whose"), [(rename, "mpc"), (change_sealing_key, "nhco"), (change_signing_key, "nhco")]
)
def test_nobodys_entry_changes_without_their_own_signature(change: Callable[[Roster], None], whose: str) -> None:
    body = next_one(change)
    others = [signer for agency, signer in SIGNERS.items() if agency != whose]

    def is_complete(*signers: KeySigner) -> bool:
        return documents.check_signatures(signing.seal(body, *signers), body, FIRST, signing.verify_ed25519).complete

    assert not is_complete(*others)
    new = KeySigner(bytes([5]) * 32)
    if change is change_signing_key:
        assert not is_complete(*others, SIGNERS[whose]), "the key that is named has to sign"
        assert not is_complete(*others, new), "so has the one that it had, or whoever names a key is the other"
        assert is_complete(*others, SIGNERS[whose], new)
    else:
        assert is_complete(*others, SIGNERS[whose])


def test_a_text_that_does_not_show_as_itself_is_not_read() -> None:
    for text in ("\x1b[2Kfake", "ศูนย์ \u202e0000", "line\nbreak"):
        body = next_one()
        body.members[0].name = text
        with pytest.raises(Malformed) as refused:
            documents.read(signing.seal(body))
        assert (refused.value.code, refused.value.values) == ("document_text", {"kind": "roster", "field": "name"})
