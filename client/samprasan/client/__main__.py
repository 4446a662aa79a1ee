"""``samprasan-client``: the command line of whoever reads what the federation shows."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from samprasan.client import commands
from samprasan.edge import command
from samprasan.edge.command import Json, Lang
from samprasan.edge.texts import Words

app = command.program("For readers of a Samprasan federation.")
app.command()(commands.request)
app.command()(commands.accept)
app.command()(commands.snapshot)
app.command()(commands.follow)
app.command()(commands.resolve)
app.command()(commands.protos)
words = Words("samprasan.client")


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="From: samprasan-hub audit --export BUNDLE.")],
    federation: Annotated[str, typer.Option(help="The federation's id, from an agency's own: samprasan-node status.")],
    witnesses: Annotated[
        int | None, typer.Option(min=0, help="Agencies that must have cosigned; else as a joint document needs.")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Verify an exported log offline: signatures, chains, tree, cosignatures, rules; exit 1 if anything is wrong.

    A log whose checkpoint too few agencies cosigned is refused: perhaps nobody but you was shown it.

    Example: samprasan-client verify log.bundle --federation 3f9a1c77d2e03f9a1c77d2e03f9a1c77
    """
    from samprasan.client import verifying
    from samprasan.edge import bundle as bundles
    from samprasan.keys.errors import Refused

    try:
        with bundle.open("rb") as file, ExitStack() as stack:
            bar = command.progress_bar(words("verifying"), bundles.log_bytes(file), quiet=as_json)
            report = verifying.verify(file, federation, witnesses, stack.enter_context(bar))
    except OSError as problem:
        raise Refused("file_missing", file=bundle.name) from problem
    document = report.as_document()
    verdict = words("verified" if document["ok"] else "not_verified", batches=report.batches, updates=report.updates)
    seen = words("witnessed", size=report.witnessed, agencies=", ".join(report.cosigned) or "-")
    command.answer(document, as_json, verdict, seen, *document["problems"])
    return 0 if document["ok"] else 1


def main() -> None:
    """The entry point."""
    command.main(app)


if __name__ == "__main__":
    main()
