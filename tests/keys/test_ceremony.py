"""The key ceremony as it stands on paper: every quorum makes the same pseudonyms, every fault names its culprit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samprasan.keys import ceremony, documents, pseudonym, ristretto, rosters, sharing, signing
from samprasan.keys.ceremony import Ceremony, Fault, Line
from samprasan.keys.errors import Malformed, Unproven
from samprasan.keys.sharing import Share
from samprasan.keys.signing import KeySigner, verify_ed25519
from samprasan.v1.ceremony_pb2 import DealerCommitment, DealerValue
from samprasan.v1.documents_pb2 import HubKeys, LinkingPlan, Member, Roster
from samprasan.v1.envelope_pb2 import Envelope

AGENCIES = ("codi", "mpc", "nhco")
SIGNERS = {agency: KeySigner(bytes([number]) * 32) for number, agency in enumerate(AGENCIES, 1)}
FEDERATION = b"f" * 16
NOW = 1_795_402_800_000


def roster_1() -> Roster:
    return Roster(
        version=1,
        created_at=NOW,
        expires_at=NOW + 1,
        threshold=2,
        members=[
            Member(agency=agency, name=agency, signing_key=SIGNERS[agency].public_key, sealing_key=bytes([7]) * 32)
            for agency in AGENCIES
        ],
        hub=HubKeys(signing_key=b"h" * 32, tls_ca=b"ca"),
        plan=LinkingPlan(key_epoch=1, share_version=1, dealers=AGENCIES),
    )


def held_under(roster: Roster, attempt: int = 1) -> Ceremony:
    return Ceremony(FEDERATION, roster, signing.digest(signing.seal(roster)), attempt)


@dataclass(frozen=True)
class Held:
    """What an honest ceremony brought."""

    ceremony: Ceremony
    lines: dict[str, Line]
    commitments: dict[str, Envelope]
    values: dict[tuple[str, str], Envelope]

    @property
    def shares(self) -> dict[str, Share]:
        made = {}
        for holder in self.ceremony.holders:
            values = [
                ceremony.check_value(
                    self.ceremony, committed(self.commitments[dealer]), told(self.values[dealer, holder])
                )
                for dealer in self.ceremony.dealers
            ]
            made[holder] = ceremony.share_of(self.ceremony, holder, values)
        return made

    @property
    def roster(self) -> Roster:
        return ceremony.result(self.ceremony, self.commitments)

    def fault(self) -> Fault | None:
        return ceremony.find_fault(self.ceremony, self.commitments.values(), self.values.values())


def committed(envelope: Envelope) -> DealerCommitment:
    return DealerCommitment.FromString(envelope.payload)


def told(envelope: Envelope) -> DealerValue:
    return DealerValue.FromString(envelope.payload)


def hold(
    roster: Roster,
    old: dict[str, Share] | None = None,
    seed: int = 1,
    commit: Callable[[DealerCommitment], DealerCommitment] = lambda message: message,
    tell: Callable[[DealerValue], DealerValue] = lambda message: message,
) -> Held:
    """A ceremony under ``roster``; ``commit`` and ``tell`` may spoil what dealers say."""
    found = held_under(roster)
    lines, commitments, values = {}, {}, {}
    for number, dealer in enumerate(found.dealers):
        secret = bytes([seed, number]) * 16
        lines[dealer] = ceremony.draw(found, dealer, (old or {}).get(dealer), secret)
        message = commit(ceremony.commit(found, dealer, lines[dealer]))
        commitments[dealer] = signing.seal(message, SIGNERS[dealer])
    seen = ceremony.transcript(found, commitments)
    for dealer in found.dealers:
        for holder in found.holders:
            value = tell(ceremony.value_for(found, dealer, holder, lines[dealer], seen))
            values[dealer, holder] = signing.seal(value, SIGNERS[dealer])
    return Held(found, lines, commitments, values)


def pseudonyms(shares: dict[str, Share], value: bytes = b"x") -> set[bytes]:
    """What each quorum makes of ``value``."""
    return {
        sharing.combine(mine, theirs.index, value, 7, pseudonym.evaluate(theirs.scalar, pseudonym.blind(value, 7)))
        for mine, theirs in permutations(shares.values(), 2)
    }


def planned(roster: Roster, version: int, *dealers: str) -> Roster:
    made = Roster()
    made.CopyFrom(roster)
    made.federation_id, made.version = FEDERATION, roster.version + 1
    made.plan.CopyFrom(LinkingPlan(key_epoch=1, share_version=version, dealers=dealers))
    return made


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 255), st.binary(min_size=1, max_size=40))
def test_every_quorum_of_a_made_key_agrees_and_the_roster_names_its_shares(seed: int, value: bytes) -> None:
    held = hold(roster_1(), seed=seed)
    assert held.fault() is None
    assert len(pseudonyms(held.shares, value)) == 1
    points = {entry.agency: entry.point for entry in held.roster.linking.commitments}
    assert points == {agency: share.commitment() for agency, share in held.shares.items()}
    key = sum(line.constant for line in held.lines.values()) % ristretto.ORDER
    expected = pseudonym.pseudonym(value, ristretto.multiply(key, pseudonym.hash_to_group(value)))
    assert pseudonyms(held.shares, value) == {expected}


def test_the_result_is_a_roster_that_every_holder_must_sign() -> None:
    held = hold(roster_1())
    assert not held.roster.HasField("plan")
    assert rosters.confirming(held.roster, held.ceremony.roster) == set(AGENCIES)
    for signers in combinations(AGENCIES, 2):
        envelope = signing.seal(held.roster, *(SIGNERS[each] for each in signers))
        found = documents.check_signatures(envelope, documents.read(envelope), held.ceremony.roster, verify_ed25519)
        assert not found.complete
    envelope = signing.seal(held.roster, *SIGNERS.values())
    assert documents.check_signatures(envelope, documents.read(envelope), held.ceremony.roster, verify_ed25519).complete


@pytest.mark.parametrize("dealers", [AGENCIES, *combinations(AGENCIES, 2)])
def test_new_shares_make_the_same_pseudonyms_and_do_not_mix_with_the_old(dealers: tuple[str, ...]) -> None:
    first = hold(roster_1())
    second = hold(planned(first.roster, 2, *dealers), first.shares, seed=9)
    assert second.fault() is None
    assert pseudonyms(second.shares) == pseudonyms(first.shares)
    mixed = dict(second.shares)
    mixed["mpc"] = first.shares["mpc"]
    assert pseudonyms(mixed) != pseudonyms(first.shares)
    assert second.roster.linking.share_version == 2
    assert documents.read(signing.seal(second.roster)) == second.roster
    again = hold(planned(second.roster, 3, *dealers), second.shares, seed=5)
    assert pseudonyms(again.shares) == pseudonyms(first.shares)


def test_another_epoch_makes_other_pseudonyms_and_keeps_the_key_in_force() -> None:
    first = hold(roster_1())
    plan = planned(first.roster, 1, *AGENCIES)
    plan.plan.key_epoch = 2
    second = hold(plan, seed=4)
    assert second.roster.linking == first.roster.linking
    assert second.roster.next.key_epoch == 2
    assert pseudonyms(second.shares).isdisjoint(pseudonyms(first.shares))


def spoilt(message: DealerCommitment, **changes: object) -> DealerCommitment:
    if message.dealer == "mpc":
        for name, value in changes.items():
            setattr(message, name, value)
    return message


POINT = ristretto.multiply_base(5)
BAD_COMMITMENTS = {
    "no proof": {"proof": b""},
    "another's proof": {"proof": bytes(31) + b"\x01" + bytes(32)},
    "a proof that is not canonical": {"proof": b"\xff" * 64},
    "other points": {"points": POINT + POINT},
    "the identity": {"points": bytes(32) + POINT},
    "too short": {"points": POINT},
    "too long": {"points": POINT * 3},
}


@pytest.mark.parametrize("bad", BAD_COMMITMENTS)
def test_a_bad_commitment_names_its_dealer(bad: str) -> None:
    held = hold(roster_1(), commit=lambda message: spoilt(message, **BAD_COMMITMENTS[bad]))
    assert held.fault() == Fault("mpc", "commitment")


def test_a_commitment_that_cancels_the_others_is_found_out() -> None:
    """Who waits for the others' points could choose the key, if it need not know its own constant."""
    honest = hold(roster_1())
    target, negated = ristretto.multiply_base(99), ristretto.ORDER - 1
    for dealer in ("codi", "nhco"):
        constant = committed(honest.commitments[dealer]).points[:32]
        target = ristretto.add(target, ristretto.multiply(negated, constant))
    rogue = hold(roster_1(), commit=lambda message: spoilt(message, points=target + POINT))
    assert rogue.fault() == Fault("mpc", "commitment")


