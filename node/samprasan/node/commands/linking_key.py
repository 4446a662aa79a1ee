"""The commands about the linking key: ``linking refresh``, ``repair``, ``rotate``, ``restart`` and ``grant``."""

from typing import Annotated

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words

linking = command.application("The linking key: new shares, a lost share, a stuck ceremony, a larger allowance.")
words = Words("samprasan.node")


@linking.callback()
def linking_group() -> None:
    """The linking key."""


@linking.command()
def refresh(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Propose new shares of the same key, so that a stolen old one is of no use; pseudonyms stay.

    Example: samprasan-node linking refresh --home /srv/node
    """
    from samprasan.node.documents.proposals import REFRESH

    _propose(home, REFRESH, as_json=as_json)


@linking.command()
def repair(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Propose that the other two make this node's lost share anew; pseudonyms stay.

    Example: samprasan-node linking repair --home /srv/node
    """
    from samprasan.node.documents.proposals import REPAIR

    _propose(home, REPAIR, as_json=as_json)


@linking.command()
def rotate(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Propose a new linking key: pseudonyms change, accounts and credits stay; it runs by itself until all have moved.

    Example: samprasan-node linking rotate --home /srv/node
    """
    from samprasan.node.documents.proposals import ROTATE

    _propose(home, ROTATE, as_json=as_json)


@linking.command()
def restart(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Give up the key ceremony that is stuck, and begin another attempt; the other nodes follow by themselves.

    Example: samprasan-node linking restart --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import hub_calls
    from samprasan.node.linking import ceremony

    opened = homes.open_ready(home)
    hub_calls.refresh(opened)
    attempt = ceremony.restart(opened.node)
    command.answer({"attempt": attempt}, as_json, words("restarted", attempt=attempt))


@linking.command()
def grant(
    home: Home,
    elements: Annotated[int, typer.Option(help="How many ids more than the daily allowance, in all.")],
    days: Annotated[int, typer.Option(help="For how long, from now.")] = 30,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Propose that this agency may look up more ids than its daily allowance, for the records of years before.

    Example: samprasan-node linking grant --elements 500000 --days 30 --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import joint_documents

    document = joint_documents.propose_grant(homes.open_ready(home), elements, days)
    command.answer(document, as_json, words("proposed", **document))


def _propose(home: Home, purpose: str, *, as_json: bool) -> None:
    from samprasan.node import home as homes
    from samprasan.node.commands import joint_documents

    document = joint_documents.propose_ceremony(homes.open_ready(home), purpose)
    command.answer(document, as_json, words("proposed", **document))
