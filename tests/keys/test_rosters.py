"""What one roster may change of the one before, and who has to sign for it."""

from collections.abc import Callable

import pytest
from samprasan.keys import documents, rosters, signing
from samprasan.keys.errors import Malformed, Refused
from samprasan.keys.signing import KeySigner
from samprasan.v1.documents_pb2 import HubKeys, LinkingPlan, Member, Roster

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


@pytest.mark.parametrize("change", [rename, change_sealing_key, change_signing_key, change_hub, lower_threshold])
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
    own = KeySigner(bytes([5]) * 32) if change is change_signing_key else SIGNERS[whose]
    assert is_complete(*others, own)
    if change is change_signing_key:
        assert not is_complete(*others, SIGNERS[whose]), "the key that is named has to sign"


def test_a_text_that_does_not_show_as_itself_is_not_read() -> None:
    for text in ("\x1b[2Kfake", "ศูนย์ \u202e0000", "line\nbreak"):
        body = next_one()
        body.members[0].name = text
        with pytest.raises(Malformed) as refused:
            documents.read(signing.seal(body))
        assert (refused.value.code, refused.value.values) == ("document_text", {"kind": "roster", "field": "name"})
