"""The commands of an integrator: credentials, snapshots, streams, handles."""

from pathlib import Path
from typing import Annotated

import typer
from samprasan.edge import command
from samprasan.edge.command import Lang
from samprasan.edge.texts import Words

words = Words("samprasan.client")
File = Annotated[Path, typer.Option("--credentials", help="The integrator's credentials, from request and accept.")]
Subscription = Annotated[str, typer.Option(help="Whose place the hub's operator sees; a cursor belongs to one.")]
Only = Annotated[
    list[str] | None, typer.Option(help="agency=CODE, dimension=NAME, kind=NAME or cause=NAME; repeat it for several.")
]


def request(
    name: Annotated[str, typer.Argument(help="What the hub's operator calls the integrator.")],
    out: Annotated[Path, typer.Option(help="Where to write the credentials; the request stands beside it.")],
    lang: Lang = None,
) -> None:
    """Make a key, and a request for a certificate, to be sent to the hub's operator.

    Example: samprasan-client request welfare-app --out welfare-app.credentials
    """
    from samprasan.keys import documents
    from samprasan.keys.credentials import Credentials
    from samprasan.keys.errors import Malformed, Refused
    from samprasan.keys.keyring import write_private

    if not documents.is_integrator_name(name):
        raise Malformed("integrator_name", name=name)
    if out.exists():
        raise Refused("file_exists", file=out.name)
    made = Credentials.new(name)
    beside = out.with_suffix(".request")
    with command.written(beside) as file:
        file.write(made.request)
    write_private(out, made.encode())
    command.answer(None, False, words("request_done", file=out, request=beside, name=name))


def accept(
    certificate: Annotated[Path, typer.Argument(help="From the operator: samprasan-hub integrator certify.")],
    credentials: File,
    lang: Lang = None,
) -> None:
    """Complete the credentials with the certificate file that the hub's operator sent.

    Example: samprasan-client accept welfare-app.certificate --credentials welfare-app.credentials
    """
    from samprasan.client import aio
    from samprasan.keys.credentials import Issued
    from samprasan.keys.errors import Refused
    from samprasan.keys.keyring import write_private

    try:
        issued = Issued.decode(certificate.read_bytes())
    except OSError as problem:
        raise Refused("file_missing", file=certificate.name) from problem
    whole = aio.opened(credentials).accepted(issued)
    write_private(credentials, whole.encode())
    command.answer(None, False, words("accept_done", name=whole.integrator, hub=issued.hub))


def snapshot(credentials: File, subscription: Subscription = "", only: Only = None, lang: Lang = None) -> None:
    """Print everything that may be seen now, a JSON document on each line, the last with the cursor to follow from.

    Example: samprasan-client snapshot --credentials welfare-app.credentials
    """
    from samprasan.client import blocking

    for change in blocking.snapshot(credentials, subscription=subscription, only=only or ()):
        command.line(change.as_document())


def follow(
    credentials: File,
    after: Annotated[str, typer.Option(help="The cursor to go on from; else the file's, else a snapshot.")] = "",
    cursor_file: Annotated[Path | None, typer.Option(help="Keeps the place, so that the next start goes on.")] = None,
    subscription: Subscription = "",
    only: Only = None,
    start_over: Annotated[
        bool, typer.Option(help="Take a snapshot when the cursor is too old, or else end with exit code 1.")
    ] = True,
    lang: Lang = None,
) -> None:
    """Print changes as they come, a JSON document on each line, until stopped; connects again by itself.

    Example: samprasan-client follow --credentials welfare-app.credentials --cursor-file welfare-app.cursor
    """
    from samprasan.client import blocking

    changes = blocking.follow(
        credentials,
        after=after,
        subscription=subscription,
        only=only or (),
        cursor_file=cursor_file,
        start_over=start_over,
        bookmarks=True,
    )
    for change in changes:
        command.line(change.as_document())


def resolve(
    credentials: File,
    token: Annotated[str, typer.Argument(help='From a person\'s app; "-" reads stdin.')],
    lang: Lang = None,
) -> None:
    """Trade a token, from samprasan-node handle, for the handle of the person whose app brought it.

    Example: samprasan-client resolve - --credentials welfare-app.credentials < token
    """
    import sys

    from samprasan.client import blocking

    is_piped = token == "-"  # noqa: S105
    text = sys.stdin.read().strip() if is_piped else token
    command.line({"handle": blocking.resolve(credentials, text)})


def protos(
    out: Annotated[Path, typer.Option(help="A folder, in which samprasan/v1/*.proto are written.")],
    lang: Lang = None,
) -> None:
    """Write the .proto files of this version, for clients in other languages.

    Example: samprasan-client protos --out proto
    """
    from importlib import resources

    from samprasan.keys.errors import Refused

    folder = out / "samprasan" / "v1"
    found = [each for each in resources.files("samprasan.v1").iterdir() if each.name.endswith(".proto")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in found:
            (folder / each.name).write_text(each.read_text("utf-8"), "utf-8")
    except OSError as problem:
        raise Refused("file_unwritable", file=folder, problem=problem.strerror or "") from problem
    command.answer(None, False, words("protos_done", count=len(found), folder=folder))
