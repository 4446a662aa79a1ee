"""The house's own rules that no other gate holds."""

import ast
import tomllib
from collections.abc import Iterator

from tests.house.checkout import ROOT, sources, tracked

# These plant faults in the code, or lie as a hub would: they reach where no reader does.
PLANTING = {
    "tests/node/linking/test_second_share.py",
    "tests/sim/forgeries.py",
    "tests/sim/holes.py",
    "tests/sim/planted.py",
    "tests/sim/test_followers.py",
}
SAYING = {"confirm", "echo", "prompt", "secho"}
STREAMS = {"sys.stdout.write", "sys.stderr.write", "Console", "Progress", "rich.print"}
OF_LIBRARIES = {"_asdict", "_concrete_class", "_exit", "_fields", "_make", "_mapping", "_replace"}


def test_the_namespace_has_no_init() -> None:
    assert [path for path in ROOT.glob("*/samprasan/__init__.py") if ".venv" not in path.parts] == []
    assert (ROOT / "proto/samprasan/v1/__init__.py").exists()


def test_what_must_not_be_committed_is_not() -> None:
    names = {path.name for path in tracked()}
    assert "uv.lock" not in names
    assert not any(path.suffix in {".pem", ".key", ".db"} for path in tracked())


def test_no_pinned_requirement_names_a_registry() -> None:
    for path in ROOT.glob("requirements*.txt"):
        text = path.read_text("utf-8")
        assert "http" not in text
        assert "--hash=sha256:" in text


def test_source_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_the_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def private_names(text: str) -> Iterator[str]:
    """Names with an underscore that a module uses, by attribute, import or ``setattr``, and does not define itself."""
    nodes = list(ast.walk(ast.parse(text)))
    own = {each.name for each in nodes if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    attributes = [each for each in nodes if isinstance(each, ast.Attribute)]
    own |= {each.attr for each in attributes if ast.unparse(each.value) in ("self", "cls")}
    used = [each.attr for each in attributes]
    used += [each.name for each in nodes if isinstance(each, ast.alias)]
    for each in nodes:
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith(".setattr"):
            used += [str(given.value).split(".")[-1] for given in each.args[:2] if isinstance(given, ast.Constant)]
    for name in used:
        if name.startswith("_") and not name.startswith("__") and name not in own | OF_LIBRARIES:
            yield name


def test_tests_ask_what_a_reader_may() -> None:
    found = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in tracked() if path.suffix == ".py"}
    asking = {name: set(private_names(text)) for name, text in found.items() if name.startswith("tests/")}
    assert {name: names for name, names in asking.items() if names and name not in PLANTING} == {}
    assert all(asking[name] for name in PLANTING)


def test_nothing_is_said_to_a_terminal_but_by_way_of_what_escapes_it() -> None:
    """``edge/command.py`` prints and asks; a secret is asked for in words of our own, without echo."""
    found = []
    for path in sources():
        if path.relative_to(ROOT).as_posix() == "edge/samprasan/edge/command.py":
            continue
        for each in ast.walk(ast.parse(path.read_text("utf-8"))):
            said = ast.unparse(each.func) if isinstance(each, ast.Call) else ""
            named = {alias.name for alias in each.names} if isinstance(each, ast.ImportFrom) else set()
            if (isinstance(each, ast.ImportFrom) and each.module == "typer" and named & SAYING) or said in STREAMS:
                found.append(f"{path.relative_to(ROOT)}: {said or named}")
            is_secret = said == "typer.prompt" and "hide_input=True" in ast.unparse(each)
            if said in {"print", "input"} or (said.startswith("typer.") and said[6:] in SAYING and not is_secret):
                found.append(f"{path.relative_to(ROOT)}: {said}")
    assert found == []
