"""What a command line tells: of a fault of ours its kind and place and no value; of others' texts what they are."""

import json
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import typer
from samprasan.client.__main__ import app as client_app
from samprasan.edge import command, texts
from samprasan.hub.__main__ import app as hub_app
from samprasan.keys.errors import Refused
from samprasan.node.__main__ import app as node_app

from tests.commands import run_app


def test_an_unexpected_exception_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    app = command.application("A program with a fault.")

    @app.command()
    def fails() -> None:
        raise ValueError("1101700203450 นายสมมติ")

    monkeypatch.setenv("SAMPRASAN_LANG", "en")
    texts.choose("en")
    done = run_app(app, [])
    assert done.returncode == 1
    assert "error: The program failed inside (ValueError)." in done.stderr
    assert "fails:" in done.stderr
    assert "1101700203450" not in done.stderr + done.stdout
    assert "สมมติ" not in done.stderr + done.stdout


def test_every_program_tells_its_version() -> None:
    for program in (hub_app, node_app, client_app):
        done = run_app(program, ["--version"])
        assert (done.returncode, done.stdout.strip()) == (0, metadata.version("samprasan"))


HOSTILE = "[red]x[/red] :smile: \x1b[2K\u202e0000 \x9b1A"
SHOWN = "[red]x[/red] :smile: \\u001b[2K\\u202e0000 \\u009b1A"


def test_others_texts_never_speak_to_the_terminal() -> None:
    app = command.application("A program that shows what others wrote.")

    @app.command("shows")
    def shows(as_json: command.Json = False) -> None:
        command.answer({"name": HOSTILE}, as_json, command.table("", ["name"], [[HOSTILE]]), HOSTILE)

    @app.command("fails")
    def fails() -> None:
        raise Refused("agency_unknown", agency=HOSTILE + "\nhint: give up")

    assert run_app(app, ["shows"]).stdout.count(SHOWN) == 2
    as_json = run_app(app, ["shows", "--json"]).stdout
    assert json.loads(as_json) == {"name": HOSTILE}
    assert SHOWN in as_json
    told = run_app(app, ["fails"]).stderr
    assert SHOWN + "\\u000ahint: give up" in told
    assert told.count("\n") == 2
    assert SHOWN in str(Refused("agency_unknown", agency=HOSTILE)), "an app prints it by itself"


def test_a_question_escapes_what_others_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def confirm(question: str, *, err: bool) -> bool:
        asked.append(question)
        return err

    monkeypatch.setattr(typer, "confirm", confirm)
    assert command.is_confirmed(HOSTILE)
    assert asked == [SHOWN]


def test_what_a_crash_left_lends_its_mode_to_no_file(tmp_path: Path) -> None:
    left = tmp_path / ".bundle.part"
    left.touch(mode=0o644)
    left.chmod(0o644)
    with command.written(tmp_path / "bundle") as file:
        file.write(b"account ids")
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("limit", ["as it was", "none"])
def test_a_program_writes_for_its_user_alone_and_no_image_of_its_memory(tmp_path: Path, limit: str) -> None:
    program = """
import ctypes, resource, sys, typer
from samprasan.edge import command
PR_GET_DUMPABLE = 3
if sys.argv[3] == "none":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
app = command.application("A program that writes a file.")
@app.command()
def writes() -> None:
    with command.written(__import__("pathlib").Path(sys.argv[1])) as file:
        file.write(b"account ids")
    __import__("pathlib").Path(sys.argv[2]).write_text("a database")
    dumpable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    command.answer([*resource.getrlimit(resource.RLIMIT_CORE), dumpable], True)
command.main(app, [])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "bundle"), str(tmp_path / "plain"), limit],
        capture_output=True,
        text=True,
        check=True,
        umask=0o022,
    )
    found = json.loads(done.stdout)
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 or limit == "none":
        assert found == [0, 0, 0], "a limit of 0 keeps no image from a program that handles cores"
    else:
        assert found[:2] == [1, 1]
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "bundle", tmp_path / "plain")} == {0o600}
