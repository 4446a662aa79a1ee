"""The commands that put deeds right which stand under a wrong id: ``merge``, ``split`` and ``moves``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang, Yes
from samprasan.edge.texts import Words
from samprasan.node.commands.subjects import IdScheme, Registry, identifier_of

if TYPE_CHECKING:
    from rich.table import Table

moves = command.application("Deeds on their way from a wrong id to the right one: one proposes, another confirms.")
words = Words("samprasan.node")

Wrong = Annotated[str, typer.Option("--from", help='The wrong id; "-" asks for it or reads stdin.')]
Right = Annotated[str, typer.Option("--to", help='The right id; "-" asks for it or reads stdin.')]
RightName = Annotated[str, typer.Option("--name", help="The name of whom they are, if not known yet.")]
Reason = Annotated[str, typer.Option(help="wrong-id, two-ids or two-subjects.")]
By = Annotated[str, typer.Option("--by", help="Your name; whoever confirms must be somebody else.")]
Number = Annotated[int, typer.Argument(help="From the list.")]


def merge(
    home: Home,
    wrong: Wrong,
    right: Right,
    by: By,
    reason: Reason = "two-ids",
    name: RightName = "",
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Propose that every deed under one id belongs under another; somebody else confirms it with "moves confirm".

    Example: samprasan-node merge --from 1234567890121 --to 1234567890139 --by Malee --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import moves as deeds_moves

    chosen = _reason(reason)
    before, after = identifier_of(wrong, scheme, registry), identifier_of(right, scheme, registry)
    node = homes.open_ready(home).node
    document = deeds_moves.merge(node, before, deeds_moves.Proposal(after, name, chosen, by))
    command.answer(document, as_json, words("move_proposed", **document))


def split(
    records: Annotated[list[str], typer.Argument(help="Record ids, as in the file or as the import showed them.")],
    source: Annotated[str, typer.Option(help="Whose record ids these are, as in the profile.")],
    home: Home,
    right: Right,
    by: By,
    reason: Reason = "wrong-id",
    name: RightName = "",
    scheme: IdScheme = "th-pid",
    registry: Registry = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Propose that the deeds of some records belong under another id; somebody else confirms it with "moves confirm".

    Example: samprasan-node split R-17 R-18 --source mpc.registry --to 1234567890139 --by Malee --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import moves as deeds_moves

    chosen = _reason(reason)
    after = identifier_of(right, scheme, registry)
    node = homes.open_ready(home).node
    document = deeds_moves.split(node, source, records, deeds_moves.Proposal(after, name, chosen, by))
    command.answer(document, as_json, words("move_proposed", **document))


@moves.command("list")
def moves_list(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """List every move: who proposed it, who confirmed it, what it waits for.

    Example: samprasan-node moves list --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import moves as deeds_moves

    node = homes.open_ready(home).node
    documents = deeds_moves.list_moves(node)
    names = ("move_id", "state", "from", "to", "deeds", "credits", "reason", "by", "confirmed_by")
    rows = [[_shown(name, each[name]) for name in names] for each in documents]
    command.answer(documents, as_json, command.table(words("moves"), [words(f"move_{name}") for name in names], rows))


@moves.command("show")
def moves_show(number: Number, home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Show one move with its records, for whoever is to confirm it.

    Example: samprasan-node moves show 1 --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import moves as deeds_moves

    node = homes.open_ready(home).node
    document = deeds_moves.show_move(node, number)
    command.answer(document, as_json, *_tables(document))


def _tables(document: dict[str, Any]) -> "list[Table]":
    from samprasan.node.commands import formats

    facts = {name: value for name, value in document.items() if name != "records"}
    facts["proposed_at"] = formats.moment(document["proposed_at"])
    rows = [[each["source"], each["record_id"], each["status"], each["credits"]] for each in document["records"]]
    return [
        command.table(words("moves"), ["", ""], formats.flattened(facts)),
        command.table(words("move_deeds"), [words(each) for each in ("source", "record", "status", "credits")], rows),
    ]


@moves.command("confirm")
def moves_confirm(
    number: Number, by: By, home: Home, yes: Yes = False, as_json: Json = False, lang: Lang = None
) -> None:
    """Show a move that somebody else proposed, ask, and confirm just that.

    If another agency knows the wrong id, too, one of the others must approve it first.  A script, and who wants --json,
    says --yes.

    Example: samprasan-node moves confirm 1 --by Somchai --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import hub_calls
    from samprasan.node.deeds import moves as deeds_moves

    opened = homes.open_ready(home)
    deeds_moves.question(opened.node, number, by)  # nobody is asked about what would be refused
    shown = deeds_moves.show_move(opened.node, number)
    if not as_json:
        command.answer(None, False, *_tables(shown))
    command.check_confirmed(words("move_question"), yes=yes, as_json=as_json)
    hub_calls.confirm_move(opened, number, by, shown)
    document = deeds_moves.show_move(opened.node, number)
    command.answer(document, as_json, words(f"move_now_{document['state']}", **document))


@moves.command("drop")
def moves_drop(number: Number, home: Home, lang: Lang = None) -> None:
    """Give a move up that was not carried out yet.

    Example: samprasan-node moves drop 1 --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.deeds import moves as deeds_moves

    deeds_moves.drop_move(homes.open_ready(home).node.db, number)
    command.answer(None, False, words("move_now_dropped", move_id=number))


def _reason(given: str) -> str:
    from samprasan.node.deeds.moves import REASONS

    if given not in REASONS:
        raise typer.BadParameter(f"--reason: {', '.join(REASONS)}")
    return given


def _shown(name: str, value: Any) -> Any:
    if value is None:
        return ""
    return words(f"move_is_{value}") if name == "state" else value
