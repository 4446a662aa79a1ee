"""The commands about one subject: ``balance``, ``consent`` and ``erase``."""

import asyncio
import sys
from typing import Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words

consent = command.application("What a subject agrees to; what was taken back outlasts every import.")
words = Words("samprasan.node")

WAIT_SECONDS = 20.0
Id = Annotated[str, typer.Option("--id", help='The id; "-" asks for it or reads stdin.')]
IdScheme = Annotated[str, typer.Option(help="th-pid, th-jid, registry or th-area.")]
Registry = Annotated[str, typer.Option(help="The register, for --scheme registry.")]
Purposes = Annotated[list[str], typer.Option("--purpose", help="share, redeem, integrators or publish; repeat it.")]


def balance(
    home: Home,
    id: Id,  # noqa: A002
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Read what a consenting subject owns across all agencies.

    Example: echo 1234567890121 | samprasan-node balance --id - --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import formats, hub_calls

    identifier = identifier_of(id, scheme, registry)
    opened = homes.open_ready(home)
    document = hub_calls.fetch_balance(opened, identifier, WAIT_SECONDS)
    names = ("earned", "available", "pending", "held", "spent", "expired", "earned_here")
    command.answer(
        document,
        as_json,
        command.table(words("balance"), [words(name) for name in names], [[document[name] for name in names]]),
        command.table(
            words("by_dimension"),
            [words(name) for name in document["by_dimension"]],
            [list(document["by_dimension"].values())],
        ),
        words("as_of_now" if document["fresh"] else "as_of_then", at=formats.moment(document["as_of"])),
    )


def handle(
    home: Home,
    id: Id,  # noqa: A002
    integrator: Annotated[str, typer.Option(help="Who is to learn its handle of this subject, such as welfare-app.")],
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Give a consenting subject's app a token with which one integrator learns its handle; it lasts ten minutes.

    Example: echo 1234567890121 | samprasan-node handle --id - --integrator welfare-app --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import formats, hub_calls

    identifier = identifier_of(id, scheme, registry)
    document = hub_calls.issue_handle(homes.open_ready(home), identifier, integrator, WAIT_SECONDS)
    until = formats.moment(document["expires_at"])
    command.answer(document, as_json, document["token"], words("handle_until", integrator=integrator, at=until))


@consent.command("show")
def consent_show(
    home: Home,
    id: Id,  # noqa: A002
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show what a subject agrees to, and how its account stands.

    Example: echo 1234567890121 | samprasan-node consent show --id - --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.counter import consent as consents

    node = homes.open_ready(home).node
    _tell(consents.show(node, identifier_of(id, scheme, registry)), as_json=as_json)


@consent.command("give")
def consent_give(
    home: Home,
    id: Id,  # noqa: A002
    purpose: Purposes,
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Note that a subject agrees.

    Example: echo 1234567890121 | samprasan-node consent give --id - --purpose share --purpose redeem --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.counter import consent as consents

    given = _purposes(purpose)
    node = homes.open_ready(home).node
    identifier = identifier_of(id, scheme, registry)
    _tell(consents.give(node, identifier, given), as_json=as_json)


@consent.command("withdraw")
def consent_withdraw(
    home: Home,
    id: Id,  # noqa: A002
    purpose: Purposes,
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Note that a subject takes consent back; no import gives it again, and nothing that was sent is reversed.

    Example: echo 1234567890121 | samprasan-node consent withdraw --id - --purpose integrators --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.counter import consent as consents

    taken = _purposes(purpose)
    node = homes.open_ready(home).node
    identifier = identifier_of(id, scheme, registry)
    document = consents.withdraw(node, identifier, taken)
    note = [words("last_consent", **_when(document))] if document["account"] == "leaving" else []
    _tell(document, *note, as_json=as_json)


def erase(
    home: Home,
    id: Id,  # noqa: A002
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    confirm: Annotated[bool, typer.Option("--confirm", help="The subject asked for it.")] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Erase a subject: deeds, name and id; exit 1 if the hub has not confirmed yet.

    Example: echo 1234567890121 | samprasan-node erase --id - --confirm --home /srv/node
    """
    from samprasan.keys.errors import Refused
    from samprasan.node import home as homes
    from samprasan.node.counter import erasure
    from samprasan.node.process import serve

    opened = homes.open_ready(home)
    node = opened.node
    identifier = identifier_of(id, scheme, registry)
    deeds = erasure.deeds_of(node, identifier)
    if not confirm:
        raise Refused("erase_unconfirmed", deeds=deeds)
    document = erasure.erase(node, identifier)

    def is_done() -> bool:
        return erasure.is_done(node, identifier)

    if not document["done"]:
        document["done"] = asyncio.run(serve.drain(node, opened.connect, WAIT_SECONDS, is_done))
    command.answer(document, as_json, words("erase_done" if document["done"] else "erase_pending", **document))
    return 0 if document["done"] else 1


def _tell(document: dict[str, Any], *notes: str, as_json: bool) -> None:
    from samprasan.node.counter import consent as consents

    rows = [[words(each), words("yes") if document[each] else words("no")] for each in consents.PURPOSES]
    rows.append([words("withdrawn"), ", ".join(words(each) for each in document["withdrawn"])])
    rows.append([words("account"), words(f"account_{document['account']}", **_when(document))])
    command.answer(document, as_json, command.table(words("consent"), ["", ""], rows), *notes)


def _when(document: dict[str, Any]) -> dict[str, str]:
    """When the account is given up, and until when that can be taken back, as people write it."""
    from samprasan.node.commands.formats import moment

    moments = {"at": document["unlink_at"], "until": document["back_until"]}
    return {name: moment(each) if each else "" for name, each in moments.items()}


def _purposes(given: list[str]) -> list[str]:
    from samprasan.node.counter import consent as consents

    if unknown := set(given) - set(consents.PURPOSES):
        raise typer.BadParameter(f"--purpose: {', '.join(sorted(unknown))}; {', '.join(consents.PURPOSES)}")
    return given


def identifier_of(id: str, scheme: str, registry: str) -> Any:  # noqa: A002
    """The id that a command names.  Raises Malformed."""
    from samprasan.keys.identifiers import Scheme, parse

    try:
        chosen = Scheme(scheme)
    except ValueError as problem:
        raise typer.BadParameter(f"--scheme: {', '.join(Scheme)}") from problem
    return parse(chosen, _typed_id(id), registry)


def _typed_id(given: str) -> str:
    """The id as given, or asked for without echo, or from stdin."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        typed: str = typer.prompt(words("ask_id"), hide_input=True, err=True)
        return typed
    return sys.stdin.readline()