def test_a_proof_does_not_hold_in_another_ceremony_or_for_another_dealer() -> None:
    held = hold(roster_1())
    message = committed(held.commitments["mpc"])
    ceremony.check_commitment(held.ceremony, message)
    with pytest.raises(Unproven):
        ceremony.check_commitment(held.ceremony, spoilt(message, dealer="codi"))
    other = committed(held.commitments["mpc"])
    other.ceremony.attempt = 2
    with pytest.raises(Unproven):
        ceremony.check_commitment(replace(held.ceremony, attempt=2), other)


def test_who_deals_something_else_than_its_share_is_named() -> None:
    first = hold(roster_1())
    wrong = dict(first.shares)
    wrong["mpc"] = replace(wrong["mpc"], scalar=wrong["mpc"].scalar + 1)
    second = hold(planned(first.roster, 2, *AGENCIES), wrong)
    assert second.fault() == Fault("mpc", "commitment")
    with pytest.raises(Malformed):
        hold(planned(first.roster, 2, *AGENCIES), {"codi": first.shares["codi"]})


@pytest.mark.parametrize("value", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"", bytes(33)])
def test_a_value_off_the_line_names_its_dealer(value: bytes) -> None:
    def tell(message: DealerValue) -> DealerValue:
        if (message.dealer, message.holder) == ("mpc", "nhco"):
            message.value = value
        return message

    assert hold(roster_1(), tell=tell).fault() == Fault("mpc", "value")


