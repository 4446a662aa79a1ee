"""The commands against loss: ``backup``, ``restore`` and ``recover``."""

from pathlib import Path
from typing import Annotated

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words

words = Words("samprasan.hub")
File = Annotated[Path, typer.Argument(help="The backup.")]


def backup(file: File, home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Write keys, certificates and database, as of now, to an encrypted file; the hub may be serving.

    The passphrase is that of the hub's keys.

    Example: samprasan-hub backup hub-2569-11-23.backup --home /srv/hub
    """
    from samprasan.hub import home as homes

    with command.counting() as progress, command.written(file) as out:
        document = homes.back_up(home, out, progress)
    command.answer(document, as_json, words("backup_done", file=file, **document))


def restore(
    file: File,
    home: Annotated[Path, typer.Option("--home", help="A folder that holds no hub yet.")],
    database: Annotated[str, typer.Option(help="SQLAlchemy URL of an empty database; else as it was.")] = "",
    passphrase_file: Annotated[str, typer.Option(help="File with the passphrase; else as it was.")] = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Make a hub of a backup; served, it takes back from the agencies what came after, before it takes anything new.

    Example: samprasan-hub restore hub-2569-11-23.backup --home /srv/hub
    """
    from samprasan.edge.configuration import find_passphrase
    from samprasan.hub import home as homes

    named = str(Path(passphrase_file).resolve()) if passphrase_file else ""
    with command.counting() as progress:
        document = homes.restore(file, home, database, named, find_passphrase(named), progress)
    names = ", ".join(document["integrators"])
    may_read = [words("restore_integrators", names=names)] if names else []
    command.answer(document, as_json, words("restore_done", **document), *may_read, *document["problems"])


def recover(
    home: Home,
    refeed: Annotated[
        bool, typer.Option("--refeed", help="Take nothing new before every agency has given back what it holds.")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Make tables and tree anew from the log, which is verified first.

    Example: samprasan-hub recover --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.recovery import rebuild, recovery

    hub = homes.open_home(home).hub
    rebuilt = rebuild.rebuild(hub)
    if refeed:
        recovery.begin_recovery(hub, recovery.ASKED)
    with hub.db.read() as tx:
        standing = recovery.recovery_progress(tx)
    document = {"entries": rebuilt.entries, "tables": rebuilt.tables, "tree": rebuilt.tree, "recovery": standing}
    changed = [name for name in ("tables", "tree") if document[name]]
    hub.db.close()
    command.answer(
        document,
        as_json,
        words("recover_rebuilt" if changed else "recover_nothing", entries=rebuilt.entries, what=", ".join(changed)),
        *([words("recover_waits", agencies=", ".join(standing["waiting_for"]))] if standing else []),
    )
