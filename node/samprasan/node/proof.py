"""The commands about proof: ``checkpoint``."""

from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.wording import Words

words = Words("samprasan.node")


def checkpoint(home: Home, as_json: Json = False, lang: Lang = None) -> int:
    """Show how far this node has seen the hub's log grow, and who cosigned; exit 1 if the hub was caught lying.

    Example: samprasan-node checkpoint --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node import witnessing

    opened = homes.open_home(home)
    document = witnessing.standing(opened.node.store, opened.node.world)
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