def test_two_different_commitments_or_values_of_one_dealer_prove_a_fault() -> None:
    held, other = hold(roster_1()), hold(roster_1(), seed=2)
    both = [*held.commitments.values(), other.commitments["nhco"]]
    assert ceremony.find_fault(held.ceremony, both, []) == Fault("nhco", "two_commitments")
    values = [held.values["nhco", "mpc"], other.values["nhco", "mpc"]]
    assert ceremony.find_fault(held.ceremony, [], values) == Fault("nhco", "two_values")


def test_a_line_and_a_share_do_not_show_themselves() -> None:
    line = Line(1234567, 7654321)
    assert "1234567" not in repr(line)
    assert Line.decode(line.encode()) == line
    with pytest.raises(Malformed):
        Line.decode(line.encode()[:63])


BAD_PLANS = {
    "a version skipped": LinkingPlan(key_epoch=1, share_version=3, dealers=AGENCIES),
    "the same version": LinkingPlan(key_epoch=1, share_version=1, dealers=AGENCIES),
    "one dealer": LinkingPlan(key_epoch=1, share_version=2, dealers=["mpc"]),
    "a stranger deals": LinkingPlan(key_epoch=1, share_version=2, dealers=["mpc", "zzz"]),
    "dealers out of order": LinkingPlan(key_epoch=1, share_version=2, dealers=["nhco", "mpc"]),
    "an epoch skipped": LinkingPlan(key_epoch=3, share_version=1, dealers=AGENCIES),
    "two deal a new key": LinkingPlan(key_epoch=2, share_version=1, dealers=AGENCIES[:2]),
    "no plan at all": LinkingPlan(),
}


@pytest.mark.parametrize("bad", BAD_PLANS)
def test_a_plan_that_cannot_be_held_is_malformed(bad: str) -> None:
    roster = planned(hold(roster_1()).roster, 2, *AGENCIES)
    documents.read(signing.seal(roster))
    roster.plan.CopyFrom(BAD_PLANS[bad])
    with pytest.raises(Malformed) as refused:
        documents.read(signing.seal(roster))
    assert refused.value.values["problem"] == "plan"
