"""What commands show: steps and connection together, results as documents for people and scripts."""

import asyncio
import base64
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from samprasan.client.connection import Hub
from samprasan.keys import documents
from samprasan.keys.errors import SamprasanError, Unavailable
from samprasan.keys.identifiers import Identifier
from samprasan.ledger import benefits, calendar, policy
from samprasan.node import store
from samprasan.node.counter import balance as counter_balance
from samprasan.node.counter import handle_token, redemption
from samprasan.node.deeds import moves
from samprasan.node.documents import accepted, proposals
from samprasan.node.home import Home
from samprasan.node.process import serve
from samprasan.v1 import hub_pb2
from samprasan.v1.documents_pb2 import Catalogue
from samprasan.v1.envelope_pb2 import Envelope


def refresh(opened: Home) -> None:
    """Fetch the joint documents from the hub."""
    node = opened.node

    async def fetch(hub: Hub) -> None:
        listing = await hub.list_documents()
        await asyncio.to_thread(accepted.accept_listing, node, listing)

    asyncio.run(serve.ask(opened.connect, fetch))


def has_linking_key(opened: Home) -> bool:
    """Whether the roster in force at this node names a linking key."""
    with opened.node.db.read() as tx:
        current = store.documents.agreed_on(tx).roster
    return current is not None and current.HasField("linking")


def confirm_move(opened: Home, move_id: int, by: str, shown: dict[str, Any]) -> None:
    """Carry a move out, or lay it before the other agencies if one of them is linked to the wrong account.

    Raises as :func:`moves.question` and :func:`moves.confirm_move`; Unavailable if the hub has to be asked and is away.
    """
    node = opened.node
    request = moves.question(node, move_id, by)
    elsewhere = False
    if request is not None:
        refresh(opened)
        totals = asyncio.run(serve.ask(opened.connect, lambda hub: hub.totals(request)))
        elsewhere = counter_balance.is_linked_elsewhere(node, request, totals)
    envelope = moves.confirm_move(node, move_id, by, shown, linked_elsewhere=elsewhere)
    if envelope is not None:
        submit(opened, envelope)


def fetch_balance(opened: Home, identifier: Identifier, wait_seconds: float) -> dict[str, Any]:
    """The answer of ``balance``: fresh from the hub, or as remembered while the hub is away.

    Raises Refused ``subject_unknown`` or ``no_consent``; Unavailable if the hub is away and nothing is remembered.
    """
    node = opened.node

    def look_up() -> counter_balance.Found:
        return counter_balance.find_or_want(node, identifier)

    found = look_up()
    if found.request is None:
        asyncio.run(serve.drain(node, opened.connect, wait_seconds, lambda: look_up().request is not None))
        found = look_up()
    request = found.request
    try:
        if request is None:
            raise Unavailable("link_pending")
        totals = asyncio.run(serve.ask(opened.connect, lambda hub: hub.totals(request)))
        totals = counter_balance.accept_totals(node, request, totals)
    except Unavailable:
        if found.remembered is None:
            raise
        return counter_balance.document(identifier, found.remembered, found.earned_here, fresh=False)
    return counter_balance.document(identifier, totals, found.earned_here, fresh=True)


def issue_handle(opened: Home, identifier: Identifier, integrator: str, wait_seconds: float) -> dict[str, Any]:
    """The answer of ``handle``: a token for the person's app.

    Raises as :func:`handle_token.question`; Unavailable ``link_pending`` if the hub does not know of the consent yet.
    """
    node = opened.node
    refresh(opened)

    def ask() -> hub_pb2.IssueTokenRequest | None:
        return handle_token.question(node, identifier, integrator)

    if ask() is None:
        asyncio.run(serve.drain(node, opened.connect, wait_seconds, lambda: ask() is not None))
    request = ask()
    if request is None:
        raise Unavailable("link_pending")
    token = asyncio.run(serve.ask(opened.connect, lambda hub: hub.issue_token(request)))
    found = handle_token.check(node, integrator, token)
    text = base64.urlsafe_b64encode(token.SerializeToString()).decode()
    until = calendar.iso(found.expires_at)
    return {"integrator": integrator, "token": text, "expires_at": until}


def publish(opened: Home, text: str) -> dict[str, Any]:
    """Sign this agency's catalogue and bring it to the hub."""
    refresh(opened)
    node = opened.node
    envelope = proposals.publish(node, text)
    submit(opened, envelope)
    body = documents.read(envelope)
    assert isinstance(body, Catalogue)
    return {"agency": body.agency, "version": body.version, "benefits": len(body.benefits)}


def fetch_benefits(opened: Home) -> dict[str, Any]:
    """The answer of ``benefit list``: as fresh as the hub can be reached."""
    fresh = True
    try:
        refresh(opened)
    except Unavailable:
        fresh = False
    with opened.node.db.read() as tx:
        catalogues = store.documents.agreed_on(tx).catalogues
    return {
        "benefits": [_benefit(agency, each) for agency in sorted(catalogues) for each in _sorted(catalogues[agency])],
        "fresh": fresh,
    }


