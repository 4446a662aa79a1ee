"""The commands about the inbox of joint documents: ``approvals``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words
from samprasan.keys.errors import Refused

if TYPE_CHECKING:
    from rich.table import Table
    from samprasan.node.documents.inbox import Waiting
    from samprasan.node.home import Home as Opened

approvals = command.application("Joint documents that wait for this agency.")
words = Words("samprasan.node")
Id = Annotated[str, typer.Argument(help="From the list.")]
Digest = Annotated[str, typer.Option(help="The digest, in digits or words, that the agencies read to each other.")]


class Reason(StrEnum):
    """Why an agency declines: :data:`samprasan.keys.dissents.REASONS_TO_DECLINE`."""

    MISTAKE = "mistake"
    UNCLEAR = "unclear"
    LATER = "later"
    NOT_AGREED = "not_agreed"


@approvals.callback()
def approvals_default(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option("--home", envvar="SAMPRASAN_HOME", help="Folder of the node.")] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Without a command: list what waits."""
    if context.invoked_subcommand is None:
        if home is None:
            raise typer.BadParameter("--home")
        approvals_list(home, as_json, lang)


@approvals.command("list")
def approvals_list(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """List the joint documents that wait, who signed or declined them, and what has ended within a month.

    Example: samprasan-node approvals list --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import joint_documents

    document = joint_documents.inbox(homes.open_home(home))
    command.answer(document, as_json, _listed(document))
    if document["ended"] and not as_json:
        command.answer(None, False, _ended(document))


def _listed(document: dict[str, Any]) -> "Table":
    from samprasan.node.commands import formats

    rows = [
        [each["id"], each["kind"], each["version"], ", ".join(each["signed"]), formats.still_missing(each)]
        for each in document["waiting"]
    ]
    columns = ["id", words("kind"), words("version"), words("signed"), words("missing")]
    return command.table(words("approvals"), columns, rows)


def _ended(document: dict[str, Any]) -> "Table":
    from samprasan.node.commands import formats

    rows = [
        [each["id"], each["kind"], each["version"], formats.day(each["ended_on"]), formats.said_no(each)]
        for each in document["ended"]
    ]
    columns = ["id", words("kind"), words("version"), words("ended_on"), words("said_no")]
    return command.table(words("approvals_ended"), columns, rows)


@approvals.command("show")
def approvals_show(id: Id, home: Home, as_json: Json = False, lang: Lang = None) -> None:  # noqa: A002
    """Show every field of a document, what it changes, who signed it, and its digest as words.

    Example: samprasan-node approvals show 3f9a1c77d2e0 --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import formats, joint_documents

    opened = homes.open_home(home)
    document = joint_documents.shown(opened, joint_documents.find(opened, id))
    command.answer(document, as_json, formats.joint_document(document))


@approvals.command("approve")
def approvals_approve(id: Id, home: Home, digest: Digest = "", lang: Lang = None) -> None:  # noqa: A002
    """Show a document, ask, sign just that for this agency and send the signature.

    With --digest it does not ask; roster 1 needs it.

    Example: samprasan-node approvals approve 3f9a1c77d2e0 --digest "acorn zipper …" --home /srv/node
    """
    from samprasan.node.commands import joint_documents

    opened, waiting = _shown(home, id, digest, "approve_question")
    joint_documents.approve(opened, waiting, digest)
    command.answer(None, False, words("approved", id=id))


@approvals.command("decline")
def approvals_decline(
    id: Id,  # noqa: A002
    home: Home,
    reason: Annotated[Reason, typer.Option(help="Why; every agency reads it.")],
    digest: Digest = "",
    lang: Lang = None,
) -> None:
    """Show a document, ask, and say no to it for this agency; who changes their mind approves it.

    It is over for everybody once too few are left who may still sign.  With --digest, which a script needs, it does not
    ask.

    Example: samprasan-node approvals decline 3f9a1c77d2e0 --reason mistake --home /srv/node
    """
    from samprasan.node.commands import joint_documents

    opened, waiting = _shown(home, id, digest, "decline_question")
    is_over = joint_documents.decline(opened, waiting, reason.value, digest)
    command.answer(None, False, words("declined_and_over" if is_over else "declined_document", id=id))


@approvals.command("withdraw")
def approvals_withdraw(id: Id, home: Home, digest: Digest = "", lang: Lang = None) -> None:  # noqa: A002
    """Show a document that this agency proposed, ask, and take it back: nobody can put it into force any more.

    With --digest, which a script needs, it does not ask.

    Example: samprasan-node approvals withdraw 3f9a1c77d2e0 --home /srv/node
    """
    from samprasan.node.commands import joint_documents

    opened, waiting = _shown(home, id, digest, "withdraw_question")
    joint_documents.withdraw(opened, waiting, digest)
    command.answer(None, False, words("withdrawn_document", id=id))


def _shown(home: Path, id: str, digest: str, question: str) -> tuple["Opened", "Waiting"]:  # noqa: A002
    """The document, once it was shown and somebody has said yes; else Refused ``digest_needed``."""
    from samprasan.node import home as homes
    from samprasan.node.commands import formats, joint_documents

    opened = homes.open_home(home)
    waiting = joint_documents.find(opened, id)
    command.answer(None, False, formats.joint_document(joint_documents.shown(opened, waiting)))
    if not digest and not (command.is_at_terminal() and command.is_confirmed(words(question))):
        raise Refused("digest_needed") if question == "approve_question" else Refused("yes_needed")
    return opened, waiting
