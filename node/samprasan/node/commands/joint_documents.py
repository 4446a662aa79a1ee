"""The inbox of joint documents as commands show it: what waits, what it changes, and what this agency proposes."""

import asyncio
from dataclasses import asdict
from typing import Any

from samprasan.edge.texts import Words
from samprasan.keys import documents, signing, spoken_digest
from samprasan.keys.documents import Body
from samprasan.keys.errors import LANGUAGES, Refused, Unavailable
from samprasan.ledger import calendar, scopes
from samprasan.node.commands import hub_calls
from samprasan.node.deeds import moves
from samprasan.node.documents import accepted, differences, proposals
from samprasan.node.documents import inbox as documents_inbox
from samprasan.node.documents.inbox import Waiting
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.node.recovery import cut
from samprasan.node.sync import hello
from samprasan.v1.documents_pb2 import Cut, Integrator, Move
from samprasan.v1.envelope_pb2 import Envelope

words = Words("samprasan.node")


def inbox(opened: Home) -> dict[str, Any]:
    """The answer of ``approvals list``: as fresh as the hub can be reached."""
    fresh = True
    try:
        hub_calls.refresh(opened)
    except Unavailable:
        fresh = False
    waiting = [_summary(each) for each in documents_inbox.inbox(opened.node)]
    ended = [
        {
            "id": each.id,
            "kind": each.kind,
            "version": each.version,
            "ended_on": calendar.day_of(each.ended_at).isoformat(),
            "declined": dict(each.dissents),
        }
        for each in documents_inbox.ended(opened.node)
    ]
    return {"waiting": waiting, "ended": ended, "fresh": fresh}


def find(opened: Home, short_id: str) -> Waiting:
    """The document of that row of the list, as the hub has it now."""
    hub_calls.refresh(opened)
    try:
        return documents_inbox.find(opened.node, short_id)
    except Refused as problem:
        if problem.code != "approval_unknown":
            raise
        hub_calls.refresh(opened)  # a list that was on its way may have emptied the inbox again
        return documents_inbox.find(opened.node, short_id)


def shown(opened: Home, waiting: Waiting) -> dict[str, Any]:
    """The answer of ``approvals show``: every field, and every change of what is in force."""
    before = documents_inbox.predecessor(opened.node, waiting.body)
    return _summary(waiting) | {
        "words": {each: " ".join(spoken_digest.words_of(waiting.standing.digest, each)) for each in LANGUAGES},
        "content": {each.path: each.value for each in differences.lines(waiting.body)},
        "instead_of": before.version if before else None,
        "changes": [asdict(each) for each in differences.changes(before, waiting.body)] if before else [],
        "here": _meaning_here(opened, waiting.body),
    }


def approve(opened: Home, waiting: Waiting, spoken: str) -> None:
    """Sign the very document that was shown, and bring the signature to the hub."""
    hub_calls.submit(opened, documents_inbox.approve(opened.node, waiting, spoken))


def decline(opened: Home, waiting: Waiting, reason: str, spoken: str) -> bool:
    """Sign a no to the very document that was shown, and bring it to the hub; whether the document is over with it."""
    return hub_calls.submit_dissent(opened, documents_inbox.decline(opened.node, waiting, reason, spoken))


def withdraw(opened: Home, waiting: Waiting, spoken: str) -> None:
    """Take back the very document that was shown."""
    hub_calls.submit_dissent(opened, documents_inbox.withdraw(opened.node, waiting, spoken))


def propose_policy(opened: Home, text: str) -> dict[str, Any]:
    """Sign a policy as a proposal and bring it to the hub."""
    hub_calls.refresh(opened)
    return _proposed(opened, proposals.propose_policy(opened.node, text))


def propose_ceremony(opened: Home, purpose: str) -> dict[str, Any]:
    """Sign the next roster, which plans a key ceremony, as a proposal and bring it to the hub."""
    hub_calls.refresh(opened)
    node = opened.node
    return _proposed(opened, proposals.propose_ceremony(node, purpose))


def propose_grant(opened: Home, elements: int, days: int) -> dict[str, Any]:
    """Sign a grant for this agency as a proposal and bring it to the hub."""
    hub_calls.refresh(opened)
    node = opened.node
    return _proposed(opened, proposals.propose_grant(node, elements, days))


def compose_cut(opened: Home) -> Waiting:
    """The document by which the log goes on without what the hub has lost and nobody has, to be shown and signed."""
    node = opened.node
    said = hello.compose_hello(node)
    answer = asyncio.run(serve.ask(opened.connect, lambda hub: hub.hello(said.request)))
    hub_calls.refresh(opened)
    return proposals.compose_cut(node, answer.rest)


def propose_shown(opened: Home, waiting: Waiting) -> dict[str, Any]:
    """Sign, as a proposal, the very document that was shown, and bring it to the hub."""
    return _proposed(opened, documents_inbox.approve(opened.node, waiting, ""))


def _proposed(opened: Home, envelope: Envelope) -> dict[str, Any]:
    hub_calls.submit(opened, envelope)
    body = documents.read(envelope)
    node = opened.node
    digest = signing.digest(envelope)
    waits = not accepted.is_in_force(node.db, digest)  # a list that was on its way may have emptied the inbox again
    return {
        "kind": documents.kind_name(documents.kind_of(body)),
        "version": body.version,
        "id": documents.short_id(digest) if waits else "",
        "waiting": waits,
    }


def _summary(waiting: Waiting) -> dict[str, Any]:
    found = waiting.standing
    return {
        "id": waiting.short_id,
        "kind": documents.kind_name(found.kind),
        "version": found.version,
        "digest": found.digest.hex(),
        "signed": sorted(found.signed),
        "missing": sorted(found.missing),
        "declined": dict(waiting.dissents),
    }


def _meaning_here(opened: Home, body: Body) -> dict[str, Any]:
    """What this node alone knows of it."""
    if isinstance(body, Move):
        with opened.node.db.read() as tx:
            return {"known_here": moves.masked_name(tx, opened.node.identity, body)}
    if isinstance(body, Cut):
        with opened.node.db.read() as tx:
            size, sent_again = cut.batches_affected(tx, body)
        return {"entries_left": size, "own_batches_sent_again": sent_again}
    if isinstance(body, Integrator):
        return {"scope": scopes.words_of(body.scope) or [words("everything")]}
    return {}
