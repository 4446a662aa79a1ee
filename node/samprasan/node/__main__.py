"""``samprasan-node``: the command line of an agency's IT team."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words
from samprasan.node.commands import approvals, counter, linking_key, moves, proof, records, recovery, subjects

app = command.program("An agency's Samprasan node: imports deeds, links subjects, sends signed updates.")
policy = command.application("The joint policy.")
app.add_typer(approvals.approvals, name="approvals", invoke_without_command=True)
app.add_typer(policy, name="policy")
app.add_typer(linking_key.linking, name="linking")
app.add_typer(records.imports, name="imports")
app.add_typer(records.profile, name="profile")
app.add_typer(records.deed, name="deed")
app.add_typer(subjects.consent, name="consent")
app.add_typer(moves.moves, name="moves")
app.add_typer(counter.redemptions, name="redemptions")
app.add_typer(counter.benefit, name="benefit")
app.command("import")(records.import_)
app.command()(subjects.balance)
app.command()(subjects.handle)
app.command()(subjects.erase)
app.command()(moves.merge)
app.command()(moves.split)
app.command()(counter.redeem)
app.command()(proof.checkpoint)
app.command()(proof.reconcile)
app.command()(recovery.backup)
app.command()(recovery.restore)
app.command()(recovery.recover)
app.command()(recovery.cut)
app.add_typer(recovery.orphans, name="orphans")
words = Words("samprasan.node")

SYNC_WAIT_SECONDS = 30.0


@app.command()
def init(
    home: Home,
    agency: Annotated[str, typer.Option(help="This agency's code, as in its invite.")],
    database: Annotated[str, typer.Option(help="SQLAlchemy URL; else an SQLite file in the home.")] = "",
    passphrase_file: Annotated[str, typer.Option(help="File with the passphrase that seals the keys.")] = "",
    lang: Lang = None,
) -> None:
    """Make a new node: keys and an empty database.

    Example: samprasan-node init --home /srv/node --agency mpc --passphrase-file /etc/samprasan/passphrase
    """
    from samprasan.edge.configuration import find_passphrase
    from samprasan.node import home as homes

    file = str(Path(passphrase_file).resolve()) if passphrase_file else ""
    homes.create(home, agency, database, file, find_passphrase(file, confirm=True))
    command.answer(None, False, words("init_done", home=home))


@app.command()
def join(
    file: Annotated[Path, typer.Argument(help="The invite from the hub's operator.")], home: Home, lang: Lang = None
) -> None:
    """Join the hub that wrote the invite.

    Example: samprasan-node join mpc.invite --home /srv/node
    """
    from samprasan.node import certificate
    from samprasan.node import home as homes

    invitation = certificate.join(homes.open_home(home), file)
    command.answer(None, False, words("join_done", hub=invitation.hub))


@app.command()
def serve(home: Home, lang: Lang = None) -> None:
    """Link, send and answer peers until stopped; SIGTERM stops.

    Example: samprasan-node serve --home /srv/node
    """
    from samprasan.edge import database, metrics
    from samprasan.node import certificate
    from samprasan.node import home as homes
    from samprasan.node.process import counter_service
    from samprasan.node.process import status as process_status
    from samprasan.node.sync import halt

    opened = homes.open_home(home)
    database.migrate(opened.node.db, homes.MIGRATIONS)
    halt.check_recovered(opened.node.db)
    hub = opened.hub_address()
    node = opened.node

    def announce(counter_at: str) -> None:
        more = {"metrics": metrics_at} if metrics_at else {}
        more |= {"counter": counter_at} if counter_at else {}
        command.ready({"agency": opened.settings.agency, "hub": hub} | more)

    def read() -> list[metrics.Gauge]:
        return process_status.gauges(node)

    with metrics.served(opened.settings.metrics, read) as metrics_at:
        at, most = opened.settings.counter, opened.settings.offline_credits_max
        own = certificate.make_counter_credentials(opened)
        asyncio.run(counter_service.serve(node, opened.connect, at, most, own, announce))
    opened.node.db.close()


@app.command()
def sync(
    home: Home,
    wait: Annotated[float, typer.Option(help="Seconds to wait for everything to be settled.")] = SYNC_WAIT_SECONDS,
    resume: Annotated[
        bool, typer.Option("--resume", help="Send again after a halt that you have looked into.")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Link and send what waits; exit 1 if something still does.

    Example: samprasan-node sync --wait 60 --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.process import serve as process_serve
    from samprasan.node.process import status as process_status
    from samprasan.node.sync import halt
    from samprasan.node.sync import outbox as sync_outbox

    opened = homes.open_home(home)
    node = opened.node
    if resume:
        halt.resume_sending(node.db)
    opened.hub_address()
    before = process_status.settled_and_declined(node.db)

    def outbox() -> sync_outbox.Outbox:
        return sync_outbox.outbox(node.db, node.world.now())

    seq_before = outbox().head.seq
    done = asyncio.run(process_serve.drain(node, opened.connect, wait, lambda: outbox().is_empty))
    document = process_status.sync_report(node.db, node.world.now(), before, seq_before)
    command.answer(document, as_json, words("sync_done" if done else "sync_pending", **document))
    return 0 if done else 1


@app.command()
def status(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Show roster, policy, linking, outbox and connection.

    Example: samprasan-node status --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import formats
    from samprasan.node.process import status as process_status

    document = process_status.status(homes.open_to_read(home), homes.certificate_of(home))
    command.answer(document, as_json, command.table(words("status"), ["", ""], formats.flattened(document)))


@app.command()
def doctor(home: Home, as_json: Json = False, lang: Lang = None) -> int:
    """Check configuration, keys, database, certificate and connection; exit 1 if something needs you.

    Example: samprasan-node doctor --home /srv/node
    """
    from samprasan.node.commands import doctor as commands_doctor

    findings = commands_doctor.examine(home)
    document = commands_doctor.document(findings)
    rows = [[each.check, words("ok") if each.ok else words("bad"), each.message, each.remedy] for each in findings]
    columns = [words("check"), "", words("found"), words("remedy")]
    command.answer(document, as_json, command.table(words("doctor"), columns, rows))
    return 0 if document["ok"] else 1


@app.command()
def application(
    name: Annotated[str, typer.Argument(help="The application's name: 2 to 16 lower-case letters or digits.")],
    out: Annotated[Path, typer.Option(help="Where to write its key and certificates (PEM).")],
    home: Home,
    lang: Lang = None,
) -> None:
    """Let an application of this agency call the local service over mutual TLS (counter = "HOST:PORT" in node.toml).

    Example: samprasan-node application frontdesk --out frontdesk.pem --home /srv/node
    """
    from samprasan.node import certificate
    from samprasan.node import home as homes

    certificate.admit_application(homes.open_home(home), name, out)
    command.answer(None, False, words("application_done", file=out.name))


@app.command()
def compact(home: Home, lang: Lang = None) -> None:
    """Write the database anew, so that nothing of what was deleted is left in its files; it is locked meanwhile.

    Example: samprasan-node compact --home /srv/node
    """
    from samprasan.edge import database
    from samprasan.node import home as homes

    db = homes.open_database(home)
    database.compact(db)
    db.close()
    command.answer(None, False, words("compact_done"))


@policy.callback()
def policy_group() -> None:
    """The joint policy."""


@policy.command("propose")
def policy_propose(
    file: Annotated[Path, typer.Argument(help="The policy (TOML).")],
    home: Home,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Propose a policy; the other agencies approve it from their inbox.

    Example: samprasan-node policy propose policy.toml --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import joint_documents

    document = joint_documents.propose_policy(homes.open_home(home), records.text_in(file))
    command.answer(document, as_json, words("proposed", **document))


def main() -> None:
    """The entry point."""
    command.main(app)


if __name__ == "__main__":
    main()
