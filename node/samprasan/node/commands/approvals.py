"""The inbox of joint documents as commands show it: what waits, what it changes, and what this agency proposes."""

import asyncio
from typing import Any

from samprasan.edge.texts import Words
from samprasan.keys import documents, signing
from samprasan.keys.errors import Refused, Unavailable
from samprasan.ledger import calendar, scopes
from samprasan.node.commands import hub_calls
from samprasan.node.deeds import moves
from samprasan.node.documents import accepted, proposals
from samprasan.node.documents import inbox as documents_inbox
from samprasan.node.documents.inbox import Waiting
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.node.recovery import cut
from samprasan.node.sync import hello
from samprasan.v1.documents_pb2 import Cut, Grant, Integrator, LinkingPlan, Move, Policy, Roster
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
    return {"waiting": waiting, "fresh": fresh}


def waiting_document(opened: Home, short_id: str) -> dict[str, Any]:
    """The answer of ``approvals show``."""
    hub_calls.refresh(opened)
    waiting = documents_inbox.find(opened.node, short_id)
    return _summary(waiting) | {"content": _content(opened, waiting)}


def approve(opened: Home, short_id: str, spoken_digest: str) -> None:
    """Sign the document and bring the signature to the hub."""
    hub_calls.refresh(opened)
    node = opened.node
    try:
        documents_inbox.find(node, short_id)
    except Refused:
        hub_calls.refresh(opened)  # a list that was on its way may have emptied the inbox again
    signed = documents_inbox.approve(node, short_id, spoken_digest)
    hub_calls.submit(opened, signed)


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


def propose_cut(opened: Home) -> dict[str, Any]:
    """Sign, as a proposal, that the log goes on without what the hub has lost and nobody has; bring it to the hub."""
    node = opened.node
    said = hello.compose_hello(node)
    answer = asyncio.run(serve.ask(opened.connect, lambda hub: hub.hello(said.request)))
    hub_calls.refresh(opened)
    return _proposed(opened, proposals.propose_cut(node, answer.rest))


def _proposed(opened: Home, envelope: Envelope) -> dict[str, Any]:
    hub_calls.submit(opened, envelope)
    body = documents.read(envelope)
    node = opened.node
    digest = signing.digest(envelope)
    waits = not accepted.is_in_force(node.db, digest)  # a list that was on its way may have emptied the inbox again
    return {
        "kind": documents.kind_name(documents.kind_of(body)),
        "version": body.version,
        "id": documents_inbox.short_id(digest) if waits else "",
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
    }


def _plan(plan: LinkingPlan) -> dict[str, Any]:
    """The key ceremony that a roster plans."""
    return {"key_epoch": plan.key_epoch, "share_version": plan.share_version, "dealers": list(plan.dealers)}


def _content(opened: Home, waiting: Waiting) -> dict[str, Any]:
    body = waiting.body
    if isinstance(body, Roster):
        return {
            "threshold": body.threshold,
            "hub_key": body.hub.signing_key.hex(),
            "members": {each.agency: f"{each.name} {each.signing_key.hex()}" for each in body.members},
            "linking": {each.agency: f"{each.index} {each.point.hex()}" for each in body.linking.commitments},
            "plan": _plan(body.plan) if body.HasField("plan") else None,
        }
    if isinstance(body, Grant):
        until = calendar.buddhist(calendar.day_of(body.valid_until))
        return {"agency": body.agency, "elements": body.elements, "valid_until": until}
    if isinstance(body, Move):
        with opened.node.db.read() as tx:
            known_here = moves.masked_name(tx, opened.node.identity, body)
        return {
            "agency": body.agency,
            "account": body.account.hex(),
            "known_here": known_here,
            "awards": body.awards,
            "credits": body.credits,
            "reason": moves.reason_word(body.reason),
        }
    if isinstance(body, Cut):
        with opened.node.db.read() as tx:
            size, sent_again = cut.batches_affected(tx, body)
        return {"entries_left": size, "own_batches_sent_again": sent_again}
    if isinstance(body, Integrator):
        return {
            "name": body.name,
            "title": body.title,
            "purpose": body.purpose,
            "scope": scopes.words_of(body.scope) or [words("everything")],
            "streams": body.quotas.streams,
            "snapshots_per_day": body.quotas.snapshots_per_day,
            "valid_until": calendar.buddhist(calendar.day_of(body.valid_until)),
        }
    assert isinstance(body, Policy)  # a catalogue waits for nobody
    return {
        "title": body.title_th,
        "valid_from": calendar.buddhist(calendar.unpacked(body.valid_from)),
        "limits": {name.name: getattr(body.limits, name.name) for name in body.limits.DESCRIPTOR.fields},
        "categories": {each.code: f"{each.title_th}: {each.credits_per_unit}/{each.unit}" for each in body.categories},
    }
