"""Whether the committed vectors are what this code makes; with ``--write``, make it so.

``proto/vectors/*.json`` say for fixed inputs what every implementation of the protocol must come to.  All keys in them
are made from their names, for these files alone.  ``proto/vectors/check.mjs`` checks them with other libraries.
"""

import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from linking_vectors import ceremonies, pseudonyms
from samprasan.keys import checkpoint, dissents, documents, merkle, signing, spoken_digest
from samprasan.keys.checkpoint import Checkpoint
from samprasan.keys.durations import DAY_MS
from samprasan.keys.handles import Names, Place
from samprasan.ledger import admissions, batch_form, events
from samprasan.v1 import changes_pb2, documents_pb2, linking_pb2
from samprasan.v1 import log_pb2 as log
from vector_parts import AGENCIES, FEDERATION, LATER, NOW, ROSTER_1, SIGNERS, enveloped, made, said

FOLDER = Path(__file__).parents[2] / "proto" / "vectors"
LANGUAGES = ("en", "th")
PURPOSES = (log.PURPOSE_SHARE, log.PURPOSE_REDEEM)
CHANGED = log.REVERSE_REASON_RECORD_CHANGED


# Signing and the log.


def envelopes() -> dict[str, Any]:
    """Messages of several kinds, signed; and signatures that do not hold."""
    link = log.Link(
        account_id=made("account")[:16],
        purposes=PURPOSES,
        admission=made("admission")[:16],
    )
    total = linking_pb2.EvaluationTotal(federation_id=FEDERATION, requester="mpc", evaluator="nhco", total=7)
    good = [enveloped(link, "mpc"), enveloped(total, "nhco", "mpc"), enveloped(log.Turn(day=20260101), "hub")]
    other_type = {**good[0], "payload_type": signing.payload_type(log.Unlink)}
    other_bytes = {**good[0], "payload": good[0]["payload"][:-2] + "00"}
    foreign = {**good[0]["signatures"][0], "public_key": SIGNERS["nhco"].public_key.hex()}
    other_key = {**good[0], "signatures": [foreign]}
    names = ("payload_type", "payload", "signatures")
    bad = [{name: each[name] for name in names} for each in (other_type, other_bytes, other_key)]
    return {"good": good, "bad": bad}


def chains() -> dict[str, Any]:
    """Three batches of one agency, and what its admission to an account is called."""
    account, secret = made("account")[:16], made("admission")[:16]
    op_ids = [batch_form.new_op_id(made(f"operation {place}")[:10], NOW + place * DAY_MS) for place in range(4)]
    award = log.Award(account_id=account, credits=20, dimension=log.DIMENSION_HEALTH, month=202601, policy_version=1)
    updates = [
        [
            log.Update(
                op_id=op_ids[0],
                link=log.Link(account_id=account, purposes=PURPOSES, admission=secret),
            )
        ],
        [log.Update(op_id=op_ids[1], award=award)],
        [
            log.Update(
                op_id=op_ids[2], reverse=log.Reverse(award_op_id=op_ids[1], reason=log.REVERSE_REASON_RECORD_CHANGED)
            ),
            log.Update(op_id=op_ids[3], unlink=log.Unlink(account_id=account)),
        ],
    ]
    previous, batches = bytes(32), []
    for seq, each in enumerate(updates, 1):
        batch = log.Batch(
            federation_id=FEDERATION, agency="mpc", seq=seq, previous=previous, created_at=NOW + seq, updates=each
        )
        batches.append(enveloped(batch, "mpc"))
        previous = bytes.fromhex(batches[-1]["digest"])
    tag = admissions.tag_of("mpc", account, secret)
    admission = {"agency": "mpc", "account_id": account.hex(), "admission": secret.hex(), "tag": tag.hex()}
    in_move = documents.account_in_move(account, made("move")[:16]).hex()
    move = {"account_id": account.hex(), "move_id": made("move")[:16].hex(), "account": in_move}
    days = [{"op_id": op_id.hex(), "day": NOW + place * DAY_MS} for place, op_id in enumerate(op_ids)]
    return {"batches": batches, "op_ids": days, "admission": admission, "move": move}


