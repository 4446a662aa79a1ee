"""The commands about an agency's records: ``import``, ``imports``, ``profile`` and ``deed``."""

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer
from samprasan.edge import command
from samprasan.edge.command import Home, Json, Lang
from samprasan.edge.texts import Words

imports = command.application("What was imported, and taking it back.")
profile = command.application("Profiles: how one kind of export is to be read.")
deed = command.application("Single deeds.")
words = Words("samprasan.node")

_REPORT = ("rows", "accepted", "corrected", "unchanged", "rejected")


def import_(
    file: Annotated[Path, typer.Argument(help="The export: CSV or a spreadsheet.")],
    profile: Annotated[Path, typer.Option(help="How to read it (TOML).")],
    home: Home,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide everything, change nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if any row is rejected.")] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Take rows whose name differs from what is known of their id, too.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="Write rejected rows, with the reason in Thai, to this .xlsx.")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Import an export; rejected rows change nothing, the others go in.

    Example: samprasan-node import deeds.csv --profile mpc.toml --rejects rejected.xlsx --home /srv/node --dry-run
    """
    from samprasan.edge import garbage_collection
    from samprasan.edge.logs import get_logger
    from samprasan.ledger.limit_usage import Nearing
    from samprasan.node import home as homes
    from samprasan.node import limits
    from samprasan.node.commands.formats import rejection_message
    from samprasan.node.exports import export as exports_export
    from samprasan.node.exports import profile as exports_profile
    from samprasan.node.imports import importer
    from samprasan.node.imports import rejected_rows as spreadsheet

    garbage_collection.collect_rarely()
    node = homes.open_ready(home).node
    chosen = exports_profile.read(text_in(profile))
    export = exports_export.read(file, chosen)
    rows = Nearing("rows_max", "", export.count, limits.ROWS_MAX)
    if rows.is_near:
        get_logger("node").warning("limit is near", setting=rows.setting, used=rows.used, most=rows.most)
    with contextlib.ExitStack() as stack:
        advance = stack.enter_context(command.progress_bar(words("importing"), export.count, quiet=as_json))
        watcher = importer.Watcher(progress=advance)
        if rejects:
            watcher = importer.Watcher(advance, stack.enter_context(spreadsheet.written(rejects, export.header)))
        report = importer.import_rows(node, chosen, export, dry_run=dry_run, watcher=watcher, confirm=confirm)
    document = report.document(rejection_message)
    listed = [[each.row, each.record_id, rejection_message(each)] for each in report.rejections]
    shown: list[Any] = [words("import_dry" if dry_run else "import_done", file=file.name, **report.counts())]
    if listed and not rejects:
        shown.append(command.table(words("rejected_rows"), [words("row"), words("record"), words("why")], listed))
    if report.rejected > len(listed) and not rejects:
        shown.append(words("rejected_more", listed=len(listed)))
    if rejects:
        shown.append(words("rejects_written", count=report.rejected, file=rejects))
    command.answer(document, as_json, *shown)
    return 1 if strict and report.rejected else 0


@imports.command("list")
def imports_list(home: Home, as_json: Json = False, lang: Lang = None) -> None:
    """List what was imported, and what was undone.

    Example: samprasan-node imports list --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands.formats import moment
    from samprasan.node.imports import undo

    document = undo.list_imports(homes.open_to_read(home).db)
    rows = [
        [
            each["import_id"],
            each["source"],
            moment(each["imported_at"]),
            *(each[name] for name in _REPORT),
            moment(each["undone_at"]) if each["undone_at"] else "",
        ]
        for each in document
    ]
    columns = [words(name) for name in ("import_number", "source", "imported_at", *_REPORT, "undone_at")]
    command.answer({"imports": document}, as_json, command.table(words("imports"), columns, rows))


@imports.command("undo")
def imports_undo(
    id: Annotated[int, typer.Argument(help="The import's number, from the list.")],  # noqa: A002
    home: Home,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Take an import back: its deeds say again what they said before, and the hub hears of it.

    Example: samprasan-node imports undo 3 --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.imports import undo

    node = homes.open_ready(home).node
    document = undo.undo_import(node, id)
    command.answer(document, as_json, words("undo_done", **document))


@profile.command("draft")
def profile_draft(
    file: Annotated[Path, typer.Argument(help="The export.")],
    out: Annotated[Path, typer.Option(help="Where to write the profile.")],
    source: Annotated[str, typer.Option(help="Whose record ids these are.")] = "agency.register",
    sheet: Annotated[str, typer.Option(help="Which sheet; else the first.")] = "",
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Write a first profile for an export: guessed columns and calendar, and the words to map.

    Example: samprasan-node profile draft deeds.csv --out mpc.toml --source mpc.moral-registry
    """
    from samprasan.keys.errors import Refused
    from samprasan.node.exports import export as exports_export
    from samprasan.node.exports import profile_draft as exports_profile_draft
    from samprasan.node.exports.profile import Profile

    exports_export.digest_of(file)
    table = exports_export.opened(file, Profile(source=source, columns={}, sheet=sheet))
    text = exports_profile_draft.draft(exports_profile_draft.sample(file.name, table.rows), source)
    try:
        with out.open("x", encoding="utf-8") as written:
            written.write(text)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise Refused("file_unwritable", file=out.name, problem=reason) from problem
    document = {"profile": str(out), "open": text.count('"?"')}
    command.answer(document, as_json, words("draft_done", out=out, file=file))


@profile.command("check")
def profile_check(
    profile: Annotated[Path, typer.Argument(help="The profile (TOML).")],
    file: Annotated[Path, typer.Argument(help="An export to try it on.")],
    home: Home,
    as_json: Json = False,
    lang: Lang = None,
) -> int:
    """Try a profile on an export and change nothing: what would be rejected, which words it does not know.

    Example: samprasan-node profile check mpc.toml deeds.csv --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.exports import export as exports_export
    from samprasan.node.exports import profile as exports_profile
    from samprasan.node.imports import profile_check as imports_profile_check

    chosen = exports_profile.read(text_in(profile))
    node = homes.open_ready(home).node
    findings = imports_profile_check.check(node, chosen, exports_export.read(file, chosen))
    document = findings.document()
    shown: list[Any] = [words("check_ok" if document["ok"] else "check_bad", file=file.name, **document)]
    reasons = [[reason, each["rows"], each["first_row"]] for reason, each in document["reasons"].items()]
    if reasons:
        shown.append(command.table(words("reasons"), [words("why"), words("count"), words("row")], reasons))
    unknown = [[name, word, count] for name, found in document["unmapped"].items() for word, count in found.items()]
    if unknown:
        columns = [words("field"), words("their_word"), words("count")]
        shown.append(command.table(words("unmapped"), columns, unknown))
    command.answer(document, as_json, *shown)
    return 0 if document["ok"] else 1


@deed.command("show")
def deed_show(
    record_id: Annotated[str, typer.Argument(help='As in the file, or as the import showed it; "-" reads stdin.')],
    source: Annotated[str, typer.Option(help="Whose record ids these are, as in the profile.")],
    home: Home,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Follow one record from the file it came in to the receipt of what the hub was told.

    Example: samprasan-node deed show MPC-00001 --source mpc.moral-registry --home /srv/node
    """
    from samprasan.node import home as homes
    from samprasan.node.commands import formats
    from samprasan.node.deeds import history

    node = homes.open_ready(home).node
    given = typer.get_text_stream("stdin").readline().strip() if record_id == "-" else record_id
    document = history.show(node, source, given)
    rows = [
        [each["change"], each["credits"], each["state"], each["reason"] or "", each["seq"] or "", _receipt(each)]
        for each in document["updates"]
    ]
    columns = [words(name) for name in ("change", "credits", "state", "why", "batch", "receipt")]
    facts = {name: value for name, value in document.items() if name != "updates"}
    facts["deed"] = facts["deed"] | {"occurred_on": formats.day(facts["deed"]["occurred_on"])}
    command.answer(
        document,
        as_json,
        command.table(words("deed"), ["", ""], formats.flattened(facts)),
        command.table(words("deed_updates"), columns, rows),
    )


def _receipt(update: dict[str, Any]) -> str:
    from samprasan.node.commands.formats import moment

    found = update["receipt"]
    return f"{found['log_index']} · {moment(found['appended_at'])}" if found else ""


def text_in(file: Path) -> str:
    """A text file that a person wrote.  Raises Refused ``file_missing``, Malformed ``file_unreadable``."""
    from samprasan.keys.errors import Malformed, Refused
    from samprasan.node import limits

    if not file.is_file():
        raise Refused("file_missing", file=file.name)
    if file.stat().st_size > limits.TEXT_BYTES_MAX:
        raise Malformed("file_over_limit", file=file.name, most=limits.TEXT_BYTES_MAX)
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise Malformed("file_unreadable", file=file.name, problem="UTF-8") from problem
