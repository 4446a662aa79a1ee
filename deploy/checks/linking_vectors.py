"""Vectors of the linking key: pseudonyms, and the ceremonies that make the key and its shares."""

from typing import Any

from samprasan.keys import ceremony, identifiers, pseudonym, ristretto, sharing, signing
from samprasan.keys.ceremony import Ceremony, Line
from samprasan.keys.identifiers import Identifier, Scheme
from samprasan.keys.sharing import Share
from samprasan.v1.documents_pb2 import LinkingPlan, Roster
from vector_parts import AGENCIES, FEDERATION, ROSTER_1, SIGNERS, made, said, scalar


def pseudonyms() -> dict[str, Any]:
    """RFC 9497 with a key that takes two of three, and public ids."""
    key, slope = scalar("linking key"), scalar("linking slope")
    shares = {index: Share(1, 1, index, Line(key, slope).at(index)) for index in sharing.INDICES}
    people = [(Scheme.CITIZEN, "110170023070"), (Scheme.JURISTIC, "010553600031")]
    public = [("registry", "codi.council", "0042"), ("th-area", "", "10")]
    cases = [_pseudonym(_subject(*each), shares, place) for place, each in enumerate(people)]
    return {
        "shares": {str(index): share.scalar.to_bytes(32, "little").hex() for index, share in shares.items()},
        "commitments": {str(index): share.commitment().hex() for index, share in shares.items()},
        "cases": cases,
        "public": [_public(identifiers.parse(Scheme(scheme), text, registry)) for scheme, registry, text in public],
    }


def _subject(scheme: Scheme, twelve: str) -> Identifier:
    return identifiers.parse(scheme, twelve + identifiers.check_digit(twelve))


def _pseudonym(subject: Identifier, shares: dict[int, Share], place: int) -> dict[str, Any]:
    value, blind, nonce = subject.domain_bytes(), scalar(f"blind {place}"), scalar(f"nonce {place}")
    own, peer = (1, 2), (2, 3)
    requester, evaluator = shares[own[place]], shares[peer[place]]
    blinded = pseudonym.blind(value, blind)
    evaluated = pseudonym.evaluate(evaluator.scalar, blinded)
    proof = pseudonym.prove(evaluator.scalar, nonce, [blinded], [evaluated])
    unblinded = ristretto.multiply(scalar("linking key"), pseudonym.hash_to_group(value))
    found = sharing.combine(requester, evaluator.index, value, blind, evaluated)
    return {
        "scheme": subject.scheme.value,
        "id": subject.reveal(),
        "input": value.hex(),
        "requester": requester.index,
        "evaluator": evaluator.index,
        "blind": ristretto.encode_scalar(blind).hex(),
        "blinded": blinded.hex(),
        "evaluated": evaluated.hex(),
        "nonce": ristretto.encode_scalar(nonce).hex(),
        "proof": proof.encode().hex(),
        "unblinded": unblinded.hex(),
        "pseudonym": found.hex(),
    }


def _public(subject: Identifier) -> dict[str, Any]:
    return {"public_id": subject.public_text(), "subject_key": subject.public_subject_key().hex()}


def ceremonies() -> dict[str, Any]:
    """A new key, dealt by three, and new shares of it, dealt by two."""
    new = Ceremony(FEDERATION, ROSTER_1, signing.payload_digest(ROSTER_1), 1)
    first = _held(new, {each: (None, made(f"dealing/{each}")) for each in AGENCIES})
    planned = Roster()
    planned.CopyFrom(Roster.FromString(bytes.fromhex(first["result"]["payload"])))
    planned.version += 1
    planned.plan.CopyFrom(LinkingPlan(key_epoch=1, share_version=2, dealers=["codi", "nhco"]))
    shares = {
        each: Share(1, 1, new.holders[each], ristretto.decode_scalar(bytes.fromhex(first["shares"][each])))
        for each in AGENCIES
    }
    again = Ceremony(FEDERATION, planned, signing.payload_digest(planned), 2)
    return {"new_key": first, "new_shares": _held(again, {each: (shares[each], b"") for each in planned.plan.dealers})}


def _held(found: Ceremony, secrets: dict[str, tuple[Share | None, bytes]]) -> dict[str, Any]:
    lines = {dealer: ceremony.draw(found, dealer, *secrets[dealer]) for dealer in found.dealers}
    commitments = {
        dealer: signing.seal(ceremony.commit(found, dealer, line), SIGNERS[dealer]) for dealer, line in lines.items()
    }
    seen = ceremony.transcript(found, commitments)
    values = {
        holder: {dealer: line.at(index) for dealer, line in lines.items()} for holder, index in found.holders.items()
    }
    return {
        "roster": said(found.roster),
        "federation_id": found.federation_id.hex(),
        "attempt": found.attempt,
        "ceremony": said(found.id),
        "holders": dict(found.holders),
        "dealers": {
            dealer: {
                "secret": (ristretto.encode_scalar(share.scalar) if share else secret).hex(),
                "constant": ristretto.encode_scalar(lines[dealer].constant).hex(),
                "slope": ristretto.encode_scalar(lines[dealer].slope).hex(),
                "commitment": said(ceremony.commit(found, dealer, lines[dealer])),
            }
            for dealer, (share, secret) in secrets.items()
        },
        "transcript": seen.hex(),
        "values": {
            holder: {dealer: ristretto.encode_scalar(value).hex() for dealer, value in told.items()}
            for holder, told in values.items()
        },
        "shares": {
            holder: ristretto.encode_scalar(ceremony.share_of(found, holder, told.values()).scalar).hex()
            for holder, told in values.items()
        },
        "result": said(ceremony.result(found, commitments)),
    }
