"""The commands against loss: ``backup``, ``restore``, ``recover``, ``cut`` and ``orphans``."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang, Yes
from samprasan.edge.texts import Words

if TYPE_CHECKING:
    from rich.table import Table

orphans = command.application(
    "Awards that stand at the hub and whose deed is not here: one proposes, another confirms."
)
words = Words("samprasan.node")
File = Annotated[Path, typer.Argument(help="The backup.")]
Numbers = Annotated[list[int] | None, typer.Argument(help="From the list; else all that wait.")]
By = Annotated[str, typer.Option("--by", help="Your name; whoever confirms must be somebody else.")]


def backup(file: File, home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Write keys, certificates and database, as of now, to an encrypted file; the node may be serving.

    The passphrase is that of the node's keys.

    Example: samprasan-node backup mpc-2569-11-23.backup --home /srv/node
    """
    from samprasan.node import home as homes

    with command.counting() as progress, command.written(file) as out:
        document = homes.back_up(home, out, progress)
    command.answer(document, as_json, words("backup_done", file=file, **document))


def restore(
    file: File,
    home: Annotated[Path, typer.Option("--home", help="A folder that holds no node yet.")],
    database: Annotated[str, typer.Option(help="SQLAlchemy URL of an empty database; else as it was.")] = "",
    passphrase_file: Annotated[str, typer.Option(help="File with the passphrase; else it is asked for.")] = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Make a node of a backup; it does nothing before "recover" has brought it up to what it signed since.

    Example: samprasan-node restore mpc-2569-11-23.backup --home /srv/node
    """
    from samprasan.edge.configuration import find_passphrase
    from samprasan.node import home as homes

    named = str(Path(passphrase_file).resolve()) if passphrase_file else ""
    with command.counting() as progress:
        document = homes.restore(file, home, database, named, find_passphrase(named), progress)
    command.answer(document, as_json, words("restore_done", **document), *document["problems"])


def recover(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Take back from the hub's log what this node signed and does not know any more; then it may send again.

    Example: samprasan-node recover --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.process import serve

    opened = homes.open_home(home)
    found = asyncio.run(serve.ask(opened.connect, lambda hub: serve.recover(opened.node, hub)))
    document = {
        "batches": found.batches,
        "given_up": found.given_up,
        "orphans": found.orphans,
        "unnamed": found.unnamed,
    }
    command.answer(document, as_json, words("recovered", **document))


def cut(home: Home, yes: Yes = False, as_json: Json = False, lang: Lang = None) -> None:
    """Propose that the hub goes on without an entry that it has lost and nobody has ("missing" in its status).

    It shows the document, says what it does here, and asks; a script, and who wants --json, says --yes.

    Example: samprasan-node cut --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import formats, joint_documents

    opened = homes.open_ready(home)
    waiting = joint_documents.compose_cut(opened)
    if not as_json:
        command.answer(None, False, formats.joint_document(joint_documents.shown(opened, waiting)))
    command.check_confirmed(words("cut_question"), yes=yes, as_json=as_json)
    document = joint_documents.propose_shown(opened, waiting)
    command.answer(document, as_json, words("proposed", **document))


@orphans.command("list")
def orphans_list(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """List awards without a deed: import the records they were for, and they find them; decide about the rest.

    Example: samprasan-node orphans list --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import orphans as steps

    node = homes.open_home(home).node
    documents = steps.list_orphans(node)
    command.answer(documents, as_json, _listed(documents))


@orphans.command("keep")
def orphans_keep(by: By, home: Home, numbers: Numbers = None, as_json: Json = False, lang: Lang = None) -> None:
    """Propose that these awards are right though their record is lost; somebody else confirms.

    Example: samprasan-node orphans keep 17 18 --by Malee --home /srv/node
    """
    _propose(home, numbers or [], by, as_json, keep=True)


@orphans.command("take-back")
def orphans_take_back(by: By, home: Home, numbers: Numbers = None, as_json: Json = False, lang: Lang = None) -> None:
    """Propose to take these awards back; somebody else confirms, and then it is signed and sent.

    Example: samprasan-node orphans take-back 19 --by Malee --home /srv/node
    """
    _propose(home, numbers or [], by, as_json, keep=False)


@orphans.command("confirm")
def orphans_confirm(by: By, home: Home, yes: Yes = False, as_json: Json = False, lang: Lang = None) -> None:
    """Show what somebody else proposed, ask, and carry just that out.

    A script, and who wants --json, says --yes.

    Example: samprasan-node orphans confirm --by Somchai --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import orphans as steps

    node = homes.open_home(home).node
    proposed = steps.list_proposed(node, by)
    if not as_json:
        command.answer(None, False, _listed(proposed))
    command.check_confirmed(words("orphans_question"), yes=yes, as_json=as_json)
    kept, taken_back = steps.confirm_decision(node, by, proposed)
    document = {"kept": kept, "taken_back": taken_back}
    command.answer(document, as_json, words("orphans_confirmed", **document))


def _listed(documents: Sequence[dict[str, Any]]) -> "Table":
    names = ("number", "name", "credits", "dimension", "month", "proposed", "by", "confirmed_by")
    rows = [["" if each[name] is None else each[name] for name in names] for each in documents]
    return command.table(words("orphans"), [words(f"orphan_{name}") for name in names], rows)


def _propose(home: Path, numbers: list[int], by: str, as_json: bool, *, keep: bool) -> None:
    from samprasan.node import home as homes
    from samprasan.node.deeds import orphans as steps

    count = steps.propose_decision(homes.open_home(home).node.db, numbers, by, keep=keep)
    command.answer({"proposed": count}, as_json, words("orphans_proposed", count=count))
