"""The commands about proof: ``checkpoint`` and ``reconcile``."""

import asyncio
from typing import Annotated

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words

words = Words("samprasan.node")


def reconcile(
    home: Home,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what this node's own signed batches prove wrong here.")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Compare this node's records with the hub's totals, account by account; exit 1 if they differ.

    Example: samprasan-node reconcile --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.process import serve

    opened = homes.open_home(home)
    node = opened.node
    outcome, repaired = asyncio.run(serve.ask(opened.connect, lambda hub: serve.compare(node, hub, repair=repair)))
    document = outcome.as_document() | {"repaired": [each.as_document() for each in repaired]}
    names = ("account_id", "likely_cause", "here", "hub", "record_ids")
    rows = [
        [
            each["account_id"],
            words(each["likely_cause"]) + (f" ({each['seq']})" if each["seq"] else ""),
            _credits(each["here"]),
            _credits(each["hub"]),
            ", ".join(each["record_ids"]),
        ]
        for each in document["differences"]
    ]
    head = words("reconcile_agreed" if document["agreed"] else "reconcile_differ", found=len(rows), **document)
    table = [command.table(words("differences"), [words(name) for name in names], rows)] if rows else []
    done = [words(f"repair_{each['what']}", **each) for each in document["repaired"]]
    command.answer(document, as_json, *done, head, *table)
    return 0 if document["agreed"] else 1


def _credits(have: dict[str, int]) -> str:
    """What one side has, without the zeros."""
    return ", ".join(f"{words(name)} {value}" for name, value in have.items() if value and name != "linked") or "0"


def checkpoint(home: Home, as_json: Json = False, lang: Lang = None) -> int:
    """Show how far this node has seen the hub's log grow, and who cosigned; exit 1 if the hub was caught lying.

    Example: samprasan-node checkpoint --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.proof import witness

    document = witness.witness_status(homes.open_to_read(home))
    rows = [[agency, at] for agency, at in document["cosigned"].items()]
    rows += [[agency, words("not_yet")] for agency in document["missing"]]
    command.answer(
        document,
        as_json,
        words("checkpoint_head", size=document["size"], final=document["final"], proved=document["receipts_proved"]),
        command.table(words("cosignatures"), [words("agency"), words("cosigned_at")], rows),
        document["note"],
        *(
            words("evidence", at=each["found_at"], first=each["first"], second=each["second"])
            for each in document["evidence"]
        ),
    )
    return 1 if document["evidence"] else 0