def logs() -> dict[str, Any]:
    """Seven receipts, the tree over them, proofs, and a checkpoint with two cosignatures."""
    receipts = [
        enveloped(
            log.Receipt(
                federation_id=FEDERATION,
                agency=AGENCIES[index % 3],
                seq=index // 3 + 1,
                batch_digest=made(f"batch {index}"),
                log_index=index,
                appended_at=NOW + index * 1000,
                outcomes=[log.Outcome(kind=log.OUTCOME_KIND_APPLIED)],
            ),
            "hub",
        )
        for index in range(7)
    ]
    leaves = [merkle.leaf_hash(bytes.fromhex(each["digest"])) for each in receipts]

    def fetch(level: int, first: int, count: int) -> list[bytes]:
        return leaves[first : first + count] if not level else []

    size = len(leaves)
    roots = [merkle.root(fetch, each).hex() for each in range(size + 1)]
    head = Checkpoint(checkpoint.origin_of(FEDERATION), size, bytes.fromhex(roots[-1]))
    note = checkpoint.sign_note(head, SIGNERS["hub"])
    witnesses = {each: SIGNERS[each].public_key for each in ("mpc", "nhco")}
    words = [
        checkpoint.cosigned(head, each, SIGNERS[each], NOW // 1000 + place) for place, each in enumerate(witnesses)
    ]
    return {
        "federation_id": FEDERATION.hex(),
        "receipts": receipts,
        "leaves": [each.hex() for each in leaves],
        "roots": roots,
        "inclusion": [[each.hex() for each in merkle.inclusion_proof(fetch, place, size)] for place in range(size)],
        "consistency": [[each.hex() for each in merkle.consistency_proof(fetch, place, size)] for place in range(size)],
        "hub_key": SIGNERS["hub"].public_key.hex(),
        "witnesses": {agency: key.hex() for agency, key in witnesses.items()},
        "checkpoint": checkpoint.with_cosignatures(checkpoint.read(note), words, witnesses).decode(),
    }


# Documents.


def joint_documents() -> dict[str, Any]:
    """A document of each kind, its digest, and the digest as words."""
    bodies = [ROSTER_1, *_others()]
    found = []
    for body in bodies:
        digest = signing.payload_digest(body)
        spoken = {language: spoken_digest.words_of(digest, language) for language in LANGUAGES}
        signers = [body.agency] if isinstance(body, documents_pb2.Catalogue) else ["mpc", "nhco"]
        documents.read(signing.seal(body))  # a vector that is no document would teach others wrong ones
        found.append(enveloped(body, *signers) | {"words": spoken})
    envelope = signing.seal(bodies[1], SIGNERS["mpc"])
    standing = documents.check_signatures(envelope, documents.read(envelope), ROSTER_1, signing.verify_ed25519)
    no = dissents.compose(FEDERATION, standing, "nhco", "later", SIGNERS["nhco"])
    lists = {
        language: [spoken_digest.words_of(bytes([byte]) + bytes(31), language)[0] for byte in range(256)]
        for language in LANGUAGES
    }
    return {
        "federation_id": FEDERATION.hex(),
        "documents": found,
        "dissent": enveloped(documents_pb2.Dissent.FromString(no.payload), "nhco"),
        "words": lists,
    }


def _others() -> list[Message]:
    """A document of each kind but the roster."""
    common: dict[str, Any] = {"federation_id": FEDERATION, "version": 1, "created_at": NOW, "expires_at": LATER}
    category = documents_pb2.Category(
        code="volunteer", dimension=log.DIMENSION_HEALTH, title_th="จิตอาสา", title_en="Volunteer"
    )
    benefit = documents_pb2.Benefit(
        code="rice", title_th="ข้าวสาร", title_en="Rice", credits=10, kinds=[log.SUBJECT_KIND_PERSON]
    )
    return [
        documents_pb2.Policy(
            **common,
            title_th="เกณฑ์",
            title_en="Policy",
            valid_from=20260101,
            limits=documents_pb2.PolicyLimits(credits_per_update_max=500, credits_per_agency_day_max=1_000_000),
            categories=[category],
            registries=["codi.council"],
        ),
        documents_pb2.Grant(**common, agency="mpc", elements=1000, valid_until=LATER),
        documents_pb2.Move(
            **common,
            agency="mpc",
            account=made("moved")[:16],
            awards=2,
            credits=30,
            reason=documents_pb2.MOVE_REASON_WRONG_ID,
            move_id=made("move")[:16],
        ),
        documents_pb2.Catalogue(**common, agency="codi", benefits=[benefit]),
        documents_pb2.Cut(**common, checkpoint=logs()["checkpoint"].encode()),
        documents_pb2.Integrator(
            **common,
            name="app",
            title="App",
            purpose="Shows credits",
            scope=documents_pb2.Scope(agencies=["mpc"], balances=True),
            quotas=documents_pb2.IntegratorQuotas(streams=1, snapshots_per_day=2),
            valid_until=LATER,
        ),
    ]


# What an integrator reads.


def integrators() -> dict[str, Any]:
    """Handles and ids of one integrator, and events as they travel and as readers handle them."""
    secret, account = made("secret of the hub"), made("account")[:16]
    names = Names(secret, FEDERATION, "app", 1)
    places = [Place(0), Place(7, 3), Place(70_000, 999, 2)]
    event = changes_pb2.Event(
        id=names.ids(places)[1],
        handle=names.handle(account),
        type=changes_pb2.EVENT_TYPE_CREDIT_CHANGED,
        kind=log.SUBJECT_KIND_PERSON,
        agency="mpc",
        cause=documents_pb2.CAUSE_AWARD,
        dimension=log.DIMENSION_HEALTH,
        credits=20,
        at=NOW,
    )
    linked = changes_pb2.Event(
        id=names.ids(places)[0],
        handle=names.handle(account),
        type=changes_pb2.EVENT_TYPE_LINKED,
        kind=log.SUBJECT_KIND_PERSON,
        at=NOW,
    )
    return {
        "secret": secret.hex(),
        "federation_id": FEDERATION.hex(),
        "integrator": "app",
        "epoch": 1,
        "handle": {"account_id": account.hex(), "handle": names.handle(account).hex()},
        "ids": [
            {"log_index": each.log_index, "skipped": each.skipped, "cuts": each.cuts, "id": found.hex()}
            for each, found in zip(places, names.ids(places), strict=True)
        ],
        "events": [said(each) | {"document": events.from_event(each).as_document()} for each in (event, linked)],
    }


FILES = {
    "pseudonym": pseudonyms,
    "ceremony": ceremonies,
    "envelope": envelopes,
    "chain": chains,
    "log": logs,
    "documents": joint_documents,
    "integrator": integrators,
}


def main() -> int:
    """The command line."""
    differing = []
    for name, make in FILES.items():
        file = FOLDER / f"{name}.json"
        text = json.dumps(make(), ensure_ascii=False, indent=1) + "\n"
        if "--write" in sys.argv:
            file.write_text(text, "utf-8")
        elif not file.exists() or file.read_text("utf-8") != text:
            differing.append(file.name)
    if differing:
        print(f"The code makes other vectors than {', '.join(differing)}: is that meant? `make docs`", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
