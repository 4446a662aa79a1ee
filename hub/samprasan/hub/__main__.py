"""``samprasan-hub``: the command line of the hub's operator."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words
from samprasan.hub.commands import integrators, recovery

app = command.program("The Samprasan hub: orders signed updates, keeps shared totals, knows nobody.")
app.add_typer(integrators.integrator, name="integrator")
app.command()(integrators.publish)
app.command()(recovery.backup)
app.command()(recovery.restore)
app.command()(recovery.recover)
words = Words("samprasan.hub")


@app.command()
def init(
    home: Home,
    listen: Annotated[
        str, typer.Option(help="Where nodes connect, HOST:PORT; port 0 picks a free one.")
    ] = "127.0.0.1:7443",
    join_listen: Annotated[str, typer.Option(help="Where invited agencies join.")] = "127.0.0.1:7442",
    console: Annotated[
        str, typer.Option(help="Kept for the operator's pages; nothing listens there yet.")
    ] = "127.0.0.1:7480",
    database: Annotated[str, typer.Option(help="SQLAlchemy URL; else an SQLite file in the home.")] = "",
    passphrase_file: Annotated[str, typer.Option(help="File with the passphrase that seals the keys.")] = "",
    lang: Lang = None,
) -> None:
    """Make a new hub: keys, certificate authority, empty database.

    Example: samprasan-hub init --home /srv/hub --listen 0.0.0.0:7443 --passphrase-file /etc/samprasan/passphrase
    """
    from samprasan.edge.configuration import find_passphrase
    from samprasan.hub import home as homes

    file = str(Path(passphrase_file).resolve()) if passphrase_file else ""
    settings = {"listen": listen, "join_listen": join_listen, "console": console, "database": database}
    homes.create(home, settings | {"passphrase_file": file}, find_passphrase(file, confirm=True))
    command.answer(None, False, words("init_done", home=home))


@app.command()
def invite(
    agency: Annotated[str, typer.Argument(help="The agency's code, such as mpc.")],
    home: Home,
    name: Annotated[str, typer.Option(help="The agency's name for people.")],
    out: Annotated[Path, typer.Option(help="Where to write the invite; give it to the agency and nobody else.")],
    lang: Lang = None,
) -> None:
    """Write a single-use invite for an agency.

    Example: samprasan-hub invite mpc --name "ศูนย์คุณธรรม" --out mpc.invite --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.members import joining
    from samprasan.keys.invitation import Invitation
    from samprasan.keys.keyring import write_private
    from samprasan.ledger import calendar

    opened = homes.open_home(home)
    hub = opened.hub
    secret, expires_at = joining.invite(hub, agency, name)
    reached = homes.reached_at(home)
    made = Invitation(
        agency=agency,
        name=name,
        join=reached.join,
        hub=reached.hub,
        authority=opened.authority.certificate,
        secret=secret,
        expires_at=expires_at,
    )
    write_private(out, made.encode())
    command.answer(
        None, False, words("invite_done", file=out, agency=agency, until=calendar.buddhist(calendar.day_of(expires_at)))
    )


@app.command()
def serve(home: Home, lang: Lang = None) -> None:
    """Serve nodes until stopped; SIGTERM drains.

    Example: samprasan-hub serve --home /srv/hub
    """
    from samprasan.edge import metrics
    from samprasan.hub import home as homes
    from samprasan.hub.process import server
    from samprasan.hub.process import status as process_status

    opened = homes.open_home(home)
    hub = opened.hub
    homes.create_tables(hub.db)

    def announce(hub_port: int, join_port: int, tiles_at: str | None) -> None:
        reached = homes.note_ports(home, opened.settings, hub_port, join_port)
        more = {name: at for name, at in (("metrics", metrics_at), ("tiles", tiles_at)) if at}
        command.ready({"listen": reached.hub, "join_listen": reached.join} | more)

    with metrics.served(opened.settings.metrics, lambda: process_status.gauges(hub.db, hub.world.now())) as metrics_at:
        asyncio.run(server.serve(hub, opened.authority, opened.listening, opened.showing, announce))
    hub.db.close()


@app.command()
def status(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Show the log, the shared totals and every agency.

    Example: samprasan-hub status --home /srv/hub --json
    """
    from samprasan.edge.world import system_clock
    from samprasan.hub import home as homes
    from samprasan.hub.process import status as process_status

    _, db = homes.open_database(home)
    document = process_status.status(db, system_clock())
    totals, agencies = document["totals"], document["agencies"]
    command.answer(
        document,
        as_json,
        words("status_head", federation=document["federation_id"] or "-", size=document["log"]["size"]),
        command.table(words("totals"), totals, [list(totals.values())]),
        command.table(
            words("agencies"),
            [words(key) for key in ("agency", "connected", "seq", "last_seen", "earned", "accounts")],
            [
                [
                    each["agency"],
                    words("yes") if each["connected"] else words("no"),
                    each["seq"],
                    each["last_seen"] or "-",
                    each["earned"],
                    each["accounts"],
                ]
                for each in agencies
            ],
        ),
        *recovery_lines(document["recovery"]),
        *(words("damaged", index=index, what=what) for index, what in document["log"]["damaged"].items()),
        *(words("limit_near", **each) for each in document["warnings"]),
    )


def recovery_lines(standing: dict[str, Any] | None) -> list[str]:
    """What a hub that recovers waits for."""
    if standing is None:
        return []
    lines = [words("recovering", **standing)]
    if standing["waiting_for"]:
        lines.append(words("recover_waits", agencies=", ".join(standing["waiting_for"])))
    if standing["missing"] is not None:
        lines.append(words("recover_missing", index=standing["missing"]))
    if standing["differs"] is not None:
        lines.append(words("recover_differs", index=standing["differs"]))
    return lines


@app.command()
def audit(
    home: Home,
    export: Annotated[
        Path | None, typer.Option(help="Write the log to this file, too, for samprasan-client verify.")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Re-verify signatures, chains and the tree, fold the log anew and compare; exit 1 if anything is wrong.

    Example: samprasan-hub audit --export log.bundle --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.log import audit as log_audit

    hub = homes.open_home(home).hub
    if export is not None:
        with command.written(export) as file:
            log_audit.export(hub.db, file)
    report = log_audit.audit(hub, hub.world.signer.public_key)
    document = report.as_document()
    verdict = words("audit_ok" if document["ok"] else "audit_bad", batches=report.batches, updates=report.updates)
    command.answer(document, as_json, verdict, *document["problems"])
    return 0 if document["ok"] else 1


@app.command()
def reconciliations(
    home: Home,
    limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 50,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Show what the agencies' nodes found when they compared their records with the shared totals.

    Example: samprasan-hub reconciliations --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.process import status as process_status

    _, db = homes.open_database(home)
    found = process_status.reconciliations(db, limit)
    names = ("at", "agency", "seq", "accounts", "differences")
    rows = [
        [*(each[name] for name in names), ", ".join(f"{k} {v}" for k, v in each["causes"].items())] for each in found
    ]
    command.answer(
        found, as_json, command.table(words("reconciliations"), [words(name) for name in (*names, "causes")], rows)
    )


@app.command()
def compact(home: Home, lang: Lang = None) -> None:
    """Write the database anew, so that nothing of what was deleted is left in its files; it is locked meanwhile.

    Example: samprasan-hub compact --home /srv/hub
    """
    from samprasan.edge import database
    from samprasan.hub import home as homes

    _, db = homes.open_database(home)
    database.compact(db)
    db.close()
    command.answer(None, False, words("compact_done"))


def main() -> None:
    """The entry point."""
    command.main(app)


if __name__ == "__main__":
    main()
