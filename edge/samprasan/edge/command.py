"""The command line's habits.

``--home``, ``--json``, ``--lang``; tables for people, one JSON document for scripts; errors on stderr with what
happened and what to do; exit 0 done, 1 refused or not finished, 2 wrong usage.
"""

import ctypes
import json
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from samprasan.edge import logs, texts
from samprasan.keys import plain_text
from samprasan.keys.errors import Malformed, Refused, SamprasanError, Unavailable
from samprasan.keys.keyring import new_private

WRONG_USAGE = 2
PR_SET_DUMPABLE = 4  # prctl(2)
Home = Annotated[Path, typer.Option("--home", envvar="SAMPRASAN_HOME", help="Folder of the hub or node.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do what is shown: do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]


def _speak(value: str | None) -> str | None:
    try:
        texts.choose(value)
    except Malformed as problem:
        raise typer.BadParameter(problem.text()) from problem
    return value


Lang = Annotated[
    str | None,
    typer.Option("--lang", help="th or en; else SAMPRASAN_LANG, else the locale.", callback=_speak, expose_value=True),
]


def application(help_text: str) -> typer.Typer:
    """An application whose commands are registered on it."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,  # its tracebacks show values
    )


def program(help_text: str) -> typer.Typer:
    """The application of a whole program, which also tells its version."""
    app = application(help_text)

    @app.callback()
    def _tell(
        _version: Annotated[
            bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_tell_version)
        ] = False,
    ) -> None:
        pass

    return app


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        print(metadata.version("samprasan"))
        raise typer.Exit


def main(app: typer.Typer, arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point of a program: what it writes is its user's alone, and no image of its memory is written."""
    os.umask(0o077)
    _leave_no_core()
    raise SystemExit(run(app, arguments))


def _leave_no_core() -> None:
    """No core file, and none for a program that handles cores (core(5)).

    With a limit of one byte Linux writes no file and starts no handler; with 0, which may have been set before and
    cannot be raised again, it starts the handler, unless the process is not to be dumped at all.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    elif sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run one command line and say how it ended: 0, 1 or 2."""
    logs.configure(json=not sys.stderr.isatty(), debug=os.environ.get(logs.DEBUG_VARIABLE) == "debug")
    try:
        result = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SamprasanError as problem:
        show_error(problem)
        return 1
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as problem:
        print(f"error: {shown(problem.format_message())}", file=sys.stderr)
        print("hint: --help lists commands and options, with an example each.", file=sys.stderr)
        return WRONG_USAGE
    except (KeyboardInterrupt, typer.Abort):
        return 1
    except Exception as problem:  # a fault of ours; its message may hold a value, so only its kind and place are told
        logs.get_logger("command").error("failed", exc_info=True)
        show_error(Unavailable("failed", kind=type(problem).__name__))
        return 1


def show_error(problem: SamprasanError) -> None:
    """Two lines on stderr: what happened, what to do."""
    language = texts.language()
    print(f"error: {shown(problem.text(language))}", file=sys.stderr)
    if problem.hint(language):
        print(f"hint: {shown(problem.hint(language))}", file=sys.stderr)


def shown(text: str) -> str:
    """``text`` for a terminal, whoever wrote it: its lines stay lines, and nothing in it moves the cursor."""
    return plain_text.visible(text, keep="\n")


def is_at_terminal() -> bool:
    """Whether somebody reads what is printed and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def is_confirmed(question: str) -> bool:
    """Whether somebody at the terminal says yes; the question is asked on stderr."""
    return typer.confirm(shown(question), err=True)


def check_confirmed(question: str, *, yes: bool, as_json: bool) -> None:
    """That somebody says yes to what is on the screen, or a script has said ``--yes``; else Refused ``yes_needed``."""
    may_ask = is_at_terminal() and not as_json  # nobody is asked about what is not on the screen
    if not yes and not (may_ask and is_confirmed(question)):
        raise Refused("yes_needed")


def _json(document: Any) -> str:
    return plain_text.visible(json.dumps(document, ensure_ascii=False))


def answer(document: Any, as_json: bool, *tables: Table | str) -> None:
    """Print ``document`` as JSON, or ``tables`` for a person."""
    if as_json:
        print(_json(document))
        return
    console = Console(soft_wrap=True, markup=False, emoji=False, highlight=False)
    for each in tables:
        console.print(shown(each) if isinstance(each, str) else each)


def line(document: dict[str, Any]) -> None:
    """One JSON document of a stream, at once; who stopped reading ends the command."""
    try:
        print(_json(document), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        raise typer.Exit from None


def ready(document: dict[str, Any]) -> None:
    """The one line that ``serve`` prints when it answers."""
    print(f"ready {json.dumps(document)}", flush=True)


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Tell a person how many rows of what were done; nobody, if stderr is no terminal."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        console=Console(stderr=True),
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def done(what: str, rows: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.advance(tasks[what], rows)

        yield done if sys.stderr.isatty() else lambda _what, _rows: None


@contextmanager
def progress_bar(what: str, total: float, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for a person; nothing for scripts.  It gives a function that is told how much more is done."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A new file, in place once it is whole; Refused ``file_exists`` if something stands there."""
    if path.exists():
        raise Refused("file_exists", file=path.name)
    beside = path.with_name(f".{path.name}.part")
    try:
        with new_private(beside) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as problem:
        raise Refused("file_unwritable", file=path.name, problem=problem.strerror or "") from problem
    finally:
        beside.unlink(missing_ok=True)


def table(title: str, columns: Iterable[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for people; whole numbers stand on the right."""
    made = Table(title=title, title_justify="left")
    listed = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numbers = bool(listed) and all(isinstance(row[index], int) for row in listed)
        made.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in listed:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: object) -> Text:
    grouped = isinstance(value, int) and not isinstance(value, bool)
    return Text(f"{value:,}" if grouped else shown(str(value)))
