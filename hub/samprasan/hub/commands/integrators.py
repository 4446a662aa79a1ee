"""The commands about integrators: ``samprasan-hub integrator …``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words

words = Words("samprasan.hub")
integrator = command.application("Who may follow changes without being an agency, because the agencies agreed to it.")
Name = Annotated[str, typer.Argument(help="Its name: 2 to 16 lower-case letters, digits or hyphens.")]


@integrator.command()
def propose(
    name: Name,
    home: Home,
    title: Annotated[str, typer.Option(help="Who it is, for people.")],
    purpose: Annotated[str, typer.Option(help="What it needs the changes for, as those who consent are told.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may see: agency=CODE, dimension=NAME, kind=NAME, cause=NAME, balances; several are several "
            "--scope. Of what is not named, all; without balances only what was earned.",
        ),
    ] = None,
    streams: Annotated[int, typer.Option(help="How many streams it may have open.")] = 10,
    snapshots: Annotated[int, typer.Option(help="How many snapshots it may take on a day.")] = 24,
    days: Annotated[int, typer.Option(help="How long it may read, at most 731.")] = 365,
    replace: Annotated[bool, typer.Option("--replace", help="Take back what waits for the agencies.")] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Lay an integrator before the agencies; it may read once they have approved it.

    Example: samprasan-hub integrator propose welfare-app --title "Welfare app" --purpose "Shows people their own
    credits" --scope kind=person --scope balances --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.integrators import approval
    from samprasan.hub.integrators.approval import Proposal

    hub = homes.open_home(home).hub
    wanted = Proposal(
        name=name,
        title=title,
        purpose=purpose,
        scope=scope or [],
        streams=streams,
        snapshots_per_day=snapshots,
        days=days,
    )
    digest = approval.propose(hub, wanted, replace=replace)
    document = {"name": name, "id": digest.hex()[:12], "digest": digest.hex()}
    command.answer(document, as_json, words("integrator_proposed", **document))


@integrator.command("list")
def list_(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """Show integrators, what they may see, and how far their subscriptions have come.

    Example: samprasan-hub integrator list --home /srv/hub
    """
    from samprasan.edge.world import system_clock
    from samprasan.hub import home as homes
    from samprasan.hub.integrators import approval

    _, db = homes.open_database(home)
    found = approval.list_integrators(db, system_clock())
    names = ("name", "version", "state", "title", "scope", "valid_until")
    rows = [[_cell(each[name]) for name in names] for each in found]
    followed = ("name", "subscription", "behind", "heard_at", "is_silent")
    lags = [[{"name": each["name"], **one}[key] for key in followed] for each in found for one in each["subscriptions"]]
    command.answer(
        found,
        as_json,
        command.table(words("integrators"), [words(name) for name in names], rows),
        command.table(words("subscriptions"), [words(name) for name in followed], lags),
    )


@integrator.command()
def certify(
    name: Name,
    home: Home,
    request: Annotated[Path, typer.Option(help="From the integrator: samprasan-client request, or openssl req -new.")],
    out: Annotated[Path, typer.Option(help="Where to write the certificate file, for the integrator.")],
    lang: Lang = None,
) -> None:
    """Certify the key of an integrator that the agencies have approved.

    Example: samprasan-hub integrator certify welfare-app --request welfare-app.request --out welfare-app.certificate
    --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.integrators import approval
    from samprasan.keys import certificates
    from samprasan.keys.credentials import Issued
    from samprasan.keys.errors import Refused

    opened = homes.open_home(home)
    hub = opened.hub
    try:
        asked = certificates.request_der(request.read_bytes())
    except OSError as problem:
        raise Refused("file_missing", file=request.name) from problem
    with command.written(out) as file:
        made = approval.certify(hub, opened.authority, name, asked)
        issued = Issued(
            integrator=name,
            hub=homes.reached_at(home).hub,
            authority=certificates.pem_of(opened.authority.certificate).decode(),
            certificate=certificates.pem_of(made).decode(),
            hub_key=hub.world.signer.public_key,
            federation_id=approval.federation_id(hub.db),
        )
        file.write(issued.encode())
    command.answer(None, False, words("integrator_certified", name=name, file=out))


@integrator.command()
def revoke(name: Name, home: Home, lang: Lang = None) -> None:
    """Let an integrator see nothing more, at once; it takes the agencies' new approval to let it in again.

    Example: samprasan-hub integrator revoke welfare-app --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.integrators import approval

    hub = homes.open_home(home).hub
    approval.revoke(hub, name)
    command.answer(None, False, words("integrator_revoked", name=name))


@integrator.command("change-handles")
def change_handles(name: Name, home: Home, lang: Lang = None) -> None:
    """Give an integrator other handles, if the ones it has got abroad; it begins with a snapshot and forgets the old.

    Example: samprasan-hub integrator change-handles welfare-app --home /srv/hub
    """
    from samprasan.hub import home as homes
    from samprasan.hub.integrators import approval

    _, db = homes.open_database(home)
    approval.change_handles(db, name)
    command.answer(None, False, words("handles_changed", name=name))


def publish(
    url: Annotated[str, typer.Argument(help="Of the NATS server: nats://HOST:PORT or tls://HOST:PORT.")],
    home: Home,
    name: Annotated[str, typer.Option("--integrator", help="Under whose scope and handles.")],
    stream: Annotated[str, typer.Option(help="Of JetStream; made if there is none. Else SAMPRASAN_NAME.")] = "",
    subjects: Annotated[str, typer.Option(help="What subjects begin with; else samprasan.NAME.")] = "",
    written: Annotated[
        Literal["json", "protobuf"], typer.Option("--format", help="How CloudEvents are written.")
    ] = "json",
    only: Annotated[
        list[str] | None, typer.Option(help="agency=CODE, dimension=NAME, kind=NAME or cause=NAME; repeat for several.")
    ] = None,
    subscription: Annotated[str, typer.Option(help="Under which its place is shown.")] = "nats",
    nats_credentials: Annotated[Path | None, typer.Option(help="Credentials file of NATS, if it asks for one.")] = None,
    nats_authority: Annotated[Path | None, typer.Option(help="PEM file of who certified the NATS server.")] = None,
    start_over: Annotated[
        bool, typer.Option(help="Begin anew with a snapshot when the place is too old, or else end with exit code 1.")
    ] = True,
    lang: Lang = None,
) -> None:
    """Put what an integrator may see into a stream of NATS JetStream, as CloudEvents, until stopped.

    Example: samprasan-hub publish nats://127.0.0.1:4222 --integrator welfare-app --home /srv/hub
    """
    import asyncio

    from samprasan.hub import home as homes
    from samprasan.keys.errors import Refused
    from samprasan.ledger import scopes

    try:
        from samprasan.hub.integrators import publisher as publishers
        from samprasan.hub.integrators.jetstream import Target
    except ImportError as problem:
        raise Refused("publisher_missing") from problem
    stream = stream or f"SAMPRASAN_{name.upper()}"
    target = Target.parse(url, stream, subjects or f"samprasan.{name}", nats_credentials, nats_authority)
    order = publishers.Order(name, subscription, scopes.filter_of(only or ()), written, start_over)
    opened = homes.open_home(home)
    hub = opened.hub
    publisher = publishers.Publisher(hub, opened.showing.secret, target, order, command.ready)
    asyncio.run(publishers.publish(publisher))
    hub.db.close()


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