def _sorted(catalogue: benefits.Catalogue) -> list[benefits.Benefit]:
    return [catalogue.benefits[code] for code in sorted(catalogue.benefits)]


def _benefit(agency: str, benefit: benefits.Benefit) -> dict[str, Any]:
    return {
        "benefit": f"{agency}/{benefit.code}",
        "title": dict(benefit.title),
        "credits": benefit.credits,
        "stock": benefit.stock,
        "per_subject_max": benefit.per_subject_max or None,
        "period": benefits.PERIODS[benefit.period - 1],
        "kinds": [benefits.KINDS[each - 1] for each in sorted(benefit.kinds)],
        "dimensions": [policy.DIMENSIONS[each - 1] for each in sorted(benefit.dimensions)],
        "areas": list(benefit.areas),
        "valid_from": benefit.valid_from.isoformat(),
        "valid_until": benefit.valid_until.isoformat(),
    }


def redeem(opened: Home, wish: redemption.Wish, wait_seconds: float) -> dict[str, Any]:
    """The answer of ``redeem``: what the hub decided, and what the subject has left.

    Raises as :func:`redemption.request_redemption`; Unavailable ``counter_offline`` if the hub is away, so that nothing
    was asked for; Unavailable ``redemption_pending`` if something has left and its answer has not come.
    """
    node = opened.node
    redemption.request_redemption(node, wish)
    try:
        document = settle_redemption(opened, wish.op_key, wait_seconds)
    except Unavailable as problem:
        if problem.code != "counter_offline" or problem.values["why"] != "hub_unreachable":
            raise
        risked = replace(wish, on_own_risk=True)
        most = opened.settings.offline_credits_max
        return redemption.request_redemption(node, risked, most) | {"available": None}
    return document | {"available": _fetch_available(opened, wish.subject)}


def settle_redemption(opened: Home, op_key: bytes, wait_seconds: float, update: bytes = b"") -> dict[str, Any]:
    """Wait until the hub has answered what was queued about a redemption; the redemption then.

    ``update`` is the op_id of what was queued, if it is not the redemption itself.  Raises Unavailable
    ``redemption_pending``, or ``counter_offline`` if it has not left, which is dropped then.  So it is whatever else
    goes wrong: what was told to have failed is not done later.
    """
    node = opened.node

    def drop() -> bool:
        return redemption.drop_update(node.db, update) if update else redemption.drop_unsent(node.db, op_key)

    _settle(opened, lambda: redemption.is_decided(node.db, op_key), drop, wait_seconds, uuid.UUID(bytes=op_key))
    return redemption.find(node, op_key)


def _settle(
    opened: Home, is_decided: Callable[[], bool], drop: Callable[[], bool], wait_seconds: float, named: object
) -> None:
    """Wait for the hub's answer; what has not left is dropped, and what has is told to be pending."""
    why = "link_pending"
    try:
        done = is_decided() or asyncio.run(serve.settle(opened.node, opened.connect, wait_seconds, is_decided))
    except Unavailable as problem:
        done, why = is_decided(), problem.code
    except BaseException as problem:
        if drop() or is_decided():
            raise
        raise Unavailable("redemption_pending", id=named) from problem
    if not done:
        if drop():
            raise Unavailable("counter_offline", why=why)
        raise Unavailable("redemption_pending", id=named)


def _fetch_available(opened: Home, subject: Identifier) -> int | None:
    """What the subject can spend now, as far as the hub can be asked."""
    with contextlib.suppress(SamprasanError):
        return int(fetch_balance(opened, subject, 0)["available"])
    return None


def refund_elsewhere(
    opened: Home, agency: str, hold_id: bytes, credits_: int, reason: str, wait_seconds: float
) -> dict[str, Any]:
    """Give back what another agency's counter took for one of this agency's benefits; what came of it.

    Raises Unavailable ``counter_offline`` if nothing has left, which is dropped then.
    """
    node = opened.node
    op_id = redemption.refund_elsewhere(node, agency, hold_id, credits_, reason)
    named = f"{agency}/{hold_id.hex()}"

    def is_told() -> bool:
        return redemption.outcome_of(node.db, op_id)[0] != "queued"

    _settle(opened, is_told, lambda: redemption.drop_update(node.db, op_id), wait_seconds, named)
    state, why = redemption.outcome_of(node.db, op_id)
    return {"state": {"settled": "refunded"}.get(state, state), "reason": why, "hold": named}


def submit(opened: Home, envelope: Envelope) -> None:
    """Bring a signed document to the hub, and hear what came of it."""
    asyncio.run(serve.ask(opened.connect, lambda hub: hub.submit_document(envelope)))
    refresh(opened)


def submit_dissent(opened: Home, envelope: Envelope) -> bool:
    """Bring a no to a proposal to the hub; whether the proposal is over."""
    is_over = asyncio.run(serve.ask(opened.connect, lambda hub: hub.submit_dissent(envelope)))
    refresh(opened)
    return is_over
