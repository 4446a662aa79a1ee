"""The commands of a counter: ``redeem``, ``redemptions`` and ``benefit``."""

import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words
from samprasan.node.commands.subjects import Id, IdScheme, Registry, identifier_of

redemptions = command.application("What was redeemed here: find it, spend a hold, give it up, give credits back.")
benefit = command.application("What agencies give for credits.")
words = Words("samprasan.node")

WAIT_SECONDS = 20.0
_LISTED = 50
Benefit = Annotated[str, typer.Option(help="AGENCY/CODE, from: samprasan-node benefit list.")]
OpId = Annotated[str, typer.Argument(help="The redemption's id (UUID), from the list or the receipt.")]
Credits = Annotated[int | None, typer.Option("--credits", help="Fewer than all of them.")]


def redeem(
    home: Home,
    id: Id,  # noqa: A002
    benefit: Benefit,
    authorised_by: Annotated[str, typer.Option(help="How they proved who they are: card, otp or signed_form.")],
    op_id: Annotated[
        str, typer.Option("--op-id", help="Your own UUID for it: given again, it is the same redemption.")
    ] = "",
    area: Annotated[str, typer.Option(help="DOPA code of where they live, if the benefit is for some areas.")] = "",
    reserve_only: Annotated[
        bool, typer.Option("--reserve-only", help="Set credits aside for a day; spend or void the hold later.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="The name was compared: do not ask.")] = False,
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Spend a subject's credits on a benefit of any agency; exit 1 if it is declined.

    Example: samprasan-node redeem --id - --benefit codi/rice-5kg --authorised-by card --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node import limits
    from samprasan.node.commands import hub_calls
    from samprasan.node.counter import redemption

    subject = identifier_of(id, scheme, registry)
    opened = homes.open_ready(home)
    shown = redemption.subject_shown(opened.node, subject)
    asks = not (yes or as_json) and sys.stdin.isatty()
    if asks and not command.is_confirmed(words("redeem_confirm", name=shown, benefit=benefit)):
        raise typer.Abort
    owner, code = _named(benefit)
    wish = redemption.Wish(
        op_key=_op_key(op_id) if op_id else opened.node.world.random_bytes(16),
        subject=subject,
        owner=owner,
        benefit=code,
        authorised_by=authorised_by,
        area=area,
        reserve_only=reserve_only,
        ttl_seconds=limits.RESERVED_SECONDS if reserve_only else limits.HOLD_SECONDS,
    )
    document = hub_calls.redeem(opened, wish, WAIT_SECONDS)
    _tell(document, as_json)
    return 0 if document["state"] in {"posted", "held"} or document["on_own_risk"] else 1


@redemptions.command("list")
def redemptions_list(
    home: Home,
    limit: Annotated[int, typer.Option(help="How many, the newest first.")] = _LISTED,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """List redemptions at this agency's counters.

    Example: samprasan-node redemptions list --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node import limits
    from samprasan.node.commands import formats
    from samprasan.node.counter import redemption

    node = homes.open_ready(home).node
    redemption.expire(node.db, node.world.now())
    documents = redemption.list_redemptions(node, max(1, min(limit, limits.REDEMPTIONS_LISTED_MAX)))
    rows = [
        [
            each["redemption_id"],
            words(f"redemption_{each['state']}"),
            each["benefit"],
            each["credits"],
            each["subject"] or "",
            formats.moment(each["decided_at"] or each["asked_at"]),
            each["receipt"] or "",
        ]
        for each in documents
    ]
    columns = ["id", *(words(name) for name in ("state", "benefit", "credits", "subject", "at", "receipt_number"))]
    command.answer(documents, as_json, command.table(words("redemptions"), columns, rows))


@redemptions.command("show")
def redemptions_show(op_id: OpId, home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Show one redemption, as on its receipt.

    Example: samprasan-node redemptions show 018f2a6e-5e7c-7c00-8d13-0123456789ab --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.counter import redemption

    node = homes.open_ready(home).node
    redemption.expire(node.db, node.world.now())
    _tell(redemption.find(node, _op_key(op_id)), as_json)


@redemptions.command("post")
def redemptions_post(
    op_id: OpId, home: Home, credits_: Credits = None, as_json: Json = False, lang: Lang = None
) -> int:
    """Spend a hold: the benefit is handed out.  Exit 1 if its time is over.

    Example: samprasan-node redemptions post 018f2a6e-5e7c-7c00-8d13-0123456789ab --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.counter import redemption

    opened = homes.open_ready(home)
    node = opened.node
    update = redemption.post(node, _op_key(op_id), credits_)
    return _settle(opened, op_id, update, {"posted"}, as_json=as_json)


@redemptions.command("void")
def redemptions_void(
    op_id: OpId,
    home: Home,
    reason: Annotated[str, typer.Option(help="cancelled or not-given.")] = "cancelled",
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Give a hold up: credits and stock are as they were.

    Example: samprasan-node redemptions void 018f2a6e-5e7c-7c00-8d13-0123456789ab --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.counter import redemption

    _one_of(reason, redemption.VOID_REASONS)
    opened = homes.open_ready(home)
    node = opened.node
    update = redemption.void(node, _op_key(op_id), reason)
    return _settle(opened, op_id, update, {"voided"}, as_json=as_json)


@redemptions.command("refund")
def redemptions_refund(
    op_id: Annotated[str, typer.Argument(help="The id (UUID); or AGENCY/HOLD from another agency's receipt.")],
    home: Home,
    credits_: Credits = None,
    reason: Annotated[str, typer.Option(help="returned, not-given or mistake.")] = "returned",
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Give back what was spent, once, in whole or in part; of one's own benefits also what others' counters took.

    Example: samprasan-node redemptions refund 018f2a6e-5e7c-7c00-8d13-0123456789ab --reason returned --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import hub_calls
    from samprasan.node.counter import redemption

    _one_of(reason, redemption.REFUND_REASONS)
    opened = homes.open_ready(home)
    node = opened.node
    if "/" in op_id:
        if credits_ is None:
            raise typer.BadParameter("--credits")
        agency, hold_id = _hold(op_id)
        document = hub_calls.refund_elsewhere(opened, agency, hold_id, credits_, reason, WAIT_SECONDS)
        command.answer(document, as_json, words(f"refund_{document['state']}", why=_why(document)))
        return 0 if document["state"] == "refunded" else 1
    update = redemption.refund(node, _op_key(op_id), credits_, reason)
    return _settle(opened, op_id, update, {"refunded"}, as_json=as_json)


@benefit.command("publish")
def benefit_publish(
    file: Annotated[Path, typer.Argument(help="The catalogue (TOML), all of it.")],
    home: Home,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Publish what this agency gives; what the file does not name any more is withdrawn.

    Example: samprasan-node benefit publish benefits.toml --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import hub_calls, records

    text = records.text_in(file)
    document = hub_calls.publish(homes.open_ready(home), text)
    command.answer(document, as_json, words("published", **document))


@benefit.command("list")
def benefit_list(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """List what every agency gives.

    Example: samprasan-node benefit list --home /srv/node
    """
    from samprasan.edge import texts
    from samprasan.node import home as homes
    from samprasan.node.commands import formats, hub_calls

    document = hub_calls.fetch_benefits(homes.open_ready(home))
    rows = [
        [
            each["benefit"],
            each["title"][texts.language()],
            each["credits"],
            "" if each["stock"] is None else str(each["stock"]),
            f"{each['per_subject_max']} / {words('period_' + each['period'])}" if each["per_subject_max"] else "",
            f"{formats.day(each['valid_from'])}–{formats.day(each['valid_until'])}",
        ]
        for each in document["benefits"]
    ]
    columns = [words(name) for name in ("benefit", "title", "credits", "stock", "per_subject", "valid")]
    command.answer(document, as_json, command.table(words("benefits"), columns, rows))


def _settle(opened: Any, op_id: str, update: bytes, wanted: set[str], *, as_json: bool) -> int:
    from samprasan.node.commands import hub_calls

    document = hub_calls.settle_redemption(opened, _op_key(op_id), WAIT_SECONDS, update)
    _tell(document, as_json)
    return 0 if document["state"] in wanted else 1


def _tell(document: dict[str, Any], as_json: bool) -> None:
    from samprasan.edge import texts
    from samprasan.node.commands import formats

    facts = {
        "receipt_number": document["receipt"],
        "state": words(f"redemption_{document['state']}"),
        "why": _why(document) or None,
        "subject": document["subject"],
        "benefit": f"{document['benefit']} {(document['title'] or {}).get(texts.language(), '')}".strip(),
        "credits": document["credits"],
        "refunded": document["refunded"] or None,
        "available": document.get("available"),
        "authorised_by": document["authorised_by"],
        "at": formats.moment(document["decided_at"] or document["asked_at"]),
        "deadline": formats.moment(document["deadline"]) if document["deadline"] else None,
        "redemption_id": document["redemption_id"],
        "hold": document["hold"],
    }
    rows = [[words(name), str(value)] for name, value in facts.items() if value is not None]
    command.answer(document, as_json, command.table(words("receipt_of_redemption"), ["", ""], rows))


def _why(document: dict[str, Any]) -> str:
    return words(f"declined_{document['reason']}") if document["reason"] else ""


def _named(benefit: str) -> tuple[str, str]:
    owner, _, code = benefit.partition("/")
    if not owner or not code:
        raise typer.BadParameter("--benefit: AGENCY/CODE")
    return owner, code


def _op_key(given: str) -> bytes:
    try:
        return uuid.UUID(given).bytes
    except ValueError as problem:
        raise typer.BadParameter("UUID") from problem


def _hold(given: str) -> tuple[str, bytes]:
    from samprasan.keys.errors import Malformed

    agency, _, code = given.partition("/")
    try:
        return agency, bytes.fromhex(code)
    except ValueError as problem:
        raise Malformed("hold_code") from problem


def _one_of(given: str, known: dict[str, Any]) -> None:
    if given not in known:
        raise typer.BadParameter(f"--reason: {', '.join(known)}")
