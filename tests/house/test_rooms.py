"""Rooms: each says what it is for and lists its modules, and a module imports only what stands below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.checkout import ROOT, sources

MODULES_MAX = 12
CROWDED = {"store", "migrations"}  # one module an aggregate, one a version
STATEMENTS = CROWDED | {"tables"}
FLAT = ("keys", "ledger", "edge", "client")
IMPURE_AT_HOME = {"__main__.py", "home.py", "certificate.py"}  # the folder, and what lets programs in
HOUSES = ("node", "hub")
CLOCK_AND_CHANCE = {"asyncio", "threading", "time", "random", "secrets", "uuid", "grpc"}
IMPURE_KEYS = {"certificates.py", "keyring.py"}  # X.509 has a clock and chance of its own; keys at rest have files
IMPURE_INTEGRATORS = {"jetstream.py", "publisher.py"}  # they talk to a NATS server
DATABASE_LIBRARIES = {"sqlalchemy", "alembic", "psycopg"}


def rooms() -> list[Path]:
    """Every folder of modules that lists them in its docstring."""
    found = [ROOT / root / "samprasan" / root for root in FLAT + HOUSES]
    for house in HOUSES:
        folders = (path.parent for path in sources() if path.name == "__init__.py" and house in path.parts)
        found += [path for path in folders if path.parent == ROOT / house / "samprasan" / house]
    return [path for path in found if path.name not in CROWDED]


def name_of(room: Path) -> str:
    return str(room.relative_to(ROOT))


def modules(room: Path) -> set[str]:
    files = {path.stem for path in room.glob("*.py")} - {"__init__"}
    return files | {path.name for path in room.iterdir() if (path / "__init__.py").exists()}


def listed(room: Path) -> list[str]:
    """The modules that the room's docstring lists, in its order."""
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    return [line.split("``")[1] for line in text.splitlines() if line.startswith("- ``")]


def imports(path: Path) -> Iterator[str]:
    """Full names that a file imports, in functions too; but not for types alone."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_a_room_lists_its_modules(room: Path) -> None:
    found = listed(room)
    assert set(found) == modules(room)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_a_module_imports_only_what_stands_below_it(room: Path) -> None:
    order = listed(room)
    package = ".".join(room.relative_to(ROOT).parts[1:])
    for module in order:
        files = [room / f"{module}.py"] if (room / f"{module}.py").exists() else (room / module).rglob("*.py")
        for file in files:
            for full in imports(file):
                target = full.removeprefix(f"{package}.").split(".")[0] if full.startswith(f"{package}.") else module
                if target in order and target != module:
                    assert order.index(target) > order.index(module), f"{file.relative_to(ROOT)} imports {target}"


@pytest.mark.parametrize("room", [each for each in rooms() if each.parent.name in HOUSES], ids=name_of)
def test_no_room_is_crowded(room: Path) -> None:
    assert len(modules(room)) <= MODULES_MAX


def test_there_are_rooms_and_they_are_looked_at() -> None:
    assert len(rooms()) > 20
    assert all((ROOT / house / "samprasan" / house / "store").exists() for house in HOUSES)


def test_clock_and_chance_are_arguments_in_rooms_where_a_few_modules_differ() -> None:
    """import-linter holds this for whole rooms."""
    files = [path for path in (ROOT / "keys/samprasan/keys").glob("*.py") if path.name not in IMPURE_KEYS]
    integrators = ROOT / "hub/samprasan/hub/integrators"
    files += [path for path in integrators.glob("*.py") if path.name not in IMPURE_INTEGRATORS]
    for house in HOUSES:
        home = ROOT / house / "samprasan" / house
        files += [path for path in home.glob("*.py") if path.name not in IMPURE_AT_HOME]
        files.append(home / "process" / "status.py")
    assert len(files) > 30
    for path in files:
        assert not CLOCK_AND_CHANCE & {full.split(".")[0] for full in imports(path)}, path.name


def test_statements_stay_with_the_database_the_tables_the_stores_and_the_migrations() -> None:
    allowed = {"edge/samprasan/edge/database.py", "edge/samprasan/edge/backup.py"}
    using = set()
    for path in sources():
        name = str(path.relative_to(ROOT))
        if name not in allowed and not STATEMENTS & set(path.relative_to(ROOT).parts):
            using |= {name for full in imports(path) if full.split(".")[0] in DATABASE_LIBRARIES}
    assert using == set()


def test_no_test_module_imports_from_another() -> None:
    tests = list((ROOT / "tests").rglob("test_*.py"))
    assert len(tests) > 90
    for path in [*tests, *(ROOT / "tests").rglob("conftest.py")]:
        for full in imports(path):
            named = [part for part in full.split(".") if part.startswith("test_") or part == "conftest"]
            assert not (full.startswith("tests.") and named), f"{path.relative_to(ROOT)} imports {full}"
